import { createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { UnsecuredJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AccessCheck } from '../../../src/server/access/check.ts';
import { type BearerTokensOptions, bearerTokens } from '../../../src/server/tokens/bearer.ts';
import { keysAt } from '../../../src/server/tokens/key-set-url.ts';
import { fingerprints } from '../../../src/server/tokens/keys.ts';
import { rememberingVerifier } from '../../../src/server/tokens/verify.ts';
import { access, certificateOf, ecKey, guarded, inSeconds, issuer, pull, realm, service, tokenOf } from './support.ts';

type Certificate = Awaited<ReturnType<typeof certificateOf>>;

let folder: string;
let root: Certificate;
let middle: Certificate;
let leaf: Certificate;
let stranger: Certificate;
const setKey = ecKey();
const edKey = generateKeyPairSync('ed25519').privateKey;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocifetch-tokens-'));
  root = await certificateOf('root', { cA: true });
  middle = await certificateOf('middle', { by: root, cA: true });
  leaf = await certificateOf('leaf', { by: middle });
  stranger = await certificateOf('stranger', { cA: true });
  await writeFile(join(folder, 'roots.pem'), `some text\n${stranger.pem}\n${root.pem}\n`);
  await writeFile(join(folder, 'jwks.json'), setOf({ named: setKey, second: edKey }));
});
afterAll(() => rm(folder, { recursive: true }));

const publicOf = (key: KeyObject) => createPublicKey(key).export({ format: 'jwk' });
const setOf = (keys: Readonly<Record<string, KeyObject>>): string =>
  JSON.stringify({ keys: Object.entries(keys).map(([kid, key]) => ({ ...publicOf(key), kid, use: 'sig' })) });
const checkOf = (options: Partial<BearerTokensOptions> = {}): Promise<AccessCheck> =>
  bearerTokens({ realm, service, issuer, jwks: join(folder, 'jwks.json'), ...options });
const byRoots = () => checkOf({ jwks: undefined, rootCertBundle: join(folder, 'roots.pem') });

describe('D13: whose tokens are accepted', () => {
  test('an x5c chain that leads to a root: the root itself, one below it, one below an intermediate', async () => {
    await using site = await guarded(await byRoots());
    for (const [key, x5c] of [
      [root.key, [root.der]],
      [middle.key, [middle.der]],
      [leaf.key, [leaf.der, middle.der]],
      [leaf.key, [leaf.der, stranger.der, middle.der, root.der]],
    ] as const)
      expect(await site.ask(pull, `Bearer ${await tokenOf(key, { x5c })}`)).toMatchObject({ status: 200 });
    const inKey = { jwk: { ...publicOf(leaf.key), x5c: [leaf.der, middle.der] } };
    expect(await site.ask(pull, `Bearer ${await tokenOf(leaf.key, inKey)}`)).toMatchObject({ status: 200 });
  });

  test('a chain that leads nowhere, is too long, has expired, or of which another key signed, is not', async () => {
    await using site = await guarded(await byRoots());
    const late = await certificateOf('late', { by: root, until: new Date(Date.now() - 60_000) });
    const below = await certificateOf('below', { by: leaf });
    const unknown = await certificateOf('unknown', { cA: true });
    const ofUnknown = await certificateOf('leaf', { by: unknown });
    for (const [key, x5c] of [
      [leaf.key, [leaf.der]],
      [leaf.key, Array.from({ length: 20 }, () => leaf.der)],
      [late.key, [late.der]],
      // The one that issued it is not an authority.
      [below.key, [below.der, leaf.der, middle.der]],
      [unknown.key, [unknown.der]],
      [ofUnknown.key, [ofUnknown.der, unknown.der]],
      [ofUnknown.key, [ofUnknown.der, middle.der]],
      [unknown.key, [leaf.der, middle.der]],
      [leaf.key, []],
      [leaf.key, ['nonsense']],
      [leaf.key, 'nonsense'],
      [leaf.key, [7]],
    ] as const) {
      const sent = await site.ask(pull, `Bearer ${await tokenOf(key, { x5c })}`);
      expect([sent.status, sent.error]).toEqual([401, 'invalid_token']);
    }
    expect(site.reported).toEqual([]);
  });

  test('a key that is a root, by both kinds of fingerprint, and brought along', async () => {
    await using site = await guarded(await byRoots());
    const [thumbprint, libtrust] = await fingerprints(createPublicKey(root.key));
    expect(libtrust).toMatch(/^(?:[A-Z2-7]{4}:){11}[A-Z2-7]{4}$/);
    for (const header of [{ kid: thumbprint }, { kid: libtrust }, { jwk: publicOf(root.key) }])
      expect(await site.ask(pull, `Bearer ${await tokenOf(root.key, header)}`)).toMatchObject({ status: 200 });
    const own = ecKey();
    for (const header of [
      {},
      { kid: 'x' },
      { kid: thumbprint },
      { jwk: publicOf(own) },
      { jwk: { kty: 'oct', k: 'a' } },
    ])
      expect(await site.ask(pull, `Bearer ${await tokenOf(own, header)}`)).toMatchObject({ error: 'invalid_token' });
    const disguised = { jwk: { ...publicOf(own), kid: thumbprint } };
    expect(await site.ask(pull, `Bearer ${await tokenOf(own, disguised)}`)).toMatchObject({ error: 'invalid_token' });
  });

  test('the fingerprints are those of the specifications', async () => {
    // The example of RFC 7638, and libtrust's of the same key, by openssl and base32.
    const n =
      '0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw';
    const key = createPublicKey({ key: { kty: 'RSA', n, e: 'AQAB' }, format: 'jwk' });
    expect((await fingerprints(key))[0]).toBe('NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs');
  });

  test('a key of a set by its id; only for its algorithm if the set says so', async () => {
    await using site = await guarded(await checkOf());
    for (const [key, kid] of [
      [setKey, 'named'],
      [edKey, 'second'],
    ] as const)
      expect(await site.ask(pull, `Bearer ${await tokenOf(key, { kid })}`)).toMatchObject({ status: 200 });
    expect(await site.ask(pull, `Bearer ${await tokenOf(setKey, { kid: 'second' })}`)).toMatchObject({ status: 401 });
    const path = join(folder, 'rsa.json');
    const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2_048 });
    await writeFile(path, JSON.stringify({ keys: [{ ...publicOf(privateKey), kid: 'a', alg: 'RS256' }] }));
    await using other = await guarded(await checkOf({ jwks: path }));
    for (const [alg, status] of [
      ['RS256', 200],
      ['PS256', 401],
      ['RS512', 401],
    ] as const)
      expect(await other.ask(pull, `Bearer ${await tokenOf(privateKey, { alg, kid: 'a' })}`)).toMatchObject({ status });
  });
});

describe('D13: what a token must say', () => {
  const kid = 'named';
  const cases: readonly [claims: Readonly<Record<string, unknown>>, status: number, error?: string][] = [
    [{}, 200],
    [{ aud: ['other', service] }, 200],
    [{ exp: inSeconds(-30), nbf: inSeconds(30) }, 200],
    [{ nbf: undefined, iat: undefined, jti: undefined, sub: undefined }, 200],
    [{ access: [{ ...access[0], actions: ['*'], class: 'image' }] }, 200],
    [{ access: [...access, { type: 'other', name: 'x', actions: null }] }, 200],
    [{ iss: 'other' }, 401, 'invalid_token'],
    [{ iss: undefined }, 401, 'invalid_token'],
    [{ aud: 'other' }, 401, 'invalid_token'],
    [{ aud: undefined }, 401, 'invalid_token'],
    [{ aud: ['other'] }, 401, 'invalid_token'],
    [{ exp: inSeconds(-90) }, 401, 'invalid_token'],
    [{ exp: undefined }, 401, 'invalid_token'],
    [{ exp: 'later' }, 401, 'invalid_token'],
    [{ nbf: inSeconds(200) }, 401, 'invalid_token'],
    [{ access: 'all' }, 401, 'invalid_token'],
    [{ access: [null] }, 401, 'invalid_token'],
    [{ access: [{ type: 'repository', name: 'library/app', actions: 'pull' }] }, 401, 'invalid_token'],
    [{ access: [{ type: 'repository', name: 'library/app', actions: [7] }] }, 401, 'invalid_token'],
    [{ access: undefined }, 401, 'insufficient_scope'],
    [{ access: [] }, 401, 'insufficient_scope'],
    [{ access: [{ ...access[0], actions: ['push'] }] }, 401, 'insufficient_scope'],
    [{ access: [{ ...access[0], name: 'library' }] }, 401, 'insufficient_scope'],
    [{ access: [{ ...access[0], type: 'registry' }] }, 401, 'insufficient_scope'],
  ];
  test.each(cases)('%o: %s %s', async (claims, status, error) => {
    await using site = await guarded(await checkOf());
    const sent = await site.ask(pull, `Bearer ${await tokenOf(setKey, { kid }, claims)}`);
    expect([sent.status, sent.error]).toEqual([status, error]);
  });

  test('all that a request needs, of one or several entries; nothing for the base route', async () => {
    await using site = await guarded(await checkOf());
    const push = (...actions: string[][]) =>
      tokenOf(setKey, { kid }, { access: actions.map((some) => ({ ...access[0], actions: some })) });
    const line = 'POST /v2/library/app/blobs/uploads/';
    expect((await site.ask(line, `Bearer ${await push(['pull'], ['push'])}`)).status).toBe(202);
    expect((await site.ask(line, `Bearer ${await push(['push'])}`)).error).toBe('insufficient_scope');
    expect((await site.ask('GET /v2/', `Bearer ${await push()}`)).status).toBe(200);
    expect((await site.ask('GET /v2/_catalog', `Bearer ${await push(['*'])}`)).error).toBe('insufficient_scope');
  });
});

describe('D13: the challenge', () => {
  test('names realm, service and scope, and what was wrong; other schemes are no token', async () => {
    await using site = await guarded(await checkOf());
    const start = `Bearer realm="${realm}",service="${service}"`;
    expect((await site.ask('GET /v2/')).challenge).toBe(start);
    const scope = `${start},scope="repository:library/app:pull"`;
    for (const header of [undefined, 'Basic YTpi', 'Bearer', 'x', 'Bearer a b'])
      expect((await site.ask(pull, header)).challenge).toBe(scope);
    expect((await site.ask(pull, 'bearer x')).challenge).toBe(`${scope},error="invalid_token"`);
    expect((await site.ask('PUT /v2/a/manifests/b')).challenge).toBe(`${start},scope="repository:a:pull,push"`);
  });

  test('autoredirect leads to the requested host, by https or what X-Forwarded-Proto says', async () => {
    await using site = await guarded(await checkOf({ realm: undefined, autoRedirect: true }));
    await using other = await guarded(await checkOf({ autoRedirect: true, autoRedirectPath: '/get' }));
    const { host } = new URL(site.server.url);
    const realmOf = async (proto?: string) =>
      /realm="([^"]*)"/.exec(
        (await site.ask(pull, undefined, proto === undefined ? {} : { 'x-forwarded-proto': proto })).challenge,
      )?.[1];
    expect(await realmOf()).toBe(`https://${host}/auth/token`);
    expect(await realmOf('http')).toBe(`http://${host}/auth/token`);
    expect(await realmOf('evil"://x')).toBe(`https://${host}/auth/token`);
    expect((await other.ask(pull)).challenge).toContain(`realm="https://${new URL(other.server.url).host}/get"`);
  });
});

describe('hostile tokens', () => {
  test('none, and shared secrets, are never accepted, whatever key they name', async () => {
    await using site = await guarded(await checkOf());
    const claims = { iss: issuer, aud: service, exp: inSeconds(300), access };
    const pem = createPublicKey(setKey).export({ type: 'spki', format: 'pem' });
    const part = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const { createHmac } = await import('node:crypto');
    const signed = `${part({ alg: 'HS256', kid: 'named' })}.${part(claims)}`;
    const confused = `${signed}.${createHmac('sha256', pem).update(signed).digest('base64url')}`;
    const empty = `${part({ alg: 'none', kid: 'named' })}.${part(claims)}.`;
    for (const token of [
      new UnsecuredJWT(claims).encode(),
      confused,
      empty,
      `${part({ alg: 'nOnE' })}.${part(claims)}.`,
    ])
      expect(await site.ask(pull, `Bearer ${token}`)).toMatchObject({ status: 401, error: 'invalid_token' });
  });

  test('a token with any character changed is not accepted', async () => {
    const check = await checkOf();
    const token = await tokenOf(setKey, { kid: 'named' });
    const outcome = async (text: string) => {
      const request = new Request('http://a/v2/library/app/manifests/b', {
        headers: { authorization: `Bearer ${text}` },
      });
      return (await check({ request, needed: access })).kind;
    };
    expect(await outcome(token)).toBe('granted');
    const index = fc.integer({ min: 0, max: token.length - 1 });
    const character = fc.constantFrom(...'ABCyz059-_.=+/');
    await fc.assert(
      fc.asyncProperty(index, character, async (at, to) => {
        // The last two bits of a signature say nothing.
        const isSame = token[at] === to || at === token.length - 1;
        if (!isSame) expect(await outcome(token.slice(0, at) + to + token.slice(at + 1))).toBe('challenge');
      }),
    );
  });

  test('whatever an Authorization header has, the answer is a challenge, and nothing of it is in there', async () => {
    const check = await checkOf();
    const printable = fc.stringMatching(/^[ -~]{0,200}$/).map((text) => `canary${text}`);
    const headers = fc.oneof(
      printable,
      printable.map((text) => `Bearer ${text}`),
      printable.map((text) => `Basic ${text}`),
    );
    await fc.assert(
      fc.asyncProperty(headers, async (authorization) => {
        const outcome = await check({
          request: new Request('http://a/', { headers: { authorization } }),
          needed: access,
        });
        expect(JSON.stringify(outcome)).toMatch(/^\{"kind":"challenge"/);
        expect(JSON.stringify(outcome)).not.toContain('canary');
      }),
    );
  });

  test('a huge token, and one of very many entries, is decided in time', async () => {
    const check = await checkOf();
    const outcome = async (authorization: string) =>
      (await check({ request: new Request('http://a/', { headers: { authorization } }), needed: access })).kind;
    const many = (count: number) =>
      tokenOf(
        setKey,
        { kid: 'named' },
        { access: [...Array.from({ length: count }, () => ({ ...access[0], name: 'x' })), ...access] },
      );
    const started = process.cpuUsage();
    expect(await outcome(`Bearer ${await many(500)}`)).toBe('granted');
    expect(await outcome(`Bearer ${await many(20_000)}`)).toBe('challenge');
    expect(await outcome(`Bearer ${'a'.repeat(1_000_000)}`)).toBe('challenge');
    expect(await outcome(`Bearer ${'.'.repeat(60_000)}`)).toBe('challenge');
    expect(await outcome(`${' '.repeat(100_000)}x`)).toBe('challenge');
    expect(process.cpuUsage(started).user).toBeLessThan(5_000_000);
  });
});

describe('a set at a URL', () => {
  /** A server of a set that the test changes. */
  async function keyServer() {
    const state = { body: setOf({ named: setKey }), status: 200, requests: 0 };
    const server = createServer((_, response) => {
      state.requests += 1;
      response.writeHead(state.status).end(state.body);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/keys`;
    return { state, url, [Symbol.asyncDispose]: async () => void server.close() };
  }

  test('is fetched with the first token, and kept', async () => {
    await using keys = await keyServer();
    await using site = await guarded(await checkOf({ jwks: keys.url }));
    expect(keys.state.requests).toBe(0);
    const token = `Bearer ${await tokenOf(setKey, { kid: 'named' })}`;
    const all = await Promise.all([1, 2, 3].map(() => site.ask(pull, token)));
    expect([all.map(({ status }) => status), keys.state.requests]).toEqual([[200, 200, 200], 1]);
  });

  test('is fetched again for a key that it does not have, at most each 30 s, and after ten minutes', async () => {
    await using keys = await keyServer();
    let now = 0;
    const find = keysAt(keys.url, () => now);
    expect([await find('named'), await find('new')].map(Boolean)).toEqual([true, false]);
    keys.state.body = setOf({ new: ecKey() });
    for (let count = 0; count < 5; count++) expect(await find(`x${count}`)).toBeUndefined();
    expect(keys.state.requests).toBe(1);
    now = 30_000;
    expect([await find('new'), await find('named')].map(Boolean)).toEqual([true, false]);
    expect(keys.state.requests).toBe(2);
    now = 630_000;
    await find('new');
    expect(keys.state.requests).toBe(3);
  });

  test('that is gone leaves what was fetched; one that never was there makes 400, and is tried again', async () => {
    await using keys = await keyServer();
    let now = 0;
    const find = keysAt(keys.url, () => now);
    keys.state.status = 500;
    await expect(find('named')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(find('named')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(keys.state.requests).toBe(1);
    now = 5_000;
    keys.state.status = 200;
    expect(await find('named')).toBeDefined();
    keys.state.status = 500;
    now = 700_000;
    expect(await find('named')).toBeDefined();
    await using site = await guarded(await checkOf({ jwks: keys.url }));
    expect(await site.ask(pull, `Bearer ${await tokenOf(setKey, { kid: 'named' })}`)).toMatchObject({
      status: 400,
      text: '',
    });
    expect(site.reported).toMatchObject([{ code: 'UNAVAILABLE' }]);
  });

  test.each(['x', '{}', '{"keys":{}}', '7', `{"keys":[${'{},'.repeat(2_000)}{}]}`, ' '.repeat(2_000_000)])(
    'that is none is an error: %#',
    async (body) => {
      await using keys = await keyServer();
      keys.state.body = body;
      await expect(keysAt(keys.url)('named')).rejects.toMatchObject({ name: 'RegistryError' });
    },
  );
});

test.each<readonly [options: Partial<BearerTokensOptions>, said: string]>([
  [{ realm: undefined }, 'realm'],
  [{ service: '' }, 'service'],
  [{ jwks: undefined }, 'neither rootCertBundle nor jwks'],
  [{ signingAlgorithms: ['RS256', 'HS256'] }, '"HS256", expected one of RS256'],
  [{ signingAlgorithms: ['none'] }, '"none"'],
  [{ autoRedirectPath: 'token' }, 'autoRedirectPath'],
  [{ jwks: '/nowhere/jwks.json' }, 'it cannot be read (ENOENT)'],
  [{ rootCertBundle: '/dev/null' }, 'it has none in PEM'],
])('options that cannot be used are refused at the start: %o', async (options, said) => {
  await expect(checkOf(options)).rejects.toMatchObject({
    code: 'INVALID_CONFIG',
    message: expect.stringContaining(said),
  });
});

test('a valid token is verified once a minute, and never longer than it is valid', async () => {
  const clock = { now: Date.now() };
  let lookups = 0;
  const find = async () => {
    lookups += 1;
    return { key: createPublicKey(setKey) };
  };
  const accepted = { issuer, audience: service, algorithms: ['ES256'], roots: [], find };
  const verify = rememberingVerifier(accepted, () => clock.now);
  const long = await tokenOf(setKey, { kid: 'a' });
  const short = await tokenOf(setKey, { kid: 'a' }, { exp: inSeconds(-30) });
  for (const token of [long, long, short, short, long, short])
    expect(await verify(token)).toMatchObject({ subject: 'ann' });
  expect(lookups).toBe(2);
  clock.now += 40_000;
  expect(await verify(long)).toBeDefined();
  expect(lookups).toBe(2);
  await verify(short);
  expect(lookups).toBe(3);
  clock.now += 30_000;
  await verify(long);
  expect(lookups).toBe(4);
  // What is wrong is not remembered.
  const wrong = await tokenOf(ecKey(), { kid: 'a' });
  expect([await verify(wrong), await verify(wrong)]).toEqual([undefined, undefined]);
  expect(lookups).toBe(6);
});

test('only the configured algorithms are accepted', async () => {
  await using site = await guarded(await checkOf({ signingAlgorithms: ['EdDSA'] }));
  expect((await site.ask(pull, `Bearer ${await tokenOf(edKey, { kid: 'second' })}`)).status).toBe(200);
  expect((await site.ask(pull, `Bearer ${await tokenOf(setKey, { kid: 'named' })}`)).error).toBe('invalid_token');
});
