/** Chunks in their order. */
export interface Pile {
  /** Bytes. */
  readonly size: number;
  add(chunk: Uint8Array): void;
  /** The first chunk, which is then gone; undefined if there is none. */
  take(): Uint8Array | undefined;
  /** All chunks, as all that follows: they are then gone. */
  takeAll(): Uint8Array[];
  /** All bytes in one array; a single chunk itself, not copied. */
  join(): Uint8Array;
  /** All bytes in an array of their own. */
  copy(): Uint8Array;
}

/** Bytes of a chunk from which on it is kept as it is. */
const large = 1_024;
/** Bytes of a block that smaller chunks are copied into. */
const blockBytes = 16_384;

/**
 * Keeps chunks; the small ones are copied together. As an object of its own, each would take a hundred bytes, however few
 * it has, and might keep the whole buffer that it is a part of.
 */
export function createPile(): Pile {
  let chunks: Uint8Array[] = [];
  let size = 0;
  let block = new Uint8Array(0);
  let used = 0;
  /** Where the last chunk begins in the block; undefined if it is not part of it. */
  let start: number | undefined;
  const addSmall = (chunk: Uint8Array): void => {
    if (block.length - used < chunk.length) {
      block = new Uint8Array(blockBytes);
      used = 0;
      start = undefined;
    }
    block.set(chunk, used);
    const from = start ?? used;
    used += chunk.length;
    if (start !== undefined) chunks.pop();
    start = from;
    chunks.push(block.subarray(from, used));
  };
  const takeAll = (): Uint8Array[] => {
    const all = chunks;
    chunks = [];
    size = 0;
    start = undefined;
    return all;
  };
  return {
    get size() {
      return size;
    },
    add(chunk) {
      if (chunk.length === 0) return;
      size += chunk.length;
      // The only small one stays as it is.
      if (chunk.length < large && chunks.length > 0) return addSmall(chunk);
      start = undefined;
      chunks.push(chunk);
    },
    take() {
      const chunk = chunks.shift();
      size -= chunk?.length ?? 0;
      if (chunks.length === 0) start = undefined;
      return chunk;
    },
    takeAll,
    join() {
      const total = size;
      const all = takeAll();
      const [only] = all;
      return all.length === 1 && only ? only : copied(all, total);
    },
    copy() {
      const total = size;
      return copied(takeAll(), total);
    },
  };
}

function copied(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}
