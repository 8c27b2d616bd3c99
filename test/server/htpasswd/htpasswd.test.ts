import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { hashSync } from 'bcryptjs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createClient } from '../../../src/remote/client.ts';
import { controlAccess } from '../../../src/server/access/check.ts';
import type { BasicLogin } from '../../../src/server/access/credentials.ts';
import { type Htpasswd, type HtpasswdOptions, htpasswd } from '../../../src/server/htpasswd/htpasswd.ts';
import { listen } from '../../../src/server/listen.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { samples } from '../../contract/source.ts';
import { filledRegistry } from '../support.ts';

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocifetch-htpasswd-'));
});
afterAll(() => rm(folder, { recursive: true }));

// 04 is the least cost there is.
const lineOf = (name: string, password: string, kind = 'b') =>
  `${name}:${hashSync(password, 4).replace('$2b$', `$2${kind}$`)}\n`;
const headersOf = (name: string, password: string) => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
});

let files = 0;
/** A registry on a socket with the users of a file. */
async function guarded(text: string, options: Partial<HtpasswdOptions> = {}) {
  files += 1;
  const path = join(folder, `users${files}`);
  await writeFile(path, text);
  const users = await htpasswd({ path, realm: 'the team', ...options });
  const reported: unknown[] = [];
  const control = controlAccess(users.check, { onError: (error) => reported.push(error) });
  const server = await listen(control(serve((await filledRegistry()).registry)));
  const ask = (headers: Record<string, string> = {}) =>
    fetch(`${server.url}/v2/library/app/manifests/latest`, { method: 'HEAD', headers });
  const close = async () => {
    await server.close();
    await users.close();
  };
  return { path, users, server, reported, ask, [Symbol.asyncDispose]: close };
}

test('D11: users of the file are let in, by each kind of bcrypt; all others get one challenge', async () => {
  await using site = await guarded(lineOf('ann', 'öne') + lineOf('bob', 'two', 'y') + lineOf('carol', 'three', 'a'));
  for (const [name, password] of [
    ['ann', 'öne'],
    ['bob', 'two'],
    ['carol', 'three'],
  ] as const)
    expect((await site.ask(headersOf(name, password))).status).toBe(200);
  for (const headers of [{}, headersOf('ann', 'two'), headersOf('eve', 'one'), headersOf('constructor', '')]) {
    const response = await site.ask(headers);
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="the team"']);
  }
});

test('D11: the file is read again when it has changed, and who is not in it any more is out at once', async () => {
  await using site = await guarded(lineOf('ann', 'one'));
  expect((await site.ask(headersOf('ann', 'one'))).status).toBe(200);
  const stamp = await site.users.stampOf('ann');
  await writeFile(site.path, lineOf('ann', 'new') + lineOf('bob', 'two'));
  expect((await site.ask(headersOf('ann', 'one'))).status).toBe(401);
  expect((await site.ask(headersOf('ann', 'new'))).status).toBe(200);
  expect((await site.ask(headersOf('bob', 'two'))).status).toBe(200);
  expect(await site.users.stampOf('ann')).not.toBe(stamp);
  expect(await site.users.stampOf('eve')).toBeUndefined();
});

test('a file that cannot be used any more lets nobody in, and is reported by its line', async () => {
  await using site = await guarded(lineOf('ann', 'one'));
  expect((await site.ask(headersOf('ann', 'one'))).status).toBe(200);
  await writeFile(site.path, `${lineOf('ann', 'one')}bob:{SHA}canary\n`);
  expect((await site.ask(headersOf('ann', 'one'))).status).toBe(400);
  expect(site.reported).toMatchObject([{ code: 'INVALID_CONFIG', problems: [{ line: 2 }] }]);
  await rm(site.path);
  expect((await site.ask(headersOf('ann', 'one'))).status).toBe(400);
  expect(site.reported.at(-1)).toMatchObject({ code: 'INVALID_CONFIG', found: 'it does not exist' });
  expect(String(site.reported)).not.toContain('canary');
  await writeFile(site.path, lineOf('ann', 'one'));
  expect((await site.ask(headersOf('ann', 'one'))).status).toBe(200);
});

test('D11: a missing file is made with the user docker and a random password, for its owner only', async () => {
  const path = join(folder, 'new/deep/users');
  const made: BasicLogin[] = [];
  const options = { path, onCreated: (login: BasicLogin) => void made.push(login) };
  // Two processes at once: one makes it, both use it.
  const both = await Promise.all([htpasswd(options), htpasswd(options)]);
  expect(made).toEqual([{ username: 'docker', password: expect.stringMatching(/^[\w-]{43}$/) }]);
  expect((await stat(path)).mode & 0o777).toBe(0o600);
  expect(await readFile(path, 'utf8')).toMatch(/^docker:\$2b\$10\$.{53}\n$/);
  const [login = { username: '', password: '' }] = made;
  expect(await Promise.all(both.map((users) => users.login(login)))).toEqual([true, true]);
  await Promise.all(both.map((users: Htpasswd) => users.close()));
}, 30_000);

test('without somebody to hear the password, a missing file is an error; a wrong one is one at the start', async () => {
  const missing = { path: join(folder, 'missing') };
  await expect(htpasswd(missing)).rejects.toMatchObject({ code: 'INVALID_CONFIG', found: 'it does not exist' });
  const path = join(folder, 'wrong');
  await writeFile(path, 'ann:secret');
  await expect(htpasswd({ path })).rejects.toMatchObject({ code: 'INVALID_CONFIG', problems: [{ line: 1 }] });
  await expect(htpasswd({ path: folder })).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
  const blocked = { path: join(path, 'below'), onCreated: () => undefined };
  await expect(htpasswd(blocked)).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
});

test('a refusal of an unknown user takes a comparison, as that of a known one', async () => {
  await using site = await guarded(`ann:${hashSync('one', 9)}\nbob:${hashSync('one', 9)}\n`);
  // Processor time of the whole process: the thread is part of it.
  const costOf = async (name: string): Promise<number> => {
    const started = process.cpuUsage();
    for (let count = 0; count < 5; count++) await site.users.login({ username: name, password: `wrong ${count}` });
    return process.cpuUsage(started).user;
  };
  await costOf('bob');
  const [known, unknown] = [await costOf('ann'), await costOf('eve')];
  expect(unknown / known).toBeGreaterThan(0.3);
  expect(unknown / known).toBeLessThan(3);
}, 30_000);

test('while passwords are compared, the event loop has its turns', async () => {
  await using site = await guarded(`ann:${hashSync('one', 11)}\n`);
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  const started = process.cpuUsage();
  await Promise.all([1, 2, 3].map((count) => site.users.login({ username: 'ann', password: `${count}` })));
  clearInterval(timer);
  // In this thread there would be at most one turn for each comparison.
  expect(process.cpuUsage(started).user).toBeGreaterThan(100_000);
  expect(turns).toBeGreaterThan(10);
}, 30_000);

test('a login is remembered, a password of any length is one', async () => {
  await using site = await guarded(`ann:${hashSync('one', 9)}\n${lineOf('bob', 'x'.repeat(72))}`);
  const login = { username: 'ann', password: 'one' };
  expect(await site.users.login(login)).toBe(true);
  const started = process.cpuUsage();
  for (let count = 0; count < 20; count++) expect(await site.users.login(login)).toBe(true);
  expect(process.cpuUsage(started).user).toBeLessThan(20 * 20_000);
  // bcrypt looks at 72 bytes.
  expect(await site.users.login({ username: 'bob', password: 'x'.repeat(80) })).toBe(true);
  expect(await site.users.login({ username: 'bob', password: 'x'.repeat(71) })).toBe(false);
  expect(await site.users.login({ username: 'bob', password: 'x'.repeat(100_000) })).toBe(false);
});

test('our client logs in', async () => {
  await using site = await guarded(lineOf('ann', 'one'));
  const { host } = new URL(site.server.url);
  await using client = createClient({ config: { credentials: { [host]: { username: 'ann', password: 'one' } } } });
  const { descriptor } = await client.fetcher(`${host}/library/app`).resolve('latest');
  expect(descriptor).toMatchObject(samples.manifest.descriptor);
});

test('a password is in no response, no report and no file', async () => {
  await using site = await guarded(lineOf('ann', 'canary-right'));
  const seen: string[] = [];
  for (const password of [
    'canary-right',
    'canary-wrong',
    ...Array.from({ length: 12 }, (_, count) => `canary-${count}`),
  ])
    for (const path of ['/v2/', '/v2/library/app/manifests/none', '/v2/_catalog?n=canary']) {
      const response = await fetch(`${site.server.url}${path}`, { headers: headersOf('ann', password) });
      seen.push(`${response.status} ${JSON.stringify([...response.headers])} ${await response.text()}`);
    }
  expect(new Set(seen.map((text) => text.slice(0, 3)))).toEqual(new Set(['200', '404', '401', '429']));
  await writeFile(site.path, 'ann:canary-plain');
  await site.ask(headersOf('ann', 'canary-right'));
  const shown = [
    ...seen,
    ...site.reported.map((error) => `${error} ${JSON.stringify(error)} ${(error as Error).stack}`),
  ];
  expect(shown.filter((text) => text.includes('canary'))).toEqual([]);
  expect(site.reported).toHaveLength(1);
});
