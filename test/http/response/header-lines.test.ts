import { expect, test } from 'vitest';
import { joinLines } from '../../../src/http/response/header-lines.ts';
import { failsWith } from '../../support/http.ts';
import { expectLinear } from '../../support/linear.ts';

const url = 'http://a.example/v2/a?secret=1';
const digest = `sha256:${'a'.repeat(64)}`;
const other = `sha256:${'b'.repeat(64)}`;
const join = (name: string, ...lines: string[]) => joinLines([[name, lines]], url)[name];

const pairs: readonly (readonly [string, string, string])[] = [
  ['content-type', 'application/json; a="b, c"', 'text/html'],
  ['location', '/v2/a, b', '/v2/c'],
  ['retry-after', 'Wed, 21 Oct 2026 07:28:00 GMT', '5'],
  ['content-range', 'bytes 0-4/5', 'bytes 1-4/5'],
  ['content-length', '5', '6'],
  ['etag', '"a"', '"b"'],
  ['docker-content-digest', digest, other],
  ['oci-subject', digest, other],
];

test.each(pairs)('equal lines of %s count as one, also in one line', (name, value) => {
  expect(join(name, value, value)).toBe(value);
  expect(join(name, `${value} `, value, value)).toBe(value);
  expect(join(name, `${value}, ${value}`)).toBe(value);
  expect(join(name, `${value}, ${value}, ${value}`)).toBe(value);
  expect(join(name, value)).toBe(value);
});

test.each(pairs)('different lines of %s are refused, and the error names them', (name, one, two) => {
  const attempt = () => join(name, one, one, two);
  expect(attempt).toThrow(failsWith('BAD_RESPONSE', { host: 'a.example' }) as Error);
  const said = JSON.stringify(one).slice(0, 40);
  expect(attempt).toThrow(`its header ${name} has the values ${said}`);
  expect(attempt).toThrow(JSON.stringify(two).slice(0, 40));
  expect(attempt).not.toThrow('secret=1');
});

test.each([
  ['content-length', '5, 6'],
  ['docker-content-digest', `${digest},${other}`],
])('two values in one line of %s are refused', (name, line) => {
  expect(() => join(name, line)).toThrow(failsWith('BAD_RESPONSE') as Error);
});

test('values in an error are cut, and have no control characters', () => {
  const attempt = () => join('content-type', `\x1b[31m${'a'.repeat(10_000)}`, 'b\x85');
  expect(attempt).toThrow(/^[\x20-\x7e…]{1,400}$/);
});

test('lines of a list are joined, equal codings are one', () => {
  expect(join('link', '<a>', '<a>')).toBe('<a>, <a>');
  expect(join('www-authenticate', 'Basic', 'Bearer a="b"')).toBe('Basic, Bearer a="b"');
  expect(join('content-encoding', 'gzip', 'gzip')).toBe('gzip');
  expect(join('content-encoding', 'gzip', 'zstd')).toBe('gzip, zstd');
});

test('a Location in raw UTF-8 is read as UTF-8, one in other bytes as it is', () => {
  expect(join('location', Buffer.from('/größe').toString('latin1'))).toBe('/größe');
  expect(join('location', Buffer.from('/größe', 'latin1').toString('latin1'))).toBe('/größe');
  expect(join('location', '/a')).toBe('/a');
});

test('the time grows no faster than the fields', () => {
  expectLinear(400_000, (length) => {
    for (const name of ['retry-after', 'etag', 'link']) join(name, `${'a, '.repeat(length / 3)}b`);
    expect(() => join('location', ', '.repeat(length / 2), '\xff'.repeat(length))).toThrow('values');
  });
});
