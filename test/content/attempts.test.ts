import { expect, test } from 'vitest';
import { createFailures } from '../../src/content/attempts.ts';
import { type ErrorCode, RegistryError } from '../../src/errors.ts';

const failuresOf = (codes: readonly ErrorCode[]) => {
  const failures = createFailures();
  for (const [index, code] of codes.entries()) failures.add(new RegistryError(code, `break ${index}`));
  return failures;
};

test('the first five and the last five are remembered, and the number of the others is told', () => {
  const error = failuresOf(Array(5_000).fill('UNAVAILABLE')).combined('read "x"');
  const shown = [0, 1, 2, 3, 4, 4995, 4996, 4997, 4998, 4999].map((index) => `break ${index}`).join('; ');
  expect(error.message).toBe(`Cannot read "x": ${shown}; and 4990 more failures`);
  expect(failuresOf(Array(10).fill('TIMEOUT')).combined('it').message).not.toContain('more');
});

test('one between that got furthest is remembered, too, so that its code is told', () => {
  const codes = Array<ErrorCode>(100).fill('UNAVAILABLE');
  codes[50] = 'BAD_RESPONSE';
  const failures = failuresOf(codes);
  expect([failures.combined('it').code, failures.all().length, failures.last?.message]).toEqual([
    'BAD_RESPONSE',
    11,
    'break 99',
  ]);
});
