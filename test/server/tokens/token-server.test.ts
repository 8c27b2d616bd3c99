import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient } from '../../../src/remote/client.ts';
import { controlAccess } from '../../../src/server/access/check.ts';
import { accessRules } from '../../../src/server/access/rules.ts';
import { listen } from '../../../src/server/listen.ts';
import type { Handler } from '../../../src/server/registry/exchange.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { type TokenServerOptions, tokenServer } from '../../../src/server/tokens/token-server.ts';
import { samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { basicLogin, filledRegistry, type TokenAnswer } from '../support.ts';
import { ecKey } from './support.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocifetch-token-server-'));
});
afterAll(() => rm(folder, { recursive: true }));

const passwords: Record<string, string> = { ann: 'one', bob: 'two' };
const allow = accessRules({
  rules: [
    { repositories: ['library/**'], anonymous: true, actions: ['pull'] },
    { repositories: ['team/**'], users: ['ann'], actions: ['pull', 'push', 'delete'] },
    { repositories: ['registry:catalog'], users: ['ann'], actions: ['*'] },
  ],
});

/** A registry and its token endpoint on one socket. */
async function guarded(options: Partial<TokenServerOptions> = {}) {
  const login: TokenServerOptions['login'] = ({ username, password }) => passwords[username] === password;
  const tokens = await tokenServer({ service: 'registry.test', login, allow, ...options });
  const { registry, store } = await filledRegistry();
  await fill(store('team/app'));
  const api = controlAccess(tokens.check)(serve(registry));
  const handler: Handler = (request, connection) =>
    new URL(request.url).pathname === '/auth/token' ? tokens.endpoint(request, connection) : api(request, connection);
  const server = await listen(handler);
  const answer = async (response: Response): Promise<TokenAnswer & { readonly status: number }> => ({
    ...((await response.json()) as TokenAnswer),
    status: response.status,
  });
  return {
    server,
    tokens,
    get: async (query: string, headers: Record<string, string> = {}) =>
      answer(await fetch(`${server.url}/auth/token?service=registry.test&${query}`, { headers })),
    post: async (fields: Record<string, string>) =>
      answer(
        await fetch(`${server.url}/auth/token`, {
          method: 'POST',
          body: new URLSearchParams({ service: 'registry.test', client_id: 'test', ...fields }),
        }),
      ),
    ask: (line: string, token?: string) => {
      const [method = 'GET', path = '/'] = line.split(' ');
      const headers: Record<string, string> = token === undefined ? {} : { authorization: `Bearer ${token}` };
      return fetch(`${server.url}${path}`, { method, headers });
    },
    [Symbol.asyncDispose]: server.close,
  };
}

test('D15: GET gives an anonymous token, and one for a login, of what each may do', async () => {
  await using site = await guarded();
  const query = 'scope=repository:library/app:pull,push&scope=repository:team/app:pull,push';
  const nobody = await site.get(query);
  expect(nobody).toMatchObject({ status: 200, expires_in: 300, scope: 'repository:library/app:pull' });
  expect(nobody.access_token).toBe(nobody.token);
  expect(Math.abs(Date.parse(nobody.issued_at) - Date.now())).toBeLessThan(60_000);
  expect(nobody.refresh_token).toBeUndefined();
  const ann = await site.get(query, basicLogin('ann:one'));
  expect(ann.scope).toBe('repository:library/app:pull repository:team/app:pull,push');
  expect((await site.get(query, basicLogin('ann:wrong'))).status).toBe(401);
  const bob = await site.get('account=bob', basicLogin('bob:two'));
  expect(bob).toMatchObject({ status: 200, scope: '' });
  expect((await site.ask('GET /v2/', bob.token)).status).toBe(200);
  expect((await site.ask('GET /v2/team/app/manifests/latest', nobody.token)).status).toBe(401);
  expect((await site.ask('GET /v2/team/app/manifests/latest', ann.token)).status).toBe(200);
});

test('D15: a star is everything that is allowed, so that skopeo deletes', async () => {
  await using site = await guarded();
  const scope = 'scope=repository:team/app:*&scope=repository:library/app:*&scope=registry:catalog:*';
  const { token, ...ann } = await site.get(scope, basicLogin('ann:one'));
  expect(ann.scope).toBe('repository:team/app:pull,push,delete repository:library/app:pull registry:catalog:*');
  expect((await site.ask(`DELETE /v2/team/app/blobs/${samples.large.descriptor.digest}`, token)).status).toBe(202);
  expect((await site.ask('DELETE /v2/library/app/manifests/latest', token)).status).toBe(401);
});

test('D15: POST takes a password or a refresh token; neither kind of token is taken for the other', async () => {
  await using site = await guarded();
  const scope = 'repository:team/app:pull repository:team/other:push';
  const password = { grant_type: 'password', username: 'ann', password: 'one', scope };
  expect((await site.post(password)).refresh_token).toBeUndefined();
  const first = await site.post({ ...password, access_type: 'offline' });
  expect(first).toMatchObject({ status: 200, scope });
  const refresh_token = first.refresh_token ?? '';
  const second = await site.post({ grant_type: 'refresh_token', refresh_token, scope });
  expect(second).toMatchObject({ status: 200, scope });
  expect((await site.ask('GET /v2/team/app/manifests/latest', second.token)).status).toBe(200);
  expect((await site.ask('GET /v2/team/app/manifests/latest', refresh_token)).status).toBe(401);
  const fromGet = await site.get('offline_token=true', basicLogin('ann:one'));
  expect((await site.post({ grant_type: 'refresh_token', refresh_token: fromGet.refresh_token ?? '' })).status).toBe(
    200,
  );
  for (const [fields, status] of [
    [{ ...password, password: 'wrong' }, 401],
    [{ grant_type: 'refresh_token', refresh_token: first.token }, 401],
    [{ grant_type: 'refresh_token' }, 401],
    [{ grant_type: 'implicit' }, 400],
    [{ ...password, scope: 'repository:a:pull '.repeat(101) }, 400],
    [{ ...password, client_id: 'x'.repeat(70_000) }, 413],
  ] as const)
    expect((await site.post(fields)).status).toBe(status);
});

test('a refresh token ends with its user or password', async () => {
  const stamps: Record<string, string | undefined> = { ann: 'a' };
  await using site = await guarded({ stampOf: (name) => stamps[name] });
  const { refresh_token = '' } = await site.get('offline_token=true', basicLogin('ann:one'));
  const refreshed = async () => (await site.post({ grant_type: 'refresh_token', refresh_token })).status;
  expect(await refreshed()).toBe(200);
  stamps.ann = 'b';
  expect(await refreshed()).toBe(401);
  stamps.ann = undefined;
  expect(await refreshed()).toBe(401);
});

test('processes with one key accept the tokens of each other, those with keys of their own do not', async () => {
  for (const [name, key] of Object.entries({
    p256: ecKey(),
    p384: generateKeyPairSync('ec', { namedCurve: 'P-384' }).privateKey,
    ed25519: generateKeyPairSync('ed25519').privateKey,
    rsa: generateKeyPairSync('rsa', { modulusLength: 2_048 }).privateKey,
  })) {
    const path = join(folder, `${name}.pem`);
    await writeFile(path, key.export({ type: 'pkcs8', format: 'pem' }));
    await using first = await guarded({ key: path });
    await using second = await guarded({ key: path });
    await using other = await guarded();
    const { token } = await first.get('scope=repository:library/app:pull');
    expect((await second.ask('GET /v2/library/app/manifests/latest', token)).status).toBe(200);
    expect((await other.ask('GET /v2/library/app/manifests/latest', token)).status).toBe(401);
    expect(JSON.stringify(first.tokens.jwks)).toBe(JSON.stringify(second.tokens.jwks));
    expect(Object.keys(first.tokens.jwks.keys[0] ?? {})).not.toContain('d');
  }
});

test('keys and options that cannot be used are refused, without what is in a file', async () => {
  const login = () => true;
  const path = join(folder, 'wrong.pem');
  await writeFile(path, '-----BEGIN PRIVATE KEY-----\ncanary\n-----END PRIVATE KEY-----\n');
  const refused = await tokenServer({ service: 'a', login, key: path }).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: 'INVALID_CONFIG' });
  expect(String(refused)).not.toContain('canary');
  const small = join(folder, 'small.pem');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 1_024 });
  await writeFile(small, privateKey.export({ type: 'pkcs8', format: 'pem' }));
  await expect(tokenServer({ service: 'a', login, key: small })).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  await expect(tokenServer({ service: 'a', login, expiresIn: 59 })).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
});

test('a token has what the specification says, and nothing of the password', async () => {
  await using site = await guarded({ issuer: 'the issuer', expiresIn: 60 });
  const { token, expires_in } = await site.get('scope=repository:team/app:pull', basicLogin('ann:one'));
  const claims = decodeJwt(token);
  expect(claims).toMatchObject({
    iss: 'the issuer',
    aud: 'registry.test',
    sub: 'ann',
    access: [{ type: 'repository', name: 'team/app', actions: ['pull'] }],
    jti: expect.any(String),
  });
  expect([Number(claims.exp) - Number(claims.iat), expires_in]).toEqual([60, 60]);
});

test('our client gets tokens: anonymously, and with a login', async () => {
  await using site = await guarded();
  const { host } = new URL(site.server.url);
  await using anonymous = createClient();
  await using known = createClient({ config: { credentials: { [host]: { username: 'ann', password: 'one' } } } });
  const resolve = async (client: typeof known, name: string) =>
    (await client.fetcher(`${host}/${name}`).resolve('latest')).descriptor;
  expect(await resolve(anonymous, 'library/app')).toMatchObject(samples.manifest.descriptor);
  await expect(resolve(anonymous, 'team/app')).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  expect(await resolve(known, 'team/app')).toMatchObject(samples.manifest.descriptor);
});
