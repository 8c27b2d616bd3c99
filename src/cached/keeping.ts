import { deadline } from '../abort.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isResumable, type Store } from '../source.ts';
import { createQueue } from './queue.ts';

/** A content on its way into a store, beside its reader. */
export interface Keeping {
  /** Hands a copy of a chunk to the store; returns when it can take the next one. Nothing once the store has failed. */
  put(chunk: Uint8Array): Promise<void>;
  /** There will be no more. With an error what came is not kept, but the store may go on with it another time. */
  end(error?: unknown): void;
  /** How it ended: whether the store has the content now, or the error of the store. Never fails. */
  readonly done: Promise<boolean | { readonly error: unknown }>;
}

/** Chunks that the store may be behind. */
const room = 4;

/** Begins to put a content into a store, from its first byte on. */
export function beginKeeping(store: Store, target: Descriptor, signal: AbortSignal): Keeping {
  const queue = createQueue(room);
  const limit = deadline(signal);
  let isBusy = false;
  let isEnded = false;
  let isOpen = false;
  const chunks = async function* (offset: number): AsyncGenerator<Uint8Array, void, undefined> {
    // What went by cannot be given again: the store finds its own beginning wrong, and has to wait for another time.
    if (isOpen) throw new Error('the content is on its way already');
    isOpen = true;
    let at = 0;
    for (let chunk = await queue.take(); chunk; chunk = await queue.take()) {
      const skipped = Math.min(Math.max(0, offset - at), chunk.length);
      at += chunk.length;
      if (skipped < chunk.length) yield chunk.subarray(skipped);
    }
  };
  // Another process brings the same: its end is not waited for.
  const onWait = (): void => {
    isBusy = true;
    limit.cancel(new Error('somebody else is at it'));
  };
  const options = { signal: limit.signal, onWait };
  const pushed = isResumable(store) ? store.pushFrom(target, chunks, options) : store.push(target, chunks(0), options);
  const done = pushed.then(
    () => true,
    (error: unknown) => (isBusy || isEnded || signal.aborted ? false : { error }),
  );
  void done.then(() => {
    limit.end();
    queue.leave();
  });
  return {
    put: async (chunk) => {
      if (!queue.isLeft) await queue.put(new Uint8Array(chunk));
    },
    end: (error) => {
      isEnded = error !== undefined;
      queue.end(error);
    },
    done,
  };
}
