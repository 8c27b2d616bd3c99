/** Chunks on their way from one who gives to one who takes. */
export interface ChunkQueue {
  /** Adds a chunk; returns once fewer than `room` chunks are waiting, or nobody takes any more. */
  put(chunk: Uint8Array): Promise<void>;
  /** There will be no more; an error is thrown to the taker after the last chunk. */
  end(error?: unknown): void;
  /** The next chunk; undefined at the end. */
  take(): Promise<Uint8Array | undefined>;
  /** Nobody takes any more: what is put is dropped. */
  leave(): void;
  /** Lets a `put` that waits return, once. */
  release(): void;
  readonly isFull: boolean;
  readonly isLeft: boolean;
}

export function createChunkQueue(room: number): ChunkQueue {
  const chunks: Uint8Array[] = [];
  let ended: { readonly error: unknown } | undefined;
  let isLeft = false;
  let wakeTaker = (): void => {};
  let wakeGiver = (): void => {};
  const isFull = (): boolean => !isLeft && chunks.length >= room;
  return {
    put: async (chunk) => {
      if (isLeft) return;
      chunks.push(chunk);
      wakeTaker();
      if (!isFull()) return;
      await new Promise<void>((resolve) => {
        wakeGiver = resolve;
      });
    },
    end: (error) => {
      ended ??= { error };
      wakeTaker();
    },
    take: async () => {
      for (;;) {
        const chunk = chunks.shift();
        if (chunk) {
          if (!isFull()) wakeGiver();
          return chunk;
        }
        if (ended?.error !== undefined) throw ended.error;
        if (ended) return undefined;
        await new Promise<void>((resolve) => {
          wakeTaker = resolve;
        });
      }
    },
    leave: () => {
      isLeft = true;
      chunks.length = 0;
      ended ??= { error: undefined };
      wakeGiver();
      wakeTaker();
    },
    release: () => wakeGiver(),
    get isFull() {
      return isFull();
    },
    get isLeft() {
      return isLeft;
    },
  };
}
