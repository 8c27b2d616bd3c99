import { inspect } from 'node:util';
import { afterEach, expect, test } from 'vitest';
import { connectRedis } from '../../../src/server/redis/index.ts';
import { type RedisServer, startRedisServer } from '../../support/redis-server.ts';

const opened: { close(): unknown }[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one.close();
});

async function started(options: object = {}, server?: Parameters<typeof startRedisServer>[0]) {
  const running = await startRedisServer(server);
  const redis = connectRedis({ url: running.url, ...options });
  opened.push(running, redis);
  return { server: running, redis };
}

const connections = ({ commands }: RedisServer): number => commands.filter((name) => name === 'HELLO').length;

test('commands are sent together over one connection, which is opened when it is needed', async () => {
  const { server, redis } = await started();
  expect(server.commands).toEqual([]);
  expect(await redis.run(['SADD', 'a', 'b'], ['SISMEMBER', 'a', 'b'], ['SISMEMBER', 'a', 'c'])).toEqual([1, 1, 0]);
  await redis.check();
  expect(connections(server)).toBe(1);
});

test('a connection that broke is opened again after the pause, in which every call fails at once', async () => {
  const { server, redis } = await started({ pause: 50, timeouts: { response: 200 } });
  await redis.check();
  server.isSilent = true;
  await expect(redis.run(['PING'])).rejects.toMatchObject({ code: 'TIMEOUT' });
  const begun = performance.now();
  await expect(redis.run(['PING'])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(performance.now() - begun).toBeLessThan(100);
  server.isSilent = false;
  await expect.poll(() => redis.run(['PING']).catch(({ code }) => code)).toEqual(['PONG']);
  expect(connections(server)).toBe(2);
  server.disconnect();
  await expect.poll(() => redis.run(['PING']).catch(({ code }) => code)).toEqual(['PONG']);
});

test('a Redis that is not there is UNAVAILABLE, and one that is closed CLOSED', async () => {
  const redis = connectRedis({ url: 'redis://127.0.0.1:1' });
  await expect(redis.run(['PING'])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  redis.close();
  await expect(redis.run(['PING'])).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a refused command is STORE_ERROR, after which the connection is used on', async () => {
  const { server, redis } = await started();
  await expect(redis.run(['NONSENSE'])).rejects.toMatchObject({ code: 'STORE_ERROR' });
  await redis.check();
  expect(connections(server)).toBe(1);
});

test('a login is sent, and no error shows it', async () => {
  const password = 'correct-horse-42';
  const { server, redis } = await started({}, { password });
  await redis.check();
  const wrong = connectRedis({ url: server.url.replace(password, 'wrong-battery-staple') });
  opened.push(wrong);
  const error: unknown = await wrong.check().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({ name: 'RegistryError' });
  expect(inspect(error, { depth: 9 })).not.toContain('wrong-battery-staple');
  expect(() => connectRedis({ url: server.url, pasword: 'wrong-battery-staple' } as never)).toThrow(
    expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.not.stringContaining(password) }),
  );
});

test('options that are wrong are refused before any connection', () => {
  for (const [options, found] of [
    [{}, 'url'],
    [{ url: 'localhost:6379' }, 'url'],
    [{ url: 'redis://localhost', database: -1 }, 'database'],
    [{ url: 'redis://localhost', timeouts: { response: 0 } }, 'timeouts.response'],
  ] as const)
    expect(() => connectRedis(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining(found) }),
    );
});
