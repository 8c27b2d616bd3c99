import fc from 'fast-check';
import { expect, test } from 'vitest';
import { formatScope, parseScope, pullScope, unionScopes } from '../../src/oci/scope.ts';

const scopes = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('repository', 'registry', 'repository(plugin)'),
      fc.constantFrom('a', 'a/b', 'localhost:5000/a', 'catalog'),
      fc.uniqueArray(fc.constantFrom('pull', 'push', 'delete', '*'), { minLength: 1 }),
    )
    .map(([type, name, actions]) => `${type}:${name}:${actions.join(',')}`),
  fc.constantFrom('aws', 'repository:x', 'a:b:', '', 'x:y:pull,,push'),
);

test('a union is the same in any order, and of itself', () => {
  fc.assert(
    fc.property(fc.array(scopes), fc.array(scopes), (a, b) => {
      const union = unionScopes(a, b);
      expect(unionScopes(b, a)).toEqual(union);
      expect(unionScopes(union, union)).toEqual(union);
      expect(unionScopes(unionScopes(a), b.join(' '))).toEqual(union);
    }),
  );
});

test('a scope is written as it was read', () => {
  fc.assert(
    fc.property(scopes, (text) => {
      const scope = parseScope(text);
      if (scope) expect(formatScope(scope)).toBe(text);
      else expect(unionScopes(text)).toEqual(text === '' ? [] : [text]);
    }),
  );
});

test.each([
  [[pullScope('a/b')], ['repository:a/b:pull']],
  [['repository:a:push', 'repository:a:pull'], ['repository:a:pull,push']],
  [
    ['repository:a:pull repository:b:pull', 'repository:a:pull,delete'],
    ['repository:a:delete,pull', 'repository:b:pull'],
  ],
  [['registry:catalog:*', '  '], ['registry:catalog:*']],
  [['repository:localhost:5000/a:pull', 'repository:localhost:5000/a:push'], ['repository:localhost:5000/a:pull,push']],
  [
    ['aws', 'aws', 'repository(plugin):a:pull', 'repository:a:pull'],
    ['aws', 'repository(plugin):a:pull', 'repository:a:pull'],
  ],
  [[], []],
])('the union of %j is %j', (given, union) => {
  expect(unionScopes(...given)).toEqual(union);
});

test.each(['', 'a', 'a:b', 'a::pull', ':a:pull', 'a:b:', 'a:b:pull,', 'a b:c:pull'])('%j is no scope', (text) => {
  expect(parseScope(text)).toBeUndefined();
});
