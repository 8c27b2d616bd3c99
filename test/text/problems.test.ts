import { expect, test } from 'vitest';
import { z } from 'zod';
import {
  anything,
  type Checks,
  checkOptions,
  flag,
  pathText,
  schemaProblems,
  wholeNumber,
} from '../../src/text/problems.ts';

const checks: Checks = {
  flag,
  tries: wholeNumber(1, 3),
  limits: () => ({ bytes: wholeNumber(0), any: anything }),
};

const problemsOf = (options: unknown) => {
  try {
    checkOptions('do it', options, checks);
    return [];
  } catch (error) {
    return (error as { problems: unknown }).problems;
  }
};

test('options that fit, or are undefined, pass', () => {
  expect(problemsOf({ flag: true, tries: 3, limits: { bytes: 0, any: null } })).toEqual([]);
  expect(problemsOf({ flag: undefined, limits: { bytes: undefined } })).toEqual([]);
  expect(problemsOf({})).toEqual([]);
});

test('every problem is reported, those of a group with its name', () => {
  expect(problemsOf({ flag: 1, tries: 4, limits: { byte: 1, bytes: -1 }, other: 1 })).toEqual([
    { key: 'flag', found: 'found 1, expected true or false' },
    { key: 'tries', found: 'found 4, expected a whole number, 1 to 3' },
    { found: 'unknown option "limits.byte", did you mean "limits.bytes"?' },
    { key: 'limits.bytes', found: 'found -1, expected a whole number, at least 0' },
    { found: 'unknown option "other", expected one of flag, tries, limits' },
  ]);
  expect(problemsOf({ limits: [] })).toEqual([{ key: 'limits', found: 'found a list, expected an object of options' }]);
  expect(problemsOf(null)).toEqual([{ key: undefined, found: 'found null, expected an object of options' }]);
});

test('inherited options are checked, as they are read', () => {
  expect(problemsOf(Object.create({ flag: 1 }))).toEqual([{ key: 'flag', found: 'found 1, expected true or false' }]);
});

test('the problems that a schema finds have the same form', () => {
  const value = { list: [{ size: 'x' }] };
  const schema = z.object({ list: z.array(z.object({ size: z.number('expected a number') })) });
  const { error } = schema.safeParse(value);
  expect(error && schemaProblems(error, value)).toEqual([
    { key: 'list[0].size', found: 'found "x", expected a number' },
  ]);
});

test('a key path is written as in a program', () => {
  expect(pathText(['registries', 'docker.io', 'mirrors', 0, 'url'])).toBe('registries["docker.io"].mirrors[0].url');
});
