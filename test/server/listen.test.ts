import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { Agent as HttpsAgent, get as httpsGet } from 'node:https';
import { connect } from 'node:net';
import { afterEach, expect, test } from 'vitest';
import { fetchTransport } from '../../src/http/fetch-transport.ts';
import { digestOf } from '../../src/oci/digest.ts';
import { basicAccess } from '../../src/server/access/basic.ts';
import { type Listening, type ListenOptions, listen } from '../../src/server/listen.ts';
import type { Handler } from '../../src/server/registry/exchange.ts';
import { serve } from '../../src/server/registry/serve.ts';
import type { Source } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { certificate } from './certificate.ts';
import { brokenOff, bytesOf, filledRegistry, overfilled, problemOf } from './support.ts';

const { large } = samples;
const open: Listening[] = [];

async function listening(handler: Handler, options?: ListenOptions): Promise<Listening> {
  const server = await listen(handler, options);
  open.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

/** What a promise comes to, once it is known, for tests that wait for a side effect. */
function signalled<T = void>(): { promise: Promise<T>; fire: (value: T) => void } {
  let fire: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    fire = resolve;
  });
  return { promise, fire };
}

test('a registry on a socket: blobs whole and in part, manifests, uploads', async () => {
  const { url, port } = await listening(serve((await filledRegistry()).registry));
  expect(url).toBe(`http://127.0.0.1:${port}`);
  const blob = `${url}/v2/library/app/blobs/${large.descriptor.digest}`;
  expect(Buffer.compare(await bytesOf(await fetch(blob)), large.bytes)).toBe(0);
  const part = await fetch(blob, { headers: { range: 'bytes=70000-140000' } });
  expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 70000-140000/300007']);
  expect(Buffer.compare(await bytesOf(part), large.bytes.subarray(70_000, 140_001))).toBe(0);
  const head = await fetch(blob, { method: 'HEAD' });
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '300007']);
  expect(await problemOf(await fetch(`${url}/v2/library/app/manifests/missing`))).toBe('404 MANIFEST_UNKNOWN');
  const begun = await fetch(`${url}/v2/new/app/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? '', url);
  const body = new Blob([large.bytes as Uint8Array<ArrayBuffer>]).stream();
  const patched = await fetch(location, { method: 'PATCH', body, duplex: 'half' } as RequestInit);
  expect(patched.headers.get('range')).toBe('0-300006');
  location.searchParams.set('digest', large.descriptor.digest);
  expect((await fetch(location, { method: 'PUT' })).status).toBe(201);
  expect(Buffer.compare(await bytesOf(await fetch(blob.replace('library', 'new'))), large.bytes)).toBe(0);
});

test('the handler sees method, path, query, headers and body; the client status, headers and body', async () => {
  const { url } = await listening(async (request) => {
    const seen = [request.method, request.url.slice(url.length), request.headers.get('x-one'), await request.text()];
    return Response.json(seen, { status: 202, headers: { 'x-two': 'b' } });
  });
  const response = await fetch(`${url}//a%2Fb?c=d`, { method: 'PUT', body: 'text', headers: { 'x-one': 'a' } });
  expect([response.status, response.headers.get('x-two')]).toEqual([202, 'b']);
  expect(await response.json()).toEqual(['PUT', '//a%2Fb?c=d', 'a', 'text']);
});

/** A body without end that counts what is asked of it. */
function endless(): { body: ReadableStream<Uint8Array>; pulled: () => number; cancelled: Promise<unknown> } {
  const { promise, fire } = signalled<unknown>();
  let pulled = 0;
  const body = new ReadableStream<Uint8Array>(
    {
      pull(controller) {
        pulled += 1;
        controller.enqueue(new Uint8Array(65_536));
      },
      cancel: fire,
    },
    { highWaterMark: 0 },
  );
  return { body, pulled: () => pulled, cancelled: promise };
}

async function get(url: string): Promise<IncomingMessage> {
  const request = httpRequest(url, { agent: false });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return response;
}

test('the handler gets the address of the other end, also behind an access check', async () => {
  const seen: unknown[] = [];
  const handler: Handler = async (_request, connection) => {
    seen.push(connection?.remoteAddress);
    return new Response();
  };
  const users = { ann: 'secret' };
  const headers = { authorization: `Basic ${btoa('ann:secret')}` };
  for (const one of [handler, basicAccess({ realm: 'test', users })(handler)]) {
    const { url } = await listening(one);
    expect((await fetch(url, { headers })).status).toBe(200);
  }
  await fetchTransport(handler, { asSent: true })({ method: 'GET', url: 'http://registry.test/' });
  expect(seen).toEqual(['127.0.0.1', '127.0.0.1', undefined]);
});

test('a client that reads nothing stops the body, and one that goes away cancels it and fires the signal', async () => {
  const { body, pulled, cancelled } = endless();
  const { promise: aborted, fire } = signalled();
  const { url } = await listening(async (request) => {
    request.signal.addEventListener('abort', () => fire());
    return new Response(body);
  });
  const response = await get(url);
  let before = -1;
  await expect
    .poll(
      () => {
        const isStill = pulled() === before;
        before = pulled();
        return isStill;
      },
      { interval: 100 },
    )
    .toBe(true);
  expect(pulled() * 65_536).toBeLessThan(64_000_000);
  response.destroy();
  expect(await cancelled).toMatchObject({ code: 'ABORTED' });
  await aborted;
});

test('a client that goes away before the answer fires the signal, and the answer is cancelled', async () => {
  const { body, cancelled } = endless();
  const { promise: arrived, fire } = signalled();
  const { url } = await listening(async (request) => {
    fire();
    await new Promise((resolve) => request.signal.addEventListener('abort', resolve));
    return new Response(body);
  });
  const request = httpRequest(url, { agent: false });
  request.on('error', () => undefined);
  request.end();
  await arrived;
  request.destroy();
  expect(await cancelled).toMatchObject({ code: 'ABORTED' });
});

test('a handler that reads slowly stops the client', async () => {
  const { promise: proceed, fire } = signalled();
  const { url } = await listening(async (request) => {
    await proceed;
    await request.body?.cancel();
    return new Response('enough');
  });
  const { request, written } = await overfilled(url);
  expect(written).toBeLessThan(200);
  fire();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  expect(response.statusCode).toBe(200);
  request.destroy();
});

test('an upload that breaks off is ABORTED for the handler', async () => {
  const { promise: failed, fire } = signalled<unknown>();
  const { url } = await listening(async (request) => {
    await request.arrayBuffer().catch(fire);
    return new Response();
  });
  brokenOff(url);
  expect(await failed).toMatchObject({ code: 'ABORTED' });
});

test('a request that is answered unread leaves its connection usable', async () => {
  const { url, port } = await listening(async (request) => new Response(request.method));
  expect(url).toContain(String(port));
  const socket = connect(port, '127.0.0.1');
  let received = '';
  socket.on('data', (data) => {
    received += data;
  });
  socket.write(`PUT / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n${'x'.repeat(100_000)}`);
  socket.write('GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n');
  await once(socket, 'close');
  expect(received.match(/HTTP\/1.1 200|PUT|GET/g)).toEqual(['HTTP/1.1 200', 'PUT', 'HTTP/1.1 200', 'GET']);
});

test('an upload over its bound is told so, though most of it was not read', async () => {
  const { url } = await listening(serve((await filledRegistry()).registry, { uploadBytes: 1_000 }));
  const begun = await fetch(`${url}/v2/new/app/blobs/uploads/`, { method: 'POST' });
  const location = new URL(begun.headers.get('location') ?? '', url);
  for (let count = 0; count < 3; count++) {
    const refused = await fetch(location, { method: 'PATCH', body: new Uint8Array(5_000_000) });
    expect(await problemOf(refused)).toBe('413 SIZE_INVALID');
  }
  expect((await fetch(location)).headers.get('range')).toBe('0-0');
});

test('a body that fails ends the connection: the client does not take a part for the whole', async () => {
  let headSeen = (): void => {};
  const seen = new Promise<void>((resolve) => {
    headSeen = resolve;
  });
  const { url } = await listening(async () => {
    let sent = 0;
    return new Response(
      new ReadableStream({
        async pull(controller) {
          if (sent++ < 2) {
            controller.enqueue(new Uint8Array(1_000));
            return;
          }
          await seen;
          controller.error(new Error('the disk is dead'));
        },
      }),
    );
  });
  const response = await fetch(url);
  expect(response.status).toBe(200);
  headSeen();
  await expect(response.arrayBuffer()).rejects.toThrow('terminated');
});

test('a handler that throws, and a body that fails before its first byte, are a plain 500', async () => {
  const { url } = await listening(async (request) => {
    if (request.url.endsWith('/throw')) throw new Error('secret');
    const body = new ReadableStream({ pull: () => Promise.reject(new Error('secret')) });
    return new Response(body, { headers: { 'content-length': '100' } });
  });
  for (const path of ['/throw', '/fail']) {
    const response = await fetch(url + path);
    expect([response.status, await response.text()]).toEqual([500, '']);
  }
});

/** The status line, and what the body says, of the response to bytes on a connection of their own. */
async function said(
  port: number,
  text: string,
): Promise<readonly [line: string | undefined, code: string | undefined]> {
  const socket = connect(port, '127.0.0.1');
  socket.write(text);
  let data = '';
  for (;;) {
    const [head = '', body = ''] = data.split('\r\n\r\n');
    const [, length] = /content-length: (\d+)/i.exec(head) ?? [];
    if (length !== undefined && body.length === Number(length)) {
      socket.destroy();
      return [head.split('\r\n')[0], JSON.parse(body).errors[0].code];
    }
    data += ((await once(socket, 'data')) as [Buffer])[0].toString('latin1');
  }
}

test('what is no request to a server is refused in the form of the specification', async () => {
  const { port } = await listening(async () => new Response('never'));
  for (const [head, status, code] of [
    ['OPTIONS * HTTP/1.1\r\nhost: a', '400 Bad Request', 'NAME_INVALID'],
    ['TRACE / HTTP/1.1\r\nhost: a', '405 Method Not Allowed', 'UNSUPPORTED'],
    ['GET / HTTP/1.1\r\nhost: a b', '400 Bad Request', 'NAME_INVALID'],
    ['GET http://u@a/ HTTP/1.1\r\nhost: a', '400 Bad Request', 'NAME_INVALID'],
    ['GET / HTTP/1.1', '400 Bad Request', 'NAME_INVALID'],
    ['GET / HTTP/1.1\r\nhost: a\r\nexpect: more', '417 Expectation Failed', 'UNSUPPORTED'],
    ['FETCH /v2/ HTTP/1.1\r\nhost: a', '405 Method Not Allowed', 'UNSUPPORTED'],
    ['CONNECT a:1 HTTP/1.1\r\nhost: a', '405 Method Not Allowed', 'UNSUPPORTED'],
    ['GET / HTTP/1.1\r\nhost: a\r\nno field', '400 Bad Request', 'UNSUPPORTED'],
    [`GET / HTTP/1.1\r\nhost: a\r\nx: ${'x'.repeat(20_000)}`, '431 Request Header Fields Too Large', 'SIZE_INVALID'],
  ]) {
    expect([head?.slice(0, 40), ...(await said(port, `${head}\r\n\r\n`))]).toEqual([
      head?.slice(0, 40),
      `HTTP/1.1 ${status}`,
      code,
    ]);
  }
});

test('a registry refuses an invalid Host also for small contents', async () => {
  const { port } = await listening(serve((await filledRegistry()).registry));
  const line = 'GET /v2/library/app/manifests/latest HTTP/1.1\r\nhost: ';
  for (const host of ['a b', 'a:99999', 'u@a', 'a:b']) {
    const [status] = await said(port, `${line}${host}\r\n\r\n`);
    expect([host, status]).toEqual([host, 'HTTP/1.1 400 Bad Request']);
  }
});

test('a registry refuses methods that the web does not know as all others that it does not offer', async () => {
  const { port } = await listening(serve((await filledRegistry()).registry));
  for (const method of ['TRACE', 'PROPFIND', 'OPTIONS', 'M-SEARCH', 'CONNECT']) {
    const target = method === 'CONNECT' ? 'a:1' : '/v2/library/app/manifests/latest';
    const found = await said(port, `${method} ${target} HTTP/1.1\r\nhost: a\r\n\r\n`);
    expect([method, ...found]).toEqual([method, 'HTTP/1.1 405 Method Not Allowed', 'UNSUPPORTED']);
  }
});

test('a client may wait for a slow response however long, but neither send nor read slowly for ever', async () => {
  const idle = 150;
  const { url, port } = await listening(
    async (request) => {
      if (request.url.endsWith('/upload')) await request.arrayBuffer();
      if (request.url.endsWith('/endless')) return new Response(endless().body);
      await new Promise((resolve) => setTimeout(resolve, 5 * idle));
      return new Response('at last');
    },
    { idle },
  );
  expect(await (await fetch(url)).text()).toBe('at last');
  const silent = connect(port, '127.0.0.1');
  silent.write('PUT /upload HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\nhalf');
  const deaf = connect(port, '127.0.0.1');
  deaf.pause();
  deaf.write('GET /endless HTTP/1.1\r\nhost: a\r\n\r\n');
  const idler = connect(port, '127.0.0.1');
  const closed = [silent, idler].map((socket) =>
    once(
      socket.resume().on('error', () => {}),
      'close',
    ),
  );
  await Promise.all(closed);
  const ended = once(
    deaf.on('error', () => {}),
    'close',
  );
  await new Promise((resolve) => setTimeout(resolve, 5 * idle));
  deaf.resume();
  await ended;
});

test('close ends open connections, aborts what is being answered, and can be called again', async () => {
  const { body, cancelled } = endless();
  const server = await listening(async () => new Response(body));
  const response = await get(server.url);
  const gone = new Promise((resolve) => response.resume().on('close', resolve));
  const idle = connect(server.port, '127.0.0.1');
  idle.on('error', () => undefined);
  await once(idle, 'connect');
  await server.close();
  await server.close();
  await gone;
  expect(await cancelled).toMatchObject({ code: 'ABORTED' });
  await expect(fetch(server.url)).rejects.toThrow('fetch failed');
});

test.each([
  ['http', {}],
  ['https', { tls: certificate }],
] as const)(
  'a draining close over %s lets what is under way end, closes idle connections, and takes no others',
  async (_, options) => {
    const [begun, go] = [signalled(), signalled()];
    const { url, port, close } = await listening(async ({ url: requested }) => {
      if (requested.endsWith('/quick')) return new Response('quick');
      const bytes = new Uint8Array(3_000_000).fill(7);
      begun.fire();
      await go.promise;
      return new Response(bytes);
    }, options);
    const agent = new HttpsAgent({ keepAlive: true, ca: certificate.cert, servername: 'localhost' });
    const get = (path: string): Promise<IncomingMessage> =>
      url.startsWith('https')
        ? once(httpsGet(url + path, { agent }), 'response').then(([response]) => response)
        : once(httpRequest(url + path).end(), 'response').then(([response]) => response);
    (await get('/quick')).resume();
    const idle = connect(port, '127.0.0.1');
    const idleClosed = once(idle, 'close');
    await once(idle, 'connect');
    idle.write('GET /quick HTTP/1.1\r\nhost: a\r\n\r\n');
    await once(idle, 'data');
    const slow = get('/slow');
    await begun.promise;
    const closed = close({ drain: 15_000 });
    await idleClosed;
    await expect(once(connect(port, '127.0.0.1'), 'connect')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    go.fire();
    const response = await slow;
    expect(response.headers.connection).toBe('close');
    let length = 0;
    for await (const chunk of response) length += chunk.length;
    expect(length).toBe(3_000_000);
    await closed;
    agent.destroy();
  },
);

test('a draining close ends what takes longer than it allows', async () => {
  const begun = signalled();
  const aborted = signalled<unknown>();
  const { url, close } = await listening(async ({ signal }) => {
    signal.addEventListener('abort', () => aborted.fire(signal.reason));
    begun.fire();
    await aborted.promise;
    return new Response();
  });
  const failed = fetch(url).catch(() => 'failed');
  await begun.promise;
  await close({ drain: 50 });
  expect(await failed).toBe('failed');
  expect(await aborted.promise).toMatchObject({ code: 'ABORTED' });
});

test('an address that cannot be had is refused', async () => {
  const { port } = await listening(async () => new Response());
  await expect(listen(async () => new Response(), { port })).rejects.toMatchObject({ code: 'EADDRINUSE' });
});

test('with a certificate it speaks https, and closes under a handshake that never ends', async () => {
  const server = await listening(async (request) => new Response(request.url), { tls: certificate });
  expect(server.url).toBe(`https://127.0.0.1:${server.port}`);
  const text = await new Promise<string>((resolve, reject) => {
    httpsGet(`${server.url}/v2/`, { ca: certificate.cert, agent: false }, (response) => {
      response.setEncoding('utf8').once('data', resolve);
    }).on('error', reject);
  });
  expect(text).toBe(`${server.url}/v2/`);
  const silent = connect(server.port, '127.0.0.1');
  silent.on('error', () => undefined);
  await once(silent, 'connect');
  await server.close();
});

test('the head of a response whose body has to wait is sent after a second', async () => {
  const store = memoryStore();
  await fill(store, [large]);
  let give = (): void => {};
  const waiting = new Promise<void>((resolve) => {
    give = resolve;
  });
  const slow: Source = {
    verifies: true,
    resolve: (reference, options) => store.resolve(reference, options),
    fetch: async (target, options) => {
      const fetched = await store.fetch(target, options);
      const bytes = async function* () {
        await waiting;
        yield* fetched.body;
      };
      return { ...fetched, body: Object.assign(bytes(), { cancel: () => fetched.body.cancel() }) };
    },
  };
  const server = await listening(serve(() => slow));
  const response = await fetch(`${server.url}/v2/app/blobs/${large.descriptor.digest}`);
  expect(response.status).toBe(200);
  give();
  expect(digestOf(new Uint8Array(await response.arrayBuffer()))).toBe(large.descriptor.digest);
});
