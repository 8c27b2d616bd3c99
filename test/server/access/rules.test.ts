import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type AccessRule, accessRules } from '../../../src/server/access/rules.ts';

const everyone = { anonymous: true, actions: ['pull'] };
const pulls = (...repositories: string[]) => {
  const allow = accessRules({ rules: [{ ...everyone, repositories }] });
  return (name: string) => allow(undefined, name, 'pull');
};

test.each<readonly [pattern: string, yes: readonly string[], no: readonly string[]]>([
  ['a/b', ['a/b'], ['a', 'a/b/c', 'xa/b', 'a/bb']],
  ['a/*', ['a/b', 'a/c'], ['a', 'a/b/c']],
  ['a/b*c', ['a/bc', 'a/bxc'], ['a/b', 'a/bcd', 'a/b/c']],
  ['ab*ba', ['abba', 'abxba'], ['aba']],
  ['a/**', ['a', 'a/b', 'a/b/c'], ['ab', 'b/a']],
  ['**', ['a', 'a/b/c'], ['registry:catalog', 'other:x']],
  ['**/b', ['b', 'a/b', 'a/a/b'], ['b/a', 'ab']],
  ['a/**/b', ['a/b', 'a/x/y/b'], ['a', 'b', 'a/b/c']],
  ['registry:catalog', ['registry:catalog'], ['registry', 'catalog']],
])('%s is %s, and is not %s', (pattern, yes, no) => {
  const allowed = pulls(pattern);
  expect([...yes, ...no].filter(allowed)).toEqual(yes);
});

test('what no rule allows is denied; rules add up', async () => {
  const allow = accessRules({
    groups: { team: ['ann', 'bob'] },
    rules: [
      { repositories: ['public/**'], anonymous: true, actions: ['pull'] },
      { repositories: ['shared/**'], users: ['*'], actions: ['pull', 'push'] },
      { repositories: ['team/**'], groups: ['team'], actions: ['pull'] },
      { repositories: ['team/**'], users: ['ann'], actions: ['*'] },
    ],
  });
  const allowed: string[] = [];
  for (const user of [undefined, 'eve', 'ann', 'bob'])
    for (const name of ['public/a', 'shared/a', 'team/a', 'else'])
      for (const action of ['pull', 'push', 'delete'])
        if (await allow(user, name, action)) allowed.push(`${user} ${name} ${action}`);
  const publicly = ['undefined', 'eve', 'ann', 'bob'].map((user) => `${user} public/a pull`);
  const shared = ['eve', 'ann', 'bob'].flatMap((user) => [`${user} shared/a pull`, `${user} shared/a push`]);
  const team = ['ann team/a pull', 'ann team/a push', 'ann team/a delete', 'bob team/a pull'];
  expect(allowed.sort()).toEqual([...publicly, ...shared, ...team].sort());
});

test('a user named as a group, or as a property of every object, is only a user', () => {
  const allow = accessRules({
    groups: { team: ['ann'] },
    rules: [{ repositories: ['a'], groups: ['team'], actions: ['pull'] }],
  });
  expect(['team', 'constructor', 'ann'].filter((user) => allow(user, 'a', 'pull'))).toEqual(['ann']);
});

const good: AccessRule = { repositories: ['a'], users: ['ann'], actions: ['pull'] };
test.each<readonly [change: Partial<AccessRule>, said: string]>([
  [{ repositories: [] }, 'rules[0].repositories'],
  [{ repositories: ['a//b'] }, '"a//b"'],
  [{ repositories: ['a*b*'] }, '"a*b*"'],
  [{ repositories: ['**/a/**'] }, '"**/a/**"'],
  [{ repositories: ['a**'] }, '"a**"'],
  [{ actions: [] }, 'rules[0].actions'],
  [{ actions: ['write'] }, '"write", expected one of pull, push, delete, *'],
  [{ groups: ['constructor'] }, '"constructor", expected the name of a group'],
  [{ users: [] }, 'expected users, groups or anonymous'],
])('a rule that could never apply is refused: %o', (change, said) => {
  expect(() => accessRules({ rules: [{ ...good, ...change }] })).toThrow(
    expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining(said) }),
  );
});

test('a pattern matches what the regular expression of its meaning matches', () => {
  const component = fc.stringMatching(/^(?:[ab]{0,2}\*?[ab]{0,2}|\*\*)$/).filter((text) => text !== '');
  const patterns = fc
    .array(component, { minLength: 1, maxLength: 4 })
    .filter((parts) => parts.filter((part) => part === '**').length <= 1);
  const names = fc.array(fc.stringMatching(/^[ab]{1,4}$/), { minLength: 1, maxLength: 5 });
  fc.assert(
    fc.property(patterns, names, (parts, name) => {
      const source = parts.map((part) => (part === '**' ? '(?:[ab]+/)*' : `${part.replace('*', '[ab]*')}/`)).join('');
      expect(pulls(parts.join('/'))(name.join('/'))).toBe(new RegExp(`^${source}$`).test(`${name.join('/')}/`));
    }),
  );
});

test('long names and patterns take time in proportion to them', () => {
  const long = 'a/'.repeat(100_000);
  const started = process.cpuUsage();
  expect(pulls(`${long}**/${long}b`)(`${long}${long}a`)).toBe(false);
  expect(process.cpuUsage(started).user).toBeLessThan(2_000_000);
});
