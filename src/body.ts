import { asRegistryError, RegistryError } from './errors.ts';
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
}

export interface BodyOptions {
  /** Milliseconds without a byte, counted only while the reader waits, that break it with `TIMEOUT`; 0 for no limit. */
  readonly idle?: number | undefined;
  /** Breaks it as soon as it fires, also when nothing is being read. */
  readonly signal?: AbortSignal | undefined;
}

const finished: IteratorResult<Uint8Array, undefined> = { value: undefined, done: true };

const aborted = (reason: unknown): RegistryError =>
  asRegistryError(reason, 'ABORTED', 'Cannot go on reading a body, it was cancelled');

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
  const watch = watchdog(idle, () =>
    fail(new RegistryError('TIMEOUT', `Cannot read a body: no byte came in ${idle} ms`)),
  );
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
  return { body: { cancel, [Symbol.asyncIterator]: () => ({ next, return: leave }) }, ended };
}

/** A body of bytes at hand. */
export function bytesBody(bytes: Uint8Array): Body {
  let rest: Uint8Array | undefined = bytes.length > 0 ? bytes : undefined;
  return createBody({
    next: () => {
      const chunk = rest;
      rest = undefined;
      return chunk;
    },
    cancel: () => {
      rest = undefined;
    },
  }).body;
}

/** A body whose chunks are made from those of `body`; cancelling it cancels `body`. */
export function derivedBody(body: Body, derive: (body: Body) => AsyncIterable<Uint8Array>): Body {
  let iterator: AsyncIterator<Uint8Array> | undefined;
  return {
    cancel: async (reason) => {
      await body.cancel(reason);
      // Lets the derivation free what it holds, when it stands between two chunks; nobody waits for it.
      iterator?.return?.().catch(() => {});
    },
    [Symbol.asyncIterator]: () => {
      iterator ??= derive(body)[Symbol.asyncIterator]();
      return iterator;
    },
  };
}

/** All bytes of a body. One byte over `limit` is `TOO_LARGE`, and the rest is not read. */
export async function readAll(body: AsyncIterable<Uint8Array>, limit: number, what: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw new RegistryError('TOO_LARGE', `Cannot read ${what}: more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return join(chunks, size);
}

/** One array of all chunks; the chunk itself where there is one. */
export function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  if (chunks.length === 1 && chunks[0]) return chunks[0];
  const bytes = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, at);
    at += chunk.length;
  }
  return bytes;
}

/**
 * Reads what nobody wants, up to `limit` bytes and for `milliseconds`, so that the connection can be used again; cancels
 * what is longer. Never fails.
 */
export async function discard(body: Body, limit = 65_536, milliseconds = 1_000): Promise<void> {
  const stop = (): void => {
    body.cancel().catch(() => {});
  };
  const timer = setTimeout(stop, milliseconds);
  let left = limit;
  try {
    for await (const chunk of body) {
      left -= chunk.length;
      if (left < 0) break;
    }
  } catch {
    // The answer's head said all that mattered.
  } finally {
    clearTimeout(timer);
  }
}
