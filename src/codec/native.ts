import * as zlib from 'node:zlib';
import type { Codecs } from './codec.ts';
import { type InflateFormat, inflateDecoders } from './inflate.ts';
import { createNativeStream, type ZlibStream } from './native-stream.ts';
import { damaged, truncated, withoutDictionary } from './verdict.ts';
import { type ZstdEngine, zstdDecoder } from './zstd.ts';

/** Bytes of one output buffer, as measured by bench/decode.ts: with zlib's own 16 KiB inflating takes 1.3 times as long. */
const inflateOutput = 262_144;

/** A whole block of zstd. More is no faster: the reader's work and zstd's overlap less. */
const zstdOutput = 131_072;

interface StreamOptions {
  readonly chunkSize: number;
  readonly readableHighWaterMark: number;
}

/** Absent before Node 22.15. */
const { createZstdDecompress } = zlib as { createZstdDecompress?: (options: StreamOptions) => ZlibStream };

const openers: Readonly<Record<InflateFormat, (options: StreamOptions) => ZlibStream>> = {
  gzip: (options) => zlib.createGunzip(options),
  zlib: (options) => zlib.createInflate(options),
  raw: (options) => zlib.createInflateRaw(options),
};

/** Decoders of node:zlib: gzip and deflate, and zstd where Node has it. */
export const nativeCodecs: Codecs = {
  ...(createZstdDecompress && {
    zstd: zstdDecoder((limit) => openZstd(createZstdDecompress(streamOptions(zstdOutput, limit)))),
  }),
  ...inflateDecoders((format, coding, limit) =>
    createNativeStream(openers[format](streamOptions(inflateOutput, limit)), (error) => explain(coding, error)),
  ),
};

/** One stream for all frames: writes that end where frames end keep Node 22 and 24 from stopping after the first. */
function openZstd(stream: ZlibStream): ZstdEngine {
  const { write, close } = createNativeStream(stream, (error) => explain('zstd', error));
  return { cut: 'frame', begin() {}, write, end: () => [], close };
}

/** No larger a buffer than what may come, and a byte to notice that more comes. */
function streamOptions(largest: number, limit = largest): StreamOptions {
  const chunkSize = Math.min(largest, Math.max(limit + 1, 1024));
  return { chunkSize, readableHighWaterMark: chunkSize };
}

/** Messages that every implementation shares, by zlib's codes. */
const messages = new Map([
  ['Z_BUF_ERROR', truncated],
  ['Z_NEED_DICT', withoutDictionary],
]);

function explain(coding: string, error: Error): Error {
  const code = 'code' in error ? String(error.code) : '';
  return damaged(coding, messages.get(code) ?? error.message, error);
}
