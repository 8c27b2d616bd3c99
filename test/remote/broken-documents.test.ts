import type { Socket } from 'node:net';
import { expect, test } from 'vitest';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { samples } from '../contract/source.ts';
import { type Answer, chunked, createHosts, errorOf, sampleHost, text } from '../support/hosts.ts';
import { rawServer } from '../support/http.ts';

const tags = '{"name":"app","tags":["1","2","3"]}';
const cut = (): Response => new Response(chunked(text(tags).slice(0, 20), 'break'));

/** A single host that answers with these first, then with `last`. */
function clientOver(first: readonly Answer[], last: Answer, options: ClientOptions = {}) {
  const answers = [...first];
  const hosts = createHosts({ 'registry.test': (request) => (answers.shift() ?? last)(request) });
  const client = createClient({ transport: hosts.transport, retries: { backoff: 1 }, ...options });
  return { client, fetcher: client.fetcher('registry.test/app'), hosts };
}

test('a list that is cut off in mid-body is requested again', async () => {
  const { fetcher, hosts } = clientOver([cut, cut], () => new Response(tags));
  expect(await fetcher.tags()).toEqual(['1', '2', '3']);
  expect(hosts.requests.length).toBe(3);
});

test('if it always is, it fails after three tries, or as many as are given', async () => {
  const { fetcher, hosts } = clientOver([], cut);
  expect((await errorOf(fetcher.tags())).code).toBe('UNEXPECTED_END');
  expect(hosts.requests.length).toBe(3);
  const once = clientOver([], cut, { retries: { tries: 1 } });
  await errorOf(once.fetcher.tags());
  expect(once.hosts.requests.length).toBe(1);
});

test('a later page that is cut off is requested again, not the pages before it', async () => {
  const first = Response.json(
    { name: 'app', tags: ['0'] },
    { headers: { link: '</v2/app/tags/list?n=1>; rel="next"' } },
  );
  const { fetcher, hosts } = clientOver([() => first, cut], () => new Response(tags));
  expect(await fetcher.tags()).toEqual(['0', '1', '2', '3']);
  expect(hosts.requests.map(({ url }) => new URL(url).search)).toEqual(['', '?n=1', '?n=1']);
});

test('a manifest that is cut off is requested again', async () => {
  const { bytes, descriptor } = samples.manifest;
  const broken = (): Response =>
    new Response(chunked(bytes.slice(0, 9), 'break'), { headers: { 'content-type': descriptor.mediaType } });
  const { client, hosts } = clientOver([broken], await sampleHost());
  const { descriptor: found } = await client.resolve('registry.test/app', { content: true });
  expect([found.digest, hosts.requests.length]).toEqual([descriptor.digest, 2]);
});

test('a mirror whose list is cut off is contacted again if the registry cannot be reached', async () => {
  const answers = [cut];
  const hosts = createHosts({ 'mirror.test': () => answers.shift()?.() ?? new Response(tags) });
  const config = { registries: { 'registry.test': { mirrors: [{ url: 'https://mirror.test' }] } } };
  const client = createClient({ transport: hosts.transport, config, retries: { backoff: 1 } });
  expect(await client.fetcher('registry.test/app').tags()).toEqual(['1', '2', '3']);
  const contacted = hosts.requests.map(({ url }) => new URL(url).hostname.split('.')[0]);
  expect(contacted).toEqual(['mirror', 'registry', 'mirror']);
});

/** What a server does with the first connection; those after it get a list. */
const firstConnections: [string, (socket: Socket) => void][] = [
  ['half a head and the end', (socket) => socket.end('HTTP/1.1 200 OK\r\ncontent-le')],
  [
    'half a head and a reset',
    (socket) => socket.write('HTTP/1.1 200 OK\r\ncontent-le', () => setImmediate(() => socket.resetAndDestroy())),
  ],
  ['nothing and the end', (socket) => socket.end()],
  ['a 520', (socket) => socket.end('HTTP/1.1 520 Unknown\r\ncontent-length: 0\r\nconnection: close\r\n\r\n')],
  ['no head in time', () => undefined],
];

test.each(firstConnections)('over a socket, after %s the last host is contacted again', async (_, first) => {
  let count = 0;
  const { port } = await rawServer((socket) => {
    count += 1;
    const behave = count === 1 ? first : undefined;
    socket.once('data', () => {
      if (behave) behave(socket);
      else socket.end(`HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: ${tags.length}\r\n\r\n${tags}`);
    });
  });
  await using client = createClient({ retries: { backoff: 1 }, timeouts: { headers: 400 } });
  expect(await client.fetcher(`127.0.0.1:${port}/app`).tags()).toEqual(['1', '2', '3']);
  expect(count).toBeGreaterThanOrEqual(2);
});

test('an error names what the challenge says: insufficient_scope', async () => {
  const headers = { 'www-authenticate': 'Bearer realm="https://registry.test/token",error="insufficient_scope"' };
  for (const status of [401, 403]) {
    const { fetcher } = clientOver([], ({ url }) =>
      url.includes('/token') ? Response.json({ token: 'abc' }) : new Response('', { status, headers }),
    );
    const error = await errorOf(fetcher.tags());
    expect([error.status, error.message]).toEqual([
      status,
      expect.stringContaining(`status ${status}, insufficient_scope`),
    ]);
  }
});
