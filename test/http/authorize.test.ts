import { inspect } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { createBody } from '../../src/body.ts';
import type { ClientEvent } from '../../src/events.ts';
import { type AuthorizeOptions, authorize } from '../../src/http/authorize.ts';
import { redirects } from '../../src/http/redirects.ts';
import { type HttpRequest, type Transport, wrap } from '../../src/http/transport.ts';
import type { Login } from '../../src/login.ts';
import { trust } from '../../src/remote/trust.ts';
import { endpointOf, failsWith, failureOf, type Given, type Recording, recording, textOf } from '../support/http.ts';

const home = 'https://registry.test';
const realm = 'https://auth.test/token';
const bearer = `Bearer realm="${realm}",service="registry"`;
const password = { username: 'user', password: 'pass:wörd' };
const basic = `Basic ${Buffer.from('user:pass:wörd').toString('base64')}`;
const identity = { identityToken: 'identity' };

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

interface World extends Recording {
  readonly send: Transport;
  readonly events: ClientEvent[];
  /** Tokens that the registry takes; empty for all that were given. */
  readonly valid: Set<string>;
}

interface WorldOptions extends AuthorizeOptions {
  readonly login?: Login | undefined;
  readonly challenge?: string | ((request: HttpRequest) => string);
  /** The response of the realm to its nth request. */
  readonly token?: (request: HttpRequest, count: number) => Given | Promise<Given>;
}

const line = ({ method, url, headers, body }: HttpRequest): string =>
  [method, url.replace('https://', ''), headers?.authorization ?? '-', ...(body === undefined ? [] : [body])].join(' ');

const json = (value: unknown, status = 200): Given => ({ status, body: JSON.stringify(value) });

/** A registry that wants tokens (or Basic), and the realm that gives them: `t1`, `t2`, … */
function world({ login, challenge = bearer, token, ...options }: WorldOptions = {}): World {
  const valid = new Set<string>();
  const events: ClientEvent[] = [];
  let given = 0;
  const answer = async (request: HttpRequest): Promise<Given> => {
    const { origin, pathname } = new URL(request.url);
    if (origin === new URL(realm).origin || pathname === '/token') {
      given += 1;
      const made = token ? await token(request, given) : json({ token: `t${given}` });
      const [, value] = /"token":"([^"]*)"/.exec(made.body ?? '') ?? [];
      if (value !== undefined) valid.add(value);
      return made;
    }
    const sent = request.headers?.authorization;
    const wanted = typeof challenge === 'string' ? challenge : challenge(request);
    if (wanted === '' || sent === basic || (sent?.startsWith('Bearer ') && valid.has(sent.slice(7)))) {
      return { body: 'content' };
    }
    return { status: 401, headers: { 'www-authenticate': wanted }, body: 'who are you' };
  };
  const recorded = recording(answer, line);
  const loginFor = () => login;
  const send = authorize({ loginFor, emit: (event) => events.push(event), ...options })(recorded.transport);
  return { ...recorded, send, events, valid };
}

const endpoint = endpointOf(`${home}/v2`);
const requestTo = (path = '/v2/a', more: Partial<HttpRequest> = {}): HttpRequest => ({
  method: 'GET',
  url: home + path,
  endpoint,
  ...more,
});

const scoped = (scope = 'repository:library/app:pull') =>
  `auth.test/token?service=registry&scope=${encodeURIComponent(scope)}`;

async function statusOf(response: Promise<{ status: number; body: Parameters<typeof textOf>[0]['body'] }>) {
  const { status, body } = await response;
  await textOf({ body });
  return status;
}

test('a host that requires nothing is sent no credentials', async () => {
  const { send, log } = world({ challenge: '', login: password });
  expect(await statusOf(send(requestTo()))).toBe(200);
  expect(log).toEqual(['GET registry.test/v2/a -']);
});

test('a challenge leads to a token: anonymous, with its service and scope', async () => {
  const { send, log, requests, open } = world({ userAgent: 'agent' });
  expect(await statusOf(send(requestTo()))).toBe(200);
  expect(log).toEqual(['GET registry.test/v2/a -', `GET ${scoped()} -`, 'GET registry.test/v2/a Bearer t1']);
  expect(requests[1]?.headers).toMatchObject({ 'user-agent': 'agent' });
  expect(open()).toBe(0);
});

test('with a password a token is requested with Basic, in UTF-8', async () => {
  const { send, log } = world({ login: password });
  await send(requestTo());
  expect(log[1]).toBe(`GET ${scoped()} ${basic}`);
});

test('with an identity token a token is requested by POST', async () => {
  const { send, log, requests } = world({ login: identity });
  await send(requestTo());
  expect(log[1]).toMatch(/^POST auth\.test\/token - /);
  expect(requests[1]?.headers?.['content-type']).toBe('application/x-www-form-urlencoded');
  expect(Object.fromEntries(new URLSearchParams(requests[1]?.body))).toEqual({
    grant_type: 'refresh_token',
    refresh_token: 'identity',
    client_id: 'ocifetch',
    service: 'registry',
    scope: 'repository:library/app:pull',
  });
});

test.each([404, 405])('a realm that responds %i to one method is sent the other', async (status) => {
  const posting = world({
    login: identity,
    token: (_request, count) => (count === 1 ? { status } : json({ token: 'x' })),
  });
  expect(await statusOf(posting.send(requestTo()))).toBe(200);
  const tokenBasic = `Basic ${Buffer.from('<token>:identity').toString('base64')}`;
  expect(posting.log.slice(2)).toEqual([`GET ${scoped()} ${tokenBasic}`, 'GET registry.test/v2/a Bearer x']);
  const getting = world({
    login: password,
    token: (_request, count) => (count === 1 ? { status } : json({ token: 'x' })),
  });
  expect(await statusOf(getting.send(requestTo()))).toBe(200);
  expect(Object.fromEntries(new URLSearchParams(getting.requests[2]?.body))).toMatchObject({
    grant_type: 'password',
    username: 'user',
    password: 'pass:wörd',
  });
  expect(getting.open() + posting.open()).toBe(0);
});

test('an anonymous request that the realm does not know is not sent again', async () => {
  const { send, log } = world({ token: () => ({ status: 404 }) });
  expect(await failureOf(send(requestTo()))).toEqual(failsWith('UNAUTHORIZED', { status: 404 }));
  expect(log.length).toBe(2);
});

test('scopes are those of the endpoint united with those of the challenge, one parameter each', async () => {
  const scope = 'repository:library/app:push registry:catalog:*';
  const { send, requests } = world({ challenge: `${bearer},scope="${scope}"` });
  await send(requestTo());
  const { searchParams } = new URL(requests[1]?.url ?? '');
  expect(searchParams.getAll('scope')).toEqual(['registry:catalog:*', 'repository:library/app:pull,push']);
});

test('a realm keeps its own query', async () => {
  const { send, requests } = world({ challenge: `Bearer realm="${realm}?tenant=a%20b",service="r"` });
  await send(requestTo());
  const { searchParams } = new URL(requests[1]?.url ?? '');
  expect([searchParams.get('tenant'), searchParams.get('service')]).toEqual(['a b', 'r']);
});

const tokens: readonly [string, unknown, string | undefined][] = [
  ['token', { token: 'x' }, 'x'],
  ['access_token', { access_token: 'x' }, 'x'],
  ['both', { token: 'x', access_token: 'y' }, 'x'],
  ['an empty token beside the other', { token: '', access_token: 'x' }, 'x'],
  ['none', {}, undefined],
  ['a number', { token: 5 }, undefined],
  ['a token with a line break', { token: 'a\r\nX-Evil: b' }, undefined],
  ['null', null, undefined],
  ['a list', [], undefined],
];

test.each(tokens)('a realm that responds with %s', async (_kind, answer, value) => {
  const { send, log, valid } = world({ token: () => json(answer) });
  valid.add('x');
  if (value === undefined) expect(await failureOf(send(requestTo()))).toEqual(failsWith('BAD_RESPONSE'));
  else {
    await send(requestTo());
    expect(log[2]).toBe(`GET registry.test/v2/a Bearer ${value}`);
  }
});

const refusals: readonly [Given, string, object][] = [
  [{ body: '<html>' }, 'BAD_RESPONSE', {}],
  [{ body: `{"token":"${'x'.repeat(3_000)}"}` }, 'TOO_LARGE', { reason: 'limit', limit: 'limits.tokenBytes' }],
  [{ status: 401 }, 'UNAUTHORIZED', { status: 401 }],
  [{ status: 400 }, 'UNAUTHORIZED', { status: 400 }],
  [{ status: 403 }, 'DENIED', { status: 403 }],
  [{ status: 429 }, 'RATE_LIMITED', { status: 429 }],
  [{ status: 500, body: 'x'.repeat(3_000) }, 'UNAVAILABLE', { status: 500 }],
  [{ status: 503 }, 'UNAVAILABLE', { status: 503 }],
];

test.each(refusals)('a realm that responds %o is %s, reported with its host', async (given, code, details) => {
  const { send, open } = world({ tokenBytes: 2_048, token: () => given, login: password });
  const error = await failureOf(send(requestTo()));
  expect(error).toMatchObject({ code, ...details });
  expect(String(error)).toContain('auth.test');
  expect(open()).toBe(0);
});

test.each([
  ['{"errors":[{"code":"DENIED","message":"not\\nyours"}]}', 'status 403, DENIED "not yours"'],
  ['{"error":"invalid_grant","error_description":"expired"}', 'status 403, invalid_grant "expired"'],
  ['{"details":"incorrect username or password"}', 'status 403, "incorrect username or password"'],
  ['{"message":7}', 'status 403'],
  ['[', 'status 403'],
])('the reason that a realm gives is reported: %s', async (body, reported) => {
  const given = { status: 403, body, headers: { 'content-type': 'application/json' } };
  const { send } = world({ token: () => given, login: password });
  expect(String(await failureOf(send(requestTo()))).endsWith(`: ${reported}`)).toBe(true);
});

test('a failure is not kept: the next request tries again', async () => {
  const { send, log } = world({ token: (_request, count) => (count === 1 ? { status: 503 } : json({ token: 'x' })) });
  expect(await failureOf(send(requestTo()))).toEqual(failsWith('UNAVAILABLE'));
  expect(await statusOf(send(requestTo()))).toBe(200);
  expect(log.slice(2)).toEqual([`GET ${scoped()} -`, 'GET registry.test/v2/a Bearer x']);
});

test('a warm client makes no 401 round trip, nor for another repository of the endpoint', async () => {
  const { send, log } = world();
  await send(requestTo());
  await send(requestTo('/v2/b'));
  const other = { ...endpoint, repository: 'library/other', scopes: ['repository:library/other:pull'] };
  await send(requestTo('/v2/c', { endpoint: other }));
  await send(requestTo('/v2/d', { endpoint: other }));
  expect(log.slice(3)).toEqual([
    'GET registry.test/v2/b Bearer t1',
    `GET ${scoped('repository:library/other:pull')} -`,
    'GET registry.test/v2/c Bearer t2',
    'GET registry.test/v2/d Bearer t2',
  ]);
});

test('a repository that needs no token is read without one, though its endpoint gives none for it', async () => {
  const open = { ...endpoint, repository: 'open', scopes: ['repository:open:pull'] };
  const { send, log } = world({
    challenge: ({ url }) => (url.includes('/open/') ? '' : bearer),
    token: ({ url }) => (url.includes('open') ? { status: 403 } : json({ token: 'x' })),
  });
  await send(requestTo());
  expect(await statusOf(send(requestTo('/v2/open/a', { endpoint: open })))).toBe(200);
  expect(await statusOf(send(requestTo('/v2/open/b', { endpoint: open })))).toBe(200);
  expect(log.slice(3)).toEqual([
    `GET ${scoped('repository:open:pull')} -`,
    'GET registry.test/v2/open/a -',
    'GET registry.test/v2/open/b -',
  ]);
});

test('if no token was given, what a registry hides from anonymous users is not reported as missing', async () => {
  let isHidden = false;
  const recorded = recording(({ url, headers }) => {
    if (url.startsWith(realm)) return isHidden ? { status: 503 } : json({ token: 't' });
    if (headers?.authorization === 'Bearer t') return {};
    return isHidden ? { status: 404 } : { status: 401, headers: { 'www-authenticate': bearer } };
  }, line);
  const send = authorize()(recorded.transport);
  await send(requestTo());
  vi.setSystemTime(Date.now() + 100_000);
  isHidden = true;
  expect(await failureOf(send(requestTo()))).toEqual(failsWith('UNAVAILABLE', { status: 503 }));
  isHidden = false;
  expect((await send(requestTo())).status).toBe(200);
  expect(recorded.log.slice(-2)).toEqual([`GET ${scoped()} -`, 'GET registry.test/v2/a Bearer t']);
});

test('a password that the realm refused from memory is not sent there again for the same scope', async () => {
  const { send, log } = world({
    login: password,
    token: (_request, count) => (count === 1 ? json({ token: 'x', expires_in: 60 }) : { status: 401 }),
  });
  await send(requestTo());
  vi.setSystemTime(Date.now() + 100_000);
  expect(await failureOf(send(requestTo()))).toEqual(failsWith('UNAUTHORIZED'));
  expect(log.filter((entry) => entry.includes(basic)).length).toBe(2);
});

test('a realm that has moved is found again', async () => {
  let current = realm;
  const { send, log } = world({
    challenge: () => `Bearer realm="${current}"`,
    token: ({ url }, count) => (url.startsWith(current) ? json({ token: `t${count}` }) : { status: 503 }),
  });
  await send(requestTo());
  current = 'https://auth.test/moved';
  vi.setSystemTime(Date.now() + 100_000);
  expect(await statusOf(send(requestTo()))).toBe(200);
  expect(log.at(-1)).toBe('GET registry.test/v2/a Bearer t3');
});

const lives: readonly [string, unknown, number, number][] = [
  ['nothing', undefined, 53, 61],
  ['300 s', 300, 269, 301],
  ['0 s', 0, 53, 61],
  ['less than nothing', -5, 53, 61],
  ['a text', '300', 53, 61],
  ['a year and more', 1e12, 86_400, 86_400 * 366],
];

test.each(lives)('a token with a life of %s is sent until shortly before its end', async (_kind, life, fresh, gone) => {
  const { send, log } = world({ token: (_request, count) => json({ token: `t${count}`, expires_in: life }) });
  const start = Date.now();
  await send(requestTo());
  vi.setSystemTime(start + fresh * 1000);
  await send(requestTo());
  expect(log.at(-1)).toBe('GET registry.test/v2/a Bearer t1');
  vi.setSystemTime(start + gone * 1000);
  await send(requestTo());
  expect(log.slice(-2)).toEqual([`GET ${scoped()} -`, 'GET registry.test/v2/a Bearer t2']);
});

test('a token is renewed before it expires, not at that moment', async () => {
  const { send, log } = world({ token: (_request, count) => json({ token: `t${count}`, expires_in: 300 }) });
  const start = Date.now();
  await send(requestTo());
  vi.setSystemTime(start + 295_000);
  await send(requestTo());
  expect(log.at(-1)).toBe('GET registry.test/v2/a Bearer t2');
});

test('a hundred at once make one token request', async () => {
  const { send, log } = world({ login: password });
  const statuses = await Promise.all(
    Array.from({ length: 100 }, (_, index) => statusOf(send(requestTo(`/v2/${index}`)))),
  );
  expect(new Set(statuses)).toEqual(new Set([200]));
  expect(log.filter((entry) => entry.includes('auth.test')).length).toBe(1);
});

test('a hundred at once to a new endpoint meet one challenge, also for several repositories', async () => {
  const { send, log } = world();
  const repositories = ['one', 'two', 'three', 'four'];
  const asking = Array.from({ length: 100 }, (_, index) => {
    const repository = repositories[index % 4] ?? '';
    const own = { ...endpoint, repository, scopes: [`repository:${repository}:pull`] };
    return statusOf(send(requestTo(`/v2/${index}`, { endpoint: own })));
  });
  expect(new Set(await Promise.all(asking))).toEqual(new Set([200]));
  expect(log.filter((entry) => entry.endsWith(' -') && entry.includes('registry.test')).length).toBe(1);
  expect(log.filter((entry) => entry.includes('auth.test')).length).toBe(4);
  expect(log.length).toBe(105);
});

test('if no token is needed the others wait for the head of the first response only, and later ones do not wait', async () => {
  let give: (given: Given) => void = () => {};
  const recorded = recording(() => {
    if (recorded.log.length % 10 === 1) return new Promise<Given>((resolve) => (give = resolve));
    return {};
  }, line);
  const send = authorize()(recorded.transport);
  const calls = Array.from({ length: 10 }, (_, index) => send(requestTo(`/v2/${index}`)));
  await new Promise((resolve) => setImmediate(resolve));
  expect(recorded.log.length).toBe(1);
  give({});
  await Promise.all(calls);
  expect(recorded.open(), 'no body was read').toBe(10);
  const later = Array.from({ length: 10 }, (_, index) => send(requestTo(`/v2/${index}`)));
  await new Promise((resolve) => setImmediate(resolve));
  expect(recorded.log.length).toBe(20);
  give({});
  await Promise.all(later);
});

test('the failure of the first is its own: the others are sent, and one whose signal fires waits no longer', async () => {
  let fail: (error: Error) => void = () => {};
  const recorded = recording(() => {
    if (recorded.log.length === 1) return new Promise<Given>((_resolve, reject) => (fail = reject));
    return {};
  }, line);
  const send = authorize()(recorded.transport);
  const controller = new AbortController();
  const [first, second] = [failureOf(send(requestTo())), send(requestTo('/v2/b'))];
  const third = failureOf(send(requestTo('/v2/c', { signal: controller.signal })));
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort();
  expect(await third).toEqual(failsWith('ABORTED'));
  const error = new Error('refused');
  fail(error);
  expect(await first).toBe(error);
  expect((await second).status).toBe(200);
  expect(recorded.log).toEqual(['GET registry.test/v2/a -', 'GET registry.test/v2/b -']);
});

test('a provider that never returns does not hold a request whose signal fires', async () => {
  const controller = new AbortController();
  const { send, log, open } = world({ loginFor: () => new Promise(() => {}) });
  const call = failureOf(send(requestTo('/v2/a', { signal: controller.signal })));
  await vi.waitFor(() => expect(log.length).toBe(1));
  await new Promise((resolve) => setImmediate(resolve));
  controller.abort(new Error('enough'));
  expect(await call).toEqual(failsWith('ABORTED'));
  expect(open()).toBe(0);
});

test.each([
  [false, 30_000],
  [true, 10_000],
])('a token whose response drips is TIMEOUT (another host left: %s) after %i ms', async (more, within) => {
  let cancelled = 0;
  vi.useFakeTimers({ toFake: ['Date', 'performance'] });
  const drip = (): Uint8Array => {
    vi.advanceTimersByTime(1_000);
    return new TextEncoder().encode(' ');
  };
  const transport: Transport = async (request) => {
    const isRealm = request.url.startsWith(realm);
    const status = isRealm ? 200 : 401;
    const feed = isRealm ? drip : () => undefined;
    const cancel = (): void => {
      cancelled += 1;
    };
    const made = createBody({ next: feed, cancel });
    return { status, headers: { 'www-authenticate': bearer }, ...made, url: request.url };
  };
  const error = await failureOf(authorize()(transport)(requestTo('/v2/a', { more })));
  expect(error).toEqual(failsWith('TIMEOUT', { message: expect.stringContaining(`${within} ms`) }));
  expect(String(error)).toContain('auth.test');
  expect(cancelled).toBe(1);
});

test('a hundred at once whose token is refused make one more', async () => {
  const { send, log, valid } = world();
  await send(requestTo());
  valid.clear();
  await Promise.all(Array.from({ length: 100 }, (_, index) => statusOf(send(requestTo(`/v2/${index}`)))));
  expect(log.filter((entry) => entry.includes('auth.test')).length).toBe(2);
});

test('one that aborts does not fail the others, and the last one to leave ends the token request', async () => {
  let give: (given: Given) => void = () => undefined;
  const signals: (AbortSignal | undefined)[] = [];
  const pending = () =>
    world({
      token: ({ signal }) => {
        signals.push(signal);
        return new Promise<Given>((resolve) => {
          give = resolve;
        });
      },
    });
  const controllers = [new AbortController(), new AbortController()];
  const shared = pending();
  const [first, second] = controllers.map(({ signal }) => shared.send(requestTo('/v2/a', { signal })));
  await vi.waitFor(() => expect(signals.length).toBe(1));
  await new Promise((resolve) => setTimeout(resolve, 5));
  controllers[0]?.abort(new Error('enough'));
  expect(await failureOf(first ?? Promise.resolve())).toEqual(failsWith('ABORTED'));
  expect(signals[0]?.aborted).toBe(false);
  give(json({ token: 'x' }));
  expect((await second)?.status).toBe(200);
  const alone = pending();
  const controller = new AbortController();
  const call = failureOf(alone.send(requestTo('/v2/a', { signal: controller.signal })));
  await vi.waitFor(() => expect(signals.length).toBe(2));
  controller.abort();
  expect(await call).toEqual(failsWith('ABORTED'));
  expect(signals[1]?.aborted).toBe(true);
});

test('a 401 to a token renews it once; a second one is the response', async () => {
  const cold = world({ token: (_request, count) => json({ other: 1, access_token: `worthless${count}` }) });
  const response = await cold.send(requestTo());
  expect([response.status, await textOf(response)]).toEqual([401, 'who are you']);
  expect(cold.log).toEqual([
    'GET registry.test/v2/a -',
    `GET ${scoped()} -`,
    'GET registry.test/v2/a Bearer worthless1',
    `GET ${scoped()} -`,
    'GET registry.test/v2/a Bearer worthless2',
  ]);
  expect(cold.open()).toBe(0);
  const warm = world();
  await warm.send(requestTo());
  warm.valid.clear();
  expect(await statusOf(warm.send(requestTo()))).toBe(200);
  expect(warm.log.slice(3)).toEqual([
    'GET registry.test/v2/a Bearer t1',
    `GET ${scoped()} -`,
    'GET registry.test/v2/a Bearer t2',
  ]);
});

test('Basic is sent if it is required and there is a password, at once from then on', async () => {
  const { send, log } = world({ challenge: 'Basic realm="x"', login: password });
  await send(requestTo());
  await send(requestTo('/v2/b'));
  expect(log).toEqual([
    'GET registry.test/v2/a -',
    `GET registry.test/v2/a ${basic}`,
    `GET registry.test/v2/b ${basic}`,
  ]);
});

test('a provider is called for each request, so that its login may expire', async () => {
  let turn = 0;
  const loginFor = () => ({ username: 'user', password: `p${++turn}` });
  const { send, log } = world({
    loginFor,
    challenge: ({ headers }) => (headers?.authorization ? '' : 'Basic realm="x"'),
  });
  await send(requestTo());
  await send(requestTo('/v2/b'));
  await send(requestTo('/v2/c'));
  const sent = log.map((each) => Buffer.from(/Basic (.*)$/.exec(each)?.[1] ?? '', 'base64').toString());
  expect(sent).toEqual(['', 'user:p1', 'user:p2', 'user:p3']);
  let given = 0;
  const tokens = world({ loginFor: () => ({ username: 'user', password: `q${++given}` }) });
  await tokens.send(requestTo());
  await tokens.send(requestTo('/v2/b'));
  expect(given).toBe(2);
});

test('a password is tried once', async () => {
  const wrong = { username: 'user', password: 'wrong' };
  const direct = world({ challenge: 'Basic realm="x"', login: wrong });
  expect(await statusOf(direct.send(requestTo()))).toBe(401);
  expect(direct.log.length).toBe(2);
  const atRealm = world({ login: wrong, token: () => ({ status: 401 }) });
  expect(await failureOf(atRealm.send(requestTo()))).toEqual(failsWith('UNAUTHORIZED', { status: 401 }));
  expect(atRealm.log.length).toBe(2);
});

test('Bearer is preferred to Basic, in any order', async () => {
  for (const challenge of [`Basic realm="x", ${bearer}`, `${bearer}, Basic realm="x"`]) {
    const { send, log } = world({ challenge, login: password });
    await send(requestTo());
    expect(log[1]).toBe(`GET ${scoped()} ${basic}`);
  }
});

test('a Bearer challenge without a realm is ignored: Basic then, or the 401', async () => {
  const both = world({ challenge: 'Bearer service="x", Basic realm="x"', login: password });
  expect(await statusOf(both.send(requestTo()))).toBe(200);
  const alone = world({ challenge: 'Bearer service="x"', login: password });
  expect(await statusOf(alone.send(requestTo()))).toBe(401);
  const unknown = world({ challenge: 'Negotiate', login: password });
  expect(await statusOf(unknown.send(requestTo()))).toBe(401);
});

test('an endpoint with Basic that requires a token for another repository gets one', async () => {
  const other = { ...endpoint, repository: 'other', scopes: ['repository:other:pull'] };
  const { send, log, transport } = recordingOf();
  await send(requestTo());
  expect(await statusOf(send(requestTo('/v2/other/a', { endpoint: other })))).toBe(200);
  expect(log.at(-1)).toBe('GET registry.test/v2/other/a Bearer t');
  expect(transport).toBeTypeOf('function');
});

/** Takes Basic for all but `other`, which wants a token. */
function recordingOf() {
  const recorded = recording(({ url, headers }) => {
    if (url.startsWith(realm)) return json({ token: 't' });
    const wanted = url.includes('/other/') ? bearer : 'Basic realm="x"';
    const good = url.includes('/other/') ? 'Bearer t' : basic;
    return headers?.authorization === good ? {} : { status: 401, headers: { 'www-authenticate': wanted } };
  }, line);
  return { ...recorded, send: authorize({ loginFor: () => password })(recorded.transport) };
}

test('a registryToken is sent as it is, without a request to any realm', async () => {
  for (const challenge of [bearer, 'Basic realm="x"', 'Bearer realm="http://10.0.0.1/evil"']) {
    const { send, log, valid } = world({ challenge, login: { registryToken: 'own' } });
    valid.add('own');
    await send(requestTo());
    await send(requestTo('/v2/b'));
    expect(log).toEqual([
      'GET registry.test/v2/a -',
      'GET registry.test/v2/a Bearer own',
      'GET registry.test/v2/b Bearer own',
    ]);
  }
  const refused = world({ login: { registryToken: 'stale' } });
  expect(await statusOf(refused.send(requestTo()))).toBe(401);
  expect(refused.log.length).toBe(2);
});

test('a configured Authorization is sent as it is: no realm is contacted', async () => {
  const own = { ...endpoint, headers: { Authorization: 'Bearer configured', 'X-Key': 'key' } };
  const { send, log, requests } = world({ login: password });
  expect(await statusOf(send(requestTo('/v2/a', { endpoint: own })))).toBe(401);
  expect(log).toEqual(['GET registry.test/v2/a Bearer configured']);
  expect(requests[0]?.headers).toEqual({ authorization: 'Bearer configured', 'x-key': 'key' });
});

test('configured headers go to the origin of the endpoint, its own realm too, and nowhere else', async () => {
  const own = { ...endpoint, headers: { 'X-Key': 'key' } };
  const apart = world();
  await apart.send(requestTo('/v2/a', { endpoint: own }));
  expect(apart.requests.map(({ headers }) => headers?.['x-key'])).toEqual(['key', undefined, 'key']);
  const together = world({ challenge: `Bearer realm="${home}/token"` });
  await together.send(requestTo('/v2/a', { endpoint: own }));
  expect(together.requests.map(({ headers }) => headers?.['x-key'])).toEqual(['key', 'key', 'key']);
  const elsewhere = world({ challenge: '', login: password });
  await elsewhere.send({
    method: 'GET',
    url: 'https://other.test/v2/a',
    endpoint: own,
    tls: { insecureSkipVerify: true },
  });
  expect(elsewhere.requests[0]?.headers?.['x-key']).toBeUndefined();
  expect([elsewhere.requests[0]?.endpoint, elsewhere.requests[0]?.tls]).toEqual([undefined, undefined]);
});

test('a login is looked up for the host of the endpoint, and only when it is needed', async () => {
  const hosts: unknown[] = [];
  const loginFor: AuthorizeOptions['loginFor'] = async (host, { repository }) => {
    hosts.push([host, repository]);
    return password;
  };
  const open = world({ challenge: '', loginFor });
  await open.send(requestTo());
  expect(hosts).toEqual([]);
  const closed = world({ loginFor });
  await closed.send(requestTo());
  expect(hosts).toEqual([['registry.test', 'library/app']]);
  await closed.send({ method: 'GET', url: 'https://other.test/layer' });
  expect(hosts.length).toBe(1);
});

test('a login that cannot be looked up fails the request, and leaves no response open', async () => {
  const { send, open } = world({ loginFor: () => Promise.reject(new Error('the helper is broken')) });
  await expect(send(requestTo())).rejects.toMatchObject({
    code: 'UNAUTHORIZED',
    cause: new Error('the helper is broken'),
  });
  expect(open()).toBe(0);
});

test('another origin that challenges gets an anonymous token, each time a new one from its own realm', async () => {
  const { send, log } = world({ login: password });
  expect(await statusOf(send({ method: 'GET', url: 'https://other.test/layer' }))).toBe(200);
  expect(log).toEqual([
    'GET other.test/layer -',
    'GET auth.test/token?service=registry -',
    'GET other.test/layer Bearer t1',
  ]);
  const basicOnly = world({ challenge: 'Basic realm="x"', login: password });
  expect(await statusOf(basicOnly.send({ method: 'GET', url: 'https://other.test/layer' }))).toBe(401);
  expect(basicOnly.log.length).toBe(1);
});

test('an http realm is used only if a configured host that is http names it, not if what it redirected to does', async () => {
  const recorded = recording(({ url }) => {
    if (url.startsWith('http://registry.test')) return { status: 307, headers: { location: 'http://files.test/x' } };
    return { status: 401, headers: { 'www-authenticate': 'Bearer realm="http://auth.test/token"' } };
  });
  const send = wrap(recorded.transport, redirects(), authorize({ loginFor: () => password }));
  const own = endpointOf('http://registry.test/v2');
  const call = send({ method: 'GET', url: 'http://registry.test/v2/a', endpoint: own });
  expect(await failureOf(call)).toEqual(failsWith('UNSAFE_URL'));
  expect(recorded.log).toEqual(['GET http://registry.test/v2/a', 'GET http://files.test/x']);
});

test('a redirect takes no credentials with it', async () => {
  const recorded = recording(({ url, headers }) => {
    if (url.startsWith(realm)) return json({ token: 't' });
    if (url.startsWith('https://cdn.test')) return { body: 'content' };
    if (headers?.authorization !== 'Bearer t') return { status: 401, headers: { 'www-authenticate': bearer } };
    return { status: 307, headers: { location: 'https://cdn.test/layer' } };
  }, line);
  const own = { ...endpoint, headers: { 'X-Key': 'key' } };
  const send = wrap(recorded.transport, redirects(), authorize({ loginFor: () => password }));
  await send(requestTo('/v2/a', { endpoint: own }));
  expect(recorded.log.at(-1)).toBe('GET cdn.test/layer -');
  expect(recorded.requests.at(-1)?.headers).toEqual({});
});

const realms: readonly [string, string, string | undefined][] = [
  ['https://registry.test', 'https://auth.test/token', 'https://auth.test/token'],
  ['https://registry.test', '/token', 'https://registry.test/token'],
  ['https://registry.test', 'https://user:secret@auth.test/token', 'https://auth.test/token'],
  ['http://127.0.0.1:5000', 'http://127.0.0.1:5000/token', 'http://127.0.0.1:5000/token'],
  ['http://127.0.0.1:5000', 'https://auth.test/token', 'https://auth.test/token'],
  ['https://registry.test', 'http://registry.test/token', undefined],
  ['https://registry.test', 'http://auth.test/token', undefined],
  ['http://127.0.0.1:5000', 'http://127.0.0.1:5001/token', 'http://127.0.0.1:5001/token'],
  ['http://registry.test:5000', 'http://auth.test:5001/token', 'http://auth.test:5001/token'],
  ['https://registry.test', 'file:///etc/passwd', undefined],
  ['https://registry.test', 'https://', undefined],
];

test.each(realms)('for %s, the realm "%s" is requested at %s', async (origin, text, target) => {
  const recorded = recording(({ url, headers }) => {
    if (url.includes('/token')) return json({ token: 't' });
    const challenge = { 'www-authenticate': `Bearer realm="${text}"` };
    return headers?.authorization === 'Bearer t' ? {} : { status: 401, headers: challenge };
  });
  const send = authorize({ loginFor: () => password })(recorded.transport);
  const call = send({ method: 'GET', url: `${origin}/v2/a`, endpoint: endpointOf(`${origin}/v2`) });
  if (target === undefined) {
    const error = await failureOf(call);
    expect(error).toEqual(failsWith('UNSAFE_URL', { message: expect.not.stringContaining('pass:') }));
    expect(recorded.log.length).toBe(1);
    expect(recorded.open()).toBe(0);
  } else {
    await call;
    expect(recorded.log[1]).toBe(`GET ${target}?scope=repository%3Alibrary%2Fapp%3Apull`);
  }
});

test.each([
  ['93.184.216.34', realm, [], 'public'],
  ['10.0.0.5', realm, [], 'private'],
  ['93.184.216.34', realm, ['auth.test'], 'any'],
  ['169.254.1.1', `${home}/token`, [], 'any'],
] as const)(
  'for a registry at %s, the realm "%s" may have addresses: (listed: %j) %s',
  async (address, text, allowPrivate, policy) => {
    const recorded = recording(({ url, headers }) => {
      if (url.includes('/token')) return json({ token: 't' });
      const challenge = { 'www-authenticate': `Bearer realm="${text}"` };
      return headers?.authorization === 'Bearer t' ? {} : { status: 401, headers: challenge, address };
    });
    await wrap(recorded.transport, authorize(), trust({ allowPrivate }))(requestTo());
    expect(recorded.requests[1]?.addresses).toBe(policy);
  },
);

test('a realm at another origin gets the certificate authorities of the endpoint, but not its client certificate', async () => {
  const tls = { ca: ['CA'], cert: 'CERT', key: 'KEY', insecureSkipVerify: true };
  const apart = world();
  await apart.send(requestTo('/v2/a', { tls }));
  expect(apart.requests.map((request) => request.tls)).toEqual([tls, { ca: ['CA'] }, tls]);
  const together = world({ challenge: `Bearer realm="${home}/token"` });
  await together.send(requestTo('/v2/a', { tls }));
  expect(together.requests.map((request) => request.tls)).toEqual([tls, tls, tls]);
});

test('a realm that redirects is followed, the password staying at its origin', async () => {
  const near = world({
    login: password,
    token: ({ url }) =>
      url.includes('/moved') ? json({ token: 'x' }) : { status: 308, headers: { location: '/moved' } },
  });
  expect(await statusOf(near.send(requestTo()))).toBe(200);
  expect(near.log[2]).toBe(`GET auth.test/moved ${basic}`);
  const far = recording(({ url, headers }) => {
    if (url.startsWith(realm)) return { status: 307, headers: { location: 'https://evil.test/token' } };
    if (url.startsWith('https://evil.test')) return json({ token: 'x' });
    return headers?.authorization ? {} : { status: 401, headers: { 'www-authenticate': bearer } };
  }, line);
  await authorize({ loginFor: () => password })(far.transport)(requestTo());
  expect(far.log[2]).toBe('GET evil.test/token -');
  const posted = authorize({ loginFor: () => identity })(far.transport)(requestTo());
  expect(await failureOf(posted)).toEqual(failsWith('UNSAFE_URL'));
});

test('tokens for one endpoint, realm, service or scope are not sent for another', async () => {
  let service = 'a';
  const { send, log } = world({ challenge: () => `Bearer realm="${realm}",service="${service}"` });
  await send(requestTo());
  const mirror = endpointOf('https://mirror.test/v2');
  await send({ method: 'GET', url: 'https://mirror.test/v2/a', endpoint: mirror });
  service = 'b';
  await send(requestTo('/v2/x', { endpoint: endpointOf(`${home}/prefix/v2`) }));
  const sent = log.filter((entry) => entry.includes('Bearer ')).map((entry) => entry.split(' ').at(-1));
  expect(sent).toEqual(['t1', 't2', 't3']);
});

test('logins of one endpoint do not share tokens', async () => {
  let login: Login = password;
  const { send, log } = world({ loginFor: () => login });
  await send(requestTo());
  login = { username: 'other', password: 'word' };
  await send(requestTo());
  expect(log.slice(3)).toEqual([
    `GET ${scoped()} Basic ${Buffer.from('other:word').toString('base64')}`,
    'GET registry.test/v2/a Bearer t2',
  ]);
});

test('what is remembered is bounded: the oldest of 1,001 endpoints is treated as new', async () => {
  const { send, log } = world();
  const at = (index: number) => {
    const place = endpointOf(`https://r${index}.test/v2`);
    return send({ method: 'GET', url: `https://r${index}.test/v2/a`, endpoint: place });
  };
  for (let index = 0; index < 1_001; index += 1) await at(index);
  log.length = 0;
  await at(1_000);
  expect(log.length).toBe(1);
  await at(0);
  expect(log.length).toBe(4);
});

test('a malformed challenge is reported as an event, and what is before the error counts', async () => {
  const { send, events } = world({ challenge: `${bearer}, =secret` });
  expect(await statusOf(send(requestTo()))).toBe(200);
  expect(events).toEqual([
    { type: 'warning', host: 'registry.test', text: 'part of its WWW-Authenticate field is malformed' },
  ]);
  const none = world({ challenge: '"' });
  expect(await statusOf(none.send(requestTo()))).toBe(401);
  expect(none.events.length).toBe(1);
});

test('no secret is in any error or event, whatever fails', async () => {
  const marker = 'm4rk3r';
  const logins: Login[] = [
    { username: 'user', password: marker },
    { identityToken: marker },
    { registryToken: marker },
  ];
  const given = fc.record({
    status: fc.constantFrom(200, 302, 400, 401, 403, 404, 405, 429, 500),
    body: fc.constantFrom('', '<html>', `{"token":"${marker}"}`, `{"token":"${marker}\\n"}`, `${marker}{`),
    headers: fc.constantFrom(
      {},
      { location: `https://evil.test/?sig=${marker}` },
      { location: `ftp://u:${marker}@x/` },
    ),
  });
  const challenges = fc.constantFrom(
    bearer,
    'Basic realm="x"',
    `Bearer realm="http://user:${marker}@evil.test/token?x=${marker}"`,
    `Bearer realm="https://auth.test/token?secret=${marker}"`,
    `Bearer realm="${realm}",service="${marker}", =${marker}`,
  );
  const check = async (login: Login, answer: Given, challenge: string) => {
    const events: unknown[] = [];
    const recorded = recording(({ url }) =>
      url.startsWith(home) ? { status: 401, headers: { 'www-authenticate': challenge } } : answer,
    );
    const own = { ...endpoint, headers: { 'X-Key': marker } };
    const send = authorize({ loginFor: () => login, emit: (event) => events.push(event) })(recorded.transport);
    const outcome = await send(requestTo(`/v2/a?sig=${marker}`, { endpoint: own })).catch((error: unknown) => {
      expect(error).toMatchObject({ name: 'RegistryError' });
      return error;
    });
    const reported = outcome instanceof Error ? inspect(outcome, { depth: 8 }) : '';
    expect(reported + JSON.stringify(events)).not.toContain(marker);
  };
  await fc.assert(fc.asyncProperty(fc.constantFrom(...logins), given, challenges, check), { numRuns: 300 });
});
