import { type ByteReader, createByteReader } from './byte-reader.ts';
import { createAllowance, type Decoder, damaged, truncated, withoutDictionary } from './codec.ts';

/** Unpacks the blocks of zstd frames, one frame after the other. The receiver owns the chunks. */
export interface ZstdEngine {
  readonly cut: ZstdCut;
  /** `left`: the most bytes that may still be decoded. */
  begin(frame: ZstdFrame, left: number): void | Promise<void>;
  write(bytes: Uint8Array): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** The remaining content of the frame. Fails if `checksum` is not that of the frame's content. */
  end(checksum: number | undefined): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  close(): void;
}

/** A zstd decoder that uses an engine, and accepts and rejects the same inputs with any of them. */
export function zstdDecoder(open: (limit?: number) => ZstdEngine): Decoder {
  return async function* zstd(body, { limit } = {}) {
    const allowance = createAllowance('zstd', limit);
    const engine = open(limit);
    let size: number | undefined;
    let count = 0;
    try {
      for await (const part of zstdParts(body, engine.cut)) {
        if (part.type === 'frame') {
          size = part.size;
          count = 0;
          allowance.expect(size ?? 0);
          await engine.begin(part, allowance.left);
          continue;
        }
        for await (const chunk of part.type === 'bytes' ? engine.write(part.bytes) : engine.end(part.checksum)) {
          count += chunk.length;
          allowance.take(chunk.length);
          if (size !== undefined && count > size) throw damaged('zstd', `frame of more than its ${size} bytes`);
          yield chunk;
        }
        if (part.type === 'end' && size !== undefined && count < size) {
          throw damaged('zstd', `frame of ${count} bytes instead of ${size}`);
        }
      }
    } finally {
      engine.close();
    }
  };
}

/**
 * The largest window of a frame: 128 MiB, the default of libzstd's streams and `zstd -d`. RFC 8878 requires at least
 * 8 MiB of decoders; layers made with `zstd --long` need up to this.
 */
const largestWindow = 2 ** 27;

/** No block holds more, packed or unpacked (RFC 8878, section 3.1.1.2.3). */
export const largestBlock = 2 ** 17;

export interface ZstdFrame {
  readonly type: 'frame';
  /** Bytes that a match may reach back. */
  readonly window: number;
  /** Decoded bytes of the frame, if its header has them. */
  readonly size: number | undefined;
  readonly checksum: boolean;
}

/**
 * A frame, then its bytes, then its end with the checksum as sent: the low 32 bits of the content's XXH64.
 * `bytes` are views of the body's own chunks if possible.
 */
export type ZstdPart =
  | ZstdFrame
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly checksum: number | undefined };

/**
 * How bytes are cut. `frame`: the whole frame, with header and checksum, in runs as long as the chunks allow.
 * `block`: only the blocks, and no run crosses the end of a block.
 */
export type ZstdCut = 'frame' | 'block';

/**
 * Walks the frames of a zstd body (RFC 8878, section 3.1) by their headers, which are not packed. Decoders treat several
 * frames, wide windows, dictionaries, oversized blocks and anything after the end differently, so all that is checked
 * here. Skippable frames are left out. Fails with `DECODE_ERROR`; an error of `body` is passed on.
 */
async function* zstdParts(body: AsyncIterable<Uint8Array>, cut: ZstdCut): AsyncGenerator<ZstdPart, void> {
  const reader = createByteReader(body);
  try {
    let first = true;
    for (; first || (await reader.fill(1)); first = false) {
      const magic = number(await take(reader, 4));
      if (magic >= 0x184d2a50 && magic <= 0x184d2a5f) {
        await skip(reader, number(await take(reader, 4)));
        continue;
      }
      if (magic !== 0xfd2fb528) throw damaged('zstd', first ? 'not a zstd frame' : 'garbage after the last frame');
      const frame = await readHeader(reader);
      yield frame;
      if (cut === 'block') reader.cut();
      yield* blocks(reader, cut, Math.min(frame.window, largestBlock));
      if (frame.checksum) yield* reserve(reader, 4);
      const checksum = frame.checksum ? number(reader.read(4)) : undefined;
      const bytes = reader.cut();
      if (cut === 'frame') yield { type: 'bytes', bytes };
      yield { type: 'end', checksum };
    }
  } finally {
    await reader.close();
  }
}

async function readHeader(reader: ByteReader): Promise<ZstdFrame> {
  const [flags = 0] = await take(reader, 1);
  if (flags & 8) throw damaged('zstd', 'reserved bit of the frame header is set');
  const isSingleSegment = (flags & 32) !== 0;
  const sizeLength = [isSingleSegment ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const [windowByte = 0] = isSingleSegment ? [] : await take(reader, 1);
  if (number(await take(reader, [0, 1, 2, 4][flags & 3] ?? 0)) !== 0) throw damaged('zstd', withoutDictionary);
  const contentSize = number(await take(reader, sizeLength)) + (sizeLength === 2 ? 256 : 0);
  const base = 2 ** (10 + (windowByte >> 3));
  const window = isSingleSegment ? contentSize : base + (base / 8) * (windowByte & 7);
  if (window > largestWindow) throw damaged('zstd', `window of ${window} bytes, more than ${largestWindow}`);
  return { type: 'frame', window, size: sizeLength > 0 ? contentSize : undefined, checksum: (flags & 4) !== 0 };
}

async function* blocks(reader: ByteReader, cut: ZstdCut, largest: number): AsyncGenerator<ZstdPart, void> {
  for (let last = false; !last; ) {
    if (reader.available < 3) yield* reserve(reader, 3);
    const header = number(reader.read(3));
    const kind = (header >> 1) & 3;
    const size = header >> 3;
    last = (header & 1) !== 0;
    if (kind === 3) throw damaged('zstd', 'reserved block type');
    if (size > largest) throw damaged('zstd', `block of ${size} bytes, more than ${largest}`);
    if (kind === 2 && size < 2) throw damaged('zstd', `compressed block of ${size} bytes`);
    for (let left = kind === 1 ? 1 : size; left > 0; ) {
      if (reader.available === 0) yield* reserve(reader, 1);
      left -= reader.read(Math.min(left, reader.available)).length;
    }
    if (cut === 'block') yield { type: 'bytes', bytes: reader.cut() };
  }
}

/** Makes `count` bytes available. Those already read are handed on first, since the body may have to be waited for. */
async function* reserve(reader: ByteReader, count: number): AsyncGenerator<ZstdPart, void> {
  if (reader.available >= count) return;
  const bytes = reader.cut();
  if (bytes.length > 0) yield { type: 'bytes', bytes };
  if (!(await reader.fill(count))) throw damaged('zstd', truncated);
}

async function take(reader: ByteReader, count: number): Promise<Uint8Array> {
  if (!(await reader.fill(count))) throw damaged('zstd', truncated);
  return reader.read(count);
}

async function skip(reader: ByteReader, count: number): Promise<void> {
  for (let left = count; ; ) {
    left -= reader.read(Math.min(left, reader.available)).length;
    reader.cut();
    if (left === 0) return;
    if (!(await reader.fill(1))) throw damaged('zstd', truncated);
  }
}

/** Little-endian, unsigned; exact up to 2^53. */
function number(bytes: Uint8Array): number {
  return bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
}
