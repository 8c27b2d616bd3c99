import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createLayout, type LayoutStore, layoutStore } from '../../src/store/layout.ts';
import { nodeFiles } from '../../src/store/node-files.ts';
import { referring } from '../contract/lists.ts';
import { failsWith, type Sample, samples } from '../contract/source.ts';
import { fill, pieces } from '../contract/store.ts';
import { a, b, blob, both, digests, first, index, named, second, shared } from '../support/two-images.ts';

let directory = '';
let store: LayoutStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-garbage-'));
  store = layoutStore(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const { config, manifest } = samples;
const pathOf = ({ descriptor }: Sample): string => join(directory, 'blobs', descriptor.digest.replace(':', '/'));

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

test('what a moved name pointed to is removed', async () => {
  await fill(store, [config, a, shared, b, named(first, 'latest'), named(second, 'latest')]);
  expect((await store.gc()).removed).toEqual(digests(a, first));
});

test('what is kept without a name stays, and so do manifests that refer to others', async () => {
  const { descriptor, bytes } = manifest;
  await fill(store, [config, a, shared, first, { descriptor, bytes }, referring.signature]);
  await store.keep(first.descriptor);
  await store.gc();
  expect(await kept()).toEqual(digests(config, a, shared, first, manifest, referring.signature));
});

test('an entry of an unknown type keeps everything that it describes', async () => {
  const type = 'application/vnd.oci.artifact.manifest.v1+json';
  const artifact = blob(JSON.stringify({ mediaType: type, deep: { blobs: [a.descriptor] } }), type);
  await fill(store, [a, b, artifact]);
  await store.tag(artifact.descriptor, 'artifact');
  expect((await store.gc()).removed).toEqual(digests(b));
});

test('a sparse index is accepted; if a document is invalid, nothing is removed', async () => {
  await fill(store, [config, a, shared, b, first, named(both, 'v1')]);
  expect((await store.gc({ dryRun: true })).removed).toEqual(digests(b));
  await writeFile(pathOf(first), '{"schemaVersion": 2');
  await expect(store.gc()).rejects.toEqual(failsWith('BAD_RESPONSE'));
  await expect(store.gc()).rejects.toThrow(first.descriptor.digest);
  await expect(store.gc()).rejects.toMatchObject({ reason: 'invalid-document', value: first.descriptor.digest });
  expect(await kept()).toHaveLength(6);
  expect(await readdir(directory)).not.toContain('.ocifetch');
});

test('downloads that broke off are removed', async () => {
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
])('without the manifest %s nothing is removed, as what it needs is unknown', async (_of, root, lost) => {
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

test('it refuses to run while work is under way, also between two pushes', async () => {
  const end = store.begin();
  await fill(store, [config, a]);
  await expect(layoutStore(directory).gc()).rejects.toMatchObject({ reason: 'layout-in-use', value: directory });
  await fill(store, [shared, named(first, 'v1')]);
  await Promise.all([end(), end()]);
  expect((await layoutStore(directory).gc()).removed).toEqual([]);
  expect(await readdir(directory)).not.toContain('.ocifetch');
});

test('what work under way has found here stays; before that, nothing is created', async () => {
  await fill(store, [config, a, shared, first]);
  const work = layoutStore(directory);
  const end = work.begin();
  expect(await readdir(directory)).not.toContain('.ocifetch');
  await work.resolve(config.descriptor.digest);
  await expect(store.gc()).rejects.toThrow('somebody is writing');
  await end();
  expect((await store.gc()).removed).toHaveLength(4);
});

test('work whose session file was removed cannot give a name: its content may be gone', async () => {
  const end = store.begin();
  await fill(store, [config, a, shared, first]);
  const folder = join(directory, '.ocifetch');
  for (const name of await readdir(folder)) await rm(join(folder, name));
  await expect(store.tag(first.descriptor, 'v1')).rejects.toEqual(failsWith('STORE_ERROR'));
  await end();
  await layoutStore(directory).tag(first.descriptor, 'v1');
});

test('work that begins during a collection waits for its end', async () => {
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

test('content that was collected since it was pushed cannot get a name', async () => {
  await fill(store, [config, a, shared, first]);
  const files = nodeFiles();
  let isLate = false;
  const late = {
    ...files,
    // The last moment before the index is locked.
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

test('it is refused during a push', async () => {
  await fill(store, [config]);
  let refused: unknown;
  const during = async function* () {
    refused = await layoutStore(dirname(join(directory, 'x')))
      .gc()
      .catch((error) => error);
    yield* pieces(a.bytes);
  };
  await createLayout(directory, { mostSmall: 0 }).push(a.descriptor, during());
  expect(refused).toEqual(failsWith('STORE_ERROR'));
  expect(await kept()).toEqual(digests(config, a));
});
