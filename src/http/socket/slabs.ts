/** Most bytes that a reader of a body is given at a time. */
export const slabBytes = 262_144;

/** Fewer are copied out, unless their reader gives chunks back: one that is kept must not hold much more memory than its own bytes. */
const leastLent = slabBytes / 2;

/** Slabs that are free. */
const idle: Uint8Array[] = [];
const mostIdle = 32;

const takeSlab = (): Uint8Array => idle.pop() ?? Buffer.allocUnsafeSlow(slabBytes);

function putBack(slab: Uint8Array): void {
  if (idle.length < mostIdle) idle.push(slab);
}

/** Gathers bytes that are to be read, in slabs. */
export interface Gathered {
  /** Bytes that were added and not yet taken. */
  readonly size: number;
  /** Copies bytes: their memory is filled anew. */
  add(bytes: Uint8Array): void;
  /** What was added first, in memory of its own; undefined if there is nothing. */
  take(): Uint8Array | undefined;
  /** Gives back the memory of a chunk that was taken from here; of any other, and of one for the second time, it does nothing. */
  recycle(chunk: Uint8Array): void;
  /** Drops what was not taken. */
  drop(): void;
}

export function createGathered(): Gathered {
  let full: Uint8Array[] = [];
  let slab: Uint8Array | undefined;
  let used = 0;
  let size = 0;
  let isRecycled = false;
  /** Once each, and none of another body: its memory may be somebody else's by now. */
  const given = new WeakSet<Uint8Array>();
  const lend = ({ buffer }: Uint8Array, length: number): Uint8Array => {
    const chunk = Buffer.from(buffer, 0, length);
    given.add(chunk);
    return chunk;
  };
  /** The slab that is being filled: lent as it is, or copied out of. */
  const takeSome = (): Uint8Array | undefined => {
    if (!slab || used === 0) return undefined;
    const memory = slab;
    const length = used;
    used = 0;
    slab = undefined;
    if (length > leastLent || isRecycled) return lend(memory, length);
    // With its own memory, not from Node's pool: its receiver may transfer the memory.
    const copy = Buffer.allocUnsafeSlow(length);
    copy.set(memory.subarray(0, length));
    putBack(memory);
    return copy;
  };
  return {
    get size() {
      return size;
    },
    add: (bytes) => {
      size += bytes.length;
      for (let at = 0; at < bytes.length; ) {
        slab ??= takeSlab();
        const part = bytes.subarray(at, at + slabBytes - used);
        slab.set(part, used);
        used += part.length;
        at += part.length;
        if (used < slabBytes) continue;
        full.push(slab);
        slab = undefined;
        used = 0;
      }
    },
    take: () => {
      const memory = full.shift();
      const chunk = memory ? lend(memory, slabBytes) : takeSome();
      size -= chunk?.length ?? 0;
      return chunk;
    },
    recycle: (chunk) => {
      isRecycled = true;
      if (given.delete(chunk)) putBack(new Uint8Array(chunk.buffer));
    },
    drop: () => {
      for (const memory of [...full, ...(slab ? [slab] : [])]) putBack(memory);
      full = [];
      slab = undefined;
      used = 0;
      size = 0;
    },
  };
}
