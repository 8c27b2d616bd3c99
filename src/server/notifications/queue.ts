/** Texts that wait in their order. */
export interface TextQueue {
  readonly length: number;
  /** Adds a text, which must have no line break; false if there is no room left. */
  add(text: string): boolean;
  /** The first one; undefined if there is none. */
  first(): string | undefined;
  /** Removes the first one. */
  remove(): void;
  /** What is left stays where it is. */
  close(): void;
}

/** A queue that ends with its process. */
export function memoryQueue(most: number): TextQueue {
  let waiting: string[] = [];
  let next = 0;
  return {
    get length() {
      return waiting.length - next;
    },
    add: (text) => {
      if (waiting.length - next >= most) return false;
      waiting.push(text);
      return true;
    },
    first: () => waiting[next],
    remove: () => {
      next += 1;
      // Not one by one, which would move all others each time.
      if (next < 1_000 && next < waiting.length) return;
      waiting = waiting.slice(next);
      next = 0;
    },
    close: () => {},
  };
}
