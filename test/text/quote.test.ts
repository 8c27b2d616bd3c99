import { expect, test } from 'vitest';
import { nearest, quote } from '../../src/text/quote.ts';

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

const words = ['url', 'mirrors', 'overridePath', 'headers'];

test.each([
  ['ulr', 'url'],
  ['over', 'overridePath'],
  ['xx', undefined],
  ['urls', 'url'],
  ['mirror', 'mirrors'],
  ['override_path', 'overridePath'],
  ['HEADERS', 'headers'],
  ['zzz', undefined],
  ['', undefined],
  ['m'.repeat(100_000), undefined],
])('%s is near %s', (word, candidate) => {
  expect(nearest(word, words)).toBe(candidate);
});

test.each([
  ['https://joe:hunter2@host/a@b', '"https://***@b"'],
  ['see a://x and b://joe:secret@host', '"see a://***@host"'],
  ['://@', '"://***@"'],
  ['a@b://c', '"a@b://c"'],
])('everything between the first "://" and the last "@" of %s is removed', (text, shown) => {
  expect(quote(text)).toBe(shown);
});

test('the time to quote a text grows with its length, not with its square', () => {
  for (const unit of ['://', '@', ':', 'a:', '\u0000', 'a:b/', '://a:']) {
    const started = performance.now();
    quote(unit.repeat(1_048_576 / unit.length));
    expect(performance.now() - started, JSON.stringify(unit)).toBeLessThan(250);
  }
});
