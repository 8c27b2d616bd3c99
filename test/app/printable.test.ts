import { expect, test } from 'vitest';
import { bytesText, errorText, pathOf, printable, secondsText } from '../../src/app/printable.ts';

test('a text is one line of a bounded length, without what a terminal or a page acts on', () => {
  expect(printable('a\u{1b}[31m\nb\u{202e}c\u{2028}d\u{d800}')).toBe(
    'a\u{fffd}[31m\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}',
  );
  expect(printable('x'.repeat(1_000_000), 10)).toBe(`${'x'.repeat(9)}…`);
  expect(printable('short')).toBe('short');
});

test('a path is shown without the values of its query', () => {
  const request = new Request(
    'http://joe:secret@localhost:5000/v2/a/blobs/uploads/?state=secret&mount=sha256:aa'.replace('joe:secret@', ''),
  );
  expect(pathOf(request)).toMatch(/^\/v2\/a\/blobs\/uploads\/\?state=\*\*\*&mount=/);
});

test('an error is its message, whatever was thrown', () => {
  expect([new Error('a\nb'), 'text', undefined, null, 7].map(errorText)).toEqual([
    'a\u{fffd}b',
    'text',
    undefined,
    undefined,
    '7',
  ]);
});

test('amounts are short', () => {
  expect([0, 999, 1_000, 999_499, 999_500, 12_345_678, 3e15].map(bytesText)).toEqual([
    '0 B',
    '999 B',
    '1.0 kB',
    '999 kB',
    '1.0 MB',
    '12.3 MB',
    '3.0 PB',
  ]);
  expect([-5, 0.4, 59, 61, 3_661, 90_061].map(secondsText)).toEqual([
    '0 s',
    '0 s',
    '59 s',
    '1 min',
    '1 h 1 min',
    '1 d 1 h',
  ]);
});
