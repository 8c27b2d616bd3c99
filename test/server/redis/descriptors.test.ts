import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { described } from '../../../src/registry/described.ts';
import { memoryRegistry } from '../../../src/registry/memory-registry.ts';
import { connectRedis, type Redis, redisDescriptors } from '../../../src/server/redis/index.ts';
import type { Registry, Source } from '../../../src/source.ts';
import { ableStore, registryContract } from '../../contract/registry.ts';
import { absent, failsWith, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { type RedisServer, startRedisServer } from '../../support/redis-server.ts';

let server: RedisServer;
let redis: Redis;
beforeAll(async () => {
  server = await startRedisServer();
  redis = connectRedis({ url: server.url, pause: 0 });
});
afterAll(async () => {
  redis.close();
  await server.close();
});
beforeEach(() => {
  for (const all of [server.sets, server.hashes]) all.clear();
});

registryContract('described in Redis', () => described(memoryRegistry(), { cache: redisDescriptors(redis) }));

const { large, manifest, config } = samples;
const at = { registry: 'localhost', name: 'a/b' };

/** Two servers of one storage, and how often it was asked. */
async function pair() {
  const stores = memoryRegistry();
  await fill(stores(at), [large, config, manifest]);
  let calls = 0;
  const counted: Registry = (repository) => {
    const store = stores(repository);
    const resolve: Source['resolve'] = (...parameters) => {
      calls += 1;
      return store.resolve(...parameters);
    };
    return { ...store, resolve };
  };
  const make = () => described(counted, { cache: redisDescriptors(redis) });
  return { first: make(), second: make(), calls: () => calls };
}

test('what one server has found another one knows without the storage, under the keys of distribution', async () => {
  const { first, second, calls } = await pair();
  const { digest, size } = large.descriptor;
  await first(at).resolve(digest);
  expect(await second(at).resolve(digest)).toEqual(large.descriptor);
  expect(calls()).toBe(1);
  expect([...(server.sets.get('repository::a/b::blobs') ?? [])]).toEqual([digest]);
  expect(Object.fromEntries(server.hashes.get(`blobs::${digest}`) ?? [])).toEqual({
    digest,
    size: String(size),
    mediatype: large.descriptor.mediaType,
  });
  expect(server.hashes.get(`repository::a/b::blobs::${digest}`)?.get('mediatype')).toBe(large.descriptor.mediaType);
});

test('a repository does not see what another one has, and its own media type counts', async () => {
  const { first, calls } = await pair();
  const { digest } = large.descriptor;
  await first(at).resolve(digest);
  await expect(first({ ...at, name: 'other' }).resolve(digest)).rejects.toEqual(failsWith('NOT_FOUND'));
  server.hashes.get(`repository::a/b::blobs::${digest}`)?.set('mediatype', 'application/vnd.example');
  expect((await first(at).resolve(digest)).mediaType).toBe('application/vnd.example');
  expect(calls()).toBe(2);
});

test('what another server removed is gone, with all its keys', async () => {
  const { first, second } = await pair();
  const { digest } = manifest.descriptor;
  await first(at).resolve(digest);
  await ableStore(second).remove(digest);
  await expect(first(at).resolve(digest)).rejects.toEqual(failsWith('NOT_FOUND'));
  expect([...server.sets.values()].flatMap((members) => [...members])).not.toContain(digest);
  expect([...server.hashes.keys()].filter((key) => key.endsWith(digest))).toEqual([]);
});

test.each([
  ['no size', { mediatype: 'text/plain' }],
  ['the length of an old version', { length: '7', mediatype: 'text/plain' }],
  ['no number as size', { size: '-1', mediatype: 'text/plain' }],
  ['no media type', { size: '7' }],
])('a descriptor with %s is not believed', async (_title, fields) => {
  const { first, calls } = await pair();
  const { digest } = large.descriptor;
  server.sets.set('repository::a/b::blobs', new Set([digest]));
  server.hashes.set(`blobs::${digest}`, new Map(Object.entries(fields)));
  expect(await first(at).resolve(digest)).toEqual(large.descriptor);
  expect(calls()).toBe(1);
});

test('while Redis is silent or gone, requests go to the storage, and each failure is reported', async () => {
  const stores = memoryRegistry();
  await fill(stores(at), [large]);
  const failures: string[] = [];
  const gone = connectRedis({ url: 'redis://127.0.0.1:1' });
  const cache = redisDescriptors(gone);
  const registry = described(stores, { cache, onError: ({ code }) => failures.push(code) });
  expect(await registry(at).resolve(large.descriptor.digest)).toEqual(large.descriptor);
  await expect(registry(at).resolve(absent)).rejects.toEqual(failsWith('NOT_FOUND'));
  expect(new Set(failures)).toEqual(new Set(['UNAVAILABLE']));
  gone.close();
});
