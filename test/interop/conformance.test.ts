import { afterAll, expect, test } from 'vitest';
import { cached } from '../../src/registry/cached-registry.ts';
import { described } from '../../src/registry/described.ts';
import { layoutRegistry } from '../../src/registry/layout-registry.ts';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { only, under } from '../../src/registry/names.ts';
import { observed } from '../../src/registry/observed.ts';
import { readOnly } from '../../src/registry/restricted.ts';
import { union } from '../../src/registry/union.ts';
import { createClient } from '../../src/remote/client.ts';
import { listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import type { ServeOptions } from '../../src/server/registry/serve-options.ts';
import type { Registry } from '../../src/source.ts';
import { createCleanup } from './support/cleanup.ts';
import { conformanceCounts, everything } from './support/conformance.ts';
import { run } from './support/process.ts';
import { describeWith } from './support/tools.ts';

const cleanup = createCleanup();
afterAll(() => cleanup.close(), 30_000);

/** What was deleted at the origin is still kept before it. */
const withoutDeletes = {
  OCI_API_BLOBS_DELETE: 'false',
  OCI_API_MANIFESTS_DELETE: 'false',
  OCI_API_TAGS_DELETE: 'false',
};

const registries: readonly [name: string, make: () => Promise<Registry>][] = [
  ['in memory', async () => memoryRegistry()],
  ['of layouts', async () => layoutRegistry(await cleanup.folder())],
];

/** Registries made of others that can do all that those can. */
const made: readonly [name: string, make: () => Registry][] = [
  ['under a prefix', () => under(memoryRegistry(), 'some/team')],
  ['of only some repositories', () => only(memoryRegistry(), ({ name }) => name.startsWith('conformance/'))],
  ['that is a union', () => union(memoryRegistry(), readOnly(memoryRegistry()))],
  ['that is a union and writes to both', () => union(memoryRegistry(), memoryRegistry(), { writes: 'both' })],
  ['with a cache of descriptors', () => described(memoryRegistry())],
  ['that is observed', () => observed(memoryRegistry(), () => {})],
  [
    'of all of these',
    () =>
      observed(described(only(union(under(memoryRegistry(), 'a'), readOnly(memoryRegistry())), () => true)), () => {}),
  ],
];

async function listening(registry: Registry, options: ServeOptions = {}): Promise<string> {
  const { url, close } = await listen(serve(registry, options));
  cleanup.add(close);
  return url;
}

/**
 * What is pushed goes to an origin, and what is read comes through a cache in front of a client that reads the origin over
 * its own socket: whatever the suite reads has gone all the way.
 */
async function throughCache(): Promise<Registry> {
  const origin = memoryRegistry();
  const host = new URL(await listening(origin)).host;
  const client = createClient();
  cleanup.add(() => client.close());
  const mirror = cached(({ name }) => client.fetcher(`${host}/${name}`).source, layoutRegistry(await cleanup.folder()));
  const registry: Registry = (repository) => ({ ...origin(repository), ...mirror(repository) });
  return Object.assign(registry, { repositories: origin.repositories });
}

/** https://github.com/opencontainers/distribution-spec/tree/main/conformance */
describeWith(['conformance'], 'the conformance suite of the distribution specification', () => {
  const counts = (registry: Registry, settings: Readonly<Record<string, string>>): Promise<object> =>
    conformanceCounts(cleanup, registry, settings);

  test.each(registries)('a registry %s passes all of it, with nothing left out', async (_name, make) => {
    expect(await counts(await make(), everything)).toEqual({ tests: 986, others: [] });
  });

  test.each(made)('a registry %s passes all of it, too', async (_name, make) => {
    expect(await counts(make(), everything)).toEqual({ tests: 986, others: [] });
  });

  test('at 1.1 a registry in memory leaves out only what that version leaves open', async () => {
    expect(await counts(memoryRegistry(), { OCI_VERSION: '1.1' })).toEqual({
      tests: 862,
      disabled: 2,
      others: ['skipped blob-post-cancel'],
    });
  });

  test('a cache in front of a remote registry passes all of it but deletes', async () => {
    expect(await counts(await throughCache(), { ...everything, ...withoutDeletes })).toEqual({
      tests: 793,
      disabled: 193,
      others: ['skipped blob-delete', 'skipped manifest-delete', 'skipped tag-delete'],
    });
  });
});

/** https://github.com/opencontainers/distribution-spec/tree/v1.0.1/conformance, with four categories. */
describeWith(['conformance-1.0'], 'the conformance suite of version 1.0', () => {
  /** Runs the suite; returns its counts. */
  async function outcome(registry: Registry, categories: readonly string[]): Promise<unknown> {
    const folder = await cleanup.folder();
    const env = {
      OCI_ROOT_URL: await listening(registry, { mountsFromAny: true }),
      OCI_AUTOMATIC_CROSSMOUNT: '1',
      OCI_NAMESPACE: 'conformance/one',
      OCI_CROSSMOUNT_NAMESPACE: 'conformance/two',
      OCI_REPORT_DIR: folder,
      ...Object.fromEntries(categories.map((name) => [`OCI_TEST_${name}`, '1'])),
    };
    const output = await run('conformance-1.0', ['-ginkgo.no-color'], { cwd: folder, env });
    const counts = [...output.matchAll(/(\d+) (Passed|Failed|Pending|Skipped)/g)];
    return Object.fromEntries(counts.map(([, count, what = '']) => [what, Number(count)]));
  }

  // The 74 that it runs by default, and a mount without `from`. The other four are for registries that look for no blob in
  // other repositories, and for those that are filled beforehand.
  test.each(registries)('a registry %s passes all that it runs', async (_name, make) => {
    const categories = ['PULL', 'PUSH', 'CONTENT_DISCOVERY', 'CONTENT_MANAGEMENT'];
    expect(await outcome(await make(), categories)).toEqual({ Passed: 75, Failed: 0, Pending: 0, Skipped: 4 });
  });

  test('a cache in front of a remote registry passes what is not about deleting', async () => {
    expect(await outcome(await throughCache(), ['PULL', 'PUSH', 'CONTENT_DISCOVERY'])).toEqual({
      Passed: 65,
      Failed: 0,
      Pending: 0,
      Skipped: 14,
    });
  });
});
