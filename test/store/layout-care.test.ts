import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { createLayout, type LayoutStore, layoutStore } from '../../src/store/layout.ts';
import { nodeFiles } from '../../src/store/node-files.ts';
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

  test('an empty layout has nothing wrong', async () => {
    await fill(store, [config]);
    await rm(pathOf(config));
    expect(await store.verify()).toMatchObject({ checked: 0, wrong: [], missing: [] });
  });

  test.each(['none', ''])('a directory that is no layout is refused, not sound: "%s"', async (name) => {
    const none = layoutStore(join(directory, name));
    for (const look of [() => none.verify(), () => none.gc(), () => none.gc({ dryRun: true })]) {
      const refused = look();
      await expect(refused).rejects.toEqual(failsWith('STORE_ERROR'));
      await expect(refused).rejects.toThrow(`"${join(directory, name)}": not an image layout`);
    }
    expect(await readdir(directory)).toEqual([]);
  });

  test('an index.json that is lost is told as that, and no other takes its place unless somebody says so', async () => {
    await fill(store, [config, a, shared, named(first, 'v1')]);
    await rm(join(directory, 'index.json'));
    const later = layoutStore(directory);
    for (const work of [() => store.verify(), () => fill(later, [b]), () => later.tag(first.descriptor, 'v2')]) {
      const failing = work();
      await expect(failing).rejects.toEqual(failsWith('STORE_ERROR'));
      await expect(failing).rejects.toThrow(`"${directory}": "index.json" is missing`);
    }
    expect((await readdir(directory)).sort()).toEqual(['blobs', 'oci-layout']);
    await writeFile(join(directory, 'index.json'), '{"schemaVersion":2,"manifests":[]}');
    await fill(later, [named(first, 'v1')]);
    expect(await store.verify()).toMatchObject({ checked: 4, wrong: [], missing: [] });
  });

  test('a layout that lost its index.json before it had any content is gone on with', async () => {
    await fill(store, [config]);
    await rm(pathOf(config));
    await rm(join(directory, 'index.json'));
    await fill(layoutStore(directory), [config]);
    expect(await store.verify()).toMatchObject({ checked: 1, wrong: [] });
  });

  test('a file beside the algorithms is a stranger, and a directory at the name of content is wrong', async () => {
    await fill(store, [config, a, shared, named(first, 'v1')]);
    const stray = join(directory, 'blobs', '.DS_Store');
    await writeFile(stray, 'x');
    await rm(pathOf(a));
    await mkdir(pathOf(a));
    await mkdir(pathOf(b));
    const { wrong, strangers } = await store.verify();
    expect(wrong.map(({ path }) => path).sort()).toEqual([pathOf(a), pathOf(b)].sort());
    expect(wrong[0]?.found).toContain('a directory');
    expect(strangers).toEqual([stray]);
    expect(await store.gc()).toEqual({ removed: [], partials: 0, bytes: 0 });
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

  test('without its index.json, nothing is removed', async () => {
    await fill(store, [config, a, shared, named(first, 'v1')]);
    await rm(join(directory, 'index.json'));
    await expect(store.gc()).rejects.toEqual(failsWith('STORE_ERROR'));
    await expect(store.gc()).rejects.toThrow('"index.json" is missing');
    expect(await kept()).toHaveLength(4);
  });

  test.each([
    ['of an entry', named(first, 'v1'), first],
    ['of the only image of an index', named(index(first), 'v1'), first],
  ])('without the manifest %s nothing is removed, as nothing tells what it needs', async (_of, root, lost) => {
    await fill(store, [config, a, shared, { descriptor: first.descriptor, bytes: first.bytes }, root]);
    await rm(pathOf(lost));
    const before = await kept();
    await expect(store.gc()).rejects.toEqual(failsWith('STORE_ERROR'));
    await expect(store.gc()).rejects.toThrow(lost.descriptor.digest);
    expect(await kept()).toEqual(before);
  });

  test('a dry run writes nothing', async () => {
    await fill(store, [config]);
    const files = nodeFiles();
    const closed = async (): Promise<never> => {
      throw new Error('read-only');
    };
    const open: typeof files.open = (path, mode) => (mode === 'read' ? files.open(path, mode) : closed());
    const readOnly = { ...files, open, remove: closed, rename: closed, makeDirectory: closed, touch: closed };
    const looking = createLayout(directory, { files: readOnly });
    expect((await looking.gc({ dryRun: true })).removed).toEqual(digests(config));
    await expect(looking.gc()).rejects.toThrow('read-only');
  });

  test('it keeps away from work that has begun, also between two pushes', async () => {
    const end = store.begin();
    await fill(store, [config, a]);
    await expect(layoutStore(directory).gc()).rejects.toThrow('somebody is writing');
    await fill(store, [shared, named(first, 'v1')]);
    await Promise.all([end(), end()]);
    expect((await layoutStore(directory).gc()).removed).toEqual([]);
    expect(await readdir(directory)).not.toContain('.ocifetch');
  });

  test('what work that has begun found here is kept for it; before, nothing is made', async () => {
    await fill(store, [config, a, shared, first]);
    const work = layoutStore(directory);
    const end = work.begin();
    expect(await readdir(directory)).not.toContain('.ocifetch');
    await work.resolve(config.descriptor.digest);
    await expect(store.gc()).rejects.toThrow('somebody is writing');
    await end();
    expect((await store.gc()).removed).toHaveLength(4);
  });

  test('work whose sign of life was taken away gets no name: its content may be gone', async () => {
    const end = store.begin();
    await fill(store, [config, a, shared, first]);
    const folder = join(directory, '.ocifetch');
    for (const name of await readdir(folder)) await rm(join(folder, name));
    await expect(store.tag(first.descriptor, 'v1')).rejects.toEqual(failsWith('STORE_ERROR'));
    await end();
    await layoutStore(directory).tag(first.descriptor, 'v1');
  });

  test('work that begins while it is under way waits for its end', async () => {
    await fill(store, [config, a, named(manifest, 'v1')]);
    let goOn = (): void => {};
    const until = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let isAt = false;
    const files = nodeFiles();
    const slow = {
      ...files,
      remove: async (path: string) => {
        if (path === pathOf(a)) {
          isAt = true;
          await until;
        }
        return files.remove(path);
      },
    };
    const collecting = createLayout(directory, { files: slow }).gc();
    await expect.poll(() => isAt).toBe(true);
    const end = store.begin();
    const found = store.resolve(a.descriptor.digest);
    await new Promise((resolve) => setTimeout(resolve, 100));
    goOn();
    await expect(found).rejects.toEqual(failsWith('NOT_FOUND'));
    expect((await collecting).removed).toEqual(digests(a));
    await end();
  });

  test('content that was collected since it was pushed gets no name', async () => {
    await fill(store, [config, a, shared, first]);
    const files = nodeFiles();
    let isLate = false;
    const late = {
      ...files,
      // The last moment before the index is held.
      syncDirectory: async (path: string) => {
        if (!isLate && (await layoutStore(directory).gc()).removed.length > 0) isLate = true;
        await files.syncDirectory(path);
      },
    };
    await expect(createLayout(directory, { files: late }).tag(first.descriptor, 'v1')).rejects.toEqual(
      failsWith('NOT_FOUND'),
    );
    expect([isLate, await store.tags()]).toEqual([true, []]);
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
