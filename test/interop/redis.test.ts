import { afterAll, beforeAll, expect, test } from 'vitest';
import { described, listen, serve } from '../../src/server/index.ts';
import { connectRedis, redisDescriptors, redisLocks } from '../../src/server/redis/index.ts';
import { s3Registry } from '../../src/server/s3/index.ts';
import type { Registry } from '../../src/source.ts';
import { ableStore } from '../contract/registry.ts';
import { samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { createCleanup } from './support/cleanup.ts';
import { conformanceAt } from './support/conformance.ts';
import { freePort, start } from './support/process.ts';
import { startBucket } from './support/s3.ts';
import { describeWith } from './support/tools.ts';

const cleanup = createCleanup();
afterAll(() => cleanup.close(), 30_000);

const login = 'some-long-password';

async function startRedis() {
  const port = await freePort();
  const args = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--requirepass', login];
  const server = await start('redis-server', args, { url: `http://127.0.0.1:${port}`, cwd: await cleanup.folder() });
  cleanup.add(() => server.stop());
  return { server, url: `redis://:${login}@127.0.0.1:${port}` };
}

function connected(url: string, options: object = {}) {
  const redis = connectRedis({ url, ...options });
  cleanup.add(async () => redis.close());
  return redis;
}

describeWith(['redis-server'], 'a Redis', () => {
  let running: Awaited<ReturnType<typeof startRedis>>;
  beforeAll(async () => {
    running = await startRedis();
  });

  test('it keeps descriptors in the database that is named, and gives them to another server', async () => {
    const [first, second] = [1, 1].map((database) => redisDescriptors(connected(running.url, { database })));
    const at = { registry: 'localhost', name: 'a/b' };
    const { digest } = samples.large.descriptor;
    const known = { descriptor: samples.large.descriptor, links: true };
    await first?.set(at, digest, known);
    expect(await second?.get(at, digest)).toEqual(known);
    expect(await redisDescriptors(connected(running.url)).get(at, digest)).toBeUndefined();
    await second?.delete(at, digest);
    expect(await first?.get(at, digest)).toBeUndefined();
  });

  test('its locks have one owner, end with it, and are extended while it lives', async () => {
    const [first, second] = [1, 2].map(() => redisLocks(connected(running.url), { expiry: 300 }));
    const release = await first?.take('a');
    expect(await second?.take('a')).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 900));
    expect(await second?.take('a')).toBeUndefined();
    await release?.();
    expect(await second?.take('a')).toBeDefined();
  });

  test('a wrong password is refused, and the error does not show it', async () => {
    const wrong = connected(running.url.replace(login, 'another-long-password'));
    await expect(wrong.check()).rejects.toMatchObject({ name: 'RegistryError' });
    await expect(wrong.check()).rejects.not.toThrow('another-long-password');
  });
});

describeWith(['redis-server', 'versitygw', 'conformance'], 'servers that share a bucket and a Redis', () => {
  test('the conformance suite passes with nothing left out, each request at another server', async () => {
    const [{ url: redisUrl }, { access }] = await Promise.all([startRedis(), startBucket(cleanup, 'versitygw')]);
    const replica = (): Registry => {
      const registry = s3Registry(access);
      cleanup.add(async () => registry.close());
      return described(registry, { cache: redisDescriptors(connected(redisUrl)) });
    };
    const handlers = [replica(), replica()].map((registry) => serve(registry, { mountsFromAny: true }));
    let requests = 0;
    const { url, close } = await listen((...parameters) => {
      requests += 1;
      const handler = handlers[requests % handlers.length];
      if (!handler) throw new Error('no server');
      return handler(...parameters);
    });
    cleanup.add(close);
    expect(await conformanceAt(cleanup, url)).toEqual({ tests: 986, others: [] });
  });

  test('when Redis goes while servers run, pulls go on', async () => {
    const [{ server, url }, { access }] = await Promise.all([startRedis(), startBucket(cleanup, 'versitygw')]);
    const registry = s3Registry(access);
    cleanup.add(async () => registry.close());
    const failures: string[] = [];
    const cache = redisDescriptors(connected(url));
    const store = ableStore(described(registry, { cache, onError: ({ code }) => failures.push(code) }));
    await fill(store);
    const { digest } = samples.large.descriptor;
    await store.resolve(digest);
    await server.stop();
    expect((await store.resolve(digest)).size).toBe(samples.large.bytes.length);
    expect(failures.length).toBeGreaterThan(0);
  });
});
