import { setTimeout as sleep } from 'node:timers/promises';
import { testRegistry } from 'ocifetch/testing';
import { expect, onTestFinished, test } from 'vitest';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { sampleOf } from '../contract/source.ts';

const { bytes, descriptor } = sampleOf(Uint8Array.from({ length: 20_000 }, (_, index) => (index * 31) & 255));

interface Host {
  readonly url: string;
  /** The ranges that were requested. */
  readonly ranges: () => string[];
}

/** A host that sends so many bytes in a second. */
async function hostAt(speed: number): Promise<Host> {
  const images = { app: { layers: [{ bytes }] } };
  const { url, requests, close } = await testRegistry({ images, faults: [{ speed }] });
  onTestFinished(close);
  return { url, ranges: () => requests.map(({ headers }) => headers.range ?? 'whole') };
}

const unlimited = 1e9;

function clientOver(hosts: readonly Host[], options: ClientOptions = {}) {
  const events: ClientEvent[] = [];
  const registries = { 'origin.test': { mirrors: hosts.map(({ url }) => ({ url })), origin: 'never' as const } };
  const timeouts = { idle: 200, minimumSpeed: 50_000, ...options.timeouts };
  const onEvent = (event: ClientEvent) => void events.push(event);
  const client = createClient({ onEvent, ...options, timeouts, config: { registries } });
  onTestFinished(() => client.close());
  return { client, events };
}

const read = async (hosts: readonly Host[], options?: ClientOptions): Promise<boolean> => {
  const content = await clientOver(hosts, options).client.fetcher('origin.test/app').fetch(descriptor);
  return Buffer.compare(await content.bytes(), bytes) === 0;
};

test('hosts that crawl are left at the offset, each once, however many, and the next one continues', async () => {
  const crawling = await Promise.all([100, 100, 100, 100, 100].map(hostAt));
  const healthy = await hostAt(unlimited);
  const { client, events } = clientOver([...crawling, healthy]);
  const content = await client.fetcher('origin.test/app').fetch(descriptor);
  expect(Buffer.compare(await content.bytes(), bytes)).toBe(0);
  expect(crawling.map(({ ranges }) => ranges().length)).toEqual([1, 1, 1, 1, 1]);
  expect(healthy.ranges()).toEqual([expect.stringMatching(/^bytes=\d{1,3}-19999$/)]);
  const switches = events.flatMap((event) => (event.type === 'switch' ? [event.reason] : []));
  expect(switches).toEqual(Array(5).fill(expect.stringMatching(/fewer than 50000 a second/)));
});

test('the last host is read as slow as it is, and so is one that only hosts that failed are left after', async () => {
  const only = await hostAt(40_000);
  expect(await read([only])).toBe(true);
  expect(only.ranges()).toEqual(['whole']);
  const [first, last] = [await hostAt(30_000), await hostAt(40_000)];
  expect(await read([first, last])).toBe(true);
  expect([first.ranges().length, last.ranges().length]).toEqual([1, 1]);
});

test('0 is no minimum', async () => {
  const [slow, healthy] = [await hostAt(40_000), await hostAt(unlimited)];
  expect(await read([slow, healthy], { timeouts: { minimumSpeed: 0 } })).toBe(true);
  expect([slow.ranges().length, healthy.ranges().length]).toEqual([1, 0]);
});

test('only the time in which the reader waits counts: a slow reader breaks nothing', async () => {
  const [fast, other] = [await hostAt(800_000), await hostAt(unlimited)];
  const content = await clientOver([fast, other]).client.fetcher('origin.test/app').fetch(descriptor);
  let count = 0;
  for await (const { length } of content) {
    count += length;
    await sleep(300);
  }
  expect([count, fast.ranges().length, other.ranges().length]).toEqual([bytes.length, 1, 0]);
});

test('a request behind contents that were dropped unread ends with TIMEOUT, which names them', async () => {
  const host = await hostAt(unlimited);
  const { client } = clientOver([host], { timeouts: { unread: 100 }, limits: { concurrency: 8 } });
  const fetcher = client.fetcher('origin.test/app');
  const open = async () => {
    const content = await fetcher.fetch(descriptor);
    await content.read(1);
    return content;
  };
  const dropped = await Promise.all(Array.from({ length: 8 }, open));
  const error = await open().catch((thrown: unknown) => thrown);
  expect(error).toMatchObject({
    code: 'TIMEOUT',
    reason: 'unread',
    message: expect.stringContaining(descriptor.digest),
  });
  expect(host.ranges().length).toBe(8);
  await dropped[0]?.close();
  await (await open()).close();
});
