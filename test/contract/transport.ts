import { expect, test } from 'vitest';
import type { Transport, TransportTimeouts } from '../../src/http/transport.ts';
import { bytesOf, failsWith, failureOf, textOf } from '../support/http.ts';

export type Handler = (request: Request) => Response | Promise<Response>;

export interface Connected {
  readonly transport: Transport;
  /** URL of the handler, without a slash at the end. */
  readonly url: string;
}

export interface TransportTraits {
  /** Whether the handler's own stream sees that its reader has left; through a mock library it does not. */
  readonly reachesSender: boolean;
}

const large = Uint8Array.from({ length: 300_007 }, (_, index) => (index * 31 + (index >> 8)) & 255);

/** A stream that gives these chunks and then neither ends nor continues; reports when its reader leaves. */
function stalling(...chunks: string[]): { stream: ReadableStream<Uint8Array>; left: Promise<void> } {
  let leave: () => void = () => undefined;
  const left = new Promise<void>((resolve) => {
    leave = resolve;
  });
  const stream = new ReadableStream<Uint8Array>({
    start(controller) {
      for (const chunk of chunks) controller.enqueue(new TextEncoder().encode(chunk));
    },
    cancel: () => leave(),
  });
  return { stream, left };
}

/** The contract of every transport. `connect` returns one in front of a handler. */
export function transportContract(
  name: string,
  connect: (handler: Handler, timeouts?: TransportTimeouts) => Promise<Connected>,
  { reachesSender }: TransportTraits,
): void {
  const it = (title: string, body: () => Promise<void>) => test(`${name}: ${title}`, body);

  it('the handler sees method, path, query, headers and body, and every status is a response', async () => {
    for (const [method, status] of [
      ['GET', 200],
      ['POST', 202],
      ['PUT', 404],
      ['GET', 500],
      ['GET', 401],
    ] as const) {
      const { transport, url } = await connect(async (request) => {
        const { pathname, search } = new URL(request.url);
        const seen = [request.method, pathname + search, request.headers.get('x-one'), await request.text()];
        return Response.json(seen, { status });
      });
      const body = method === 'GET' ? undefined : 'a=b&c=%C3%A9';
      const response = await transport({ method, url: `${url}/v2/a/b?n=1&m=%2F`, headers: { 'x-one': 'a, b' }, body });
      expect(response.status).toBe(status);
      expect(JSON.parse(await textOf(response))).toEqual([method, '/v2/a/b?n=1&m=%2F', 'a, b', body ?? '']);
      expect(response.url).toBe(`${url}/v2/a/b?n=1&m=%2F`);
    }
  });

  it('header names are in lower case, and repeated headers are joined by a comma', async () => {
    const { transport, url } = await connect(() => {
      const headers = new Headers({ 'Docker-Content-Digest': 'sha256:1' });
      for (const line of ['Basic realm="a"', 'Bearer realm="b"']) headers.append('WWW-Authenticate', line);
      return new Response('', { headers });
    });
    const { headers, body } = await transport({ method: 'GET', url });
    expect(headers['docker-content-digest']).toBe('sha256:1');
    expect(headers['www-authenticate']).toBe('Basic realm="a", Bearer realm="b"');
    await body.cancel();
  });

  it('cookies are joined, too, and none is sent back', async () => {
    const seen: (string | null)[] = [];
    const { transport, url } = await connect((request) => {
      seen.push(request.headers.get('cookie'));
      const headers = new Headers();
      for (const cookie of ['a=1', 'b=2']) headers.append('set-cookie', cookie);
      return new Response('', { headers });
    });
    for (let count = 0; count < 2; count += 1) {
      const response = await transport({ method: 'GET', url });
      expect(response.headers['set-cookie']).toMatch(/^a=1, ?b=2$/);
      await bytesOf(response);
    }
    expect(seen).toEqual([null, null]);
  });

  it('a large body has all its bytes, and its end reports how many', async () => {
    const { transport, url } = await connect(() => new Response(large));
    const response = await transport({ method: 'GET', url });
    expect(Buffer.compare(await bytesOf(response), large)).toBe(0);
    expect(await response.ended).toEqual({ bytes: large.length });
  });

  it('HEAD has headers and no body', async () => {
    const { transport, url } = await connect((request) => {
      expect(request.method).toBe('HEAD');
      return new Response(null, { headers: { 'content-length': '1234', 'x-a': 'b' } });
    });
    const response = await transport({ method: 'HEAD', url });
    expect([response.status, response.headers['content-length'], response.headers['x-a']]).toEqual([200, '1234', 'b']);
    expect(await textOf(response)).toBe('');
    expect(await response.ended).toEqual({ bytes: 0 });
  });

  it('a response without a body ends at once', async () => {
    const { transport, url } = await connect(() => new Response(null, { status: 204 }));
    const response = await transport({ method: 'GET', url });
    expect([response.status, await textOf(response), await response.ended]).toEqual([204, '', { bytes: 0 }]);
  });

  it('a redirect is not followed', async () => {
    const { transport, url } = await connect(
      () => new Response('moved', { status: 307, headers: { location: '/other' } }),
    );
    const response = await transport({ method: 'GET', url });
    expect([response.status, response.headers.location, await textOf(response)]).toEqual([307, '/other', 'moved']);
  });

  it('a signal that has fired before is ABORTED, with its reason as cause, and no request is sent', async () => {
    let asked = 0;
    const { transport, url } = await connect(() => {
      asked += 1;
      return new Response('');
    });
    const reason = new Error('enough');
    const call = transport({ method: 'GET', url, signal: AbortSignal.abort(reason) });
    expect(await failureOf(call)).toEqual(failsWith('ABORTED', { cause: reason }));
    expect(asked).toBe(0);
  });

  it('a signal that fires before the headers is ABORTED at once', async () => {
    const controller = new AbortController();
    const { transport, url } = await connect(
      () =>
        new Promise<Response>((resolve) => {
          setTimeout(() => controller.abort(new Error('enough')), 10);
          setTimeout(() => resolve(new Response('')), 1_500).unref();
        }),
    );
    const started = performance.now();
    const error = await failureOf(transport({ method: 'GET', url, signal: controller.signal }));
    expect(error).toEqual(failsWith('ABORTED', { message: expect.stringContaining('enough') }));
    expect(performance.now() - started).toBeLessThan(1_000);
  });

  it('a signal that fires while a read waits ends the read at once, and the sender notices', async () => {
    const { stream, left } = stalling('first');
    const { transport, url } = await connect(() => new Response(stream));
    const controller = new AbortController();
    const response = await transport({ method: 'GET', url, signal: controller.signal });
    const seen: number[] = [];
    const read = async () => {
      for await (const chunk of response.body) {
        seen.push(chunk.length);
        setTimeout(() => controller.abort(new Error('enough')), 10);
      }
    };
    expect(await failureOf(read())).toEqual(failsWith('ABORTED', { message: expect.stringContaining('enough') }));
    expect(seen).toEqual([5]);
    expect(await response.ended).toEqual({ bytes: 5, error: failsWith('ABORTED') });
    if (reachesSender) await left;
  });

  it('a signal that fires while nothing is read ends the body, and the next read is ABORTED', async () => {
    const { stream, left } = stalling('first');
    const { transport, url } = await connect(() => new Response(stream));
    const controller = new AbortController();
    const response = await transport({ method: 'GET', url, signal: controller.signal });
    controller.abort(new Error('enough'));
    expect(await response.ended).toEqual({ bytes: 0, error: failsWith('ABORTED') });
    if (reachesSender) await left;
    expect(await failureOf(bytesOf(response))).toEqual(failsWith('ABORTED'));
  });

  it('a body that is cancelled unread gives no bytes, and the sender notices', async () => {
    const { stream, left } = stalling('first');
    const { transport, url } = await connect(() => new Response(stream));
    const response = await transport({ method: 'GET', url });
    await response.body.cancel();
    await response.body.cancel();
    expect(await response.ended).toEqual({ bytes: 0, error: failsWith('ABORTED') });
    expect(await textOf(response)).toBe('');
    if (reachesSender) await left;
  });

  it('a loop that is left early cancels the body', async () => {
    const { stream, left } = stalling('first');
    const { transport, url } = await connect(() => new Response(stream));
    const response = await transport({ method: 'GET', url });
    for await (const chunk of response.body) {
      expect(chunk.length).toBe(5);
      break;
    }
    expect(await response.ended).toEqual({ bytes: 5, error: failsWith('ABORTED') });
    if (reachesSender) await left;
  });

  it('headers that do not come in time are TIMEOUT, and the error has the URL without its secrets', async () => {
    const { transport, url } = await connect(() => new Promise<Response>(() => undefined), { headers: 40 });
    const error = await failureOf(transport({ method: 'GET', url: `${url}/a?signature=secret` }));
    expect(error).toEqual(failsWith('TIMEOUT', { message: expect.stringContaining(`"${url}/a?signature=***"`) }));
    expect(String(error)).toContain('40 ms');
  });

  it('a body without a byte in time is TIMEOUT, counted only while a reader waits', async () => {
    const { stream, left } = stalling('first');
    const { transport, url } = await connect(() => new Response(stream), { idle: 60 });
    const response = await transport({ method: 'GET', url });
    const iterator = response.body[Symbol.asyncIterator]();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect((await iterator.next()).value?.length).toBe(5);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(await failureOf(iterator.next())).toEqual(failsWith('TIMEOUT'));
    expect(await response.ended).toEqual({ bytes: 5, error: failsWith('TIMEOUT') });
    if (reachesSender) await left;
  });

  it('an address that the policy refuses is not contacted', async () => {
    let asked = 0;
    const { transport } = await connect(() => {
      asked += 1;
      return new Response('');
    });
    for (const host of ['127.0.0.1', '[::1]', '[::ffff:127.0.0.1]', '2130706433', '0x7f.1', 'localhost', '10.0.0.1']) {
      const error = await failureOf(transport({ method: 'GET', url: `http://${host}:1/`, addresses: 'public' }));
      expect([host, error]).toEqual([host, failsWith('UNSAFE_URL')]);
    }
    const linkLocal = transport({ method: 'GET', url: 'http://169.254.169.254/', addresses: 'private' });
    expect(await failureOf(linkLocal)).toEqual(failsWith('UNSAFE_URL'));
    expect(asked).toBe(0);
  });

  it('a header that cannot be sent fails without its value in the error', async () => {
    const { transport, url } = await connect(() => new Response(''));
    const error = await failureOf(transport({ method: 'GET', url, headers: { authorization: 'Bearer mar\nker' } }));
    expect(error).toEqual(failsWith('UNAVAILABLE'));
    expect(JSON.stringify([String(error), String((error as Error).cause)])).not.toContain('mar');
  });

  it('user information in a URL is neither sent nor reported', async () => {
    const { transport, url } = await connect(({ headers }) => new Response(headers.get('authorization') ?? 'none'));
    expect(await textOf(await transport({ method: 'GET', url: url.replace('//', '//user:marker@') }))).toBe('none');
  });
}
