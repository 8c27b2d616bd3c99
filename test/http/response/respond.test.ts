import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import type { HttpRequest } from '../../../src/http/transport.ts';
import { type UndiciOptions, undiciTransport } from '../../../src/http/undici.ts';
import { answering, atEnd, failsWith, rawServer, rawTlsServer, textOf } from '../../support/http.ts';
import { startProxy } from '../../support/proxy.ts';
import { repairable } from '../../support/repairable.ts';

function connected(options: UndiciOptions = {}) {
  const transport = undiciTransport(options);
  atEnd(() => transport.close());
  return (url: string, more: Partial<HttpRequest> = {}) => transport({ method: 'GET', url, ...more });
}

const cases = Object.entries(repairable('text/plain', 'hello'));

test.each(cases)('a response with %s is read, and a later one at once', async (_, text) => {
  const server = await answering(text);
  const send = connected();
  for (const connections of [2, 3]) {
    const response = await send(server.url);
    expect(response).toMatchObject({ status: 200, address: '127.0.0.1' });
    expect(response.headers['content-type']).toBe('text/plain');
    expect(await textOf(response)).toBe('hello');
    expect(server.connections()).toBe(connections);
  }
});

test.each(cases)('a head with %s is read', async (_, text) => {
  const end = /(?:\r?\n){2}(?!HTTP)/.exec(text);
  const server = await answering(text.slice(0, (end?.index ?? 0) + 4));
  const response = await connected()(server.url, { method: 'HEAD' });
  expect(response.status).toBe(200);
  expect(await textOf(response)).toBe('');
});

const { cert, private: key } = await generate([{ name: 'commonName', value: 'registry.test' }], {
  keyType: 'ec',
  algorithm: 'sha256',
  extensions: [
    { name: 'basicConstraints', cA: true },
    { name: 'subjectAltName', altNames: [{ type: 2, value: 'registry.test' }] },
  ],
});

test.each(cases)('a response with %s is read over TLS through a proxy, with its rules', async (_, text) => {
  const behind = await rawTlsServer({ cert, key }, (socket) => {
    socket.once('data', () => socket.end(text));
  });
  const proxy = await startProxy({ behind: behind.port });
  const send = connected({ proxy: { all: proxy.url } });
  const url = 'https://registry.test/';
  expect(await textOf(await send(url, { tls: { ca: [cert] } }))).toBe('hello');
  await expect(send(url)).rejects.toThrow('certificate');
});

test.each(cases)('a response with %s of a plain proxy is read', async (_, text) => {
  const proxy = await answering(text);
  expect(await textOf(await connected({ proxy: { all: proxy.url } })('http://registry.test/'))).toBe('hello');
});

test('a long body in chunks with space after their sizes arrives as sent, read slowly', async () => {
  const part = 'x'.repeat(70_000);
  const chunk = `${part.length.toString(16)} \r\n${part}\r\n`;
  const server = await answering(`HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${chunk.repeat(60)}0 \r\n\r\n`);
  const { body } = await connected()(server.url);
  let size = 0;
  for await (const bytes of body) {
    size += bytes.length;
    await new Promise((resolve) => setImmediate(resolve));
  }
  expect(size).toBe(60 * part.length);
});

test('a request that changes something is not sent again', async () => {
  const server = await answering('HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
  await expect(connected()(server.url, { method: 'POST', body: 'a' })).rejects.toEqual(failsWith('UNAVAILABLE'));
  expect(server.connections()).toBe(1);
});

test.each([
  ['different lengths', 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 4\r\n\r\nhello', 'UNAVAILABLE'],
  ['something that is not HTTP', 'SSH-2.0-OpenSSH_9.6\r\n', 'UNAVAILABLE'],
  [
    'different types',
    'HTTP/1.1 200 OK\r\nContent-Type: a/b\r\nContent-Type: a/c\r\nContent-Length: 0\r\n\r\n',
    'BAD_RESPONSE',
  ],
] as const)('%s is an error, and no connection stays', async (_, text, code) => {
  const server = await rawServer((socket) => {
    socket.once('data', () => socket.write(text));
  });
  const send = connected();
  await expect(send(server.url)).rejects.toEqual(failsWith(code));
  await expect(send(server.url)).rejects.toEqual(failsWith(code));
});

test('a body that is another one when it is requested again is not put in the place of the first', async () => {
  let count = 0;
  const server = await rawServer((socket) => {
    const status = count++ === 0 ? '200 OK' : '500 No';
    socket.once('data', () =>
      socket.end(`HTTP/1.1 ${status}\r\nTransfer-Encoding: chunked\r\n\r\n5 \r\nhello\r\n0\r\n\r\n`),
    );
  });
  await expect(textOf(await connected()(server.url))).rejects.toEqual(failsWith('UNEXPECTED_END'));
});

test('a body that breaks later is an error, and the next one is repaired', async () => {
  const part = 'x'.repeat(70_000);
  const size = part.length.toString(16);
  const server = await answering(
    `HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n${size}\r\n${part}\r\n${size} \r\n${part}\r\n0\r\n\r\n`,
  );
  const send = connected();
  await expect(textOf(await send(server.url))).rejects.toEqual(failsWith('UNEXPECTED_END'));
  expect(await textOf(await send(server.url))).toBe(part + part);
});

test('equal header lines count as one', async () => {
  const type = 'Content-Type: text/plain\r\n';
  const server = await answering(`HTTP/1.1 200 OK\r\n${type}${type}Content-Length: 5\r\n\r\nhello`);
  expect((await connected()(server.url)).headers['content-type']).toBe('text/plain');
});
