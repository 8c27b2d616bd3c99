import type { Socket } from 'node:net';
import { describe, expect, test } from 'vitest';
import { retry } from '../../src/http/retry.ts';
import { socketTransport } from '../../src/http/socket/socket-transport.ts';
import { wrap } from '../../src/http/transport.ts';
import { undiciTransport } from '../../src/http/undici.ts';
import { createClient } from '../../src/remote/client.ts';
import { certificate } from '../server/certificate.ts';
import { atEnd, failsWith, failureOf, type Loopback, rawServer, rawTlsServer, textOf } from '../support/http.ts';

/** What a server does with the requests of a connection, counted from 1. */
type Behave = (socket: Socket, count: number, head: string) => void;

/** Reads requests without bodies, one after the other. */
function requestsOf(socket: Socket, behave: Behave): void {
  let count = 0;
  let buffered = '';
  socket.on('data', (chunk) => {
    buffered += String(chunk);
    for (let end = buffered.indexOf('\r\n\r\n'); end >= 0; end = buffered.indexOf('\r\n\r\n')) {
      const head = buffered.slice(0, end);
      buffered = buffered.slice(end + 4);
      count += 1;
      behave(socket, count, head);
    }
  });
}

const respond = (socket: Socket, body = 'text'): void => {
  socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
};

const endings: [string, (socket: Socket) => void][] = [
  ['reset', (socket) => socket.resetAndDestroy()],
  ['closed', (socket) => socket.end()],
];

describe.each([
  ['undici', undiciTransport],
  ['sockets', socketTransport],
] as const)('over %s', (_name, make) => {
  /** A transport without retries. */
  function plain() {
    const transport = make();
    atEnd(() => transport.close());
    return transport;
  }

  test.each(endings)(
    'a reused connection that is %s before the first byte is replaced, without a try',
    async (_, end) => {
      const { url, connections } = await rawServer((socket) => {
        requestsOf(socket, (_socket, count) => (count > 2 ? end(socket) : respond(socket)));
      });
      const send = wrap(plain(), retry({ tries: 1 }));
      for (let count = 0; count < 7; count += 1) expect(await textOf(await send({ method: 'GET', url }))).toBe('text');
      expect(connections()).toBeGreaterThanOrEqual(4);
    },
  );

  test('the second request of such a pair is sent on a new connection', async () => {
    const heads: string[] = [];
    const { url } = await rawServer((socket) => {
      requestsOf(socket, (_socket, count, head) => {
        heads.push(`${count} ${/connection: (.*)/i.exec(head)?.[1]}`);
        if (count > 1) socket.resetAndDestroy();
        else respond(socket);
      });
    });
    const send = plain();
    for (let count = 0; count < 2; count += 1) await textOf(await send({ method: 'GET', url }));
    expect(heads).toEqual(['1 keep-alive', '2 keep-alive', expect.stringMatching(/^1 /)]);
  });

  test.each(endings)('a new connection that is %s is a failed try', async (_, end) => {
    const { url, connections } = await rawServer((socket) => requestsOf(socket, () => end(socket)));
    expect(await failureOf(plain()({ method: 'GET', url }))).toEqual(failsWith('UNAVAILABLE'));
    expect(connections()).toBe(1);
  });

  test('the new connection may fail, too: then the request has failed once', async () => {
    let served = 0;
    const { url, connections } = await rawServer((socket) => {
      requestsOf(socket, () => {
        served += 1;
        if (served === 1) respond(socket);
        else socket.resetAndDestroy();
      });
    });
    const send = plain();
    await textOf(await send({ method: 'GET', url }));
    expect(await failureOf(send({ method: 'GET', url }))).toEqual(failsWith('UNAVAILABLE'));
    expect([served, connections()]).toEqual([3, 2]);
  });

  test('a request on a reused connection that is too late is not sent again', async () => {
    let received = 0;
    const { url } = await rawServer((socket) => {
      requestsOf(socket, (_socket, count) => {
        received += 1;
        if (count === 1) respond(socket);
      });
    });
    const transport = make({ timeouts: { headers: 60 } });
    atEnd(() => transport.close());
    await textOf(await transport({ method: 'GET', url }));
    expect(await failureOf(transport({ method: 'GET', url }))).toEqual(failsWith('TIMEOUT'));
    expect(received).toBe(2);
  });

  test('over TLS a reused connection is replaced, too', async () => {
    const { url } = await rawTlsServer(certificate, (socket) => {
      requestsOf(socket, (_socket, count) => (count > 1 ? socket.destroy() : respond(socket)));
    });
    const send = plain();
    const request = { method: 'GET', url, tls: { ca: [certificate.cert] } };
    for (let count = 0; count < 3; count += 1) expect(await textOf(await send(request))).toBe('text');
  });
});

/** A proxy for plain http, whose connections are reset at their second request. */
test('so is one to a proxy', async () => {
  const proxy: Loopback = await rawServer((socket) => {
    requestsOf(socket, (_socket, count) => (count > 1 ? socket.resetAndDestroy() : respond(socket)));
  });
  const transport = undiciTransport({ proxy: { http: proxy.url } });
  atEnd(() => transport.close());
  for (let count = 0; count < 3; count += 1) {
    const response = await transport({ method: 'GET', url: 'http://registry.test/' });
    expect([await textOf(response), response.address]).toEqual(['text', undefined]);
  }
});

test('if every connection is reset at its 11th request, each of 127 blobs is read, with a single try for each', async () => {
  const { port } = await rawServer((socket) => {
    requestsOf(socket, (_socket, count) => (count > 10 ? socket.resetAndDestroy() : respond(socket)));
  });
  await using client = createClient({ retries: { tries: 1 } });
  const fetcher = client.fetcher(`127.0.0.1:${port}/app`);
  const digest = 'sha256:982d9e3eb996f559e633f4d194def3761d909f5a3b647d1a851fead67c32c9d1';
  const read = async (): Promise<string> => (await fetcher.fetch({ mediaType: 'text/plain', digest, size: 4 })).text();
  const all = await Promise.all(Array.from({ length: 127 }, read));
  expect(new Set(all)).toEqual(new Set(['text']));
});
