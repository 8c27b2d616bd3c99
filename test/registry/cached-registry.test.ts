import { expect, test } from 'vitest';
import { cached } from '../../src/registry/cached-registry.ts';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { isCatalog, isStore, type Registry } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { bytesOf, failsWith, samples, sourceContract } from '../contract/source.ts';
import { fill } from '../contract/store.ts';

const { large } = samples;
const at = { registry: 'localhost', name: 'a/b' };

async function filled() {
  const origin = memoryRegistry();
  await fill(origin(at));
  return origin;
}

sourceContract('cached registry', async () => ({ source: cached(await filled(), memoryRegistry())(at) }));

test('what is read is kept in the store of its repository, and served without the origin', async () => {
  const [origin, stores] = [await filled(), memoryRegistry()];
  const registry = cached(origin, stores);
  expect(isStore(registry(at))).toBe(false);
  await bytesOf(await registry(at).fetch(large.descriptor));
  await expect.poll(() => stores.repositories()).toEqual(['a/b']);
  await origin(at).remove(large.descriptor.digest);
  expect(Buffer.compare(await bytesOf(await registry(at).fetch(large.descriptor)), large.bytes)).toBe(0);
  await expect(registry({ ...at, name: 'c' }).fetch(large.descriptor)).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('concurrent requests of one content make one request to the origin', async () => {
  const [origin, stores] = [await filled(), memoryRegistry()];
  let count = 0;
  const counted: Registry = (repository) => ({
    ...origin(repository),
    fetch: (target, options) => {
      count += 1;
      return origin(repository).fetch(target, options);
    },
  });
  const registry = cached(counted, stores);
  const read = async () => bytesOf(await registry(at).fetch(large.descriptor));
  const all = await Promise.all(Array.from({ length: 20 }, read));
  expect(all.every((bytes) => Buffer.compare(bytes, large.bytes) === 0)).toBe(true);
  expect(count).toBe(1);
});

test('the repositories are those of the origin, or if it cannot list them those that are kept', async () => {
  const [origin, stores] = [await filled(), memoryRegistry()];
  await fill(stores({ ...at, name: 'kept' }), [large]);
  const listed = cached(origin, stores);
  expect(isCatalog(listed) && (await listed.repositories())).toEqual(['a/b']);
  const unlisted = cached((repository) => origin(repository), stores);
  expect(isCatalog(unlisted) && (await unlisted.repositories())).toEqual(['kept']);
  expect(
    isCatalog(
      cached(
        (repository) => origin(repository),
        () => memoryStore(),
      ),
    ),
  ).toBe(false);
});
