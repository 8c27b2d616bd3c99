import type { Socket } from 'node:net';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { socketTransport } from '../../../src/http/socket/socket-transport.ts';
import type { HttpRequest } from '../../../src/http/transport.ts';
import { certificate } from '../../server/certificate.ts';
import { answering, atEnd, failsWith, failureOf, rawServer, rawTlsServer, textOf } from '../../support/http.ts';
import { repairable } from '../../support/repairable.ts';

function connected() {
  const transport = socketTransport();
  atEnd(() => transport.close());
  return (url: string, more: Partial<HttpRequest> = {}) => transport({ method: 'GET', url, ...more });
}

/** A server that responds to each request of a connection, which stays open, with the next of these texts. */
const inTurn = (...texts: readonly string[]) =>
  rawServer((socket) => {
    let count = 0;
    socket.on('data', () => socket.write(texts[count++ % texts.length] ?? '', 'latin1'));
  });

const hello = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello';

test.each(Object.entries(repairable('text/plain', 'hello')))(
  'a response with %s is read, and its connection serves no other request',
  async (_, text) => {
    const { url, connections } = await inTurn(text);
    const send = connected();
    for (const count of [1, 2]) {
      expect(await textOf(await send(url))).toBe('hello');
      expect(connections()).toBe(count);
    }
  },
);

test('a request that changes something is read after an unsolicited 100, too', async () => {
  const { url, connections } = await inTurn(`HTTP/1.1 100 Continue\r\n\r\n${hello}`);
  expect(await textOf(await connected()(url, { method: 'POST', body: 'a' }))).toBe('hello');
  expect(connections()).toBe(1);
});

test.each([
  ['different lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello', 'values 5 and 4'],
  ['something that is not HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', 'it is not HTTP'],
  ['a carriage return in a line', 'HTTP/1.1 200 OK\r\nA: b\rc\r\n\r\n', 'a carriage return or NUL'],
  ['a change of protocol', 'HTTP/1.1 101 Switching Protocols\r\nUpgrade: x\r\n\r\n', 'another protocol'],
])('a response with %s is UNAVAILABLE with what is wrong, at once, and the connection ends', async (_, text, found) => {
  const { url, closed } = await inTurn(text);
  const send = connected();
  for (const _ of [1, 2]) {
    const left = closed();
    const message = expect.stringContaining(found);
    expect(await failureOf(send(url))).toEqual(
      failsWith('UNAVAILABLE', { message, cause: expect.objectContaining({ code: 'INVALID_RESPONSE' }) }),
    );
    await left;
  }
});

test('a body whose chunks cannot be read is UNEXPECTED_END with what is wrong, after the bytes before', async () => {
  const { url } = await inTurn('HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nx\r\n');
  const { body } = await connected()(url);
  let seen = '';
  const read = async () => {
    for await (const chunk of body) seen += Buffer.from(chunk).toString();
  };
  expect(await failureOf(read())).toEqual(
    failsWith('UNEXPECTED_END', { message: expect.stringContaining('a chunk has no size that can be read') }),
  );
  expect(seen).toBe('hello');
});

test('a connection that brings bytes nobody requested is not used again', async () => {
  const { url, connections } = await inTurn(`${hello}HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil`, hello);
  const send = connected();
  for (const count of [1, 2]) {
    expect(await textOf(await send(url))).toBe('hello');
    expect(connections()).toBe(count);
  }
  let talk = (): void => {};
  const chatty = await rawServer((socket) => {
    socket.on('data', () => socket.write(hello));
    talk = () => socket.write('HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nevil');
  });
  expect(await textOf(await send(chatty.url))).toBe('hello');
  const left = chatty.closed();
  talk();
  await left;
  expect(await textOf(await send(chatty.url))).toBe('hello');
  expect(chatty.connections()).toBe(2);
});

test('a connection without a request ends before the server ends it', async () => {
  const { url, closed, connections } = await inTurn(
    'HTTP/1.1 200 OK\r\nKeep-Alive: timeout=3\r\nContent-Length: 0\r\n\r\n',
  );
  const send = connected();
  await textOf(await send(url));
  await closed();
  await textOf(await send(url));
  expect(connections()).toBe(2);
});

test('a response to HEAD leaves its connection to the next request, though it has a length', async () => {
  const { url, connections } = await inTurn('HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n', hello);
  const send = connected();
  const response = await send(url, { method: 'HEAD' });
  expect([response.headers['content-length'], await textOf(response)]).toEqual(['5', '']);
  expect(await textOf(await send(url))).toBe('hello');
  expect(connections()).toBe(1);
});

test('nothing is read ahead of a reader that rests, over http and https', async () => {
  const size = 50_000_000;
  const serve =
    (count: (bytes: number) => void) =>
    (socket: Socket): void => {
      socket.once('data', async () => {
        socket.write(`HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n`);
        for (let sent = 0; sent < size && !socket.destroyed; sent += 65_536) {
          count(65_536);
          if (!socket.write(Buffer.alloc(65_536)))
            await new Promise((resolve) => socket.once('drain', resolve).once('close', resolve));
        }
      });
    };
  const sent = [0, 0];
  const servers = [
    await rawServer(serve((bytes) => (sent[0] = (sent[0] ?? 0) + bytes))),
    await rawTlsServer(
      certificate,
      serve((bytes) => (sent[1] = (sent[1] ?? 0) + bytes)),
    ),
  ];
  const send = connected();
  const bodies = await Promise.all(
    servers.map(async ({ url }) => (await send(url, { tls: { ca: [certificate.cert] } })).body),
  );
  await wait(200);
  const before = [...sent];
  await wait(100);
  // What the system buffers, and no more.
  expect(sent).toEqual(before);
  for (const bytes of sent) expect(bytes).toBeLessThan(20_000_000);
  await Promise.all(bodies.map((body) => body.cancel()));
});

test('a TLS session is resumed by the next connection to the same host', async () => {
  const reused: boolean[] = [];
  const { url } = await rawTlsServer(certificate, (socket) => {
    reused.push((socket as unknown as { isSessionReused(): boolean }).isSessionReused());
    socket.once('data', () => socket.end(hello));
  });
  const send = connected();
  for (const _ of [1, 2]) expect(await textOf(await send(url, { tls: { ca: [certificate.cert] } }))).toBe('hello');
  expect(reused).toEqual([false, true]);
});

test.each([
  ['a length that is set', { headers: { 'content-length': '3' } }],
  ['an encoding that is set', { headers: { 'transfer-encoding': 'chunked' } }],
  ['a line end in a value', { headers: { a: 'b\r\nc: marker' } }],
  ['a line end in a name', { headers: { 'a\r\nmarker': 'b' } }],
  ['a letter that has no byte', { headers: { a: 'marker\u0101' } }],
  ['a method that is none', { method: 'GET /marker HTTP/1.1\r\n' }],
])('a request with %s is not sent, and its error has no value of it', async (_, request) => {
  const { url, connections } = await answering(hello);
  const error = await failureOf(connected()(url, request));
  expect(error).toEqual(failsWith('UNAVAILABLE', { cause: { code: 'INVALID_REQUEST' } }));
  expect(String(error)).not.toContain('marker');
  expect(connections()).toBe(0);
});
