import * as zlib from 'node:zlib';
import { expect, test } from 'vitest';
import { nativeCodecs } from '../../src/codec/native.ts';
import { codecContract } from '../contract/codec.ts';

codecContract('native', nativeCodecs);

test('native codecs decode zstd if node:zlib does', () => {
  const encodings = 'createZstdDecompress' in zlib ? ['zstd', 'gzip', 'deflate'] : ['gzip', 'deflate'];
  expect(Object.keys(nativeCodecs)).toEqual(encodings);
});
