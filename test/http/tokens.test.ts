import { gzipSync } from 'node:zlib';
import { afterEach, expect, test, vi } from 'vitest';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import { type Answer, createHosts, errorOf } from '../support/hosts.ts';

afterEach(() => {
  vi.useRealTimers();
});

const challenge = { 'www-authenticate': 'Bearer realm="https://auth.test/token",service="registry"' };
const index = '{"schemaVersion":2,"manifests":[]}';
const type = { 'content-type': 'application/vnd.oci.image.index.v1+json' };

/** A registry that wants a token, and its realm, which gives these answers in turn, the last one again and again. */
function clientOver(...answers: (() => Response)[]) {
  const rest = [...answers];
  const realm: Answer = () => (rest.length > 1 ? rest.shift() : rest[0])?.() ?? Response.error();
  const { transport, log } = createHosts({
    'auth.test': realm,
    'origin.test': ({ headers }) =>
      headers.get('authorization') === 'Bearer t'
        ? new Response(index, { headers: type })
        : new Response('', { status: 401, headers: challenge }),
  });
  const events: ClientEvent[] = [];
  const client = createClient({ transport, onEvent: (event) => events.push(event) });
  const asked = (): number => log().filter((line) => line.includes('auth.test')).length;
  return { asked, events, resolve: () => client.resolve('origin.test/a:b', { content: true }) };
}

const zipped = (value: unknown, status = 200, headers = {}): Response =>
  new Response(gzipSync(JSON.stringify(value)), {
    status,
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip', ...headers },
  });

test('a token response with a content encoding is decoded', async () => {
  const { resolve } = clientOver(() => zipped({ token: 't' }));
  expect(await resolve()).toMatchObject({ descriptor: { size: index.length } });
});

test('an encoded error of a realm is decoded, and its words are reported', async () => {
  const { resolve } = clientOver(() => zipped({ errors: [{ code: 'DENIED', message: 'pay first' }] }, 403));
  expect(await errorOf(resolve())).toMatchObject({ code: 'DENIED', registryErrors: ['DENIED'], status: 403 });
  const { resolve: again } = clientOver(() =>
    zipped({ error: 'invalid_scope', error_description: 'no such thing' }, 400),
  );
  expect((await errorOf(again())).message).toContain('status 400, invalid_scope "no such thing"');
});

test('an encoded error of a registry is decoded, and its codes are reported', async () => {
  const { transport } = createHosts({
    'origin.test': () => zipped({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'gone' }] }, 404),
  });
  const error = await errorOf(createClient({ transport }).resolve('origin.test/a:b', { content: true }));
  expect(error).toMatchObject({ code: 'NOT_FOUND', registryErrors: ['MANIFEST_UNKNOWN'] });
});

test('a token response that decodes to more than its limit is too large', async () => {
  const { resolve } = clientOver(() => zipped({ token: 't', more: 'x'.repeat(2_000_000) }));
  expect(await errorOf(resolve())).toMatchObject({ code: 'TOO_LARGE' });
});

test('a token response with an encoding that is not known is refused', async () => {
  const { resolve } = clientOver(() => Response.json({ token: 't' }, { headers: { 'content-encoding': 'rot13' } }));
  expect(await errorOf(resolve())).toMatchObject({ code: 'UNSUPPORTED_ENCODING' });
});

test.each([429, 503])(
  'the wait that a realm asks for with status %i is kept before it is contacted again',
  async (status) => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'performance'] });
    const later = () => zipped({ errors: [] }, status, { 'retry-after': '20' });
    const { asked, events, resolve } = clientOver(later, () => Response.json({ token: 't' }));
    const resolving = resolve();
    await vi.waitFor(() => expect(events.map(({ type }) => type)).toContain('wait'));
    await vi.advanceTimersByTimeAsync(19_000);
    expect(asked()).toBe(1);
    await vi.advanceTimersByTimeAsync(1_500);
    expect(await resolving).toMatchObject({ descriptor: { size: index.length } });
    expect(asked()).toBe(2);
  },
);

test('a wait that is longer than the limit ends the tries, and the error has it', async () => {
  const { asked, resolve } = clientOver(() => new Response('', { status: 429, headers: { 'retry-after': '900' } }));
  expect(await errorOf(resolve())).toMatchObject({ code: 'RATE_LIMITED', retryAfter: 900_000 });
  expect(asked()).toBe(1);
});
