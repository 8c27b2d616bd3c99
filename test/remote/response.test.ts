import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { bytesBody } from '../../src/body.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { ClosedRange } from '../../src/oci/range.ts';
import { createEncodings, openResponse } from '../../src/remote/response.ts';

import { errorOf } from '../support/hosts.ts';

const content = Uint8Array.from({ length: 100 }, (_, index) => index);
const open = (
  status: number,
  headers: Record<string, string>,
  bytes: Uint8Array,
  range?: ClosedRange,
  discardBytes = 50,
) =>
  openResponse({ status, headers, body: bytesBody(bytes), url: 'https://a.test/x' }, { size: 100 }, range, {
    encodings: createEncodings(),
    discardBytes,
  });
async function read(...parameters: Parameters<typeof open>): Promise<number[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of await open(...parameters)) chunks.push(chunk);
  return [...Buffer.concat(chunks)];
}
const range = { start: 10, end: 20 };
const part = content.slice(10, 20);
const expected = [...part];

test.each<[title: string, status: number, headers: Record<string, string>, bytes: Uint8Array]>([
  ['206 of the requested bytes', 206, { 'content-range': 'bytes 10-19/100' }, part],
  ['206 of an unknown size', 206, { 'content-range': 'bytes 10-19/*' }, part],
  ['206 in other letters', 206, { 'content-range': 'Bytes 10-19/100', 'content-encoding': 'Identity' }, part],
  ['200 with the whole', 200, {}, content],
  ['200 with the whole, encoded', 200, { 'content-encoding': 'gzip' }, gzipSync(content)],
])('%s is accepted for a range', async (_, status, headers, bytes) => {
  expect(await read(status, headers, bytes, range)).toEqual(expected);
});

test('206 of fewer bytes is accepted: its reader requests the rest', async () => {
  expect(await read(206, { 'content-range': 'bytes 10-14/100' }, part.slice(0, 5), range)).toEqual(
    expected.slice(0, 5),
  );
});

test.each<[title: string, status: number, headers: Record<string, string>, code?: ErrorCode]>([
  ['that starts elsewhere', 206, { 'content-range': 'bytes 11-19/100' }],
  ['that goes further', 206, { 'content-range': 'bytes 10-20/100' }],
  ['of a content of another size', 206, { 'content-range': 'bytes 10-19/101' }],
  ['that says nothing', 206, {}],
  ['that is malformed', 206, { 'content-range': 'bytes=10-19/100' }],
  ['of other units', 206, { 'content-range': 'lines 10-19/100' }],
  ['in several parts', 206, { 'content-type': 'multipart/byteranges; boundary=x' }],
  ['with another length', 206, { 'content-range': 'bytes 10-19/100', 'content-length': '9' }],
  ['that is encoded', 206, { 'content-range': 'bytes 10-19/100', 'content-encoding': 'gzip' }],
  ['of the whole, in another size', 200, { 'content-length': '99' }, 'UNEXPECTED_END'],
  ['of the whole, too long', 200, { 'content-length': '101' }, 'TOO_LARGE'],
  ['of nothing', 204, {}],
])('a response to a range %s is refused', async (_, status, headers, code = 'BAD_RESPONSE') => {
  expect((await errorOf(open(status, headers, part, range))).code).toBe(code);
});

test('200 to a range that begins beyond the bytes that may be dropped is refused', async () => {
  expect(await read(200, {}, content, { start: 50, end: 60 })).toEqual([...content.slice(50, 60)]);
  const error = await errorOf(open(200, {}, content, { start: 51, end: 60 }));
  expect(error.code).toBe('BAD_RESPONSE');
  expect(error.message).toContain('50');
});

test('the whole is accepted only as 200, of its own length', async () => {
  expect(await read(200, { 'content-length': '100' }, content)).toEqual([...content]);
  expect(await read(200, {}, content)).toEqual([...content]);
  expect(await read(200, { 'content-encoding': 'gzip', 'content-length': '7' }, gzipSync(content))).toEqual([
    ...content,
  ]);
  for (const [status, length, code] of [
    [206, '100', 'BAD_RESPONSE'],
    [203, '100', 'BAD_RESPONSE'],
    [200, '101', 'TOO_LARGE'],
    [200, '99', 'UNEXPECTED_END'],
  ] as const) {
    const opened = open(status, { 'content-length': length }, content);
    expect((await errorOf(opened)).code).toBe(code);
  }
});
