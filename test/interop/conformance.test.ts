import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, expect, test } from 'vitest';
import { layoutRegistry } from '../../src/registry/layout-registry.ts';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import type { Registry } from '../../src/source.ts';
import { createCleanup } from './support/cleanup.ts';
import { run } from './support/process.ts';
import { describeWith } from './support/tools.ts';

/** What the suite does not do by default: the newest specification, and what it leaves open to registries. */
const settings = {
  OCI_VERSION: 'dev',
  OCI_TLS: 'disabled',
  OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
  OCI_API_BLOBS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_TAG_PARAM: 'true',
};

/** https://github.com/opencontainers/distribution-spec/tree/main/conformance */
describeWith(['conformance'], 'the conformance suite of the distribution specification', () => {
  const cleanup = createCleanup();
  afterAll(() => cleanup.close(), 30_000);

  /** Runs the suite; returns the counts of its report. */
  async function counts(registry: Registry): Promise<Record<string, number>> {
    const folder = await cleanup.folder();
    const { url, close } = await listen(serve(registry, { mountsFromAny: true }));
    cleanup.add(close);
    const place = { OCI_REGISTRY: new URL(url).host, OCI_RESULTS_DIR: folder };
    await run('conformance', [], { cwd: folder, env: { ...settings, ...place } });
    const report = await readFile(join(folder, 'junit.xml'), 'utf8');
    const [, attributes = ''] = /<testsuites ([^>]*)>/.exec(report) ?? [];
    const pairs = [...attributes.matchAll(/(\w+)="([\d.]+)"/g)].map(([, name = '', value]) => [name, Number(value)]);
    const { time: _time, ...found } = Object.fromEntries(pairs) as Record<string, number>;
    return found;
  }

  const registries: readonly [name: string, make: () => Promise<Registry>][] = [
    ['in memory', async () => memoryRegistry()],
    ['of layouts', async () => layoutRegistry(await cleanup.folder())],
  ];
  test.each(registries)('a registry %s passes all of it, with nothing left out', async (_name, make) => {
    expect(await counts(await make())).toEqual({ tests: 986 });
  });
});
