import * as zlib from 'node:zlib';
import { messageOf } from '../errors.ts';
import { type Codecs, damaged, truncated, withoutDictionary } from './codec.ts';
import { type InflateFormat, inflateDecoders } from './gzip.ts';
import { type ZstdEngine, zstdDecoder } from './zstd.ts';

/** Bytes of one output buffer, as measured by bench/decode.ts: with zlib's own 16 KiB inflating takes 1.3 times as long. */
const inflateOutput = 262_144;

/** A whole block of zstd. More is not faster: the reader's work and zstd's overlap less. */
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

/** Decoders of node:zlib: gzip and deflate, and zstd if Node has it. */
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

/** A buffer no larger than the limit, and one byte more, by which too many are noticed. */
function streamOptions(largest: number, limit = largest): StreamOptions {
  const chunkSize = Math.min(largest, Math.max(limit + 1, 1024));
  return { chunkSize, readableHighWaterMark: chunkSize };
}

/** Problems that every implementation reports in the same words, by zlib's codes. */
const problems = new Map([
  ['Z_BUF_ERROR', truncated],
  ['Z_NEED_DICT', withoutDictionary],
]);

function explain(coding: string, error: Error): Error {
  const code = 'code' in error ? String(error.code) : '';
  return damaged(coding, problems.get(code) ?? messageOf(error), error);
}

/** The part of a node:zlib stream that is used here. */
export interface ZlibStream {
  write(bytes: Uint8Array, done: (error?: Error | null) => void): boolean;
  end(): unknown;
  on(event: 'data', listener: (chunk: Uint8Array) => void): unknown;
  on(event: 'end', listener: () => void): unknown;
  on(event: 'error', listener: (error: Error) => void): unknown;
  pause(): unknown;
  resume(): unknown;
  destroy(): unknown;
  readonly readableLength: number;
  readonly bytesWritten: number;
}

/** A node:zlib stream that is given one input at a time: its output is read before the next input. */
export interface NativeStream {
  write(bytes: Uint8Array): AsyncGenerator<Uint8Array, void>;
  end(): AsyncGenerator<Uint8Array, void>;
  /** Bytes written that lie after the end of what the stream decodes. */
  readonly rest: number;
  close(): void;
}

/** Bytes unpacked ahead of the reader before zlib is paused. One more buffer may follow. */
const mostQueued = 1_048_576;

/**
 * Reads `stream` by its 'data' events. `explain` makes the error to throw from the stream's own.
 * Whoever opens it closes it; zlib's memory is held until then.
 */
export function createNativeStream(stream: ZlibStream, explain: (error: Error) => Error): NativeStream {
  const outputs = createOutputs(stream, explain);
  let written = 0;
  return {
    write(bytes) {
      let taken = false;
      written += bytes.length;
      stream.write(bytes, (error) => {
        if (error) return; // the 'error' event reports it
        taken = true;
        outputs.wake();
      });
      return outputs.read(() => taken);
    },
    end() {
      stream.end();
      return outputs.read(() => false);
    },
    get rest() {
      return outputs.ended ? written - stream.bytesWritten : 0;
    },
    close() {
      stream.destroy();
    },
  };
}

interface Outputs {
  readonly ended: boolean;
  /** Up to the stream's end, or until `taken` is true and nothing is left; `wake` makes it look again. */
  read(taken: () => boolean): AsyncGenerator<Uint8Array, void>;
  wake(): void;
}

function createOutputs(stream: ZlibStream, explain: (error: Error) => Error): Outputs {
  const queue: Uint8Array[] = [];
  let queued = 0;
  let failure: Error | undefined;
  const outputs = { ended: false, wake(): void {}, read };
  stream.on('data', (chunk) => {
    queue.push(chunk);
    queued += chunk.length;
    if (queued >= mostQueued) stream.pause();
    outputs.wake();
  });
  stream.on('end', () => {
    outputs.ended = true;
    outputs.wake();
  });
  stream.on('error', (error) => {
    failure = explain(error);
    outputs.wake();
  });

  async function* read(taken: () => boolean): AsyncGenerator<Uint8Array, void> {
    for (;;) {
      const chunk = queue.shift();
      if (chunk) {
        queued -= chunk.length;
        if (queued < mostQueued) stream.resume();
        yield chunk;
        continue;
      }
      if (failure) throw failure;
      if (outputs.ended || (taken() && stream.readableLength === 0)) return;
      await new Promise<void>((resolve) => {
        outputs.wake = resolve;
      });
    }
  }
  return outputs;
}
