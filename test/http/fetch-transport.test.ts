import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { runInNewContext } from 'node:vm';
import nock from 'nock';
import undici from 'undici';
import { afterAll, beforeAll, expect, test, vi } from 'vitest';
import { fetchTransport } from '../../src/http/fetch-transport.ts';
import { type Handler, transportContract } from '../contract/transport.ts';
import { atEnd, deadPort, failsWith, failureOf, textOf } from '../support/http.ts';

const origin = 'http://registry.test';

transportContract(
  'fetch over a handler',
  async (handler, timeouts) => ({
    transport: fetchTransport(async (request) => handler(request), { timeouts, asSent: true }),
    url: origin,
  }),
  { reachesSender: true },
);

/** Puts a handler behind the global fetch. */
function mocked(handler: Handler): void {
  nock.cleanAll();
  const scope = nock(origin).persist();
  for (const method of ['GET', 'HEAD', 'POST', 'PUT']) {
    scope.intercept(/.*/, method).reply(async function (path, body) {
      const headers = Object.entries(this.req.headers).map(([name, value]): [string, string] => [name, String(value)]);
      const sent = typeof body === 'string' && body !== '' ? { body } : {};
      const response = await handler(new Request(`${origin}${path}`, { method, headers, ...sent }));
      const stream = response.body ? Readable.fromWeb(response.body as never) : '';
      const lines: Record<string, string | string[]> = Object.fromEntries(response.headers);
      if (response.headers.has('set-cookie')) lines['set-cookie'] = response.headers.getSetCookie();
      return [response.status, stream, lines];
    });
  }
  atEnd(async () => nock.cleanAll());
}

beforeAll(() => {
  // Its import starts it, but only the first one in a process.
  if (!nock.isActive()) nock.activate();
  nock.disableNetConnect();
  nock.enableNetConnect('127.0.0.1');
});
afterAll(() => {
  nock.enableNetConnect();
  nock.restore();
});

transportContract(
  'the global fetch, mocked after the transport was made',
  async (handler, timeouts) => {
    const transport = fetchTransport(undefined, { timeouts });
    mocked(handler);
    return { transport, url: origin };
  },
  { reachesSender: false },
);

test('fetch requests bodies without encoding, whatever the request accepts', async () => {
  const transport = fetchTransport(async ({ headers }) => new Response(headers.get('accept-encoding')));
  const request = { method: 'GET', url: origin, headers: { 'accept-encoding': 'zstd, gzip' } };
  expect(await textOf(await transport(request))).toBe('identity');
  const asSent = fetchTransport(async ({ headers }) => new Response(headers.get('accept-encoding')), { asSent: true });
  expect(await textOf(await asSent(request))).toBe('zstd, gzip');
});

test('fetch refuses an encoded response, as it is unknown what was decoded, and cancels it', async () => {
  let cancelled = 0;
  const body = () =>
    new ReadableStream({
      cancel() {
        cancelled += 1;
      },
    });
  const answer = (encoding: string, asSent: boolean) =>
    fetchTransport(async () => new Response(body(), { headers: { 'content-encoding': encoding } }), { asSent })({
      method: 'GET',
      url: origin,
    });
  const error = await failureOf(answer('gzip', false));
  expect(error).toEqual(failsWith('UNSUPPORTED_ENCODING', { message: expect.stringContaining('"gzip"') }));
  expect(cancelled).toBe(1);
  for (const [encoding, asSent] of [
    ['Identity', false],
    ['gzip', true],
  ] as const) {
    const response = await answer(encoding, asSent);
    expect(response.headers['content-encoding']).toBe(encoding);
    await response.body.cancel();
  }
});

test('TLS settings are refused, as fetch takes none', async () => {
  const transport = fetchTransport(async () => new Response(''));
  const tls = { insecureSkipVerify: true };
  const url = 'https://registry.test/';
  const error = await failureOf(transport({ method: 'GET', url, tls }));
  expect(error).toEqual(failsWith('UNSUPPORTED', { message: expect.stringContaining(url) }));
  expect((await transport({ method: 'GET', url: origin, tls })).status).toBe(200);
});

test('the reason of the runtime for a failed fetch is reported, and kept as cause', async () => {
  const port = await deadPort();
  const cases: [string, string][] = [
    [`http://127.0.0.1:${port}/a?token=marker`, 'ECONNREFUSED'],
    [`http://localhost:${port}/`, 'ECONNREFUSED'],
  ];
  nock.enableNetConnect(/localhost|127\.0\.0\.1/);
  for (const [url, code] of cases) {
    const error = await failureOf(fetchTransport()({ method: 'GET', url }));
    expect(error).toEqual(failsWith('UNAVAILABLE', { message: expect.stringContaining(code) }));
    expect((error as { cause: { code: string } }).cause.code).toBe(code);
    expect(String(error)).not.toContain('marker');
  }
});

test('a function that throws is UNAVAILABLE; a body that breaks is UNEXPECTED_END with the bytes before it', async () => {
  const broken = fetchTransport(async () => {
    throw new TypeError('fetch failed', { cause: new Error('the wire is cut') });
  });
  const error = await failureOf(broken({ method: 'GET', url: origin }));
  expect(error).toEqual(failsWith('UNAVAILABLE', { message: `Cannot reach "${origin}/": the wire is cut` }));
  const foreign: unknown = runInNewContext('new TypeError("fetch failed", { cause: new Error("the wire is cut") })');
  const elsewhere = fetchTransport(() => Promise.reject(foreign));
  expect(await failureOf(elsewhere({ method: 'GET', url: origin }))).toEqual(error);
  let pulled = 0;
  const stream = () =>
    new ReadableStream<Uint8Array>({
      pull(controller) {
        pulled += 1;
        if (pulled === 1) controller.enqueue(new Uint8Array(7));
        else controller.error(new Error('the wire is cut'));
      },
    });
  const response = await fetchTransport(async () => new Response(stream()))({ method: 'GET', url: origin });
  expect(await failureOf(textOf(response))).toEqual(failsWith('UNEXPECTED_END'));
  expect(await response.ended).toEqual({ bytes: 7, error: failsWith('UNEXPECTED_END') });
});

test('a response that comes after the signal has fired is cancelled', async () => {
  let cancelled: () => void = () => undefined;
  const gone = new Promise<void>((resolve) => {
    cancelled = resolve;
  });
  const controller = new AbortController();
  const transport = fetchTransport(async () => {
    await new Promise((resolve) => setTimeout(resolve, 30));
    return new Response(new ReadableStream({ cancel: () => cancelled() }));
  });
  const call = transport({ method: 'GET', url: origin, signal: controller.signal });
  controller.abort();
  expect(await failureOf(call)).toEqual(failsWith('ABORTED'));
  await gone;
});

test("a fetch of a library that knows only its own Request is given URL, method, headers and body: undici's", async () => {
  const server = createServer(async (request, response) => {
    const chunks = await request.toArray();
    response.end(`${request.method} ${request.url} ${request.headers['x-a']} ${Buffer.concat(chunks)}`);
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  nock.enableNetConnect('127.0.0.1');
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/b?c=d`;
  for (const transport of [
    fetchTransport(undici.fetch),
    fetchTransport((url: string, init) => undici.fetch(url, init)),
  ]) {
    const post = { method: 'POST', url, headers: { 'x-a': 'e', 'content-type': 'text/plain' }, body: 'f' };
    expect(await textOf(await transport(post))).toBe('POST /b?c=d e f');
    expect(await textOf(await transport({ method: 'GET', url }))).toBe('GET /b?c=d undefined ');
    const signal = AbortSignal.abort('enough');
    expect(await failureOf(transport({ method: 'GET', url, signal }))).toEqual(failsWith('ABORTED'));
  }
  server.closeAllConnections();
  server.close();
});

test('a handler is given a Request, whose text is its URL', async () => {
  const seen: string[] = [];
  const transport = fetchTransport(async (request) => {
    seen.push(`${request instanceof Request} ${request.method} ${request.url} ${request} ${await request.text()}`);
    return new Response('');
  });
  await (await transport({ method: 'POST', url: `${origin}/a`, body: 'b' })).body.cancel();
  expect(seen).toEqual([`true POST ${origin}/a ${origin}/a b`]);
});

test('it works where a library has replaced AbortController, as happy-dom does', async () => {
  class ForeignSignal {
    aborted = false;
    reason: unknown;
    readonly listeners = new Set<() => void>();
    addEventListener(_: string, listener: () => void): void {
      this.listeners.add(listener);
    }
    removeEventListener(_: string, listener: () => void): void {
      this.listeners.delete(listener);
    }
  }
  class ForeignController {
    readonly signal = new ForeignSignal();
    abort(reason: unknown): void {
      Object.assign(this.signal, { aborted: true, reason });
      for (const listener of this.signal.listeners) listener.call(this.signal);
    }
  }
  vi.stubGlobal('AbortController', ForeignController);
  try {
    const transport = fetchTransport(async ({ url }) => new Response(url));
    const controller = new ForeignController();
    const { signal } = controller;
    const given = { method: 'GET', url: `${origin}/a`, signal: signal as unknown as AbortSignal };
    expect(await textOf(await transport(given))).toBe(`${origin}/a`);
    const hanging = fetchTransport(() => new Promise(() => {}))(given);
    controller.abort('enough');
    expect(await failureOf(hanging)).toEqual(failsWith('ABORTED'));
  } finally {
    vi.unstubAllGlobals();
  }
});
