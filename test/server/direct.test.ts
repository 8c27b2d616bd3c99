import { once } from 'node:events';
import { request as httpRequest, type IncomingMessage } from 'node:http';
import { connect } from 'node:net';
import { afterEach, describe, expect, test } from 'vitest';
import { readAll } from '../../src/body.ts';
import { chunksOf, direct, hasBody, isDirect, responseWith, wrapHandler } from '../../src/server/direct.ts';
import { type Listening, listen } from '../../src/server/listen.ts';
import type { Handler } from '../../src/server/registry/exchange.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { samples } from '../contract/source.ts';
import { brokenOff, bytesOf, filledRegistry, overfilled } from './support.ts';

const { large } = samples;
const open: Listening[] = [];

async function listening(handler: Handler): Promise<Listening> {
  const server = await listen(handler);
  open.push(server);
  return server;
}

afterEach(async () => {
  await Promise.all(open.splice(0).map((server) => server.close()));
});

function signalled<T = void>(): { promise: Promise<T>; fire: (value: T) => void } {
  let fire: (value: T) => void = () => undefined;
  const promise = new Promise<T>((resolve) => {
    fire = resolve;
  });
  return { promise, fire };
}

/** The response to a request without a body, and the request, to be broken off. */
async function get(url: string): Promise<IncomingMessage> {
  const request = httpRequest(url, { agent: false });
  request.end();
  const [response] = (await once(request, 'response')) as [IncomingMessage];
  response.on('error', () => undefined);
  return response;
}

const size = 1e12;

/** Far more than any client reads, in chunks that are, or are not, lent. */
const endless = (isLent: boolean) => {
  const { promise: cancelled, fire: cancel } = signalled<unknown>();
  let pulled = 0;
  const chunk = new Uint8Array(65_536);
  const next = (): Uint8Array => {
    pulled += 1;
    return chunk;
  };
  return { sending: { size, isLent, next, cancel }, cancelled, pulled: () => pulled };
};

const others: readonly (readonly [string, (handler: Handler) => Handler])[] = [
  ['marked', direct],
  ['of somebody else', (handler) => handler],
];

describe.each(others)('a handler that is %s', (_, kind) => {
  test.each([true, false])(
    'sends no more than its client reads, and is told when that leaves (lent %s)',
    async (isLent) => {
      const { sending, cancelled, pulled } = endless(isLent);
      const { promise: aborted, fire } = signalled();
      const { url } = await listening(
        kind(async (request) => {
          request.signal.addEventListener('abort', () => fire());
          return responseWith(request, { headers: { 'content-length': String(size) } }, () => sending);
        }),
      );
      const response = await get(url);
      let before = -1;
      const isStill = (): boolean => {
        const last = before;
        before = pulled();
        return last === before;
      };
      await expect.poll(isStill, { interval: 100 }).toBe(true);
      expect(pulled() * 65_536).toBeLessThan(64_000_000);
      response.destroy();
      expect(await cancelled).toMatchObject({ code: 'ABORTED' });
      await aborted;
    },
  );

  test('has its response cancelled if the client left before it', async () => {
    const { sending, cancelled } = endless(false);
    const { promise: arrived, fire } = signalled();
    const { url } = await listening(
      kind(async (request) => {
        fire();
        await new Promise((resolve) => request.signal.addEventListener('abort', resolve));
        expect(request.signal.reason).toMatchObject({ code: 'ABORTED' });
        return responseWith(request, {}, () => sending);
      }),
    );
    const request = httpRequest(url, { agent: false });
    request.on('error', () => undefined);
    request.end();
    await arrived;
    request.destroy();
    expect(await cancelled).toMatchObject({ code: 'ABORTED' });
  });

  test('reads a body at its own pace, to the end or not', async () => {
    const { promise: proceed, fire } = signalled();
    const { url } = await listening(
      kind(async (request) => {
        const chunks = chunksOf(request);
        if (!chunks) return new Response(`no body ${hasBody(request)}`);
        if (request.url.endsWith('/all')) return new Response(String((await readAll(chunks, 1e7, 'it')).length));
        await proceed;
        for await (const _ of chunks) break;
        return new Response('enough');
      }),
    );
    expect(await (await fetch(url)).text()).toBe('no body false');
    const sent = await fetch(`${url}/all`, { method: 'PUT', body: new Uint8Array(5_000_001) });
    expect(await sent.text()).toBe('5000001');
    const { request, written } = await overfilled(url);
    expect(written).toBeLessThan(200);
    fire();
    const [response] = (await once(request, 'response')) as [IncomingMessage];
    expect(response.statusCode).toBe(200);
    request.destroy();
  });

  test('gets ABORTED from a body that broke off', async () => {
    const { promise: failed, fire } = signalled<unknown>();
    const { url } = await listening(
      kind(async (request) => {
        const chunks = chunksOf(request);
        if (chunks) await readAll(chunks, 100, 'it').catch(fire);
        return new Response();
      }),
    );
    brokenOff(url);
    expect(await failed).toMatchObject({ code: 'ABORTED' });
  });

  test('closes the connection if its body fails, and is a plain 500 if that fails at once', async () => {
    const seen = signalled();
    const { url } = await listening(
      kind(async (request) => {
        let given = request.url.endsWith('/late') ? 2 : 0;
        return responseWith(request, { headers: { 'content-length': '9000', 'x-more': 'a' } }, () => ({
          size: 9000,
          isLent: false,
          cancel: () => undefined,
          next: async () => {
            if (given-- > 0) return new Uint8Array(1000);
            if (request.url.endsWith('/late')) await seen.promise;
            throw new Error('the disk is dead');
          },
        }));
      }),
    );
    const early = await fetch(`${url}/early`);
    expect([early.status, early.headers.get('x-more'), await early.text()]).toEqual([500, null, '']);
    const late = await fetch(`${url}/late`);
    expect([late.status, late.headers.get('x-more')]).toEqual([200, 'a']);
    seen.fire();
    await expect(late.arrayBuffer()).rejects.toThrow('terminated');
  });

  test('sees duplicate headers joined, and names in any case', async () => {
    const { port } = await listening(kind(async (request) => Response.json([...request.headers])));
    const socket = connect(port, '127.0.0.1');
    socket.write('GET / HTTP/1.1\r\nHost: a\r\nX-One: 1\r\nx-ONE: 2\r\n__proto__: 3\r\nconnection: close\r\n\r\n');
    let received = '';
    for await (const data of socket) received += data;
    const headers = Object.fromEntries(JSON.parse(/\[\[.*\]\]/.exec(received)?.[0] ?? '') as [string, string][]);
    expect([headers['x-one'], Object.hasOwn(headers, '__proto__'), headers.host]).toEqual(['1, 2', true, 'a']);
  });

  test('says by its length that a response has no body, unless that goes without saying', async () => {
    const empty = new ReadableStream<Uint8Array>({ start: (controller) => controller.close() });
    const responses: Readonly<Record<string, () => Response>> = {
      '/created': () => new Response(null, { status: 201 }),
      '/stream': () => new Response(empty),
      '/none': () => new Response(null, { status: 204 }),
    };
    const { url } = await listening(
      kind(async (request) => responses[new URL(request.url).pathname]?.() ?? new Response()),
    );
    const found: unknown[] = [];
    for (const path of Object.keys(responses)) {
      const { headers } = (await get(url + path)).resume();
      found.push([headers['content-length'], headers['transfer-encoding']]);
    }
    expect(found).toEqual([
      ['0', undefined],
      ['0', undefined],
      [undefined, undefined],
    ]);
  });

  test('sends an empty body, and one in many chunks, whole', async () => {
    const { url } = await listening(
      kind(async (request) => {
        const bytes = request.url.endsWith('/empty') ? 0 : 700_001;
        let left = bytes;
        return responseWith(request, { headers: { 'content-length': String(bytes) } }, () => ({
          size: bytes,
          isLent: true,
          cancel: () => undefined,
          next: () => {
            const chunk = new Uint8Array(Math.min(left, 100_000)).fill(left % 251);
            left -= chunk.length;
            return chunk.length > 0 ? chunk : undefined;
          },
        }));
      }),
    );
    expect((await bytesOf(await fetch(`${url}/empty`))).length).toBe(0);
    const bytes = await bytesOf(await fetch(`${url}/full`));
    expect([bytes.length, bytes[0], bytes.at(-1)]).toEqual([700_001, 700_001 % 251, 1]);
  });
});

test('a registry behind a handler of somebody else gives it whole requests and responses', async () => {
  const { registry } = await filledRegistry();
  const inner = serve(registry);
  const { promise: aborted, fire } = signalled();
  const { url } = await listening(async (request, connection) => {
    const changed = new Request(request, { headers: { ...Object.fromEntries(request.headers), 'x-more': 'a' } });
    if (!request.url.includes('/blobs/')) {
      changed.signal.addEventListener('abort', () => fire());
      await aborted;
    }
    const response = await inner(changed, connection);
    return new Response(response.body, { status: response.status, headers: { 'x-seen': 'b' } });
  });
  const response = await fetch(`${url}/v2/library/app/blobs/${large.descriptor.digest}`);
  expect([response.status, response.headers.get('x-seen')]).toEqual([200, 'b']);
  expect(Buffer.compare(await bytesOf(response), large.bytes)).toBe(0);
  const request = httpRequest(`${url}/v2/`, { agent: false });
  request.on('error', () => undefined);
  request.end(() => setTimeout(() => request.destroy(), 20));
  await aborted;
});

test('what the bytes of a store in memory are lent to cannot change them', async () => {
  const store = memoryStore();
  await store.push(large.descriptor, [large.bytes.slice()] as unknown as AsyncIterable<Uint8Array>);
  const { url } = await listening(serve(() => store));
  const path = `${url}/v2/a/blobs/${large.descriptor.digest}`;
  (await bytesOf(await fetch(path))).fill(0);
  const { body } = await store.fetch(large.descriptor);
  for await (const chunk of body) chunk.fill(0);
  expect(Buffer.compare(await bytesOf(await fetch(path)), large.bytes)).toBe(0);
});

test('a mark is passed on by a wrapper only if what it wraps has it', () => {
  const handler: Handler = async () => new Response();
  const [marked, wrapper] = [direct(async () => new Response()), async () => new Response()];
  expect([isDirect(wrapHandler(handler, wrapper)), isDirect(wrapHandler(marked, wrapper))]).toEqual([false, true]);
});
