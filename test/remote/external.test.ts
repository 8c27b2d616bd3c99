import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { samples } from '../contract/source.ts';
import { type Answer, createHosts, errorOf, refusal, sampleHost } from '../support/hosts.ts';

const { large } = samples;
const whole: Answer = () => new Response(large.bytes.slice());
const config = {
  registries: { 'origin.test': { mirrors: [{ url: 'https://files.test', headers: { 'x-key': 'secret' } }] } },
  credentials: { 'files.test': { username: 'joe', password: 'secret' }, 'origin.test': { registryToken: 'secret' } },
};

async function fetching(urls: string[], answers: Record<string, Answer>, options: ClientOptions = {}) {
  const hosts = createHosts(answers);
  const events: { type: string; reason?: string }[] = [];
  const onEvent = (event: { type: string }): void => void events.push(event);
  const client = createClient({ transport: hosts.transport, config, retries: { tries: 1 }, onEvent, ...options });
  const content = await client.fetcher('origin.test/app').fetch({ ...large.descriptor, urls });
  return { ...hosts, events, content };
}

test('a URL of the descriptor is asked without credentials, cookies or configured headers, also at the host of an endpoint', async () => {
  const challenge: Answer = () =>
    new Response(null, { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } });
  const urls = ['https://joe:pw@files.test/a#part', 'https://other.test/b'];
  const { content, requests } = await fetching(urls, { 'files.test': challenge, 'other.test': whole });
  expect(Buffer.compare(await content.bytes(), large.bytes)).toBe(0);
  expect(content.source).toBe('https://other.test/b');
  expect(requests.map(({ url }) => url)).toEqual(['https://files.test/a', 'https://other.test/b']);
  for (const { headers } of requests) {
    expect([...headers.keys()].sort()).toEqual(['accept', 'accept-encoding', 'user-agent']);
  }
});

test('a part of it is requested as a range, as identity', async () => {
  const answer: Answer = ({ headers }) => {
    expect(headers.get('accept-encoding')).toBe('identity');
    const range = { 'content-range': `bytes 10-19/${large.bytes.length}` };
    return new Response(large.bytes.slice(10, 20), { status: 206, headers: range });
  };
  const { content, log } = await fetching(['https://other.test/b'], { 'other.test': answer });
  const part = await new Response(content.stream({ start: 10, end: 20 })).arrayBuffer();
  expect(Buffer.compare(new Uint8Array(part), large.bytes.subarray(10, 20))).toBe(0);
  expect(log()).toEqual(['GET https://other.test/b bytes=10-19']);
});

test('denied by policy, URLs are not requested', async () => {
  const { content, log } = await fetching(
    ['https://other.test/b'],
    { 'files.test': await sampleHost() },
    { externalUrls: 'deny' },
  );
  await content.bytes();
  expect(log()).toEqual([`GET https://files.test/v2/app/blobs/${large.descriptor.digest}?ns=origin.test`]);
});

test.each([
  'ftp://other.test/x',
  'file:///etc/passwd',
  'data:text/plain,x',
  'no url',
  '//other.test/x',
  'javascript:x',
])('the URL %s is skipped, with an event', async (url) => {
  const { content, log, events } = await fetching([url], { 'files.test': await sampleHost() });
  await content.bytes();
  expect(log()).toHaveLength(1);
  expect(events.filter(({ type }) => type === 'skip')).toMatchObject([{ reason: expect.stringContaining('http') }]);
});

const hidden = [
  'http://localhost/x',
  'http://127.0.0.1:5000/x',
  'http://127.1/x',
  'http://[::1]/x',
  'http://[::ffff:127.0.0.1]/x',
  'http://10.1.2.3/x',
  'http://172.16.0.1/x',
  'http://192.168.1.1/x',
  'http://169.254.169.254/latest/meta-data',
  'http://[fe80::1]/x',
  'http://[fd00::1]/x',
  'http://0.0.0.0/x',
  'http://2130706433/x',
  'http://0x7f.1/x',
];
test.each(hidden)('%s is refused as UNSAFE_URL, and no request is sent to it', async (url) => {
  const { content, log } = await fetching([url], { [new URL(url).host]: whole });
  const error = await errorOf(content.bytes());
  expect(error.attempts[0]).toMatchObject({ outcome: 'UNSAFE_URL', host: new URL(url).host });
  expect(error.code).toBe('UNSAFE_URL');
  expect(log().some((line) => line.includes('/x') || line.includes('meta-data'))).toBe(false);
});

test.each([
  ['http://127.0.0.1:5000/x', '127.0.0.1:5000', true],
  ['http://127.0.0.1:5000/x', '127.0.0.1', true],
  ['http://127.0.0.1:5000/x', '127.0.0.1:5001', false],
  ['http://LOCALHOST/x', 'LocalHost', true],
  ['http://169.254.169.254/x', '169.254.169.254', true],
])('%s, with %s listed: allowed %s', async (url, entry, allowed) => {
  const answers = { [new URL(url).host]: whole };
  const { content, log } = await fetching([url], answers, { externalUrls: { allowPrivate: [entry] } });
  if (allowed) expect(Buffer.compare(await content.bytes(), large.bytes)).toBe(0);
  else expect((await errorOf(content.bytes())).code).toBe('UNSAFE_URL');
  expect(log().some((line) => line.endsWith('/x'))).toBe(allowed);
});

test('a redirect from a public URL to a private address is refused, and the hosts are asked', async () => {
  const redirect: Answer = () => new Response(null, { status: 302, headers: { location: 'http://10.0.0.1/inside' } });
  const answers = { 'other.test': redirect, '10.0.0.1': whole, 'files.test': await sampleHost() };
  const { content, log } = await fetching(['http://other.test/x'], answers);
  await content.bytes();
  expect(content.source).toBe('https://files.test/v2');
  expect(log().some((line) => line.includes('inside'))).toBe(false);
});

const closing: (() => void)[] = [];
afterEach(() => {
  for (const close of closing.splice(0)) close();
});
async function socketHost() {
  const seen: string[] = [];
  const server = createServer((request, response) => {
    seen.push(`${request.method} ${request.url}`);
    response.end(large.bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closing.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { seen, port: (server.address() as AddressInfo).port };
}

test('over sockets, the address connected to is what counts: a name of this machine is refused, unless listed', async () => {
  const { seen, port } = await socketHost();
  for (const [policy, requests] of [
    ['allow', []],
    [{ allowPrivate: [`localhost:${port}`] }, ['GET /x']],
  ] as const) {
    await using client = createClient({
      externalUrls: policy as ClientOptions['externalUrls'],
      config: { registries: { 'origin.test': { origin: 'never' } } },
    });
    const content = await client
      .fetcher('origin.test/app')
      .fetch({ ...large.descriptor, urls: [`http://localhost:${port}/x`] });
    if (requests.length > 0) await content.bytes();
    else expect((await errorOf(content.bytes())).code).toBe('UNSAFE_URL');
    expect(seen).toEqual(requests);
  }
});

test('a URL that fails is left for the next, and then for the hosts', async () => {
  const short: Answer = () => new Response(large.bytes.slice(0, 100), { headers: { 'content-length': '100' } });
  const answers = { 'a.test': refusal(404), 'b.test': short, 'files.test': await sampleHost() };
  const { content } = await fetching(['https://a.test/x', 'https://b.test/x', 'https://gone.test/x'], answers);
  expect(Buffer.compare(await content.bytes(), large.bytes)).toBe(0);
  expect(content.source).toBe('https://files.test/v2');
});
