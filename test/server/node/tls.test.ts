import { once } from 'node:events';
import { type RequestOptions, request } from 'node:https';
import { connect } from 'node:net';
import { generate } from 'selfsigned';
import { afterEach, expect, test } from 'vitest';
import { type Listening, listen } from '../../../src/server/listen.ts';
import type { ListenTls } from '../../../src/server/node/tls.ts';
import type { Connection } from '../../../src/server/registry/exchange.ts';
import { certificate } from '../certificate.ts';

const open: Listening[] = [];
afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

const signedByItself = async (name: string) => {
  const made = await generate([{ name: 'commonName', value: name }], { keyType: 'ec', algorithm: 'sha256' });
  return { cert: made.cert, key: made.private };
};
const [builder, stranger] = [await signedByItself('builder'), await signedByItself('stranger')];

/** A server that says what it knows of the connection of a request. */
async function listening(tls: Partial<ListenTls> = {}): Promise<Listening> {
  const server = await listen(async (_, connection) => Response.json(connection), { tls: { ...certificate, ...tls } });
  open.push(server);
  return server;
}

async function seen({ url }: Listening, options: RequestOptions = {}): Promise<Connection> {
  const sent = request(url, { ca: certificate.cert, agent: false, ...options }).end();
  const [response] = await once(sent, 'response');
  let text = '';
  for await (const chunk of response) text += chunk;
  return JSON.parse(text) as Connection;
}

test('a client without a certificate of the authority is refused if one is required', async () => {
  const server = await listening({ ca: builder.cert, clientCertificate: 'require' });
  const { clientCertificate } = await seen(server, builder);
  expect([clientCertificate?.subject, clientCertificate?.fingerprint256.length]).toEqual(['CN=builder', 95]);
  await expect(seen(server)).rejects.toThrow();
  await expect(seen(server, stranger)).rejects.toThrow();
});

test('a handler sees a certificate that is requested, only if it is one of the authority', async () => {
  const server = await listening({ ca: builder.cert, clientCertificate: 'request' });
  expect((await seen(server, builder)).clientCertificate?.subject).toBe('CN=builder');
  expect(await seen(server)).toEqual({ remoteAddress: '127.0.0.1' });
  expect(await seen(server, stranger)).toEqual({ remoteAddress: '127.0.0.1' });
  expect(await seen(await listening({ ca: builder.cert }), builder)).toEqual({ remoteAddress: '127.0.0.1' });
});

test('an older version of TLS than the least one is refused', async () => {
  const server = await listening({ minimumVersion: '1.3' });
  expect(await seen(server)).toEqual({ remoteAddress: '127.0.0.1' });
  await expect(seen(server, { maxVersion: 'TLSv1.2' })).rejects.toThrow();
  expect(await seen(await listening(), { maxVersion: 'TLSv1.2' })).toEqual({ remoteAddress: '127.0.0.1' });
});

test('plain HTTP is 400 and says why; other bytes that are not TLS end the connection', async () => {
  const server = await listening();
  const response = await fetch(server.url.replace('https:', 'http:'));
  expect([response.status, response.headers.get('content-type'), await response.text()]).toEqual([
    400,
    'text/plain; charset=utf-8',
    'Client sent an HTTP request to an HTTPS server.\n',
  ]);
  const socket = connect(server.port, '127.0.0.1');
  socket.on('error', () => undefined).resume();
  socket.write('SSH-2.0-OpenSSH_9\r\n');
  await once(socket, 'close');
  expect(await seen(server)).toEqual({ remoteAddress: '127.0.0.1' });
});

test.each([
  [{ clientCertificate: 'require' }, '"clientCertificate" needs "ca"'],
  [
    { clientCertificate: 'always', ca: builder.cert },
    '"clientCertificate" is "always", expected "require" or "request"',
  ],
  [{ minimumVersion: '1.1' }, '"minimumVersion" is "1.1", expected "1.2" or "1.3"'],
])('%o is refused', async (tls, found) => {
  await expect(listening(tls as Partial<ListenTls>)).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    found: expect.stringContaining(found),
  });
});

test('connections beyond the limit are closed, and a head that is too large is 431', async () => {
  const server = await listen(async () => new Response('one'), { connections: 1 });
  open.push(server);
  const first = connect(server.port, '127.0.0.1');
  await once(first, 'connect');
  const second = connect(server.port, '127.0.0.1').on('error', () => undefined);
  await once(second.resume(), 'close');
  first.write(`GET / HTTP/1.1\r\nhost: a\r\nx-long: ${'x'.repeat(20_000)}\r\n\r\n`);
  const [data] = (await once(first, 'data')) as [Buffer];
  expect(data.toString('latin1')).toMatch(/^HTTP\/1\.1 431 /);
  first.destroy();
});
