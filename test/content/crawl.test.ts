import { type Fault, testRegistry } from 'ocifetch/testing';
import { expect, onTestFinished, test } from 'vitest';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { sampleOf } from '../contract/source.ts';

const { bytes, descriptor } = sampleOf(Uint8Array.from({ length: 20_000 }, (_, index) => (index * 31) & 255));
const images = { 'app:1': { layers: [{ bytes }] } };
const blob = { kind: 'blob', reference: descriptor.digest } as const;

interface Host {
  readonly url: string;
  /** The ranges of the blob that were requested. */
  readonly ranges: () => string[];
}

async function hostWith(...faults: Fault[]): Promise<Host> {
  const { url, requests, close } = await testRegistry({ images, faults });
  onTestFinished(close);
  return {
    url,
    ranges: () =>
      requests
        .filter(({ kind, reference }) => kind === 'blob' && reference === descriptor.digest)
        .map(({ headers }) => headers.range ?? 'whole'),
  };
}

/** Fewer bytes in a second than a tenth of what any host is believed to bring. */
const crawling = { ...blob, speed: 40_000 };

function clientOver(hosts: readonly Host[], timeouts: ClientOptions['timeouts'] = { crawl: 200 }) {
  const events: ClientEvent[] = [];
  const registries = { 'origin.test': { mirrors: hosts.map(({ url }) => ({ url })), origin: 'never' as const } };
  const client = createClient({ config: { registries }, timeouts, onEvent: (event) => void events.push(event) });
  onTestFinished(() => client.close());
  const read = async () => {
    const content = await client.fetcher('origin.test/app').fetch(descriptor);
    expect(Buffer.compare(await content.bytes(), bytes)).toBe(0);
    expect(content.verified).toBe(true);
  };
  const switches = () => events.flatMap((event) => (event.type === 'switch' ? [event] : []));
  return { client, read, switches };
}

test('a host that crawls is left, and the next one continues at the exact byte; the digest is verified', async () => {
  const [slow, healthy] = [await hostWith(crawling), await hostWith()];
  const { read, switches } = clientOver([slow, healthy]);
  await read();
  expect(slow.ranges()).toEqual(['whole']);
  const [found] = switches();
  expect(found).toMatchObject({ from: `${slow.url}/v2`, to: `${healthy.url}/v2` });
  expect(found?.reason).toMatch(/bytes came in \d+ ms, less than a tenth of what another host brings/);
  expect(found?.offset).toBeGreaterThan(0);
  expect(healthy.ranges()).toEqual([`bytes=${found?.offset}-19999`]);
  await read();
  expect(slow.ranges(), 'it is requested last for a while').toEqual(['whole']);
});

test('so it is in a copy, whose store has hashed the beginning already', async () => {
  const [slow, healthy] = [await hostWith(crawling), await hostWith()];
  const { client, switches } = clientOver([slow, healthy]);
  const to = memoryStore();
  await client.pull('origin.test/app:1', { to });
  expect((await to.resolve(descriptor.digest)).size).toBe(20_000);
  const [found] = switches().filter(({ digest }) => digest === descriptor.digest);
  expect(healthy.ranges()).toEqual([`bytes=${found?.offset}-19999`]);
});

test('a body that stops is left after the same time, not only when it has been idle for half a minute', async () => {
  const [stalling, healthy] = [await hostWith({ ...blob, stall: 12_345 }), await hostWith()];
  const { read, switches } = clientOver([stalling, healthy]);
  await read();
  expect([stalling.ranges(), healthy.ranges()]).toEqual([['whole'], ['bytes=12345-19999']]);
  expect(switches()[0]?.reason).toMatch(/no byte came in 200 ms/);
});

test('the only host is read as slow as it is, and so is one that only hosts without the content are left after', async () => {
  const only = await hostWith(crawling);
  await clientOver([only], { crawl: 100 }).read();
  expect(only.ranges()).toEqual(['whole']);
  const [slow, empty] = [await hostWith(crawling), await hostWith({ ...blob, status: 404 })];
  await clientOver([slow, empty], { crawl: 200 }).read();
  expect([slow.ranges().length, empty.ranges().length], 'left once, and continued').toEqual([2, 1]);
});

test('0 is never', async () => {
  const [slow, healthy] = [await hostWith(crawling), await hostWith()];
  await clientOver([slow, healthy], { crawl: 0 }).read();
  expect([slow.ranges().length, healthy.ranges().length]).toEqual([1, 0]);
});
