import fc from 'fast-check';
import { expect, test } from 'vitest';
import { cleanPath, dateOf, literalText, textOf } from '../../src/files/entry.ts';
import { runs } from '../support/runs.ts';

test.each([
  [Buffer.from('größe 日本 😀'), 'größe 日本 😀'],
  [Uint8Array.of(0x61, 0xff, 0x62), 'a\\xffb'],
  [Uint8Array.of(0xe2, 0x82), '\\xe2\\x82'],
  [Uint8Array.of(0xed, 0xa0, 0x80), '\\xed\\xa0\\x80'],
  [Uint8Array.of(0xc0, 0x80, 0xf5), '\\xc0\\x80\\xf5'],
  [Uint8Array.of(0xef, 0xbb, 0xbf, 0x61), '\ufeffa'],
  [Buffer.from('system-systemd\\x2dcryptsetup.slice'), 'system-systemd\\x2dcryptsetup.slice'],
  [Buffer.from('a\\xff'), 'a\\x5cxff'],
  [Buffer.concat([Buffer.from('\\'), Uint8Array.of(0xff), Buffer.from('\\x5c')]), '\\\\xff\\x5cx5c'],
])('the name %j is %j', (bytes, text) => {
  expect(textOf(bytes)).toBe(text);
});

test('names that differ in a byte differ as texts, whatever they are', () => {
  const letters = fc.constantFrom(
    0x5c,
    0x78,
    0x35,
    0x63,
    0x66,
    0x38,
    0xff,
    0x80,
    0xc3,
    0xa9,
    0xe2,
    0x82,
    0xac,
    0xf0,
    0x9f,
    0xed,
  );
  const name = fc.array(letters, { maxLength: 8 }).map((bytes) => Uint8Array.from(bytes));
  const bytesOf = (text: string): Buffer =>
    Buffer.concat(
      text
        .split(/(\\x(?:5c|[89a-f][0-9a-f]))/)
        .map((part, index) => (index % 2 === 1 ? Buffer.from(part.slice(2), 'hex') : Buffer.from(part))),
    );
  fc.assert(
    fc.property(name, (bytes) => {
      expect([...bytesOf(textOf(bytes))]).toEqual([...bytes]);
    }),
    runs(500),
  );
  expect(literalText('a\\xff')).toBe('a\\x5cxff');
});

test('a path does not lead out of the root', () => {
  for (const [path, cleaned] of [
    ['/a//b/./c/', 'a/b/c'],
    ['../../a', 'a'],
    ['a/../../b', 'b'],
    ['', ''],
  ] as const) {
    expect(cleanPath(path)).toBe(cleaned);
  }
});

test('a time that no date can hold becomes the nearest', () => {
  expect([dateOf(1e300).getTime(), dateOf(-1e300).getTime(), dateOf(5).getTime()]).toEqual([8.64e15, -8.64e15, 5]);
});
