import { createCursor, joined } from '../codec/cursor.ts';
import type { Refuse } from './tar-entry.ts';

/** Bytes of a block; headers are one, contents are filled up to whole ones. */
export const blockBytes = 512;
/** Most bytes handed to the parser at once. */
const mostPiece = 65_536;
/** Most bytes, but for zeros, that are neither of a header nor of a content: of extended headers and long names. */
const mostMetadata = 1_048_576;

/** The bytes of an archive on their way to the parser. */
export interface TarFeed {
  /** Bytes that were handed on. */
  readonly fed: number;
  /** The next bytes; undefined at the end. */
  piece(): Promise<Uint8Array | undefined>;
  /** The parser got on, and not only over extended headers. */
  gotOn(): void;
  /** Whether there are two blocks of zeros at `offset`, which is not before what was handed on last. */
  isEndAt(offset: number): Promise<boolean>;
  /** Reads what is left, for its faults. */
  passRest(): Promise<void>;
  leave(): Promise<void>;
}

export function createTarFeed(bytes: AsyncIterable<Uint8Array>, refuse: Refuse): TarFeed {
  const cursor = createCursor(bytes);
  const none: Uint8Array = new Uint8Array(0);
  let fed = 0;
  let idle = 0;
  let last = none;
  /** Was looked at, and is handed on next. */
  let held = none;

  const take = (count: number): Uint8Array => {
    cursor.pass(count);
    return cursor.cut();
  };
  const next = async (): Promise<Uint8Array | undefined> => {
    const piece = held;
    held = none;
    if (piece.length > 0) return piece;
    return (await cursor.have(1)) ? take(Math.min(mostPiece, cursor.ahead)) : undefined;
  };
  const areZeros = async (offset: number, count: number): Promise<boolean> => {
    const behind = fed - offset;
    const known = behind > 0 ? last.subarray(-behind).subarray(0, count) : none;
    const before = Math.max(0, -behind);
    const missing = before + count - known.length - held.length;
    if (missing > 0) {
      if (!(await cursor.have(missing))) return false;
      held = joined(held, take(missing));
    }
    return isZero(known) && isZero(held.subarray(before, before + count - known.length));
  };
  return {
    get fed() {
      return fed;
    },
    async piece() {
      const piece = await next();
      if (!piece) return undefined;
      last = piece;
      fed += piece.length;
      idle += piece.length;
      if (idle <= mostMetadata + mostPiece || isZero(piece)) return piece;
      throw refuse(`more than ${mostMetadata} bytes of extended headers before an entry`);
    },
    gotOn() {
      idle = 0;
    },
    // One after the other: where the first is a header, the second may be long in coming.
    isEndAt: async (offset) => (await areZeros(offset, blockBytes)) && areZeros(offset, 2 * blockBytes),
    async passRest() {
      while (await cursor.have(1)) take(cursor.ahead);
    },
    leave: () => cursor.leave(),
  };
}

const isZero = (bytes: Uint8Array): boolean => bytes.every((byte) => byte === 0);
