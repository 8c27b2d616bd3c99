import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  checkRange,
  formatContentRange,
  formatRange,
  formatUnsatisfied,
  parseContentRange,
  parseRange,
} from '../../src/oci/range.ts';

const position = fc.maxSafeNat();

test('a range header is read as the range it was written from', () => {
  fc.assert(
    fc.property(position, position, fc.boolean(), (a, b, open) => {
      const [start, last] = a < b ? [a, b] : [b, a];
      fc.pre(last < Number.MAX_SAFE_INTEGER);
      const end = last + 1;
      expect(parseRange(formatRange(open ? { start } : { start, end }), end)).toEqual({ start, end });
    }),
  );
});

test('a content range is read as it was written', () => {
  fc.assert(
    fc.property(
      position,
      fc.integer({ min: 1, max: 1e9 }),
      fc.option(fc.nat(), { nil: undefined }),
      (start, length, more) => {
        const end = start + length;
        fc.pre(Number.isSafeInteger(end + (more ?? 0)));
        const range = { start, end, ...(more !== undefined && { size: end + more }) };
        expect(parseContentRange(formatContentRange(range))).toEqual(range);
      },
    ),
  );
});

test('what a range header asks for is always a part of the content', () => {
  const digits = fc.oneof(fc.constant(''), fc.nat(30).map(String), fc.bigInt({ min: 0n }).map(String));
  fc.assert(
    fc.property(digits, digits, fc.nat(20), (first, last, size) => {
      const range = parseRange(`bytes=${first}-${last}`, size);
      if (typeof range !== 'object') return;
      expect(range.start).toBeGreaterThanOrEqual(0);
      expect(range.end).toBeGreaterThan(range.start);
      expect(range.end).toBeLessThanOrEqual(size);
    }),
  );
});

test('any text as a range header is a range, unsatisfiable or ignored', () => {
  fc.assert(
    fc.property(fc.string(), (text) => {
      expect(['object', 'string', 'undefined']).toContain(typeof parseRange(`bytes=${text}`, 10));
      parseContentRange(`bytes ${text}`);
    }),
  );
});

describe('a range header against ten bytes', () => {
  test.each([
    ['bytes=0-9', { start: 0, end: 10 }],
    ['bytes=0-0', { start: 0, end: 1 }],
    ['bytes=3-', { start: 3, end: 10 }],
    ['bytes=3-100', { start: 3, end: 10 }],
    ['bytes=-3', { start: 7, end: 10 }],
    ['bytes=-100', { start: 0, end: 10 }],
    ['BYTES=1-2', { start: 1, end: 3 }],
    ['bytes= 1-2 ', { start: 1, end: 3 }],
    ['bytes=0-99999999999999999999999', { start: 0, end: 10 }],
    ['bytes=10-', 'unsatisfiable'],
    ['bytes=10-20', 'unsatisfiable'],
    ['bytes=-0', 'unsatisfiable'],
    ['bytes=99999999999999999999999-', 'unsatisfiable'],
    ['bytes=', undefined],
    ['bytes=-', undefined],
    ['bytes=5-4', 'unsatisfiable'],
    ['bytes=0-1,3-4', undefined],
    ['bytes=a-b', undefined],
    ['bytes=0x1-2', undefined],
    ['bytes=1 - 2', undefined],
    ['bytes=--1', undefined],
    ['items=0-1', undefined],
    ['0-1', undefined],
    ['bytes=0-1\n', undefined],
    ['', undefined],
  ] as const)('%j', (header, expected) => {
    expect(parseRange(header, 10)).toEqual(expected);
  });

  test('of an empty content nothing can be had', () => {
    expect(['bytes=0-', 'bytes=0-0', 'bytes=-1'].map((header) => parseRange(header, 0))).toEqual([
      'unsatisfiable',
      'unsatisfiable',
      'unsatisfiable',
    ]);
  });
});

describe('a content range', () => {
  test.each([
    ['bytes 0-9/10', { start: 0, end: 10, size: 10 }],
    ['bytes 0-9/*', { start: 0, end: 10 }],
    ['Bytes 5-5/6', { start: 5, end: 6, size: 6 }],
    ['bytes */10', undefined],
    ['bytes 5-4/10', undefined],
    ['bytes 0-10/10', undefined],
    ['bytes 0-9', undefined],
    ['bytes=0-9/10', undefined],
    ['bytes -1-9/10', undefined],
    ['bytes 0-9/10, bytes 0-9/10', undefined],
    ['bytes 0-9007199254740992/*', undefined],
    ['bytes 0-9/99999999999999999999', undefined],
    ['items 0-9/10', undefined],
    ['', undefined],
  ] as const)('%j', (text, expected) => {
    expect(parseContentRange(text)).toEqual(expected);
  });

  test('of an unsatisfied request has only the size', () => {
    expect(formatUnsatisfied(10)).toBe('bytes */10');
  });

  test.each([
    { start: 0, end: 0 },
    { start: 2, end: 1 },
    { start: -1, end: 1 },
    { start: 0, end: 5, size: 4 },
  ])('is not written for %j', (range) => {
    expect(() => formatContentRange(range)).toThrow(RangeError);
  });
});

describe('a range of ten bytes that a caller asks for', () => {
  test.each([
    [{ start: 0 }, { start: 0, end: 10 }],
    [{ start: 10 }, { start: 10, end: 10 }],
    [
      { start: 4, end: 4 },
      { start: 4, end: 4 },
    ],
    [
      { start: 4, end: 99 },
      { start: 4, end: 10 },
    ],
    [
      { start: 4, end: Number.POSITIVE_INFINITY },
      { start: 4, end: 10 },
    ],
  ])('%j is %j', (range, expected) => {
    expect(checkRange(range, 10)).toEqual(expected);
  });

  test.each([
    [{ start: -1 }, '"-1-" of 10: start is not'],
    [{ start: Number.NaN }, '"NaN-" of 10: start is not'],
    [{ start: 1.5 }, 'start is not'],
    [{ start: '1' as unknown as number }, 'start is not'],
    [{ start: Number.POSITIVE_INFINITY }, 'start is not'],
    [{ start: 0, end: -1 }, 'end is not'],
    [{ start: 0, end: Number.NaN }, 'end is not'],
    [{ start: 5, end: 4 }, '"5-4" of 10: end before start'],
    [{ start: 11 }, 'start beyond the end'],
  ])('%j is refused', (range, message) => {
    expect(() => checkRange(range, 10)).toThrow(RangeError);
    expect(() => checkRange(range, 10)).toThrow(message);
  });

  test.each([{ start: 3, end: 3 }, { start: 3, end: 2 }, { start: -1 }])('%j has no header', (range) => {
    expect(() => formatRange(range)).toThrow(RangeError);
  });
});
