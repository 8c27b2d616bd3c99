import { createPile } from '../pile.ts';

/** Reads a body by counts of bytes, with views of the body's own chunks whenever the bytes lie in one of them. */
export interface ByteReader {
  /** Bytes that can be read without waiting for the body. */
  readonly available: number;
  /** Waits until `count` bytes are available, in one piece with those read since the last `cut`. False if the body ends before. */
  fill(count: number): Promise<boolean>;
  /** Reads `count` available bytes. */
  read(count: number): Uint8Array;
  /** All bytes read since the last `cut`. */
  cut(): Uint8Array;
  /** Closes the body, unless it ended or failed by itself. */
  close(): Promise<void>;
}

/** Copies bytes only if those wanted lie in several chunks. */
export function createByteReader(body: AsyncIterable<Uint8Array>): ByteReader {
  const iterator = body[Symbol.asyncIterator]();
  let chunk: Uint8Array = new Uint8Array(0);
  let start = 0;
  let position = 0;
  let isOpen = true;

  const next = async (): Promise<Uint8Array | undefined> => {
    if (!isOpen) return undefined;
    isOpen = false; // a failing iterator has closed itself
    const { value, done } = await iterator.next();
    if (done) return undefined;
    isOpen = true;
    return value;
  };

  return {
    get available() {
      return chunk.length - position;
    },
    async fill(count) {
      if (chunk.length - position >= count) return true;
      const pile = createPile();
      pile.add(chunk.subarray(start));
      position -= start;
      start = 0;
      while (pile.size - position < count) {
        const more = await next();
        if (!more) break;
        pile.add(more);
      }
      chunk = pile.join();
      return chunk.length - position >= count;
    },
    read(count) {
      position += count;
      return chunk.subarray(position - count, position);
    },
    cut() {
      const bytes = chunk.subarray(start, position);
      start = position;
      return bytes;
    },
    async close() {
      if (isOpen) await iterator.return?.();
    },
  };
}

export function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
