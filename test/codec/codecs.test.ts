import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { loadCodecs, standardEncodings } from '../../src/codec/codecs.ts';
import { nativeCodecs } from '../../src/codec/native.ts';
import { portableCodecs } from '../../src/codec/portable.ts';
import { collect, inPieces } from '../support/decoding.ts';
import { zstdFixtures } from '../support/zstd-fixtures.ts';

test('the standard encodings are the decoded ones, in their order, whichever decoders are preferred', async () => {
  expect(Object.keys(await loadCodecs())).toEqual(standardEncodings);
  expect(Object.keys(await loadCodecs('native'))).toEqual(standardEncodings);
  expect(Object.keys(await loadCodecs('portable'))).toEqual(standardEncodings);
});

test('native decoders are used if they exist, portable ones for the rest or when preferred', async () => {
  expect(await loadCodecs()).toEqual({ ...portableCodecs, ...nativeCodecs });
  expect(await loadCodecs('portable')).toBe(portableCodecs);
});

test('the loaded codecs decode', async () => {
  const { zstd, gzip } = await loadCodecs();
  expect((await collect(gzip?.(inPieces(gzipSync('hello'))) ?? inPieces(Buffer.alloc(0)))).toString()).toBe('hello');
  for (const { packed, content } of Object.values(zstdFixtures)) {
    const decoded = await collect(zstd?.(inPieces(packed)) ?? inPieces(Buffer.alloc(0)));
    expect(decoded.equals(content)).toBe(true);
  }
});
