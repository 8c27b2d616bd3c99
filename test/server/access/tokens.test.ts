import { expect, test } from 'vitest';
import { type TokenAccessOptions, tokenAccess } from '../../../src/server/access/tokens.ts';
import type { Handler } from '../../../src/server/registry/exchange.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { samples } from '../../contract/source.ts';
import { ask, basicLogin, filledRegistry, origin, problemOf, type TokenAnswer } from '../support.ts';

const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
const users = { joe: 'se:cret', jürgen: 'geheim' };
const manifest = '/v2/library/app/manifests/latest';

async function guarded(options: Partial<TokenAccessOptions> = {}): Promise<{ handler: Handler; token: Handler }> {
  const access = tokenAccess({ realm: '/token', service: 'registry.test', ...options });
  return { handler: access.protect(serve((await filledRegistry()).registry)), token: access.token };
}

const read = async (response: Response): Promise<TokenAnswer> => {
  expect(response.status).toBe(200);
  return (await response.json()) as TokenAnswer;
};

const challenges: readonly [line: string, scope: string | undefined][] = [
  ['GET /v2/', undefined],
  [`GET ${manifest}`, 'repository:library/app:pull'],
  [`HEAD ${manifest}`, 'repository:library/app:pull'],
  ['PUT /v2/a/b/manifests/latest', 'repository:a/b:pull,push'],
  ['POST /v2/a/b/blobs/uploads/', 'repository:a/b:pull,push'],
  [
    `POST /v2/a/b/blobs/uploads/?mount=${samples.large.descriptor.digest}&from=library/app`,
    'repository:a/b:pull,push repository:library/app:pull',
  ],
  ['POST /v2/a/b/blobs/uploads/?mount=x&from=a"b%0a', 'repository:a/b:pull,push'],
  ['DELETE /v2/a/b/blobs/uploads/one', 'repository:a/b:pull,push'],
];
test.each(challenges)('%s without a token is challenged for what it takes', async (line, scope) => {
  const { handler } = await guarded();
  const response = await handler(ask(line));
  const expected = `Bearer realm="${origin}/token",service="registry.test"${scope ? `,scope="${scope}"` : ''}`;
  expect(response.headers.get('www-authenticate')).toBe(expected);
  if (line.startsWith('HEAD')) expect([response.status, response.body]).toEqual([401, null]);
  else expect(await problemOf(response)).toBe('401 UNAUTHORIZED');
});

test('a token for what is asked lets through; one for something else is insufficient, an unknown one invalid', async () => {
  const { handler, token } = await guarded();
  const answer = await read(await token(ask('GET /token?service=registry.test&scope=repository:library/app:pull')));
  expect(answer).toMatchObject({ access_token: answer.token, expires_in: 300, scope: 'repository:library/app:pull' });
  expect(Math.abs(Date.parse(answer.issued_at) - Date.now())).toBeLessThan(10_000);
  expect((await handler(ask(`GET ${manifest}`, { headers: bearer(answer.token) }))).status).toBe(200);
  expect((await handler(ask('GET /v2/', { headers: bearer(answer.token) }))).status).toBe(200);
  for (const [line, sent, error] of [
    ['GET /v2/other/manifests/latest', answer.token, 'insufficient_scope'],
    ['PUT /v2/library/app/manifests/latest', answer.token, 'insufficient_scope'],
    [`GET ${manifest}`, 'made-up', 'invalid_token'],
  ] as const) {
    const response = await handler(ask(line, { headers: bearer(sent) }));
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, expect.stringContaining(error)]);
  }
});

test('several scopes can be asked for, in one parameter or several; what is neither a repository nor the catalog is not granted', async () => {
  const { token } = await guarded();
  const query =
    'scope=repository:a:pull%20repository:b:pull,push&scope=repository:c:pull&scope=registry:catalog:*&scope=nonsense';
  expect((await read(await token(ask(`GET /token?${query}`)))).scope).toBe(
    'repository:a:pull repository:b:pull,push repository:c:pull registry:catalog:*',
  );
});

test('without users everybody may do all, with users only they may', async () => {
  const scope = 'repository:a:pull,push';
  const path = `GET /token?scope=${scope}`;
  expect((await read(await (await guarded()).token(ask(path)))).scope).toBe(scope);
  const { token } = await guarded({ users });
  expect((await read(await token(ask(path)))).scope).toBe('');
  for (const text of ['joe:se:cret', 'jürgen:geheim']) {
    expect((await read(await token(ask(path, { headers: basicLogin(text) })))).scope).toBe(scope);
  }
});

test('of the actions asked for, those allowed are granted', async () => {
  const asked: unknown[] = [];
  const allow = async (...all: [string | undefined, string, string]) => {
    asked.push(all);
    return all[0] === 'joe' || all[2] === 'pull';
  };
  const { token } = await guarded({ users, allow });
  const path = 'GET /token?scope=repository:a/b:pull,push';
  expect((await read(await token(ask(path)))).scope).toBe('repository:a/b:pull');
  expect((await read(await token(ask(path, { headers: basicLogin('joe:se:cret') })))).scope).toBe(
    'repository:a/b:pull,push',
  );
  expect(asked).toEqual([
    [undefined, 'a/b', 'pull'],
    [undefined, 'a/b', 'push'],
    ['joe', 'a/b', 'pull'],
    ['joe', 'a/b', 'push'],
  ]);
});

const wrong = [
  basicLogin('joe:wrong'),
  basicLogin('joe'),
  basicLogin('toString:x'),
  { authorization: 'Basic %%%' },
  bearer('x'),
];
test.each(wrong)('a wrong login gets no token: %o', async (headers) => {
  const { token } = await guarded({ users });
  const response = await token(ask('GET /token?scope=repository:a:pull', { headers }));
  expect(response.headers.get('www-authenticate')).toBe('Basic realm="registry.test",charset="UTF-8"');
  const text = await response.clone().text();
  expect(text).not.toContain('wrong');
  expect(await problemOf(response)).toBe('401 UNAUTHORIZED');
});

const form = (fields: Record<string, string>) => ask('POST /token', { body: new URLSearchParams(fields) });

test('a form with a password gives tokens, and the refresh token more of them', async () => {
  const { handler, token } = await guarded({ users });
  const scope = 'repository:library/app:pull';
  const fields = { service: 'registry.test', client_id: 'test', scope };
  const password = { ...fields, grant_type: 'password', username: 'joe', password: 'se:cret' };
  expect((await read(await token(form(password)))).refresh_token).toBeUndefined();
  const first = await read(await token(form({ ...password, access_type: 'offline' })));
  const refresh = { ...fields, grant_type: 'refresh_token', refresh_token: first.refresh_token ?? '' };
  const second = await read(await token(form(refresh)));
  expect(second).toMatchObject({ scope });
  expect(second.token).not.toBe(first.token);
  expect((await handler(ask(`GET ${manifest}`, { headers: bearer(second.token) }))).status).toBe(200);
  const offline = await read(await token(ask('GET /token?offline_token=true', { headers: basicLogin('joe:se:cret') })));
  expect((await token(form({ ...refresh, refresh_token: offline.refresh_token ?? '' }))).status).toBe(200);
  for (const [fault, status] of [
    [{ ...password, password: 'wrong' }, 401],
    [{ ...refresh, refresh_token: second.token }, 401],
    [{ ...refresh, refresh_token: '' }, 401],
    [{ ...fields, grant_type: 'implicit' }, 400],
    [{ ...password, client_id: 'x'.repeat(70_000) }, 413],
  ] as const) {
    expect((await token(form(fault))).status).toBe(status);
  }
  expect(await problemOf(await token(ask('PUT /token')))).toBe('405 UNSUPPORTED');
});

test('a token expires, and the oldest goes where there are too many', async () => {
  const short = await guarded({ expiresIn: 0.05 });
  const { token } = await read(await short.token(ask('GET /token?scope=repository:library/app:pull')));
  const status = async (handler: Handler, sent: string) =>
    (await handler(ask(`HEAD ${manifest}`, { headers: bearer(sent) }))).status;
  expect(await status(short.handler, token)).toBe(200);
  await expect.poll(() => status(short.handler, token)).toBe(401);
  const few = await guarded({ tokens: 2 });
  const given: string[] = [];
  for (let count = 0; count < 3; count++) {
    given.push((await read(await few.token(ask('GET /token?scope=repository:library/app:pull')))).token);
  }
  expect(await Promise.all(given.map((one) => status(few.handler, one)))).toEqual([401, 200, 200]);
});

test('a realm in full is sent as it is', async () => {
  const { handler } = await guarded({ realm: 'https://auth.test/a?b=c', service: 'a "b" \\' });
  expect((await handler(ask('GET /v2/'))).headers.get('www-authenticate')).toBe(
    'Bearer realm="https://auth.test/a?b=c",service="a \\"b\\" \\\\"',
  );
});
