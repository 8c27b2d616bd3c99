import { longestTimer, onAbort } from './abort.ts';
import { asRegistryError, cannot, type RegistryError } from './errors.ts';
import { createPile } from './pile.ts';
import type { Body, Chunks } from './source.ts';

/** How a body ended: the bytes that were read, and the error if it broke or was cancelled before its end. */
export interface BodyEnd {
  readonly bytes: number;
  readonly error?: unknown;
}

/** Where a body's chunks come from. */
export interface Feed {
  /** The next chunk, not as a promise if it is there already; `undefined` at the end. Called for one at a time. */
  next(): Uint8Array | undefined | Promise<Uint8Array | undefined>;
  cancel(reason?: unknown): void | Promise<void>;
}

/** Watches how fast a body comes. */
export interface Meter {
  /** Milliseconds that a reader waits for a byte at most; 0 for no limit. */
  readonly longestWait: number;
  /** So many bytes came after the reader had waited for so many milliseconds. Throws if the body is to be broken off. */
  add(waited: number, bytes: number): void;
}

export interface BodyOptions {
  /** Milliseconds without a byte, counted only while the reader waits, that break it with `TIMEOUT`; 0 for no limit. */
  readonly idle?: number | undefined;
  /** Bytes per second, over each `idle` milliseconds in which the reader waited: fewer break it with `TIMEOUT`; 0 for no minimum. */
  readonly minimumSpeed?: number | undefined;
  readonly meter?: Meter | undefined;
  /** Breaks it as soon as it fires, also when nothing is being read. */
  readonly signal?: AbortSignal | undefined;
}

const finished: IteratorResult<Uint8Array, undefined> = { value: undefined, done: true };

const aborted = (reason: unknown): RegistryError =>
  asRegistryError(reason, 'ABORTED', 'continue reading a body, it was cancelled');

/**
 * A body over a feed, the moment it ends, and the time (`performance.now()`) at which a reader last took or awaited a byte. One that broke fails each further read with the same error; one that was
 * cancelled has no more bytes, also for a read that waits.
 */
export function createBody(
  feed: Feed,
  { idle = 0, minimumSpeed = 0, meter, signal }: BodyOptions = {},
): { body: Body; ended: Promise<BodyEnd>; lastRead: () => number } {
  let bytes = 0;
  let isRead = false;
  let last = performance.now();
  let over = false;
  let failure: { readonly error: unknown } | undefined;
  let wake = (): void => {};
  let release = (): void => {};
  let end: (end: BodyEnd) => void = () => {};
  const ended = new Promise<BodyEnd>((resolve) => {
    end = resolve;
  });
  const finish = (error?: unknown): void => {
    over = true;
    watch.stop();
    release();
    end(error === undefined ? { bytes } : { bytes, error });
    wake();
  };
  const stopFeed = async (reason: unknown): Promise<void> => feed.cancel(reason);
  const fail = (error: unknown): void => {
    if (over) return;
    failure = { error };
    finish(error);
    // A feed that broke may not react: nobody waits for it.
    stopFeed(error).catch(() => {});
  };
  const cancel = async (reason?: unknown): Promise<void> => {
    if (over) return;
    finish(aborted(reason ?? 'nobody wants it'));
    await stopFeed(reason);
  };
  const longest = meter?.longestWait || idle;
  const isIdle = idle > 0 && idle <= longest;
  const facts = isIdle
    ? ({ limit: 'timeouts.idle' } as const)
    : ({ limit: 'timeouts.crawl', reason: 'too-slow' } as const);
  const most = isIdle ? idle : longest;
  const watch = watchdog(most, () => fail(cannot('TIMEOUT', 'read a body', `no byte came in ${most} ms`, facts)));
  const speed = speedometer(idle, minimumSpeed);
  const waited = (coming: Promise<Uint8Array | undefined>): Promise<Uint8Array | undefined> =>
    new Promise((resolve, reject) => {
      watch.begin();
      wake = () => resolve(undefined);
      coming.then(resolve, reject);
    });
  const next = async (): Promise<IteratorResult<Uint8Array, undefined>> => {
    isRead = true;
    try {
      if (!over) {
        const coming = feed.next();
        const chunk = isPromise(coming) ? await waited(coming) : coming;
        const waitedFor = watch.end();
        speed.add(waitedFor, chunk?.length);
        if (chunk) meter?.add(waitedFor, chunk.length);
        if (chunk !== undefined && !over) {
          bytes += chunk.length;
          return { value: chunk, done: false };
        }
        if (!over) finish();
      }
    } catch (error) {
      fail(error);
    } finally {
      isRead = false;
      last = performance.now();
    }
    if (failure) throw failure.error;
    return finished;
  };
  const leave = (): Promise<typeof finished> => cancel().then(() => finished);
  release = onAbort(signal, (reason) => fail(aborted(reason)));
  const lastRead = (): number => (isRead ? performance.now() : last);
  return { body: { cancel, [Symbol.asyncIterator]: () => ({ next, return: leave }) }, ended, lastRead };
}

/** Also one of another realm, or of a library. */
const isPromise = <T>(value: T | Promise<T>): value is Promise<T> =>
  typeof value === 'object' && value !== null && 'then' in value;

interface Watchdog {
  /** A wait begins. */
  begin(): void;
  /** It is over; gives the milliseconds that it took. */
  end(): number;
  /** There will be no more. */
  stop(): void;
}

/**
 * Calls `bark` when a wait takes longer than `milliseconds`; 0 for never. One timer serves all waits, looking back when
 * it fires: to set one for each chunk of a body would cost a twentieth of the transfer.
 */
function watchdog(milliseconds: number, bark: () => void): Watchdog {
  let timer: ReturnType<typeof setTimeout> | undefined;
  let since: number | undefined;
  const look = (): void => {
    timer = undefined;
    if (since === undefined) return;
    const left = since + milliseconds - performance.now();
    if (left <= 0) bark();
    else timer = setTimeout(look, Math.min(left, longestTimer));
  };
  return {
    begin: () => {
      if (milliseconds === 0) return;
      since = performance.now();
      timer ??= setTimeout(look, Math.min(milliseconds, longestTimer));
    },
    end: () => {
      const waited = since === undefined ? 0 : performance.now() - since;
      since = undefined;
      return waited;
    },
    stop: () => clearTimeout(timer),
  };
}

/** Throws `TIMEOUT` after each `window` milliseconds of waiting that brought fewer bytes than `minimum` per second; 0 for never. */
function speedometer(window: number, minimum: number): { add(waited: number, bytes: number | undefined): void } {
  let time = 0;
  let count = 0;
  return {
    add: (waited, bytes) => {
      time += waited;
      count += bytes ?? 0;
      // The end of a body is never late.
      if (time < window || minimum === 0 || bytes === undefined) return;
      if ((count * 1000) / time < minimum) {
        const found = `${count} bytes came in ${Math.round(time)} ms, fewer than ${minimum} a second`;
        throw cannot('TIMEOUT', 'read a body', found, { reason: 'too-slow', limit: 'timeouts.minimumSpeed' });
      }
      time = 0;
      count = 0;
    },
  };
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

/**
 * All bytes of a body. One byte over `limit` is `TOO_LARGE`, and the rest is not read. A body that takes longer than
 * `within` milliseconds is `TIMEOUT`: one that drips is never idle.
 */
export async function readAll(
  body: AsyncIterable<Uint8Array>,
  limit: number,
  what: string,
  within = 60_000,
): Promise<Uint8Array> {
  const pile = createPile();
  const started = performance.now();
  for await (const chunk of body) {
    if (pile.size + chunk.length > limit)
      throw cannot('TOO_LARGE', `read ${what}`, `more than ${limit} bytes`, { reason: 'limit' });
    if (performance.now() - started > within) {
      throw cannot('TIMEOUT', `read ${what}`, `not done in ${within} ms`);
    }
    pile.add(chunk);
  }
  return pile.join();
}

/**
 * Reads what nobody wants, up to `limit` bytes and for `milliseconds`, so that the connection can be used again; cancels
 * a longer body. Never fails.
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
    // Nobody wants these bytes, so it does not matter how they end.
  } finally {
    clearTimeout(timer);
  }
}

type Recycle = (chunk: Uint8Array) => void;

/** By the object that is iterated, not by chunk: whoever wraps it, and perhaps keeps its chunks, makes another object. */
const recyclers = new WeakMap<Chunks, Recycle>();

/**
 * Lets the reader of exactly these chunks give each back when nobody needs it any more, so that its memory is filled with
 * other bytes: that saves a fast network much time. `recycle` must not throw, and leaves alone what is not a chunk of these.
 * Only for whoever keeps no chunk and hands none to others.
 */
export function offerRecycling<T extends Chunks>(chunks: T, recycle: Recycle): T {
  recyclers.set(chunks, recycle);
  return chunks;
}

/** Gives back a chunk of these, if they offer it; otherwise undefined. Each chunk once; not giving back is always safe. */
export const recyclerOf = (chunks: Chunks | undefined): Recycle | undefined => chunks && recyclers.get(chunks);

type Lend = () => Promise<Uint8Array | undefined>;

/** By the object that is iterated, as recyclers are. */
const lenders = new WeakMap<Chunks, Lend>();

/**
 * Lets a reader of exactly this body read it by `lend` instead of iterating it: what that gives is not the reader's, must not be
 * changed, and is overwritten by the call after the next one. That saves copies and memory for whoever only passes bytes on.
 */
export function offerLending<T extends Chunks>(chunks: T, lend: Lend): T {
  lenders.set(chunks, lend);
  return chunks;
}

export const lenderOf = (chunks: Chunks): Lend | undefined => lenders.get(chunks);
