import { expect, test } from 'vitest';
import { quote } from '../../src/text/quote.ts';

test.each([
  ['alpine:3.20', '"alpine:3.20"'],
  ['name:tag@sha256:abc', '"name:tag@sha256:abc"'],
  ['https://joe:hunter2@host/x', '"https://***@host/x"'],
  ['joe:hunter2@host/x', '"***@host/x"'],
  ['two\nlines', '"two\\nlines"'],
  [['a'], '"a list"'],
  [{}, '"an object"'],
  [undefined, '"undefined"'],
  [5, '"5"'],
])('%j is shown as %s', (value, shown) => {
  expect(quote(value)).toBe(shown);
});

test('a long value is cut', () => {
  expect(quote('x'.repeat(1000))).toBe(`"${'x'.repeat(300)}…"`);
});
