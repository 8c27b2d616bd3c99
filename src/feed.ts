import { asRegistryError, cannot, type RegistryError } from './errors.ts';
import type { Body } from './source.ts';
import { watchdog } from './watchdog.ts';

/** How a body ended: the bytes that were read, and the error if it broke or was cancelled before its end. */
export interface BodyEnd {
  readonly bytes: number;
  readonly error?: unknown;
}

/** Where a body's chunks come from. */
export interface Feed {
  /** The next chunk, at once where one is there; `undefined` at the end. Asked one at a time. */
  next(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  cancel(reason?: unknown): void | Promise<void>;
  /** As `Chunks` has it. */
  readonly recycle?: (chunk: Uint8Array) => void;
}

export interface BodyOptions {
  /** Milliseconds without a byte, counted only while the reader waits, that break it with `TIMEOUT`; 0 for no limit. */
  readonly idle?: number | undefined;
  /** Breaks it as soon as it fires, also when nothing is being read. */
  readonly signal?: AbortSignal | undefined;
}

const finished: IteratorResult<Uint8Array, undefined> = { value: undefined, done: true };

const aborted = (reason: unknown): RegistryError =>
  asRegistryError(reason, 'ABORTED', 'go on reading a body, it was cancelled');

/**
 * A body over a feed, and the moment it ends. One that broke says so to each further read; one that was cancelled has
 * no more bytes, also for a read that waits.
 */
export function createBody(
  feed: Feed,
  { idle = 0, signal }: BodyOptions = {},
): { body: Body; ended: Promise<BodyEnd> } {
  let bytes = 0;
  let over = false;
  let failure: { readonly error: unknown } | undefined;
  let wake = (): void => {};
  let end: (end: BodyEnd) => void = () => {};
  const ended = new Promise<BodyEnd>((resolve) => {
    end = resolve;
  });
  const finish = (error?: unknown): void => {
    over = true;
    watch.stop();
    signal?.removeEventListener('abort', abort);
    end(error === undefined ? { bytes } : { bytes, error });
    wake();
  };
  const stopFeed = async (reason: unknown): Promise<void> => feed.cancel(reason);
  const fail = (error: unknown): void => {
    if (over) return;
    failure = { error };
    finish(error);
    // What broke may not answer: nobody waits for it.
    stopFeed(error).catch(() => {});
  };
  const abort = (): void => fail(aborted(signal?.reason));
  const cancel = async (reason?: unknown): Promise<void> => {
    if (over) return;
    finish(aborted(reason ?? 'nobody wants it'));
    await stopFeed(reason);
  };
  const watch = watchdog(idle, () => fail(cannot('TIMEOUT', 'read a body', `no byte came in ${idle} ms`)));
  const waited = (coming: Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> =>
    new Promise((resolve, reject) => {
      watch.begin();
      wake = () => resolve(undefined);
      coming.then(resolve, reject);
    });
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    try {
      if (!over) {
        const coming = feed.next();
        const chunk = coming instanceof Promise ? await waited(coming) : coming;
        watch.end();
        if (chunk !== undefined && !over) {
          bytes += chunk.length;
          return { value: chunk, done: false };
        }
        if (!over) finish();
      }
    } catch (error) {
      fail(error);
    }
    if (failure) throw failure.error;
    return finished;
  };
  const leave = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    await cancel();
    return finished;
  };
  if (signal?.aborted) abort();
  else signal?.addEventListener('abort', abort, { once: true });
  const { recycle } = feed;
  const body = { cancel, [Symbol.asyncIterator]: () => ({ next, return: leave }), ...(recycle && { recycle }) };
  return { body, ended };
}
