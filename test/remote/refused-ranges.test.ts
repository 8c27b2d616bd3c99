import { expect, test } from 'vitest';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { samples } from '../contract/source.ts';
import { type Answer, chunked, createHosts, errorOf, sampleHost } from '../support/hosts.ts';

const { descriptor, bytes } = samples.large;
const { size } = descriptor;
const breakAt = 100_000;

/** A single host that breaks its first response off and then treats ranges like this. */
function fetcherOver(ranged: Answer, options: ClientOptions = {}) {
  let count = 0;
  const answer: Answer = (request) => {
    count += 1;
    if (count === 1) return new Response(chunked(bytes.slice(0, breakAt), 'break'));
    return request.headers.has('range') ? ranged(request) : new Response(bytes.slice());
  };
  const hosts = createHosts({ 'registry.test': answer });
  const client = createClient({ transport: hosts.transport, retries: { backoff: 1 }, ...options });
  const log = () => hosts.requests.map(({ headers }) => headers.get('range') ?? 'whole');
  return { fetcher: client.fetcher('registry.test/app'), log };
}

const part = (headers: Record<string, string>): Answer => {
  return () => new Response(bytes.slice(breakAt), { status: 206, headers });
};
const rest = `bytes=${breakAt}-${size - 1}`;

const refusals: [string, Answer][] = [
  ...[400, 412, 416, 501].map((status): [string, Answer] => [String(status), () => new Response('', { status })]),
  ['a 206 with another total', part({ 'content-range': `bytes ${breakAt}-${size - 1}/${size + 1}` })],
  ['a 206 with another unit', part({ 'content-range': `items ${breakAt}-${size - 1}/${size}` })],
  ['a 206 without Content-Range', part({})],
  ['a 206 that is encoded', part({ 'content-encoding': 'gzip', 'content-range': `bytes ${breakAt}-${size - 1}/*` })],
];

test.each(refusals)('after %s to a range the whole content is requested from the same host', async (_, ranged) => {
  const { fetcher, log } = fetcherOver(ranged);
  const content = await fetcher.fetch(descriptor);
  expect(Buffer.compare(await content.bytes(), bytes)).toBe(0);
  expect(log()).toEqual(['whole', rest, 'whole']);
});

test.each(refusals)('so it is in a copy, after %s, however much is dropped', async (_, ranged) => {
  const { fetcher, log } = fetcherOver(ranged, { limits: { discardBytes: 0 } });
  const store = memoryStore();
  const fetched = await fetcher.source.fetch(descriptor, { discard: Infinity });
  await fetched.body.cancel();
  const part = await fetcher.source.fetch(descriptor, { range: { start: breakAt }, discard: Infinity });
  const chunks: Uint8Array[] = [];
  for await (const chunk of part.body) chunks.push(chunk);
  await store.push(descriptor, [bytes.subarray(0, breakAt), ...chunks] as never);
  expect(log()).toEqual(['whole', `bytes=${breakAt}-${size - 1}`, 'whole']);
});

test('if too much would have to be dropped it is not requested', async () => {
  const { fetcher, log } = fetcherOver(() => new Response('', { status: 400 }), { limits: { discardBytes: 99_999 } });
  const { attempts } = await errorOf((await fetcher.fetch(descriptor)).bytes());
  expect(attempts.map(({ status }) => status)).toEqual([undefined, 400]);
  expect(log()).toEqual(['whole', rest]);
});

test.each([401, 403, 404, 429])('a %i to a range is not about the range', async (status) => {
  const { fetcher, log } = fetcherOver(() => new Response('', { status }), { retries: { tries: 1 } });
  await errorOf((await fetcher.fetch(descriptor)).bytes());
  expect(log()).toEqual(['whole', rest]);
});

test('what one host may drop only if it is the last is dropped when the others have failed', async () => {
  const whole: Answer = () => new Response(bytes.slice());
  const hosts = createHosts({ 'mirror.test': whole, 'registry.test': () => new Response('', { status: 404 }) });
  const config = { registries: { 'registry.test': { mirrors: [{ url: 'https://mirror.test' }] } } };
  const client = createClient({ transport: hosts.transport, config, limits: { discardBytes: 10 } });
  const { source } = client.fetcher('registry.test/app');
  const { body } = await source.fetch(descriptor, { range: { start: breakAt }, discard: Infinity });
  let received = 0;
  for await (const { length } of body) received += length;
  expect(received).toBe(size - breakAt);
  expect(hosts.requests.map(({ url }) => new URL(url).host)).toEqual(['mirror.test', 'registry.test', 'mirror.test']);
});

/** A host whose first two responses together are wrong, as behind a load balancer with two contents. */
async function unlikeTwins() {
  const good = await sampleHost();
  let count = 0;
  const answer: Answer = async (request) => {
    count += 1;
    if (count === 1) return new Response(chunked(bytes.slice(0, breakAt), 'break'));
    if (count > 2) return good(request);
    const other = bytes.slice(breakAt).fill(0);
    const headers = { 'content-range': `bytes ${breakAt}-${size - 1}/${size}` };
    return new Response(other, { status: 206, headers });
  };
  const hosts = createHosts({ 'registry.test': answer });
  const client = createClient({ transport: hosts.transport, retries: { backoff: 1 } });
  return { client, fetcher: client.fetcher('registry.test/app'), count: () => count };
}

test('if the parts of several responses are wrong together, bytes() reads from the beginning again', async () => {
  const { fetcher, count } = await unlikeTwins();
  expect(Buffer.compare(await (await fetcher.fetch(descriptor)).bytes(), bytes)).toBe(0);
  expect(count()).toBe(3);
});

test('a reader that was handed bytes gets the error', async () => {
  const { fetcher } = await unlikeTwins();
  const content = await fetcher.fetch(descriptor);
  const read = async (): Promise<void> => {
    for await (const _ of content);
  };
  expect((await errorOf(read())).code).toBe('DIGEST_MISMATCH');
});

test('a host whose one whole response is wrong is not read again', async () => {
  const wrong = bytes.slice().fill(0);
  const hosts = createHosts({ 'registry.test': () => new Response(wrong) });
  const client = createClient({ transport: hosts.transport });
  const content = await client.fetcher('registry.test/app').fetch(descriptor);
  expect((await errorOf(content.bytes())).code).toBe('DIGEST_MISMATCH');
  expect(hosts.requests.length).toBe(1);
});
