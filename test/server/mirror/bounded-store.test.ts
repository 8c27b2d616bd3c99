import { mkdir, readdir, stat, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { boundedStore } from '../../../src/server/mirror/bounded-store.ts';
import { contentsOf } from '../../../src/server/mirror/contents.ts';
import type { Store } from '../../../src/source.ts';
import { type LayoutStore, layoutStore } from '../../../src/store/layout.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { bytesOf, failsWith, type Sample, sampleOf } from '../../contract/source.ts';
import { fill, pieces, storeContract } from '../../contract/store.ts';
import { withFolder } from './support.ts';

const sized = (seed: number, size = 100_000): Sample => sampleOf(new Uint8Array(size).fill(seed));
const [a, b, c, d] = [sized(1), sized(2), sized(3), sized(4)];

function bounded(store: Store, bytes: number, directory?: string) {
  const evicted: string[] = [];
  const contents = contentsOf(directory, directory && join(directory, '.state'));
  const onEviction = (digest: string): unknown => evicted.push(digest);
  return { store: boundedStore(store, { bytes, contents, onEviction }), contents, evicted };
}

storeContract('a bounded store in memory', async () => ({ store: bounded(memoryStore(), 10_000_000).store }));

const has = (store: Store, { descriptor }: Sample): Promise<boolean> =>
  store.resolve(descriptor.digest).then(
    () => true,
    () => false,
  );
const presence = (store: Store, all: readonly Sample[]): Promise<boolean[]> =>
  Promise.all(all.map((one) => has(store, one)));

/** What is removed meanwhile does not count. */
async function bytesIn(folder: string): Promise<number> {
  const names = await readdir(join(folder, 'blobs'), { recursive: true, withFileTypes: true }).catch(() => []);
  const files = names.filter((entry) => entry.isFile());
  const sizes = await Promise.all(
    files.map(async ({ parentPath, name }) => (await stat(join(parentPath, name)).catch(() => undefined))?.size ?? 0),
  );
  return sizes.reduce((sum, size) => sum + size, 0);
}

test('what was not used for the longest time goes before something new comes', async () => {
  await withFolder(async (folder) => {
    const { store, evicted } = bounded(layoutStore(folder), 250_000, folder);
    await fill(store, [a, b]);
    await bytesOf(await store.fetch(a.descriptor));
    await fill(store, [c]);
    expect(evicted).toEqual([b.descriptor.digest]);
    expect(await presence(store, [a, b, c])).toEqual([true, false, true]);
    expect(await bytesIn(folder)).toBe(200_000);
  });
});

test('at no time are there more bytes than the bound, whatever comes at once', async () => {
  await withFolder(async (folder) => {
    const { store } = bounded(layoutStore(folder), 500_000, folder);
    const all = Array.from({ length: 30 }, (_, index) => sized(index, 60_000 + index * 1_000));
    const sizes: number[] = [];
    await Promise.all(
      all.map(async (one) => {
        // Some do not fit beside those that are on their way.
        await fill(store, [one]).catch((error: unknown) => expect(error).toMatchObject({ reason: 'limit' }));
        sizes.push(await bytesIn(folder));
      }),
    );
    expect(Math.max(...sizes)).toBeLessThanOrEqual(500_000);
    expect(Math.max(...sizes)).toBeGreaterThan(300_000);
  });
});

test('what is being read stays, and what does not fit beside it is not kept', async () => {
  const { store, evicted } = bounded(memoryStore(), 250_000);
  await fill(store, [a, b]);
  const [one, other] = [await store.fetch(a.descriptor), await store.fetch(b.descriptor)];
  await expect(fill(store, [c])).rejects.toMatchObject({ code: 'STORE_ERROR', reason: 'limit' });
  expect(evicted).toEqual([]);
  expect(Buffer.compare(await bytesOf(one), a.bytes)).toBe(0);
  await fill(store, [c]);
  expect(evicted).toEqual([a.descriptor.digest]);
  await other.body.cancel();
  await fill(store, [d]);
  expect(evicted).toEqual([a.descriptor.digest, b.descriptor.digest]);
});

test('what is larger than the bound is not kept, and nothing goes for it', async () => {
  const { store, evicted } = bounded(memoryStore(), 250_000);
  await fill(store, [a]);
  await expect(fill(store, [sized(9, 250_001)])).rejects.toEqual(failsWith('STORE_ERROR'));
  expect([evicted, await has(store, a)]).toEqual([[], true]);
});

test('small content, such as manifests, goes last', async () => {
  const small = sized(5, 1_000);
  const { store, evicted } = bounded(memoryStore(), 201_000);
  await fill(store, [small, a, b, c]);
  expect(evicted).toEqual([a.descriptor.digest]);
  await fill(store, [sized(6, 201_000)]);
  expect(evicted.at(-1)).toBe(small.descriptor.digest);
});

test('what broke off takes no room', async () => {
  await withFolder(async (folder) => {
    const { store, contents } = bounded(layoutStore(folder), 150_000, folder);
    const broken = (async function* () {
      yield a.bytes.slice(0, 50_000);
      throw new Error('the line is dead');
    })();
    await expect(store.push(a.descriptor, broken)).rejects.toThrow('dead');
    await store.push(b.descriptor, pieces(b.bytes));
    expect(contents.bytes).toBe(100_000);
    expect((await readdir(join(folder, '.ocifetch')).catch(() => [])).length).toBe(0);
  });
});

/** A layout with the samples, as an earlier process left it. */
async function leftBehind(folder: string, all: readonly Sample[]): Promise<LayoutStore> {
  const store = layoutStore(folder);
  await fill(store, all);
  return store;
}

test('the order of use survives a restart', async () => {
  await withFolder(async (folder) => {
    const before = bounded(layoutStore(folder), 300_000, folder);
    await fill(before.store, [a, b, c]);
    await bytesOf(await before.store.fetch(a.descriptor));
    await before.contents.close();
    const { store, evicted, contents } = bounded(layoutStore(folder), 300_000, folder);
    await contents.ready;
    expect([contents.bytes, contents.count]).toEqual([300_000, 3]);
    await fill(store, [d]);
    expect(evicted).toEqual([b.descriptor.digest]);
  });
});

test('without a record of it, the order is that of the times of the files', async () => {
  await withFolder(async (folder) => {
    await leftBehind(folder, [a, b, c]);
    const path = join(folder, 'blobs', ...b.descriptor.digest.split(':'));
    await utimes(path, 1, 1);
    await mkdir(join(folder, 'blobs', 'sha256', 'a-folder'));
    await writeFile(join(folder, 'blobs', 'sha256', 'not-a-digest'), 'x');
    const { store, evicted } = bounded(layoutStore(folder), 300_000, folder);
    await fill(store, [d]);
    expect(evicted).toEqual([b.descriptor.digest]);
  });
});

test('more than the bound, left by an earlier process, goes when something comes', async () => {
  await withFolder(async (folder) => {
    await leftBehind(folder, [a, b, c]);
    const { store, evicted, contents } = bounded(layoutStore(folder), 150_000, folder);
    await fill(store, [d]);
    expect([evicted.length, contents.bytes]).toEqual([3, 100_000]);
    expect(await bytesIn(folder)).toBe(100_000);
  });
});
