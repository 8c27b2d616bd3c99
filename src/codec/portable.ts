import { Decompress } from 'fzstd';
import { ZStream, zlibInflate, zlibInflateInit2, zlibInflateReset } from 'pako';
import { messageOf } from '../errors.ts';
import { load } from '../load.ts';
import { type Codecs, createPause, type Decoder, damaged, truncated, withoutDictionary } from './codec.ts';
import { type InflateFormat, type Inflater, inflateDecoders } from './gzip.ts';
import { largestBlock, type ZstdEngine, type ZstdFrame, zstdDecoder } from './zstd.ts';

/** zlib's numbers for its formats and results (zlib.h). */
const windowBits: Readonly<Record<InflateFormat, number>> = { gzip: 31, zlib: 15, raw: -15 };
const status = { ok: 0, streamEnd: 1, needDictionary: 2, bufferError: -5 };

/** Bytes unpacked in one step, so that a limit is checked after each. */
const step = 65_536;

/** gzip and deflate in JavaScript. */
export const portableInflate = inflateDecoders((format, coding) => {
  const stream = new ZStream();
  const pause = createPause();
  const errorOf = (code: number): Error =>
    damaged(coding, code === status.needDictionary ? withoutDictionary : stream.msg || `zlib error ${code}`);
  const opened = zlibInflateInit2(stream, windowBits[format]);
  if (opened !== status.ok) throw errorOf(opened);
  let output = new Uint8Array(step);
  let ended = false;

  async function* write(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
    stream.input = bytes;
    stream.next_in = 0;
    stream.avail_in = bytes.length;
    while (stream.avail_in > 0) {
      if (ended && (format !== 'gzip' || bytes[stream.next_in] === 0)) return;
      if (ended) zlibInflateReset(stream);
      yield* inflate();
    }
  }

  /** Until the member ends or the input is used up. */
  async function* inflate(): AsyncGenerator<Uint8Array, void> {
    for (let full = true; full; ) {
      await pause();
      stream.output = output;
      stream.next_out = 0;
      stream.avail_out = step;
      const code = zlibInflate(stream, 0);
      if (code !== status.ok && code !== status.streamEnd && code !== status.bufferError) throw errorOf(code);
      full = stream.avail_out === 0;
      ended = code === status.streamEnd;
      if (full) output = new Uint8Array(step);
      if (stream.next_out > 0) yield full ? stream.output : stream.output.slice(0, stream.next_out);
      if (ended) return;
    }
  }

  const inflater: Inflater = {
    write,
    end() {
      if (!ended) throw damaged(coding, truncated);
      return [];
    },
    get rest() {
      return ended ? stream.avail_in : 0;
    },
    close() {},
  };
  return inflater;
});

/** zstd in JavaScript. fzstd is given one block at a time and nothing else; checksums are computed here. */
export const portableZstd: Decoder = zstdDecoder(() => {
  const pause = createPause();
  let frame: ZstdFrame | undefined;
  let hash: Xxh64 | undefined;
  let decompress = new Decompress();
  let unpacked: Uint8Array[] = [];

  const push = (bytes: Uint8Array, last = false): Uint8Array[] => {
    unpacked = [];
    try {
      decompress.push(bytes, last);
    } catch (error) {
      throw damaged('zstd', messageOf(error), error);
    }
    for (const chunk of unpacked) {
      const largest = Math.min(frame?.window ?? 0, largestBlock);
      if (chunk.length > largest) throw damaged('zstd', `block of ${chunk.length} bytes, more than ${largest}`);
      hash?.update(chunk);
    }
    return unpacked;
  };

  const engine: ZstdEngine = {
    cut: 'block',
    async begin(next, left) {
      frame = next;
      hash = frame.checksum ? await createHash() : undefined;
      decompress = new Decompress((chunk) => {
        if (chunk.length > 0) unpacked.push(chunk);
      });
      push(plainHeader(frame, left));
    },
    async *write(bytes) {
      await pause();
      yield* push(bytes);
    },
    *end(checksum) {
      yield* push(new Uint8Array(0), true);
      if (hash && Number(hash.digest() & 0xffffffffn) !== checksum) throw damaged('zstd', 'checksum mismatch');
    },
    close() {},
  };
  return engine;
});

interface Xxh64 {
  update(bytes: Uint8Array): unknown;
  digest(): bigint;
}

/** Loaded when a frame has a checksum. */
async function createHash(): Promise<Xxh64> {
  const { default: start } = await load(['xxhash-wasm'], () => import('xxhash-wasm'));
  return (await start()).create64();
}

/**
 * The frame's header as it is given to fzstd: without size and checksum, and with no larger window than can be filled.
 * fzstd allocates the whole window at once, and moves all of it with every block.
 */
function plainHeader({ window, size = Number.POSITIVE_INFINITY }: ZstdFrame, left: number): Uint8Array {
  const wanted = Math.max(1024, Math.min(window, Math.max(Math.min(size, left), largestBlock)));
  const exponent = Math.floor(Math.log2(wanted));
  const eighths = Math.ceil((wanted / 2 ** exponent - 1) * 8);
  return Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, ((exponent - 10) << 3) + eighths);
}

/** Decoders in JavaScript for any runtime. They accept and reject the same inputs as the native ones, but are slower. */
export const portableCodecs: Codecs = { zstd: portableZstd, ...portableInflate };
