import { readFileSync } from 'node:fs';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { checkRewritten, compileRewrites, patternProblem } from '../../src/config/rewrite.ts';

const rewriteOnce = (pattern: string, replacement: string, name: string): string =>
  compileRewrites([{ pattern, replacement }], 'test').rewrite(name).name;

// Answers of Go 1.26: regexp.Compile and ReplaceAllString; null is a pattern that does not compile.
const goCases = JSON.parse(readFileSync(new URL('go-rewrite-cases.json', import.meta.url), 'utf8')) as {
  pattern: string;
  template: string;
  input: string;
  want: string | null;
}[];

test.each(goCases)('$pattern to $template on $input, as Go does', ({ pattern, template, input, want }) => {
  if (want === null) {
    expect(() => rewriteOnce(pattern, template, input)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  } else {
    expect(rewriteOnce(pattern, template, input)).toBe(want);
  }
});

describe('rules', () => {
  const first = { pattern: '^library/', replacement: 'hub/' };
  const second = { pattern: 'a', replacement: 'b' };

  test.each([
    ['library/alpine', 'hub/alpine', first],
    ['foo/bar', 'foo/bbr', second],
    ['foo', 'foo', undefined],
  ])('the first that matches %s makes %s of it', (name, result, rule) => {
    expect(compileRewrites([first, second], 'test').rewrite(name)).toEqual({ name: result, ...(rule && { rule }) });
  });

  test('one that matches and changes nothing still wins', () => {
    const same = { pattern: 'foo', replacement: 'foo' };
    expect(compileRewrites([same, { pattern: '.*', replacement: 'x' }], 'test').rewrite('foo')).toEqual({
      name: 'foo',
      rule: same,
    });
  });

  test('none leave the name as it is', () => {
    expect(compileRewrites([], 'test').rewrite('a/b')).toEqual({ name: 'a/b' });
  });

  test('a pattern that does not compile is reported with its place', () => {
    const rules = [first, { pattern: '(?=x)', replacement: '' }];
    expect(() => compileRewrites(rules, 'mirror https://m')).toThrow(
      'Cannot compile mirror https://m, rewrite 1, pattern "(?=x)": ',
    );
  });

  test.each([
    ['4,097 characters', 'a'.repeat(4_097), '4097 characters, expected at most 4096'],
    ['many counts', 'a{1000}b{1,}', 'the counts of its repetitions make 1001, expected at most 1000'],
    ['counts in counts', '(a{30}){2,30}'.repeat(17), 'make 1020'],
  ])('a pattern of %s is refused, as compiling it may take seconds', (_, pattern, found) => {
    const rules = [{ pattern, replacement: '' }];
    expect(() => compileRewrites(rules, 'mirror m')).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
    expect(() => compileRewrites(rules, 'mirror m')).toThrow(found);
  });

  test.each(['a'.repeat(4_096), 'a{1000}', '(a{31}){2,31}'.repeat(16)])(
    'a pattern within these bounds compiles',
    (pattern) => {
      expect(patternProblem(pattern)).toBeUndefined();
    },
  );

  test('two groups of one name are refused as ambiguous', () => {
    expect(() => rewriteOnce('(?P<n>a)(?P<n>b)', '$n', 'ab')).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG' }),
    );
  });

  test.each([
    ['^library/(.*)', 'x/$1_x', ['"$1_x"']],
    ['(a)(?P<name>b)', '$1$2$3\u0024{name}\u0024{nam}$$5', ['"$3"', '"\u0024{nam}"']],
    ['(a)', '\u0024{1}_x $ $\u007b', []],
  ])('%s to %s warns of %j', (pattern, replacement, groups) => {
    const { warnings } = compileRewrites([{ pattern, replacement }], 'mirror m');
    expect(warnings).toHaveLength(groups.length);
    for (const [index, group] of groups.entries()) {
      expect(warnings[index]).toContain(`mirror m, rewrite 0: ${group} of replacement ${JSON.stringify(replacement)}`);
    }
  });

  test('a pattern that takes other engines for ever takes no time', () => {
    const began = performance.now();
    expect(rewriteOnce('^(a+)+$', 'x', `${'a'.repeat(50_000)}!`)).toHaveLength(50_001);
    expect(performance.now() - began).toBeLessThan(5000);
  });

  test('a template without a dollar is put in as it is', () => {
    const plain = fc.string().filter((text) => !text.includes('$'));
    fc.assert(
      fc.property(plain, (text) => {
        expect(rewriteOnce('/', text, 'a/b/c')).toBe(['a', 'b', 'c'].join(text));
      }),
    );
  });
});

test.each(['', '/a', 'a/', '..', 'a/../b', 'a?b', 'A', 'a//b', 'a'.repeat(256)])(
  '%j is no result of a rewrite',
  (name) => {
    const rule = { pattern: 'p', replacement: 'r' };
    expect(() => checkRewritten(name, rule, 'from')).toThrow(expect.objectContaining({ code: 'INVALID_REWRITE' }));
    expect(() => checkRewritten(name, rule, 'from')).toThrow('Cannot rewrite "from" by "p" to "r": ');
    expect(() => checkRewritten('a/b', rule, 'from')).not.toThrow();
  },
);
