/** A place in a body, with views of the body's own chunks wherever what is asked for lies in one of them. */
export interface Cursor {
  /** Bytes at hand from here on. */
  readonly ahead: number;
  /** Reads on until `count` bytes are at hand, in one piece with all since the last `cut`. False where the body ends before. */
  have(count: number): Promise<boolean>;
  /** Goes over `count` bytes at hand, and shows them. */
  pass(count: number): Uint8Array;
  /** What was gone over since the last `cut`. */
  cut(): Uint8Array;
  /** Leaves the body, unless it ended or failed by itself. */
  leave(): Promise<void>;
}

/** Copies a chunk at most once, where something looked for begins in the chunk before. */
export function createCursor(body: AsyncIterable<Uint8Array>): Cursor {
  const iterator = body[Symbol.asyncIterator]();
  let chunk: Uint8Array = new Uint8Array(0);
  let from = 0;
  let at = 0;
  let open = true;

  const load = async (): Promise<boolean> => {
    if (!open) return false;
    open = false; // a failing iterator has closed itself
    const next = await iterator.next();
    if (next.done) return false;
    open = true;
    chunk = from === chunk.length ? next.value : joined(chunk.subarray(from), next.value);
    at -= from;
    from = 0;
    return true;
  };

  return {
    get ahead() {
      return chunk.length - at;
    },
    async have(count) {
      while (chunk.length - at < count) if (!(await load())) return false;
      return true;
    },
    pass(count) {
      at += count;
      return chunk.subarray(at - count, at);
    },
    cut() {
      const passed = chunk.subarray(from, at);
      from = at;
      return passed;
    },
    async leave() {
      if (open) await iterator.return?.();
    },
  };
}

export function joined(first: Uint8Array, second: Uint8Array): Uint8Array {
  const both = new Uint8Array(first.length + second.length);
  both.set(first);
  both.set(second, first.length);
  return both;
}
