import { afterEach, expect, test } from 'vitest';
import { connectRedis, redisLocks } from '../../../src/server/redis/index.ts';
import { startRedisServer } from '../../support/redis-server.ts';

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function started(options: object = {}) {
  const server = await startRedisServer();
  const redis = connectRedis({ url: server.url });
  opened.push(server, redis);
  return { server, first: redisLocks(redis, options), second: redisLocks(redis, options) };
}

test('a lock has one owner at a time, and is free again when it is released', async () => {
  const { first, second } = await started();
  const release = await first.take('a');
  expect(release).toBeDefined();
  expect(await second.take('a')).toBeUndefined();
  expect(await second.take('b')).toBeDefined();
  await release?.();
  expect(await second.take('a')).toBeDefined();
});

test('a lock is extended while its owner lives, and one that was lost is not taken from its new owner', async () => {
  const { server, first, second } = await started({ expiry: 60 });
  const release = await first.take('a');
  await expect.poll(() => server.commands.filter((name) => name === 'EVAL').length).toBeGreaterThan(0);
  server.strings.clear();
  expect(await second.take('a')).toBeDefined();
  await release?.();
  expect(server.strings.size).toBe(1);
});

test('without Redis everybody gets each lock, and the failure is reported', async () => {
  const redis = connectRedis({ url: 'redis://127.0.0.1:1' });
  opened.push(redis);
  const codes: string[] = [];
  const locks = redisLocks(redis, { onError: ({ code }) => codes.push(code) });
  expect(await locks.take('a')).toBeDefined();
  expect(await locks.take('a')).toBeDefined();
  expect(codes).toEqual(['UNAVAILABLE', 'UNAVAILABLE']);
});
