import { type Cursor, createCursor } from './byte-reader.ts';
import { createAllowance, type Decoder, damaged, truncated, withoutDictionary } from './codec.ts';

/** What unpacks the blocks of zstd frames, one frame after the other. Chunks it hands on are the receiver's. */
export interface ZstdEngine {
  readonly cut: ZstdCut;
  /** `left`: the most bytes that are still wanted. */
  begin(frame: ZstdFrame, left: number): void | Promise<void>;
  write(bytes: Uint8Array): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Hands on what is left of the frame, and fails where `checksum` is not that of the frame's content. */
  end(checksum: number | undefined): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  close(): void;
}

/** A zstd decoder out of an engine: the same verdict on every input, whatever the engine lets pass. */
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
 * The largest window a frame may ask for: 128 MiB, what libzstd's streams and `zstd -d` take by themselves. RFC 8878
 * asks decoders for 8 MiB at least; layers made with `zstd --long` need up to this.
 */
const largestWindow = 2 ** 27;

/** No block holds more, packed or unpacked (RFC 8878, section 3.1.1.2.3). */
export const largestBlock = 2 ** 17;

export interface ZstdFrame {
  readonly type: 'frame';
  /** Bytes that a match may reach back. */
  readonly window: number;
  /** Decoded bytes of the frame, where it tells. */
  readonly size: number | undefined;
  readonly checksum: boolean;
}

/**
 * A frame, then its bytes, then its end with the checksum as sent: the low 32 bits of the content's XXH64.
 * `bytes` are views of the body's own chunks where possible.
 */
export type ZstdPart =
  | ZstdFrame
  | { readonly type: 'bytes'; readonly bytes: Uint8Array }
  | { readonly type: 'end'; readonly checksum: number | undefined };

/**
 * How bytes are cut. `frame`: all of the frame, header and checksum too, in runs as long as the chunks allow.
 * `block`: the blocks alone, and no run reaches over the end of a block.
 */
export type ZstdCut = 'frame' | 'block';

/**
 * Walks the frames of a zstd body (RFC 8878, section 3.1) by their headers, which stand in clear. Decoders differ in
 * what they make of several frames, wide windows, dictionaries, oversized blocks and of anything after the end, so none
 * is asked. Skippable frames are left out. Fails with `DECODE_ERROR`; an error of `body` comes through.
 */
async function* zstdParts(body: AsyncIterable<Uint8Array>, cut: ZstdCut): AsyncGenerator<ZstdPart, void> {
  const cursor = createCursor(body);
  try {
    let first = true;
    for (; first || (await cursor.have(1)); first = false) {
      const magic = number(await take(cursor, 4));
      if (magic >= 0x184d2a50 && magic <= 0x184d2a5f) {
        await skip(cursor, number(await take(cursor, 4)));
        continue;
      }
      if (magic !== 0xfd2fb528) throw damaged('zstd', first ? 'not a zstd frame' : 'garbage after the last frame');
      const frame = await readHeader(cursor);
      yield frame;
      if (cut === 'block') cursor.cut();
      yield* blocks(cursor, cut, Math.min(frame.window, largestBlock));
      if (frame.checksum) yield* room(cursor, 4);
      const checksum = frame.checksum ? number(cursor.pass(4)) : undefined;
      const bytes = cursor.cut();
      if (cut === 'frame') yield { type: 'bytes', bytes };
      yield { type: 'end', checksum };
    }
  } finally {
    await cursor.leave();
  }
}

async function readHeader(cursor: Cursor): Promise<ZstdFrame> {
  const [flags = 0] = await take(cursor, 1);
  if (flags & 8) throw damaged('zstd', 'reserved bit of the frame header is set');
  const single = (flags & 32) !== 0;
  const sizeLength = [single ? 1 : 0, 2, 4, 8][flags >> 6] ?? 0;
  const [shape = 0] = single ? [] : await take(cursor, 1);
  if (number(await take(cursor, [0, 1, 2, 4][flags & 3] ?? 0)) !== 0) throw damaged('zstd', withoutDictionary);
  const told = number(await take(cursor, sizeLength)) + (sizeLength === 2 ? 256 : 0);
  const base = 2 ** (10 + (shape >> 3));
  const window = single ? told : base + (base / 8) * (shape & 7);
  if (window > largestWindow) throw damaged('zstd', `window of ${window} bytes, more than ${largestWindow}`);
  return { type: 'frame', window, size: sizeLength > 0 ? told : undefined, checksum: (flags & 4) !== 0 };
}

async function* blocks(cursor: Cursor, cut: ZstdCut, largest: number): AsyncGenerator<ZstdPart, void> {
  for (let last = false; !last; ) {
    if (cursor.ahead < 3) yield* room(cursor, 3);
    const header = number(cursor.pass(3));
    const kind = (header >> 1) & 3;
    const size = header >> 3;
    last = (header & 1) !== 0;
    if (kind === 3) throw damaged('zstd', 'reserved block type');
    if (size > largest) throw damaged('zstd', `block of ${size} bytes, more than ${largest}`);
    if (kind === 2 && size < 2) throw damaged('zstd', `compressed block of ${size} bytes`);
    for (let left = kind === 1 ? 1 : size; left > 0; ) {
      if (cursor.ahead === 0) yield* room(cursor, 1);
      left -= cursor.pass(Math.min(left, cursor.ahead)).length;
    }
    if (cut === 'block') yield { type: 'bytes', bytes: cursor.cut() };
  }
}

/** Makes `count` bytes lie ahead. What was gone over is handed on first: the body may make us wait. */
async function* room(cursor: Cursor, count: number): AsyncGenerator<ZstdPart, void> {
  if (cursor.ahead >= count) return;
  const bytes = cursor.cut();
  if (bytes.length > 0) yield { type: 'bytes', bytes };
  if (!(await cursor.have(count))) throw damaged('zstd', truncated);
}

async function take(cursor: Cursor, count: number): Promise<Uint8Array> {
  if (!(await cursor.have(count))) throw damaged('zstd', truncated);
  return cursor.pass(count);
}

async function skip(cursor: Cursor, count: number): Promise<void> {
  for (let left = count; ; ) {
    left -= cursor.pass(Math.min(left, cursor.ahead)).length;
    cursor.cut();
    if (left === 0) return;
    if (!(await cursor.have(1))) throw damaged('zstd', truncated);
  }
}

/** Little-endian, unsigned; exact up to 2^53. */
function number(bytes: Uint8Array): number {
  return bytes.reduceRight((sum, byte) => sum * 256 + byte, 0);
}
