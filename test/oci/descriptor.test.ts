import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decodeData, parseDescriptor } from '../../src/oci/descriptor.ts';
import { digestOf } from '../../src/oci/digest.ts';

const valid = { mediaType: 'application/vnd.x+json', digest: digestOf(new Uint8Array(3)), size: 3 };

test('a descriptor keeps the fields that are not known', () => {
  const value = { ...valid, urls: ['https://x/y'], platform: { os: 'linux', architecture: 'amd64', foo: 1 }, bar: {} };
  expect(parseDescriptor(value)).toEqual(value);
  expect(parseDescriptor(value)).not.toBe(value);
});

test.each([
  [{ digest: 'md5:00' }, 'INVALID_DIGEST', 'unknown algorithm "md5"'],
  [{ digest: undefined }, 'INVALID_DIGEST', 'not a string'],
  [{ digest: 'sha256:00', size: -1 }, 'INVALID_DIGEST', 'digest "sha256:00"'],
  [{ mediaType: '' }, 'INVALID_REFERENCE', 'field "mediaType" is ""'],
  [{ mediaType: 'text' }, 'INVALID_REFERENCE', 'field "mediaType" is "text"'],
  [{ mediaType: `a/${'b'.repeat(255)}` }, 'INVALID_REFERENCE', 'field "mediaType"'],
  [{ size: -1 }, 'INVALID_REFERENCE', 'field "size" is "-1"'],
  [{ size: 1.5 }, 'INVALID_REFERENCE', 'field "size" is "1.5"'],
  [{ size: 2 ** 53 }, 'INVALID_REFERENCE', 'field "size" is "9007199254740992"'],
  [{ size: '3' }, 'INVALID_REFERENCE', 'field "size" is "3"'],
  [{ urls: 'https://x' }, 'INVALID_REFERENCE', 'field "urls" is "https://x"'],
  [{ urls: [1] }, 'INVALID_REFERENCE', 'field "urls[0]" is "1"'],
  [{ data: 'a' }, 'INVALID_REFERENCE', 'field "data" is "a"'],
  [{ annotations: { 'a.b': 1 } }, 'INVALID_REFERENCE', 'field "annotations[\\"a.b\\"]" is "1"'],
])('%j is refused', (change, code, found) => {
  expect(() => parseDescriptor({ ...valid, ...change })).toThrow(expect.objectContaining({ code }));
  expect(() => parseDescriptor({ ...valid, ...change })).toThrow(found);
});

test('null counts as left out', () => {
  const nulls = { urls: null, data: null, annotations: null, artifactType: null, platform: {} };
  expect(parseDescriptor({ ...valid, ...nulls })).toEqual(valid);
});

test.each([
  'application/vnd.dev.sigstore.bundle+json;version=0.2',
  'application/vnd.dev.sigstore.bundle+json; version="0.3 \\"x\\"" ; charset=utf-8',
  'text/plain;',
])('the media type %s is kept with its parameters', (mediaType) => {
  expect(parseDescriptor({ ...valid, mediaType })).toEqual({ ...valid, mediaType });
});

test.each([
  'a/b;c',
  'a/b;c=',
  'a/b;=d',
  'a/b;c="d',
  'a/b c=d',
  'a/b;c=d\r\nx: y',
  `a/b;c=${'d'.repeat(2000)}`,
  `a/b;${' '.repeat(500)};é`,
])('%j is not a media type', (mediaType) => {
  expect(() => parseDescriptor({ ...valid, mediaType })).toThrow('not a media type');
});

test.each([null, 1, 'x', [], undefined])('%j is no descriptor', (value) => {
  expect(() => parseDescriptor(value)).toThrow(/Cannot (read descriptor|parse digest)/);
});

describe('inline data', () => {
  test('is the bytes it was made of', () => {
    fc.assert(
      fc.property(fc.uint8Array(), (bytes) => {
        const data = Buffer.from(bytes).toString('base64');
        expect(decodeData({ ...valid, size: bytes.length, data })).toEqual(Uint8Array.from(bytes));
      }),
    );
  });

  test('is undefined if there is none, or an empty text for what is not empty', () => {
    expect(decodeData(valid)).toBeUndefined();
    expect(decodeData({ ...valid, data: '' })).toBeUndefined();
    expect(decodeData({ ...valid, size: 0, data: '' })).toEqual(new Uint8Array());
  });

  test.each([
    ['AAAAAAA=', 'TOO_LARGE', '5 bytes, but its size is 3'],
    ['AA==', 'UNEXPECTED_END', '1 bytes'],
    ['AAA', 'DECODE_ERROR', 'not base64'],
    ['AAA=AAA=', 'DECODE_ERROR', 'not base64'],
    ['AA A', 'DECODE_ERROR', 'not base64'],
    ['AA-_', 'DECODE_ERROR', 'not base64'],
    ['AB==', 'DECODE_ERROR', 'not base64'],
    ['====', 'DECODE_ERROR', 'not base64'],
    ['A===', 'DECODE_ERROR', 'not base64'],
    ['AAAA\n', 'DECODE_ERROR', 'not base64'],
  ])('%j for three bytes is refused', (data, code, found) => {
    expect(() => decodeData({ ...valid, data })).toThrow(expect.objectContaining({ code }));
    expect(() => decodeData({ ...valid, data })).toThrow(found);
  });
});
