import type { ByteReader } from '../codec/byte-reader.ts';
import { blockBytes, numberOf, type Refuse, sparseMap } from './tar-header.ts';

/** Numbers in pairs: where each stored part of a sparse file begins in the file, and its length. */
export type SparseParts = readonly number[];

/** Most parts of a sparse file. */
const mostParts = 100_000;
const tooManyParts = `more than ${mostParts} parts of a sparse file`;

/** The content of an entry as it is stored. */
export interface StoredContent {
  readonly left: number;
  /** The next bytes, at least one and at most that many. */
  piece(most: number): Promise<Uint8Array>;
}

/**
 * The parts in a header of the old GNU format, and in the blocks that follow it if there are more than four.
 * https://www.gnu.org/software/tar/manual/html_node/Sparse-Formats.html
 */
export async function oldSparseParts(header: Uint8Array, reader: ByteReader, refuse: Refuse): Promise<SparseParts> {
  const parts = numbersIn(header.subarray(386, 482));
  for (let hasMore = header[482] === 1; hasMore; ) {
    if (parts.length > 2 * mostParts) throw refuse(tooManyParts, 'TOO_LARGE');
    if (!(await reader.fill(blockBytes))) throw refuse('not a whole tar archive: cut off');
    reader.read(blockBytes);
    const block = reader.cut();
    parts.push(...numbersIn(block.subarray(0, 504)));
    hasMore = block[504] === 1;
  }
  return parts;
}

/** The size of the file that a header of the old GNU format describes. */
export const oldSparseSize = (header: Uint8Array): number => numberOf(header.subarray(483, 495));

/** Pairs of numbers of 12 bytes each, up to the first that is not there. */
function numbersIn(bytes: Uint8Array): number[] {
  const numbers: number[] = [];
  for (let at = 0; at + 24 <= bytes.length && bytes[at] !== 0; at += 24) {
    numbers.push(numberOf(bytes.subarray(at, at + 12)), numberOf(bytes.subarray(at + 12, at + 24)));
  }
  return numbers;
}

/** The parts in the records of versions 0.0 and 0.1. */
export function partsInRecords(records: ReadonlyMap<string, Uint8Array>): SparseParts {
  const text = new TextDecoder().decode(records.get(sparseMap));
  return text === '' ? [] : text.split(',').map(Number);
}

/** The parts in the first blocks of the content, in version 1.0: their count and then their numbers, each in a line. */
export async function partsInContent(stored: StoredContent, refuse: Refuse): Promise<SparseParts> {
  const decoder = new TextDecoder();
  const lines: string[] = [];
  let text = '';
  for (;;) {
    for (let read = 0; read < blockBytes; ) {
      if (stored.left === 0) throw refuse('a sparse file without a list of its parts');
      const piece = await stored.piece(blockBytes - read);
      read += piece.length;
      text += decoder.decode(piece);
    }
    const found = text.split('\n');
    text = found.pop() ?? '';
    lines.push(...found);
    const [first = ''] = lines;
    const count = first === '' ? 0 : Number(first);
    if (count > mostParts || text.length > blockBytes) throw refuse(tooManyParts, 'TOO_LARGE');
    if (lines.length > 2 * count && lines.length > 0) return lines.slice(1, 2 * count + 1).map(Number);
  }
}

/** Most bytes of zeros at a time. */
const mostZeros = 65_536;

/** A whole sparse file: its parts, and zeros between them. */
export async function* expanded(
  stored: StoredContent,
  parts: SparseParts,
  { size, refuse }: { readonly size: number; readonly refuse: Refuse },
): AsyncGenerator<Uint8Array, void, undefined> {
  let at = 0;
  for (let index = 0; index < parts.length; index += 2) {
    const [offset = Number.NaN, length = Number.NaN] = parts.slice(index, index + 2);
    const isInside = offset >= at && length >= 0 && offset + length <= size && length <= stored.left;
    if (!isInside) throw refuse('a sparse file whose parts are not in it');
    yield* zeros(offset - at);
    for (let left = length; left > 0; ) {
      const piece = await stored.piece(left);
      left -= piece.length;
      yield piece;
    }
    at = offset + length;
  }
  yield* zeros(size - at);
}

function* zeros(count: number): Generator<Uint8Array, void, undefined> {
  for (let left = count; left > 0; left -= mostZeros) yield new Uint8Array(Math.min(left, mostZeros));
}
