import dns from 'node:dns';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { createServer as createTlsServer } from 'node:tls';
import { expect, onTestFinished, test, vi } from 'vitest';
import { type SocketTransportOptions, socketTransport } from '../../../src/http/socket/socket-transport.ts';
import type { HttpRequest } from '../../../src/http/transport.ts';
import { certificate } from '../../server/certificate.ts';
import { atEnd, failsWith, failureOf, httpServer, rawServer, textOf } from '../../support/http.ts';
import { startProxy } from '../../support/proxy.ts';

const response = 'HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 4\r\n\r\ntext';

function connected(options?: SocketTransportOptions) {
  const transport = socketTransport(options);
  atEnd(() => transport.close());
  return (url: string, more: Partial<HttpRequest> = {}) => transport({ method: 'GET', url, ...more });
}

/** Every name leads to both addresses of this machine, IPv6 first. */
function everyNameIsBoth(): void {
  const found = [
    { address: '::1', family: 6 },
    { address: '127.0.0.1', family: 4 },
  ];
  const spied = vi
    .spyOn(dns, 'lookup')
    .mockImplementation(((_name: string, _options: object, callback: (error: null, all: object) => void) =>
      process.nextTick(callback, null, found)) as never);
  onTestFinished(() => spied.mockRestore());
}

/** Accepts connections at a port of ::1, and says nothing. */
async function silentOnIpv6(port: number): Promise<void> {
  const silent = createServer(() => undefined).listen(port, '::1');
  await once(silent, 'listening');
  atEnd(async () => void silent.close());
}

test.each(['any', 'private'] as const)(
  'over TLS a family that does not respond costs a quarter of a second (%s)',
  async (addresses) => {
    const server = createTlsServer(certificate, (socket) => {
      socket.on('error', () => undefined);
      socket.once('data', () => socket.end(response));
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    atEnd(async () => void server.close());
    const { port } = server.address() as { port: number };
    await silentOnIpv6(port);
    everyNameIsBoth();
    const answered = await connected()(`https://localhost:${port}`, { tls: { ca: [certificate.cert] }, addresses });
    expect([await textOf(answered), answered.address]).toEqual(['text', '127.0.0.1']);
  },
);

test('a family that refuses is followed by the other at once', async () => {
  const { port } = await httpServer((_request, answer) => answer.end('text'));
  everyNameIsBoth();
  expect(await textOf(await connected()(`http://registry.test:${port}`))).toBe('text');
});

test('a name is sent to the server over TLS, an address is not; a Host field that is set is that name', async () => {
  const names: unknown[] = [];
  const SNICallback = (name: string, done: (error: null) => void): void => {
    names.push(name);
    done(null);
  };
  const server = createTlsServer({ ...certificate, SNICallback }, (socket) => {
    socket.on('error', () => undefined);
    socket.once('data', (sent) => {
      names.push(/host: (.*)\r/.exec(String(sent))?.[1]);
      socket.end(response);
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  atEnd(async () => void server.close());
  const { port } = server.address() as { port: number };
  everyNameIsBoth();
  const send = connected();
  const tls = { insecureSkipVerify: true };
  await textOf(await send(`https://registry.test:${port}`, { tls }));
  await textOf(await send(`https://127.0.0.1:${port}`, { tls }));
  await textOf(await send(`https://127.0.0.1:${port}`, { tls, headers: { host: 'other.test:99' } }));
  expect(names).toEqual(['registry.test', `registry.test:${port}`, `127.0.0.1:${port}`, 'other.test', 'other.test:99']);
});

test('an abort while a connection is being made ends it', async () => {
  const { url, closed, connections } = await rawServer((socket) => void socket.resume());
  const controller = new AbortController();
  const left = closed();
  const sent = failureOf(connected()(url.replace('http:', 'https:'), { signal: controller.signal }));
  while (connections() === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  controller.abort(new Error('enough'));
  expect(await sent).toEqual(failsWith('ABORTED'));
  await left;
});

test('requests through a proxy go through it, the others directly, and all end with the transport', async () => {
  const proxy = await startProxy({});
  const direct = await httpServer((_request, answer) => answer.end('direct'));
  const transport = socketTransport({ proxy: { http: proxy.url, no: ['127.0.0.1'] } });
  const get = async (url: string) => textOf(await transport({ method: 'GET', url }));
  expect([await get('http://registry.test/'), await get(direct.url)]).toEqual(['from the proxy', 'direct']);
  await transport.close();
  for (const url of ['http://registry.test/', direct.url])
    expect(await failureOf(get(url))).toEqual(failsWith('CLOSED'));
});
