import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { sampleOf } from '../contract/source.ts';

const { bytes, descriptor } = sampleOf(Uint8Array.from({ length: 20_000 }, (_, index) => (index * 31) & 255));

/** A host that sends `step` bytes each ten milliseconds, from the offset that is requested. */
async function hostAt(step: number, log: string[] = []): Promise<{ url: string; log: string[] }> {
  const server = createServer(async (request, response) => {
    log.push(request.headers.range ?? 'whole');
    const start = Number(/bytes=(\d+)/.exec(request.headers.range ?? '')?.[1] ?? 0);
    const range = { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(start > 0 ? 206 : 200, start > 0 ? range : {});
    for (let at = start; at < bytes.length && !response.destroyed; at += step) {
      response.write(bytes.subarray(at, at + step));
      await sleep(10);
    }
    response.end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, log };
}

function clientOver(hosts: readonly { readonly url: string }[], options: ClientOptions = {}) {
  const events: ClientEvent[] = [];
  const registries = { 'origin.test': { mirrors: hosts.map(({ url }) => ({ url })), origin: 'never' as const } };
  const timeouts = { idle: 200, minimumSpeed: 50_000, ...options.timeouts };
  const onEvent = (event: ClientEvent) => void events.push(event);
  const client = createClient({ onEvent, ...options, timeouts, config: { registries } });
  onTestFinished(() => client.close());
  return { client, events };
}

const read = async (hosts: readonly { readonly url: string }[], options?: ClientOptions): Promise<boolean> => {
  const content = await clientOver(hosts, options).client.fetcher('origin.test/app').fetch(descriptor);
  return Buffer.compare(await content.bytes(), bytes) === 0;
};

test('hosts that crawl are left at the offset, each once, however many, and the next one continues', async () => {
  const crawling = await Promise.all([1, 1, 1, 1, 1].map((step) => hostAt(step)));
  const healthy = await hostAt(bytes.length);
  const { client, events } = clientOver([...crawling, healthy]);
  const content = await client.fetcher('origin.test/app').fetch(descriptor);
  expect(Buffer.compare(await content.bytes(), bytes)).toBe(0);
  expect(crawling.map(({ log }) => log.length)).toEqual([1, 1, 1, 1, 1]);
  expect(healthy.log).toEqual([expect.stringMatching(/^bytes=\d{1,3}-19999$/)]);
  const switches = events.flatMap((event) => (event.type === 'switch' ? [event.reason] : []));
  expect(switches).toEqual(Array(5).fill(expect.stringMatching(/fewer than 50000 a second/)));
});

test('the last host is read as slow as it is, and so is one that only hosts that failed are left after', async () => {
  const only = await hostAt(400);
  expect(await read([only])).toBe(true);
  expect(only.log).toEqual(['whole']);
  const [first, last] = [await hostAt(300), await hostAt(400)];
  expect(await read([first, last])).toBe(true);
  expect([first.log.length, last.log.length]).toEqual([1, 1]);
});

test('0 is no minimum', async () => {
  const [slow, healthy] = [await hostAt(400), await hostAt(bytes.length)];
  expect(await read([slow, healthy], { timeouts: { minimumSpeed: 0 } })).toBe(true);
  expect([slow.log.length, healthy.log.length]).toEqual([1, 0]);
});

test('only the time in which the reader waits counts: a slow reader breaks nothing', async () => {
  const [fast, other] = [await hostAt(8_000), await hostAt(bytes.length)];
  const content = await clientOver([fast, other]).client.fetcher('origin.test/app').fetch(descriptor);
  let count = 0;
  for await (const { length } of content) {
    count += length;
    await sleep(300);
  }
  expect([count, fast.log.length, other.log.length]).toEqual([bytes.length, 1, 0]);
});

test('a request behind contents that were dropped unread ends with TIMEOUT, which names them', async () => {
  const host = await hostAt(bytes.length);
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
  expect(host.log.length).toBe(8);
  await dropped[0]?.close();
  await (await open()).close();
});
