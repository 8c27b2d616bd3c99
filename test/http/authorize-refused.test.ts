import { expect, test } from 'vitest';
import { type AuthorizeOptions, authorize } from '../../src/http/authorize.ts';
import type { HttpRequest } from '../../src/http/transport.ts';
import type { CredentialContext, Login } from '../../src/login.ts';
import { endpointOf, failsWith, failureOf, type Given, recording } from '../support/http.ts';

const home = 'https://registry.test';
const realm = 'https://auth.test/token';
const bearer = { 'www-authenticate': `Bearer realm="${realm}",service="s"` };
const password = { username: 'user', password: 'right' };
const endpoint = endpointOf(`${home}/v2`, { credentials: 'credentials["registry.test"]' });
const token = (value: string): Given => ({ body: JSON.stringify({ token: value }) });
const line = ({ method, url, headers }: HttpRequest): string =>
  `${method} ${new URL(url).host}${new URL(url).pathname} ${headers?.authorization ?? '-'}`;
const right = `Basic ${btoa('user:right')}`;

/** A registry whose answers are given, and what it was asked. */
function world(answer: (request: HttpRequest, count: number) => Given, options: AuthorizeOptions = {}) {
  const recorded = recording(answer, line);
  const wrapped = authorize({ loginFor: () => password, ...options })(recorded.transport);
  const send = async (path = '/v2/a', more: Partial<HttpRequest> = {}) => {
    const response = await wrapped({ method: 'GET', url: home + path, endpoint, ...more });
    await response.body.cancel();
    return response;
  };
  return { ...recorded, send };
}

test.each([403, 404, 401])(
  'the login is sent to a registry that hides what it has from others by %i, if its /v2/ requires one',
  async (status) => {
    const { send, log, open } = world(({ url, headers }) => {
      if (url.startsWith(realm)) return token('t');
      if (headers?.authorization === 'Bearer t') return { body: 'private' };
      return url === `${home}/v2/` ? { status: 401, headers: bearer } : { status };
    });
    expect((await send()).status).toBe(200);
    expect(log).toEqual([
      'GET registry.test/v2/a -',
      'GET registry.test/v2/ -',
      `GET auth.test/token ${right}`,
      'GET registry.test/v2/a Bearer t',
    ]);
    await send();
    expect(log.slice(4)).toEqual(['GET registry.test/v2/a Bearer t']);
    expect(open()).toBe(0);
  },
);

test('what is not found with the login either is not found, and the error says that a login was sent', async () => {
  const { send } = world(({ url, headers }) => {
    if (headers?.authorization === right) return { status: 404 };
    return url === `${home}/v2/`
      ? { status: 401, headers: { 'www-authenticate': 'Basic realm="r"' } }
      : { status: 404 };
  });
  expect(await send()).toMatchObject({ status: 404, login: 'login-refused' });
});

test('a registry that requires no login is asked once, and one without a login never', async () => {
  const open = world(({ url }) => (url === `${home}/v2/` ? {} : { status: 404 }));
  for (const path of ['/v2/a', '/v2/b'])
    expect(await open.send(path)).toMatchObject({ status: 404, login: 'no-login' });
  expect(open.log.filter((entry) => entry.includes('/v2/ '))).toHaveLength(1);
  const none = world(() => ({ status: 404 }), { loginFor: () => undefined });
  await none.send('/v2/a', { endpoint: endpointOf(`${home}/v2`) });
  expect(none.log).toEqual(['GET registry.test/v2/a -']);
});

test('a registry whose /v2/ fails is as it was', async () => {
  const { send } = world(({ url }) => {
    if (url === `${home}/v2/`) throw failsWith('UNAVAILABLE');
    return { status: 404 };
  });
  expect((await send()).status).toBe(404);
});

/** A provider that gives the first login until that is refused. */
function rotating(...logins: readonly Login[]) {
  const calls: (CredentialContext['refused'] | null)[] = [];
  const loginFor = (_host: string, { refused }: CredentialContext): Login | undefined => {
    calls.push(refused ?? null);
    return refused ? logins[1] : logins[0];
  };
  return { calls, loginFor };
}

const old = { username: 'user', password: 'old' };

test.each([401, 403])('a password that is refused by %i is requested anew from its provider, once', async (status) => {
  const { calls, loginFor } = rotating(old, password);
  const headers = { 'www-authenticate': 'Basic realm="r"' };
  const { send, log } = world(
    (request) => {
      if (request.headers?.authorization === right) return { body: 'private' };
      return request.headers?.authorization === undefined ? { status: 401, headers } : { status };
    },
    { loginFor },
  );
  expect((await send()).status).toBe(200);
  expect(calls).toEqual([null, old]);
  expect(log.at(-1)).toBe(`GET registry.test/v2/a ${right}`);
});

test.each([401, 403])(
  'a password that the realm refuses by %i is requested anew from its provider, once',
  async (status) => {
    const { calls, loginFor } = rotating(old, password);
    const { send } = world(
      ({ url, headers }) => {
        if (url.startsWith(realm)) return headers?.authorization === right ? token('t') : { status };
        return headers?.authorization === 'Bearer t' ? {} : { status: 401, headers: bearer };
      },
      { loginFor },
    );
    expect((await send()).status).toBe(200);
    expect(calls).toEqual([null, old]);
  },
);

test('a login that its provider gives again is not sent again', async () => {
  const { calls, loginFor } = rotating(old, old);
  const { send, log } = world(
    ({ url }) => (url.startsWith(realm) ? { status: 401 } : { status: 401, headers: bearer }),
    {
      loginFor,
    },
  );
  expect(await failureOf(send())).toEqual(failsWith('UNAUTHORIZED', { reason: 'login-refused' }));
  expect(log.filter((entry) => entry.startsWith('GET auth.test'))).toHaveLength(1);
  expect(calls).toEqual([null, old]);
});

test.each([401, 400, 403])(
  'a token that is refused by %i before its end, without a challenge, is renewed once',
  async (status) => {
    let valid = 'Bearer t1';
    let count = 0;
    const { send, log } = world(({ url, headers }) => {
      if (url.startsWith(realm)) {
        count += 1;
        return token(`t${count}`);
      }
      if (headers?.authorization === undefined) return { status: 401, headers: bearer };
      return headers.authorization === valid ? {} : { status };
    });
    await send();
    valid = 'Bearer t2';
    expect((await send()).status).toBe(200);
    expect(log.slice(3)).toEqual([
      'GET registry.test/v2/a Bearer t1',
      `GET auth.test/token ${right}`,
      'GET registry.test/v2/a Bearer t2',
    ]);
    // Whatever is requested, it is refused: the token is renewed once, not for each request.
    valid = 'none';
    for (let more = 0; more < 3; more += 1) expect((await send()).status).toBe(status);
    expect(count).toBe(3);
  },
);

test('a token that has just been fetched is not renewed for a 403', async () => {
  const { send, log } = world(({ url, headers }) => {
    if (url.startsWith(realm)) return token('t');
    return headers?.authorization ? { status: 403 } : { status: 401, headers: bearer };
  });
  expect(await send()).toMatchObject({ status: 403, login: 'login-refused' });
  expect(log).toHaveLength(3);
});
