import { expect, test } from 'vitest';
import { matchKey } from '../../src/config/registry-keys.ts';

const keys = new Set([
  'docker.io',
  'a.example',
  'a.example/team',
  'a.example/team/app',
  '*.example',
  '*.deep.example:5000',
  '*',
]);

test.each([
  ['docker.io', 'library/alpine', 'docker.io'],
  ['index.docker.io', 'library/alpine', 'docker.io'],
  ['a.example', 'other', 'a.example'],
  ['A.Example', 'team/x', 'a.example/team'],
  ['a.example', 'team/app', 'a.example/team/app'],
  ['a.example', 'team/app/web', 'a.example/team/app'],
  ['a.example', 'team/apps', 'a.example/team'],
  ['a.example', 'teams', 'a.example'],
  ['b.example', 'x', '*.example'],
  ['c.b.example', 'x', '*.example'],
  ['example', 'x', '*'],
  ['x.deep.example:5000', 'x', '*.deep.example:5000'],
  ['notexample', 'x', '*'],
])('%s/%s falls under the key that fits it best', (registry, name, expected) => {
  expect(matchKey(keys, { registry, name })).toBe(expected);
});

test('a repository that no key fits falls under none', () => {
  expect(matchKey(new Set(['a.example']), { registry: 'b.example', name: 'x' })).toBeUndefined();
});
