import type { ServerResponse } from 'node:http';
import type { TLSSocket } from 'node:tls';
import { inspect } from 'node:util';
import { gzipSync } from 'node:zlib';
import { generate } from 'selfsigned';
import { expect, test } from 'vitest';
import type { ConnectedTransport, HttpRequest, TransportTimeouts } from '../../src/http/transport.ts';
import { listen } from '../../src/server/listen.ts';
import { certificate } from '../server/certificate.ts';
import {
  answering,
  atEnd,
  bytesOf,
  deadPort,
  endpointOf,
  failsWith,
  failureOf,
  httpServer,
  httpsServer,
  rawServer,
  textOf,
} from '../support/http.ts';
import { transportContract } from './transport.ts';

const get = (url: string, more: Partial<HttpRequest> = {}): HttpRequest => ({ method: 'GET', url, ...more });

/** Answers that break, and the bytes that come before. */
const broken: readonly [string, string, number][] = [
  ['shorter than its length', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345', 5],
  ['cut between chunks', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n12345\r\n', 5],
  ['cut inside a chunk', 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n12345', 5],
  ['with no byte at all', 'HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n', 0],
];

const headless: readonly [string, string][] = [
  ['that closes without a word', ''],
  ['that speaks another protocol', 'SSH-2.0-OpenSSH_9.9\r\n'],
  ['whose head has no end', 'HTTP/1.1 200 OK\r\nX-A: b\r\n'],
  ['whose head is too long', `HTTP/1.1 200 OK\r\nX-A: ${'b'.repeat(70_000)}\r\n\r\n`],
];

const secured = () => httpsServer(certificate, (_request, response) => response.end('secret'));

/**
 * The contract of transports over connections, of which `make` makes one: what they do with real servers, besides the contract of
 * every transport.
 */
export function connectedTransportContract(
  name: string,
  make: (options?: { readonly timeouts?: TransportTimeouts | undefined }) => ConnectedTransport,
): void {
  const it = (title: string, body: () => Promise<void>) => test(`${name}: ${title}`, body);
  const connected = (timeouts?: TransportTimeouts): ConnectedTransport => {
    const transport = make({ timeouts });
    atEnd(() => transport.close());
    return transport;
  };

  transportContract(
    name,
    async (handler, timeouts) => {
      const transport = connected(timeouts);
      const server = await listen(async (request) => handler(request));
      atEnd(() => server.close());
      return { transport, url: server.url };
    },
    { reachesSender: true },
  );

  it('a body comes as sent, with its encoding', async () => {
    const sent = gzipSync('text');
    const { url } = await httpServer((_request, response) => {
      response.writeHead(200, { 'content-encoding': 'gzip' }).end(sent);
    });
    const response = await connected()(get(url, { headers: { 'accept-encoding': 'gzip' } }));
    expect(response.headers['content-encoding']).toBe('gzip');
    expect(Buffer.compare(await bytesOf(response), sent)).toBe(0);
  });

  it('one connection serves requests one after the other', async () => {
    const server = await httpServer((request, response) => response.end(request.url));
    const transport = connected();
    for (const path of ['/a', '/b', '/c']) expect(await textOf(await transport(get(server.url + path)))).toBe(path);
    expect(server.connections()).toBe(1);
  });

  it('the address that was connected to is reported', async () => {
    const { url, port } = await httpServer((_request, response) => response.end());
    const transport = connected();
    for (const host of [url, `http://localhost:${port}`]) {
      const response = await transport(get(host));
      expect(response.address).toBe('127.0.0.1');
      await bytesOf(response);
    }
  });

  it('a cancelled or aborted body closes its connection, also unread', async () => {
    const server = await httpServer((_request, response) => void response.write('first'));
    const transport = connected();
    const cancelled = await transport(get(server.url));
    const closed = server.closed();
    await cancelled.body.cancel();
    await closed;
    const controller = new AbortController();
    const aborted = await transport(get(server.url, { signal: controller.signal }));
    const closedAgain = server.closed();
    controller.abort();
    await closedAgain;
    expect(await aborted.ended).toEqual({ bytes: 0, error: failsWith('ABORTED') });
  });

  it('a signal that fires before the head closes the connection', async () => {
    const controller = new AbortController();
    const server = await httpServer(() => controller.abort(new Error('enough')));
    const call = connected()(get(server.url, { signal: controller.signal }));
    await Promise.all([server.closed(), failureOf(call)]);
    expect(await failureOf(call)).toEqual(failsWith('ABORTED'));
  });

  it('a signal keeps no listeners when the exchanges are over', async () => {
    const { url } = await httpServer((_request, response) => response.end('text'));
    const transport = connected();
    const { signal } = new AbortController();
    let listeners = 0;
    const { addEventListener, removeEventListener } = signal;
    signal.addEventListener = (...call: unknown[]) => {
      listeners += 1;
      Reflect.apply(addEventListener, signal, call);
    };
    signal.removeEventListener = (...call: unknown[]) => {
      listeners -= 1;
      Reflect.apply(removeEventListener, signal, call);
    };
    for (let count = 0; count < 20; count += 1) {
      const response = await transport(get(url, { signal }));
      await bytesOf(response);
      await response.ended;
    }
    await transport(get('http://127.0.0.1:1', { signal })).catch(() => undefined);
    expect(listeners).toBe(0);
  });

  test.each(broken)(`${name}: a body %s is UNEXPECTED_END after the bytes that came`, async (_kind, answer, bytes) => {
    const { url } = await answering(answer);
    const response = await connected()(get(`${url}/?signature=marker`));
    let seen = 0;
    const read = async () => {
      for await (const chunk of response.body) seen += chunk.length;
    };
    const error = await failureOf(read());
    expect(error).toEqual(failsWith('UNEXPECTED_END', { message: expect.stringContaining(url) }));
    expect(String(error)).not.toContain('marker');
    expect(seen).toBe(bytes);
    expect(await response.ended).toEqual({ bytes, error: failsWith('UNEXPECTED_END') });
  });

  it('a body that breaks before it is read does not end the process, and fails when it is read', async () => {
    const { url } = await answering('HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12345');
    const response = await connected()(get(url));
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(await failureOf(bytesOf(response))).toEqual(failsWith('UNEXPECTED_END'));
  });

  it('a body without a length ends with its connection', async () => {
    const { url } = await answering('HTTP/1.1 200 OK\r\n\r\n12345');
    expect(await textOf(await connected()(get(url)))).toBe('12345');
  });

  test.each(headless)(`${name}: a server %s is UNAVAILABLE`, async (_kind, answer) => {
    const { url } = await answering(answer);
    const error = await failureOf(connected()(get(`${url}/?signature=marker`)));
    expect(error).toEqual(failsWith('UNAVAILABLE', { message: expect.stringContaining(`Cannot reach "${url}/`) }));
    expect(String(error)).not.toContain('marker');
  });

  it('a head of 60 KiB is taken: signed Locations are long', async () => {
    const { url } = await answering(`HTTP/1.1 307 Go\r\nContent-Length: 0\r\nLocation: /${'b'.repeat(60_000)}\r\n\r\n`);
    expect((await connected()(get(url))).headers.location?.length).toBe(60_001);
  });

  it('a refused connection and a name that does not exist are UNAVAILABLE with the code in the cause', async () => {
    const port = await deadPort();
    for (const [url, code] of [
      [`http://127.0.0.1:${port}`, 'ECONNREFUSED'],
      [`http://localhost:${port}`, 'ECONNREFUSED'],
      ['http://registry.invalid', /ENOTFOUND|EAI_AGAIN/],
    ] as const) {
      const error = await failureOf(connected()(get(url)));
      expect(error).toEqual(failsWith('UNAVAILABLE', { message: expect.stringMatching(code) }));
      expect((error as { cause: { code: string } }).cause.code).toMatch(code);
    }
  });

  it('a name that does not exist is not unsafe', async () => {
    const error = await failureOf(connected()(get('http://registry.invalid', { addresses: 'public' })));
    expect(error).toEqual(failsWith('UNAVAILABLE', { message: expect.stringMatching(/ENOTFOUND|EAI_AGAIN/) }));
  });

  it('a TLS handshake that never ends is TIMEOUT after the limit to connect', async () => {
    const server = await rawServer((socket) => void socket.resume());
    const started = performance.now();
    const closed = server.closed();
    const slow = connected({ connect: 80 })(get(server.url.replace('http:', 'https:')));
    expect(await failureOf(slow)).toEqual(failsWith('TIMEOUT', { message: expect.stringContaining('80 ms') }));
    await closed;
    expect(performance.now() - started).toBeLessThan(5_000);
  });

  it('the endpoint has its own limit to connect', async () => {
    const { url } = await rawServer((socket) => void socket.resume());
    const secure = url.replace('http:', 'https:');
    const endpoint = endpointOf(`${secure}/v2`, { connectTimeout: 60 });
    expect(await failureOf(connected()(get(secure, { endpoint })))).toEqual(
      failsWith('TIMEOUT', { message: expect.stringContaining('60 ms') }),
    );
  });

  it('a limit longer than a timer can be does not fire at once', async () => {
    const { url } = await httpServer((_request, response) => {
      response.write('first');
      setTimeout(() => response.end('last'), 30);
    });
    const transport = connected({ connect: 2 ** 40, headers: 2 ** 40, idle: 2 ** 40 });
    expect(await textOf(await transport(get(url)))).toBe('firstlast');
  });

  it('what a slow reader does not take stays with the sender', async () => {
    const chunk = Buffer.alloc(65_536);
    let written = 0;
    const pump = (response: ServerResponse): void => {
      if (written >= 256 * 1_048_576) response.end();
      else {
        written += chunk.length;
        if (response.write(chunk)) setImmediate(pump, response);
        else response.once('drain', () => pump(response));
      }
    };
    const { url } = await httpServer((_request, response) => pump(response));
    const response = await connected()(get(url));
    const iterator = response.body[Symbol.asyncIterator]();
    await iterator.next();
    await new Promise((resolve) => setTimeout(resolve, 300));
    const before = written;
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(written).toBe(before);
    expect(written).toBeLessThan(32 * 1_048_576);
    for (let count = 0; count < 400; count += 1) await iterator.next();
    expect(written).toBeGreaterThan(before);
    await response.body.cancel();
  });

  it('a certificate is trusted if its authority is given, for that endpoint only', async () => {
    const { url } = await secured();
    const transport = connected();
    expect(await failureOf(transport(get(url)))).toEqual(
      failsWith('UNAVAILABLE', { message: expect.stringContaining('self-signed') }),
    );
    expect(await textOf(await transport(get(url, { tls: { ca: [certificate.cert] } })))).toBe('secret');
    expect(await failureOf(transport(get(url)))).toEqual(failsWith('UNAVAILABLE'));
  });

  it('a server without TLS, and a certificate that does not fit, are reported in plain words with their codes in the cause', async () => {
    const plain = await answering('HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n');
    const of = async (names: string[], expired = false) => {
      const day = 86_400_000;
      const made = await generate([{ name: 'commonName', value: 'x' }], {
        keyType: 'ec',
        algorithm: 'sha256',
        ...(expired && { notBeforeDate: new Date(Date.now() - 2 * day), notAfterDate: new Date(Date.now() - day) }),
        extensions: [
          { name: 'basicConstraints', cA: true },
          { name: 'subjectAltName', altNames: names.map((value) => ({ type: 2 as const, value })) },
        ],
      });
      const server = await httpsServer({ cert: made.cert, key: made.private }, (_request, response) => response.end());
      return { url: `https://localhost:${server.port}/`, tls: { ca: [made.cert] } };
    };
    const cases = [
      [{ url: plain.url.replace('http:', 'https:') }, 'it does not speak TLS', /^E/],
      [{ url: (await secured()).url }, 'tls.ca of this host', /^DEPTH_ZERO_SELF_SIGNED_CERT$/],
      [await of(['localhost'], true), 'its certificate has expired', /^CERT_HAS_EXPIRED$/],
      [await of(['other.test']), 'its certificate is for other names: ', /^ERR_TLS_CERT_ALTNAME_INVALID$/],
    ] as const;
    for (const [request, found, code] of cases) {
      const error = await failureOf(connected()(get(request.url, request)));
      expect(error).toEqual(failsWith('UNAVAILABLE', { message: expect.stringContaining(found) }));
      expect((error as { cause: { code: string } }).cause.code).toMatch(code);
      expect(String(error)).not.toMatch(/\n|openssl|:error:/);
    }
  });

  it('insecureSkipVerify accepts any certificate, for that endpoint only', async () => {
    const { url } = await secured();
    const transport = connected();
    expect(await textOf(await transport(get(url, { tls: { insecureSkipVerify: true } })))).toBe('secret');
    expect(await failureOf(transport(get(url)))).toEqual(failsWith('UNAVAILABLE'));
  });

  it('a client certificate is shown to its endpoint only', async () => {
    const client = await generate([{ name: 'commonName', value: 'client' }], { keyType: 'ec', algorithm: 'sha256' });
    const options = { ...certificate, ca: [client.cert], requestCert: true, rejectUnauthorized: false };
    const { url } = await httpsServer(options, (request, response) => {
      response.end((request.socket as TLSSocket).getPeerCertificate().subject?.CN ?? 'nobody');
    });
    const transport = connected();
    const ca = [certificate.cert];
    const known = get(url, { tls: { ca, cert: client.cert, key: client.private } });
    expect(await textOf(await transport(known))).toBe('client');
    expect(await textOf(await transport(get(url, { tls: { ca } })))).toBe('nobody');
  });

  it('a name is checked by its addresses, also over an open connection', async () => {
    const { port, connections } = await httpServer((_request, response) => response.end('text'));
    const transport = connected();
    expect(await textOf(await transport(get(`http://127.0.0.1:${port}`)))).toBe('text');
    const names = ['127.0.0.1', 'localhost', '[::ffff:127.0.0.1]', '0', '0177.1'];
    for (const host of names) {
      const error = await failureOf(transport(get(`http://${host}:${port}`, { addresses: 'public' })));
      expect([host, error]).toEqual([host, failsWith('UNSAFE_URL')]);
    }
    expect(connections()).toBe(1);
    const allowed = await transport(get(`http://localhost:${port}`, { addresses: 'private' }));
    expect(await textOf(allowed)).toBe('text');
  });

  it('close ends exchanges with CLOSED, and everything after', async () => {
    const server = await httpServer((request, response) => {
      if (request.url === '/body') response.write('first');
    });
    const transport = make();
    const response = await transport(get(`${server.url}/body`));
    const waiting = failureOf(transport(get(server.url)));
    await new Promise((resolve) => setTimeout(resolve, 30));
    await transport.close();
    expect(await waiting).toEqual(failsWith('CLOSED'));
    expect(await failureOf(bytesOf(response))).toEqual(failsWith('CLOSED'));
    expect(await failureOf(transport(get(server.url)))).toEqual(failsWith('CLOSED'));
    await transport.close();
  });

  it('a hundred responses at once, and no connection is left busy', async () => {
    const server = await httpServer((_request, response) => response.end('text'));
    const transport = connected();
    const texts = await Promise.all(Array.from({ length: 100 }, async () => textOf(await transport(get(server.url)))));
    expect(new Set(texts)).toEqual(new Set(['text']));
    const before = server.connections();
    await Promise.all(Array.from({ length: before }, async () => textOf(await transport(get(server.url)))));
    expect(server.connections()).toBe(before);
  });

  it('TLS settings that cannot be used are INVALID_CONFIG for that host, without any part of the key', async () => {
    const server = await httpsServer(certificate, (_request, response) => response.end('text'));
    const other = await generate([{ name: 'commonName', value: 'other' }], { keyType: 'ec', algorithm: 'sha256' });
    const transport = connected();
    const { cert, key } = certificate;
    const ca = [cert];
    for (const [tls, setting] of [
      [{ ca, cert, key: other.private }, 'tls.key'],
      [{ ca, cert: 'garbage', key }, 'tls.cert'],
      [{ ca: ['garbage'] }, 'tls.ca[0]'],
    ] as const) {
      const error = await failureOf(transport(get(server.url, { tls })));
      expect(error).toEqual(failsWith('INVALID_CONFIG', { host: new URL(server.url).host }));
      expect(String(error)).toContain(`Cannot connect to "127.0.0.1:${server.port}" with ${setting}: `);
      const secret = other.private.split(/\r?\n/)[1] ?? '';
      expect(secret.length).toBeGreaterThan(20);
      expect(inspect(error, { depth: 9 })).not.toContain(secret);
    }
    expect(await textOf(await transport(get(server.url, { tls: { ca, cert, key } })))).toBe('text');
  });
}
