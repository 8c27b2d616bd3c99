import { expect, test } from 'vitest';
import { credentialsFor, credentialsInTurn, expandShortName, loginFrom } from '../../src/config/credentials.ts';

const login = (username: string) => ({ username, password: 'secret' });
const credentials = {
  'a.test': login('host'),
  'a.test/team': login('team'),
  'a.test/team/app': login('app'),
  'a.test:5000': login('port'),
  'docker.io': login('hub'),
  'b.test:443': login('default port'),
  '[::1]:5000': login('six'),
};

test.each([
  ['a.test', 'other', 'host'],
  ['A.TEST', 'other', 'host'],
  ['a.test', 'team', 'team'],
  ['a.test', 'team/tool', 'team'],
  ['a.test', 'team/app', 'app'],
  ['a.test', 'team/app/part', 'app'],
  ['a.test', 'teams/app', 'host'],
  ['a.test:5000', 'team/app', 'port'],
  ['a.test:5001', 'team/app', undefined],
  ['sub.a.test', 'x', undefined],
  ['a.test.evil', 'x', undefined],
  ['registry-1.docker.io', 'library/alpine', 'hub'],
  ['index.docker.io', 'library/alpine', 'hub'],
  ['b.test', 'x', 'default port'],
  ['b.test:80', 'x', undefined],
  ['[::1]:5000', 'x', 'six'],
  ['constructor', 'x', undefined],
])('%s, asked for %s, gets the login of %s', (host, repository, expected) => {
  expect(loginFrom(credentials)(host, { repository })).toEqual(expected && login(expected));
  const source = credentialsFor(credentials, host, repository);
  expect(source === undefined).toBe(expected === undefined);
  expect(source ?? '').not.toContain('secret');
});

test('the key as it was written wins over one with a default port', () => {
  const both = { 'b.test:443': login('long'), 'b.test': login('short') };
  expect(loginFrom(both)('b.test', {})).toEqual(login('short'));
});

test('a provider is called, and described only as a provider', () => {
  const provider = (host: string) => login(host);
  expect(loginFrom(provider)('x.test', {})).toEqual(login('x.test'));
  expect(credentialsFor(provider, 'x.test', 'app')).toBe('credentials provider');
});

test('without credentials there is no login', () => {
  expect(loginFrom(undefined)('a.test', {})).toBeUndefined();
  expect(credentialsFor(undefined, 'a.test', 'app')).toBeUndefined();
});

test('credentials in turn are those of the first that has a login, and say where they look', async () => {
  const mine = (host: string) => (host === 'mine.test' ? login('mine') : undefined);
  const all = credentialsInTurn(mine, credentials, undefined);
  expect(await all('mine.test', {})).toEqual(login('mine'));
  expect(await all('a.test', { repository: 'team/app' })).toEqual(login('app'));
  expect(await all('c.test', {})).toBeUndefined();
  expect(credentialsFor(all, 'a.test', 'team')).toBe('credentials provider, else credentials["a.test/team"]');
  expect(all.logins).toEqual(credentials);
});

test('what the first of them throws is not passed over', async () => {
  const failing = (): never => {
    throw new Error('the vault is sealed');
  };
  await expect(credentialsInTurn(failing, credentials)('a.test', {})).rejects.toThrow('the vault is sealed');
});

const names = {
  aliases: { fedora: 'registry.fedoraproject.org/fedora', 'team/app': 'quay.io/team/app' },
  search: ['quay.io'],
};

test.each([
  ['fedora', 'registry.fedoraproject.org/fedora'],
  ['fedora:40', 'registry.fedoraproject.org/fedora:40'],
  ['team/app@sha256:abc', 'quay.io/team/app@sha256:abc'],
  ['alpine', 'quay.io/alpine'],
  ['alpine:3.20', 'quay.io/alpine:3.20'],
  ['a/b/c:x', 'quay.io/a/b/c:x'],
  ['docker.io/library/alpine', 'docker.io/library/alpine'],
  ['localhost/x', 'localhost/x'],
  ['localhost:5000/x', 'localhost:5000/x'],
  ['registry:5000/x:1', 'registry:5000/x:1'],
  ['LOCALHOST/x', 'LOCALHOST/x'],
  ['[::1]:5000/x', '[::1]:5000/x'],
  ['constructor', 'quay.io/constructor'],
  ['', ''],
])('%j stands for %j', (reference, expected) => {
  expect(expandShortName(reference, names)).toBe(expected);
});

test('without a configuration a name stays what Docker makes of it', () => {
  expect(expandShortName('alpine')).toBe('alpine');
  expect(expandShortName('alpine', { search: [] })).toBe('alpine');
  const docker = { aliases: { docker: 'docker.io/library/docker' }, search: ['quay.io'] };
  expect(expandShortName('docker://alpine', docker)).toBe('docker://alpine');
});

test('of several registries none is guessed', () => {
  const expand = (): string => expandShortName('alpine', { search: ['quay.io', 'docker.io'] });
  expect(expand).toThrow(
    'Cannot parse reference "alpine": it has no registry, and 2 are searched (quay.io, docker.io)',
  );
});
