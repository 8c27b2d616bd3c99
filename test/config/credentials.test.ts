import { expect, test } from 'vitest';
import { credentialsFor, loginFrom } from '../../src/config/credentials.ts';

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

test('a provider is asked itself, and named only as one', () => {
  const provider = (host: string) => login(host);
  expect(loginFrom(provider)('x.test', {})).toEqual(login('x.test'));
  expect(credentialsFor(provider, 'x.test', 'app')).toBe('credentials provider');
});

test('without credentials there is no login', () => {
  expect(loginFrom(undefined)('a.test', {})).toBeUndefined();
  expect(credentialsFor(undefined, 'a.test', 'app')).toBeUndefined();
});
