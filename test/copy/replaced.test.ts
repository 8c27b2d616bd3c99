import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import { RegistryError } from '../../src/errors.ts';
import type { Store } from '../../src/source.ts';
import { layoutStore } from '../../src/store/layout.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { filled, image } from './support.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-replaced-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const [one, other] = [image('one'), image('other')];
const stores: readonly [kind: string, make: () => Store][] = [
  ['a layout', () => layoutStore(directory)],
  ['a store in memory', () => memoryStore()],
];

test.each(stores)('%s: what the name stood for before is told, where it was something else', async (_kind, make) => {
  const to = make();
  const copied = async (built: typeof one, name?: string | false) =>
    copy(await filled(built), to, 'latest', name === undefined ? {} : { name });
  expect(await copied(one)).not.toHaveProperty('replaced');
  expect(await copied(one)).not.toHaveProperty('replaced');
  expect(await copied(other, 'v2')).not.toHaveProperty('replaced');
  expect(await copied(other, false)).not.toHaveProperty('replaced');
  const { replaced } = await copied(other);
  expect(replaced).toEqual(one.root.descriptor);
  expect((await to.resolve('latest')).digest).toBe(other.root.descriptor.digest);
});

test('the name is resolved once in the store, and its failure is the failure of the copy', async () => {
  const real = memoryStore();
  const asked: string[] = [];
  const to: Store = {
    ...real,
    resolve: (reference, options) => {
      asked.push(reference);
      return real.resolve(reference, options);
    },
  };
  await copy(await filled(one), to, 'latest', { name: 'v1' });
  expect(asked.filter((reference) => reference === 'v1')).toEqual(['v1']);
  const failing: Store = {
    ...real,
    resolve: async (reference, options) => {
      if (reference === 'v1') throw new RegistryError('STORE_ERROR', 'the store is gone');
      return real.resolve(reference, options);
    },
  };
  const copying = copy(await filled(other), failing, 'latest', { name: 'v1' });
  await expect(copying).rejects.toThrow('Cannot copy "latest": the store is gone');
});

test('what a layout finds by a name without calling it so is not replaced', async () => {
  const to = layoutStore(directory);
  await copy(await filled(one), to, 'latest', { name: false });
  expect((await to.resolve('latest')).digest).toBe(one.root.descriptor.digest);
  expect(await copy(await filled(other), to, 'latest')).not.toHaveProperty('replaced');
  await to.gc();
  expect((await to.resolve(one.root.descriptor.digest)).digest).toBe(one.root.descriptor.digest);
});
