import { inspect } from 'node:util';
import { expect, test } from 'vitest';
import { helperCredentials } from '../../src/config/docker/helper-credentials.ts';
import { RegistryError } from '../../src/errors.ts';
import { loginOf } from '../../src/http/logins.ts';
import type { HttpRequest } from '../../src/http/transport.ts';
import type { CredentialProvider } from '../../src/login.ts';
import { endpointOf, failsWith, failureOf } from '../support/http.ts';

const request: HttpRequest = {
  method: 'GET',
  url: 'https://registry.test:5000/v2/a',
  endpoint: endpointOf('https://registry.test:5000/v2'),
};
const giving = (value: unknown): CredentialProvider => (() => value) as CredentialProvider;

test('a provider is called with host, repository and signal; another origin has no login', async () => {
  const calls: unknown[] = [];
  const { signal } = new AbortController();
  const login = await loginOf({ ...request, signal }, (...given) => {
    calls.push(given);
    return Promise.resolve({ identityToken: 't' });
  });
  expect(login).toEqual({ identityToken: 't' });
  expect(calls).toEqual([['registry.test:5000', { repository: 'library/app', signal }]]);
  expect(await loginOf({ method: 'GET', url: request.url }, giving({ identityToken: 't' }))).toBeUndefined();
  expect(await loginOf(request, undefined)).toBeUndefined();
});

test('a provider that never returns is abandoned when the signal fires, also if it fired before', async () => {
  const controller = new AbortController();
  const pending = failureOf(loginOf({ ...request, signal: controller.signal }, () => new Promise(() => {})));
  controller.abort(new Error('enough'));
  expect(await pending).toEqual(failsWith('ABORTED'));
  const late = AbortSignal.abort(new RegistryError('TIMEOUT', 'not done in 5 ms'));
  expect(await failureOf(loginOf({ ...request, signal: late }, () => new Promise(() => {})))).toEqual(
    failsWith('TIMEOUT'),
  );
});

test.each([
  [
    { username: 'u', password: 'p', host: 'x' },
    { username: 'u', password: 'p' },
  ],
  [{ identityToken: 't', registryToken: undefined }, { identityToken: 't' }],
  [
    { username: 'u', password: 'p', identityToken: undefined },
    { username: 'u', password: 'p' },
  ],
  [{ registryToken: 't' }, { registryToken: 't' }],
  [undefined, undefined],
  [null, undefined],
])('of %o the login is %o', async (given, login) => {
  expect(await loginOf(request, giving(given))).toEqual(login);
});

test.each([
  [{ user: 'joe', password: 'm4rk3r' }],
  [{ username: 'joe', password: 5, m4rk3r: 1 }],
  [{ username: 'joe' }],
  [{ identityToken: 'm4rk3r', registryToken: 'm4rk3r' }],
  [{}],
  ['m4rk3r'],
  [false],
  [0],
  [['m4rk3r']],
])('%o is not a login: INVALID_CONFIG that names the host, not the values', async (given) => {
  const error = await failureOf(loginOf(request, giving(given)));
  expect(error).toEqual(failsWith('INVALID_CONFIG', { host: 'registry.test:5000' }));
  expect(String(error)).toContain('"registry.test:5000"');
  expect(String(error)).not.toContain('m4rk3r');
});

test('a provider that fails is UNAUTHORIZED, and of its own message only the plain words are in the cause', async () => {
  const cause = new Error('cannot log in with m4rk3r');
  const throwing: CredentialProvider = () => {
    throw cause;
  };
  for (const provider of [throwing, () => Promise.reject(cause)]) {
    const error = (await failureOf(loginOf(request, provider))) as RegistryError;
    expect(error).toMatchObject({ code: 'UNAUTHORIZED', host: 'registry.test:5000' });
    expect(error.message).not.toContain('log in with');
    expect((error.cause as Error).message).toBe('cannot log in with ***');
    expect(inspect(error, { showHidden: true, depth: 10 })).not.toContain('m4rk3r');
  }
  const own = new RegistryError('INVALID_CONFIG', 'no such helper');
  expect(await failureOf(loginOf(request, () => Promise.reject(own)))).toBe(own);
});

test('a helper that fails is reported with the repository that the login was for', async () => {
  const provider = helperCredentials({ credsStore: 'ocifetch-is-not-there' });
  expect(await failureOf(loginOf(request, provider))).toMatchObject({
    code: 'INVALID_CONFIG',
    host: 'registry.test:5000',
    helper: {
      program: 'docker-credential-ocifetch-is-not-there',
      found: 'there is no such program on PATH',
      isMissing: true,
    },
    message:
      'Cannot get a login for "registry.test:5000" to read "library/app": none from credential helper "docker-credential-ocifetch-is-not-there": there is no such program on PATH',
  });
});
