import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { type LayoutStore, layoutStore } from '../../src/store/layout.ts';
import { documentOf, referring } from '../contract/lists.ts';
import { failsWith, type Sample, sampleOf, samples } from '../contract/source.ts';
import { fill, pieces } from '../contract/store.ts';

let directory = '';
let store: LayoutStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-care-'));
  store = layoutStore(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const { config, manifest } = samples;
const blob = (text: string, type?: string): Sample => sampleOf(new TextEncoder().encode(text), type);
const image = (...layers: Sample[]): Sample =>
  documentOf(mediaTypes.ociManifest, { config: config.descriptor, layers: layers.map(({ descriptor }) => descriptor) });
const index = (...manifests: Sample[]): Sample =>
  documentOf(mediaTypes.ociIndex, { manifests: manifests.map(({ descriptor }) => descriptor) });
const named = (sample: Sample, tag: string): Sample => ({ ...sample, tag });
const digests = (...all: Sample[]): string[] => all.map(({ descriptor }) => descriptor.digest).sort();
const pathOf = ({ descriptor }: Sample): string => join(directory, 'blobs', descriptor.digest.replace(':', '/'));

const [a, b, shared] = [blob('a'), blob('b'), blob('shared')];
const [first, second] = [image(a, shared), image(b, shared)];
const both = index(first, second);

describe('verify', () => {
  test('a sound layout is read as a whole, with progress', async () => {
    await fill(store, [config, a, b, shared, first, second, named(both, 'v1')]);
    const seen: number[] = [];
    const report = await store.verify({ onProgress: ({ checked, contents }) => seen.push(checked, contents) });
    const bytes = [config, a, b, shared, first, second, both].reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    const nothing = { wrong: [], missing: [], notCopied: [], strangers: [], partials: 0 };
    expect(report).toEqual({ checked: 7, bytes, ...nothing });
    expect(seen).toEqual([1, 7, 2, 7, 3, 7, 4, 7, 5, 7, 6, 7, 7, 7]);
  });

  test('an empty layout, or none, has nothing wrong', async () => {
    expect(await layoutStore(join(directory, 'none')).verify()).toMatchObject({ checked: 0, wrong: [], missing: [] });
    expect(await layoutStore(join(directory, 'none')).gc()).toEqual({ removed: [], partials: 0, bytes: 0 });
    expect(await readdir(directory)).toEqual([]);
  });

  test('changed content is told with what it is now, also where it is a manifest', async () => {
    await fill(store, [config, a, shared, named(first, 'v1')]);
    await writeFile(pathOf(a), 'x');
    await writeFile(pathOf(first), '{');
    const found = new Map([
      [a.descriptor.digest, blob('x').descriptor.digest],
      [first.descriptor.digest, blob('{').descriptor.digest],
    ]);
    const wrong = [...found].map(([digest, now]) => ({ digest, found: now, path: expect.stringContaining(directory) }));
    expect((await store.verify()).wrong).toEqual(wrong.sort((one, other) => (one.digest < other.digest ? -1 : 1)));
  });

  test('what is missing is told, with who needs it', async () => {
    await fill(store, [config, a, shared, first, named(both, 'v1')]);
    await rm(pathOf(shared));
    const neededBy = first.descriptor.digest;
    const { digest, size } = shared.descriptor;
    expect((await store.verify()).missing).toEqual([
      { digest: second.descriptor.digest, size: second.descriptor.size, neededBy: both.descriptor.digest },
      { digest, size, neededBy },
    ]);
    await rm(pathOf(both));
    const { missing } = await store.verify();
    expect(missing).toEqual([{ digest: both.descriptor.digest, size: both.descriptor.size, neededBy: 'index.json' }]);
  });

  test('other platforms of an index, and layers that may not be handed on, were not copied: nothing is missing', async () => {
    const foreign = blob('foreign', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
    const windows = image(a, foreign);
    const sparse = index(windows, second);
    await fill(store, [config, a, windows, named(sparse, 'v1')]);
    const report = await store.verify();
    expect(report.missing).toEqual([]);
    expect(report.notCopied.map(({ digest }) => digest).sort()).toEqual(digests(second, foreign));
  });

  test('a subject that is not here is not missing; a stray file and a partial are counted', async () => {
    await fill(store, [config, referring.dangling]);
    await writeFile(join(directory, 'blobs', 'sha256', 'oci-put-blob123'), 'x');
    await mkdir(join(directory, '.ocifetch'));
    await writeFile(join(directory, '.ocifetch', `sha256-${'a'.repeat(64)}.partial`), 'x');
    const report = await store.verify();
    expect([report.missing, report.partials]).toEqual([[], 1]);
    expect(report.strangers).toEqual([join(directory, 'blobs', 'sha256', 'oci-put-blob123')]);
  });

  test('a signal ends it', async () => {
    await fill(store, [config]);
    await expect(store.verify({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toEqual(
      failsWith('ABORTED'),
    );
  });
});

describe('gc', () => {
  const kept = async (): Promise<string[]> =>
    (await readdir(join(directory, 'blobs', 'sha256'))).map((hex) => `sha256:${hex}`).sort();

  test('what no entry reaches is removed, the rest stays', async () => {
    const stray = blob('stray');
    await fill(store, [config, a, b, shared, stray, named(first, 'v1'), named(second, 'v2')]);
    await store.untag('v2');
    const removed = digests(b, second, stray);
    const bytes = [b, second, stray].reduce((sum, { descriptor }) => sum + descriptor.size, 0);
    expect(await store.gc({ dryRun: true })).toEqual({ removed, partials: 0, bytes });
    expect(await kept()).toHaveLength(7);
    expect(await store.gc()).toEqual({ removed, partials: 0, bytes });
    expect(await kept()).toEqual(digests(config, a, shared, first));
    expect((await store.verify()).missing).toEqual([]);
  });

  test('a name that moved leaves nothing behind', async () => {
    await fill(store, [config, a, shared, b, named(first, 'latest'), named(second, 'latest')]);
    expect((await store.gc()).removed).toEqual(digests(a, first));
  });

  test('what is kept without a name stays, as do those who refer to others', async () => {
    const { descriptor, bytes } = manifest;
    await fill(store, [config, a, shared, first, { descriptor, bytes }, referring.signature]);
    await store.keep(first.descriptor);
    await store.gc();
    expect(await kept()).toEqual(digests(config, a, shared, first, manifest, referring.signature));
  });

  test('an entry of a type that is not known keeps all that it describes', async () => {
    const type = 'application/vnd.oci.artifact.manifest.v1+json';
    const artifact = blob(JSON.stringify({ mediaType: type, deep: { blobs: [a.descriptor] } }), type);
    await fill(store, [a, b, artifact]);
    await store.tag(artifact.descriptor, 'artifact');
    expect((await store.gc()).removed).toEqual(digests(b));
  });

  test('a sparse index is no reason to fail; a document that cannot be read is, and nothing is removed', async () => {
    await fill(store, [config, a, shared, b, first, named(both, 'v1')]);
    expect((await store.gc({ dryRun: true })).removed).toEqual(digests(b));
    await writeFile(pathOf(first), '{"schemaVersion": 2');
    await expect(store.gc()).rejects.toEqual(failsWith('BAD_RESPONSE'));
    await expect(store.gc()).rejects.toThrow(first.descriptor.digest);
    expect(await kept()).toHaveLength(6);
    expect(await readdir(directory)).not.toContain('.ocifetch');
  });

  test('downloads that broke off are removed, with what they left', async () => {
    await fill(store, [config]);
    await store.keep(config.descriptor);
    const broken = async function* () {
      yield new Uint8Array(1);
      throw new Error('the line is dead');
    };
    await expect(store.push(shared.descriptor, broken())).rejects.toThrow('dead');
    expect(await store.gc()).toEqual({ removed: [], partials: 1, bytes: 1 });
    expect(await readdir(directory)).not.toContain('.ocifetch');
  });

  test('while somebody writes it is refused', async () => {
    await fill(store, [config]);
    let refused: unknown;
    const during = async function* () {
      refused = await layoutStore(dirname(join(directory, 'x')))
        .gc()
        .catch((error) => error);
      yield* pieces(a.bytes);
    };
    await store.push(a.descriptor, during());
    expect(refused).toEqual(failsWith('STORE_ERROR'));
    expect(await kept()).toEqual(digests(config, a));
  });
});
