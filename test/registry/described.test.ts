import { expect, test } from 'vitest';
import { type DescriptorCache, described, memoryDescriptors } from '../../src/registry/described.ts';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import type { Source } from '../../src/source.ts';
import { ableStore, registryContract } from '../contract/registry.ts';
import { absent, failsWith, samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';

const { large, manifest, config } = samples;
const at = { registry: 'localhost', name: 'a/b' };

registryContract('described', () => described(memoryRegistry()));

/** A repository with content, behind a cache, and how often its own `resolve` was called. */
async function counted(options: Parameters<typeof described>[1] = {}) {
  const store = memoryRegistry()(at);
  await fill(store, [large, config, manifest]);
  let calls = 0;
  const inner: Source = {
    ...store,
    resolve: (...parameters) => {
      calls += 1;
      return store.resolve(...parameters);
    },
  };
  const registry = described(() => inner, options);
  return { store, source: registry(at), able: ableStore(registry), calls: () => calls };
}

test('what is known is resolved without the storage, and a tag or what is missing is looked for each time', async () => {
  const { source, calls } = await counted();
  for (let time = 0; time < 3; time++) {
    expect(await source.resolve(large.descriptor.digest)).toEqual(large.descriptor);
    expect(await source.resolve(manifest.descriptor.digest)).toEqual(manifest.descriptor);
  }
  expect(calls()).toBe(2);
  for (let time = 0; time < 2; time++) {
    expect((await source.resolve('latest')).digest).toBe(manifest.descriptor.digest);
    await expect(source.resolve(absent)).rejects.toEqual(failsWith('NOT_FOUND'));
  }
  expect(calls()).toBe(6);
});

test('a descriptor is forgotten when its content is removed, named, unnamed, or pushed', async () => {
  const { able, calls } = await counted();
  const { digest } = manifest.descriptor;
  const changes = [
    () => able.tag(manifest.descriptor, 'other'),
    () => able.untag('other'),
    () => fill(able, [manifest]),
  ];
  for (const change of changes) {
    await able.resolve(digest);
    await change();
    const before = calls();
    await able.resolve(digest);
    expect(calls()).toBe(before + 1);
  }
  await able.remove(digest);
  await expect(able.resolve(digest)).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('what is removed while it is looked for is not remembered', async () => {
  const store = ableStore(memoryRegistry());
  await fill(store, [large]);
  let resume = (): void => {};
  const paused = new Promise<void>((resolve) => {
    resume = resolve;
  });
  let isRead = false;
  const slow: Source = {
    ...store,
    resolve: async (...parameters) => {
      const found = await store.resolve(...parameters);
      isRead = true;
      await paused;
      return found;
    },
  };
  const source = ableStore(described(() => slow));
  const early = source.resolve(large.descriptor.digest);
  await expect.poll(() => isRead).toBe(true);
  await source.remove(large.descriptor.digest);
  resume();
  expect(await early).toEqual(large.descriptor);
  await expect(source.resolve(large.descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('what somebody else removed is known until it is fetched', async () => {
  const { source, store } = await counted();
  await source.resolve(large.descriptor.digest);
  await store.remove(large.descriptor.digest);
  expect((await source.resolve(large.descriptor.digest)).size).toBe(large.descriptor.size);
  await expect(source.fetch(large.descriptor)).rejects.toEqual(failsWith('NOT_FOUND'));
  await expect(source.resolve(large.descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('what was found through a link does not count for who wants none', async () => {
  const { source, calls } = await counted();
  await source.resolve(large.descriptor.digest);
  await source.resolve(large.descriptor.digest, { links: false });
  expect(calls()).toBe(2);
  await source.resolve(large.descriptor.digest, { links: false });
  await source.resolve(large.descriptor.digest);
  expect(calls()).toBe(2);
  await source.resolve(large.descriptor.digest, { verify: 'again' });
  expect(calls()).toBe(3);
});

test('only so many are remembered, those that were used last, each for its repository', async () => {
  const cache = memoryDescriptors({ entries: 2 });
  const known = { descriptor: large.descriptor, links: false };
  const [a, b, c] = [large, manifest, config].map(({ descriptor }) => descriptor.digest);
  if (!a || !b || !c) throw new Error('no digests');
  await cache.set(at, a, known);
  await cache.set(at, b, known);
  await cache.get(at, a);
  await cache.set(at, c, known);
  const found = await Promise.all([a, b, c].map((digest) => cache.get(at, digest)));
  expect(found.map((one) => one !== undefined)).toEqual([true, false, true]);
  expect(await cache.get({ ...at, name: 'other' }, a)).toBeUndefined();
});

test('a cache that fails is reported, and the storage is used', async () => {
  const broken = (): Promise<never> => Promise.reject(new Error('the cache is down'));
  const cache: DescriptorCache = { get: broken, set: broken, delete: broken };
  const errors: unknown[] = [];
  const { able } = await counted({ cache, onError: (error) => errors.push(error.code) });
  expect(await able.resolve(large.descriptor.digest)).toEqual(large.descriptor);
  expect(errors).toEqual(['STORE_ERROR', 'STORE_ERROR']);
  await able.remove(large.descriptor.digest);
  await expect(able.resolve(large.descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('an abort does not wait for the cache', async () => {
  const never = () => new Promise<never>(() => {});
  const { source } = await counted({ cache: { get: never, set: never, delete: never } });
  const signal = AbortSignal.timeout(5);
  await expect(source.resolve(large.descriptor.digest, { signal })).rejects.toEqual(failsWith('ABORTED'));
});
