import { expect, test } from 'vitest';
import { cannot } from '../../../src/errors.ts';
import { createClient } from '../../../src/remote/client.ts';
import { actorOf } from '../../../src/server/access/actor.ts';
import { basicCheck } from '../../../src/server/access/basic.ts';
import { type AccessCheck, type ControlOptions, controlAccess, sillyCheck } from '../../../src/server/access/check.ts';
import { accessRules } from '../../../src/server/access/rules.ts';
import { listen } from '../../../src/server/listen.ts';
import type { Handler } from '../../../src/server/registry/exchange.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { basicLogin, filledRegistry } from '../support.ts';

const bearer = { authorization: 'Bearer whatever' };

/** A registry with `library/app` on a socket, behind a check, and who got to it. */
async function guarded(check: AccessCheck, options: ControlOptions = {}) {
  const { registry, store } = await filledRegistry();
  await fill(store('private/app'));
  const inner = serve(registry);
  const actors: (string | undefined)[] = [];
  const noting: Handler = (request, connection) => {
    actors.push(actorOf(request));
    return inner(request, connection);
  };
  const server = await listen(controlAccess(check, options)(noting));
  const ask = async (line: string, headers: Record<string, string> = {}) => {
    const [method = 'GET', path = '/'] = line.split(' ');
    const response = await fetch(`${server.url}${path}`, { method, headers, redirect: 'manual' });
    const text = await response.text();
    return { status: response.status, challenge: response.headers.get('www-authenticate'), text, response };
  };
  return { ask, actors, server, [Symbol.asyncDispose]: () => server.close() };
}

const record = (name: string, action: string) => ({ Type: 'repository', Class: '', Name: name, Action: action });
const detailOf = (text: string) => JSON.parse(text).errors[0].detail;

test('D10: a challenge is 401 with what was needed in the detail; null on the base route', async () => {
  await using site = await guarded(async () => ({ kind: 'challenge', challenge: 'Basic realm="a"' }));
  const pull = await site.ask('GET /v2/library/app/manifests/latest');
  expect([pull.status, pull.challenge]).toEqual([401, 'Basic realm="a"']);
  expect(pull.response.headers.get('content-type')).toBe('application/json');
  expect(JSON.parse(pull.text)).toEqual({
    errors: [{ code: 'UNAUTHORIZED', message: 'authentication required', detail: [record('library/app', 'pull')] }],
  });
  const mount = await site.ask(`POST /v2/a/blobs/uploads/?mount=${samples.large.descriptor.digest}&from=b`);
  expect(detailOf(mount.text)).toEqual([record('a', 'pull'), record('a', 'push'), record('b', 'pull')]);
  expect(detailOf((await site.ask('GET /v2/_catalog')).text)).toEqual([
    { Type: 'registry', Class: '', Name: 'catalog', Action: '*' },
  ]);
  expect((await site.ask('GET /v2/')).text).toContain('"detail":null');
  const head = await site.ask('HEAD /v2/library/app/manifests/latest');
  expect([head.status, head.challenge, head.text]).toEqual([401, 'Basic realm="a"', '']);
  expect(site.actors).toEqual([]);
});

test('D10: a check that fails is 400 without a body, and what it said is only reported', async () => {
  const reported: unknown[] = [];
  const failure = new Error('canary-5f1c');
  const failing = async () => {
    throw failure;
  };
  await using site = await guarded(failing, { onError: (error) => reported.push(error) });
  const response = await site.ask('GET /v2/library/app/manifests/latest');
  expect([response.status, response.text, response.challenge]).toEqual([400, '', null]);
  expect(JSON.stringify([...response.response.headers])).not.toContain('canary');
  expect(reported).toEqual([failure]);
});

test('a check that has no time is 429 with the time to wait, and is not reported', async () => {
  const reported: unknown[] = [];
  const busy: AccessCheck = async () => {
    throw cannot('RATE_LIMITED', 'check a login', 'too many are being checked', { retryAfter: 1_500 });
  };
  await using site = await guarded(busy, { onError: (error) => reported.push(error) });
  const { status, response } = await site.ask('GET /v2/');
  expect([status, response.headers.get('retry-after'), reported]).toEqual([429, '2', []]);
});

test('an error of the registry behind the check is not one of the check', async () => {
  const reported: unknown[] = [];
  const options = { onError: (error: unknown) => reported.push(error) };
  const handler = controlAccess(async () => ({ kind: 'granted' }), options)(() => Promise.reject(new Error('inner')));
  await expect(handler(new Request('http://a/v2/'))).rejects.toThrow('inner');
  expect(reported).toEqual([]);
});

test('D14: silly lets every Authorization pass, and challenges with one scope for each action', async () => {
  await using site = await guarded(sillyCheck({ realm: 'http://a/token', service: 'b' }));
  const start = 'Bearer realm="http://a/token",service="b"';
  expect((await site.ask('GET /v2/')).challenge).toBe(start);
  expect((await site.ask('PUT /v2/a/manifests/b')).challenge).toBe(
    `${start},scope="repository:a:pull repository:a:push"`,
  );
  for (const headers of [bearer, basicLogin('a:b'), { authorization: 'x' }])
    expect((await site.ask('GET /v2/library/app/manifests/latest', headers)).status).toBe(200);
  expect(site.actors).toEqual(['silly', 'silly', 'silly']);
});

const passwords: Readonly<Record<string, string>> = { ann: 'one', bob: 'two' };
const check = basicCheck({
  realm: 'team',
  login: ({ username, password }) => passwords[username] === password,
  allow: accessRules({
    rules: [
      { repositories: ['library/**'], anonymous: true, actions: ['pull'] },
      { repositories: ['private/**'], users: ['ann'], actions: ['*'] },
      { repositories: ['registry:catalog'], users: ['ann'], actions: ['*'] },
    ],
  }),
});

test('D11: logins in every request; wrong ones, and other schemes, get the same challenge', async () => {
  await using site = await guarded(basicCheck({ realm: 'team', login: ({ password }) => password === 'one' }));
  for (const headers of [
    undefined,
    basicLogin('ann:two'),
    bearer,
    { authorization: 'Basic' },
    { authorization: 'Basic %' },
  ]) {
    const { status, challenge } = await site.ask('GET /v2/library/app/manifests/latest', headers);
    expect([status, challenge]).toEqual([401, 'Basic realm="team"']);
  }
  expect((await site.ask('GET /v2/library/app/manifests/latest', basicLogin('ann:one'))).status).toBe(200);
  expect(site.actors).toEqual(['ann']);
});

test('rules hold for logins: anonymous pull, and the base route challenged so that clients learn how to log in', async () => {
  await using site = await guarded(check);
  const statusOf = async (line: string, text?: string) => (await site.ask(line, text ? basicLogin(text) : {})).status;
  expect(await statusOf('GET /v2/')).toBe(401);
  expect(await statusOf('GET /v2/', 'bob:two')).toBe(200);
  expect(await statusOf('GET /v2/library/app/manifests/latest')).toBe(200);
  expect(await statusOf('GET /v2/library/app/manifests/latest', ':')).toBe(200);
  expect(await statusOf('GET /v2/library/app/manifests/latest', 'bob:wrong')).toBe(401);
  expect(await statusOf('DELETE /v2/library/app/manifests/latest')).toBe(401);
  expect(await statusOf('DELETE /v2/library/app/manifests/latest', 'bob:two')).toBe(403);
  expect(await statusOf('GET /v2/_catalog')).toBe(401);
  expect(await statusOf('GET /v2/_catalog', 'bob:two')).toBe(403);
  expect(await statusOf('OPTIONS /v2/library/app/manifests/latest')).toBe(401);
  expect(site.actors).toEqual(['bob', undefined, undefined]);
});

test('an answer is the same for a repository that is there and one that is missing, if neither may be read', async () => {
  await using site = await guarded(check);
  const seen = async (name: string, text?: string) => {
    const {
      status,
      challenge,
      text: body,
      response,
    } = await site.ask(`GET /v2/${name}/manifests/latest`, text ? basicLogin(text) : {});
    const headers = [...response.headers].filter(([key]) => key !== 'date');
    return JSON.stringify({ status, challenge, body, headers });
  };
  for (const text of [undefined, 'bob:two'])
    expect((await seen('private/app', text)).replaceAll('private/app', 'private/non')).toBe(
      await seen('private/non', text),
    );
});

test('our client logs in with Basic', async () => {
  await using site = await guarded(check);
  const { host } = new URL(site.server.url);
  await using anonymous = createClient({});
  await using known = createClient({ config: { credentials: { [host]: { username: 'ann', password: 'one' } } } });
  const resolve = (client: typeof known, name: string) => client.fetcher(`${host}/${name}`).resolve('latest');
  expect((await resolve(anonymous, 'library/app')).descriptor).toMatchObject(samples.manifest.descriptor);
  await expect(resolve(anonymous, 'private/app')).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  expect((await resolve(known, 'private/app')).descriptor).toMatchObject(samples.manifest.descriptor);
  await expect(resolve(known, 'private/non')).rejects.toMatchObject({ code: 'NOT_FOUND' });
});
