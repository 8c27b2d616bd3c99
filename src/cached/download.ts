import { deadline, onAbort, unlessAborted } from '../abort.ts';
import { createBody, type Feed } from '../body.ts';
import { createHosts } from '../content/attempts.ts';
import { resume } from '../content/resume.ts';
import { createHoldBack } from '../content/verified-body.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Fetched, type FetchOptions, isResumable, type Source, type Store } from '../source.ts';
import { createChunkQueue } from './chunk-queue.ts';

/** Where content comes from, and where it is to be kept. */
export interface DownloadOptions {
  readonly origin: Source;
  readonly store: Store;
  /** A negative size if it is not known. */
  readonly target: Descriptor;
  /** Of the first reader. */
  readonly options: FetchOptions;
  /** Called once it is known whether the store has it, as `target` says; `storeError` is set if that failed by the store. */
  readonly onDone: (isStored: boolean, target: Descriptor, storeError?: unknown) => void;
  /** Called when the last reader has left: nobody may wait for it any more. */
  readonly onLeft: () => void;
}

/** One download of content, for its first reader and for the store; others wait for the store. */
export interface Download {
  readonly origin: Source;
  /** Its size is negative until the origin has responded, if nobody knew it. */
  readonly target: Descriptor;
  /** The response of the origin, whose body also feeds the store. */
  readonly opened: Promise<Fetched>;
  /** Waits until the store has it: false if it never will. Fails as the origin did, and with `ABORTED`. */
  wait(signal: AbortSignal | undefined): Promise<boolean>;
}

/** Milliseconds that others wait for a first reader who takes nothing; then it has the rest from the store, too. */
const patience = 1_000;

export function startDownload({ origin, store, options, onDone, onLeft, ...given }: DownloadOptions): Download {
  let { target } = given;
  const limit = deadline();
  const done = deferred<boolean>();
  const reader = createFirstReader();
  let waiting = 0;
  let at = 0;
  let release = (): void => {};

  const stop = (): void => {
    // Once all bytes are here, what is left to do is up to the store only.
    if (!reader.queue.isLeft || waiting > 0 || at === target.size) return;
    onLeft();
    limit.cancel('nobody wants it any more');
  };
  const leave = (): void => {
    reader.queue.leave();
    stop();
  };
  const settle = (outcome: Awaited<Storing['done']>): void => {
    done.resolve(outcome === true);
    onDone(outcome === true, target, typeof outcome === 'object' ? outcome.error : undefined);
    if (!reader.isReading()) limit.cancel('the store needs no more of it');
  };
  const pump = async (opened: Fetched): Promise<void> => {
    const storing = beginStoring(store, target, limit.signal);
    void storing.done.then(settle);
    const back = createHoldBack(target);
    try {
      for await (const chunk of chunksOf(opened)) {
        at += chunk.length;
        await Promise.all([storing.put(chunk), reader.give(back.pass(chunk), () => waiting > 0)]);
      }
      storing.end();
      await storing.done;
      await reader.give(back.end(), () => waiting > 0);
      reader.queue.end();
    } catch (error) {
      done.reject(error);
      storing.end(error);
      reader.queue.end(error);
    }
  };
  const chunksOf = (opened: Fetched): AsyncIterable<Uint8Array> => {
    const { last, except, onWarning } = options;
    const range = { start: 0, end: target.size };
    const how = { range, signal: limit.signal, hosts: createHosts({ last, except }), onWarning, opened };
    // The store verifies the digest. A host without ranges sends the whole again, whose beginning is dropped however long it is.
    return resume(origin, target, { ...how, discard: Infinity, isVerified: true });
  };
  const open = async (): Promise<Fetched> => {
    try {
      // Whoever starts it has it before it can end.
      await undefined;
      release = onAbort(options.signal, leave);
      const opened = await origin.fetch(target, { ...options, range: undefined, signal: limit.signal });
      if (target.size < 0) target = opened.descriptor;
      void pump(opened);
      const rest = async (start: number): Promise<Fetched> => {
        const isStored = await done.promise;
        return restOf(isStored ? store : origin, origin, target, { ...options, range: { start } });
      };
      return { ...opened, body: createBody(reader.feed(rest, leave), { signal: options.signal }).body };
    } catch (error) {
      done.reject(error);
      onDone(false, target);
      throw error;
    }
  };

  void done.promise.catch(() => {}).finally(() => release());
  return {
    origin,
    get target() {
      return target;
    },
    opened: unlessAborted(open(), options.signal),
    wait: async (signal) => {
      waiting += 1;
      const timer = setTimeout(reader.queue.release, patience);
      try {
        return await unlessAborted(done.promise, signal);
      } finally {
        clearTimeout(timer);
        waiting -= 1;
        stop();
      }
    },
  };
}

/** A part of a content from a store, which may have it in a way that its reader does not want: through a link. */
const restOf = (from: Source, origin: Source, target: Descriptor, options: FetchOptions): Promise<Fetched> =>
  from.fetch(target, options).catch((error: unknown) => {
    if (from === origin || options.signal?.aborted) throw error;
    return origin.fetch(target, options);
  });

/** Milliseconds after which whoever waits is told that the content will come. */
const answersAfter = 5_000;

/**
 * What is coming, or after a while what is known of it, with a body that waits for it: clients give up on a response that does
 * not begin, but many wait for a body.
 */
export async function openedInTime(
  coming: Promise<Fetched>,
  known: () => Pick<Fetched, 'descriptor' | 'from'>,
): Promise<Fetched> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(() => resolve(undefined), answersAfter);
  });
  const opened = await Promise.race([coming, late]).finally(() => clearTimeout(timer));
  const { descriptor, from } = known();
  if (opened || descriptor.size < 0) return opened ?? coming;
  let chunks: AsyncIterator<Uint8Array> | undefined;
  const next = async (): Promise<Uint8Array | undefined> => {
    chunks ??= (await coming).body[Symbol.asyncIterator]();
    const { done, value } = await chunks.next();
    return done ? undefined : value;
  };
  const cancel = (reason: unknown): void => {
    coming.then(({ body }) => body.cancel(reason)).catch(() => {});
  };
  coming.catch(() => {});
  return { descriptor, from, body: createBody({ next, cancel }).body };
}

/** Chunks that the first reader may be behind. */
const readerRoom = 2;

/** The first reader: served as the bytes come, until it is so slow that others would wait for it. */
function createFirstReader() {
  const queue = createChunkQueue(readerRoom);
  let isBehind = false;
  const isReading = (): boolean => !queue.isLeft && !isBehind;
  return {
    queue,
    isReading,
    give: async (chunk: Uint8Array | undefined, areOthersWaiting: () => boolean): Promise<void> => {
      if (!chunk || !isReading()) return;
      const timer = areOthersWaiting() ? setTimeout(queue.release, patience) : undefined;
      await queue.put(chunk);
      clearTimeout(timer);
      if (!queue.isFull) return;
      isBehind = true;
      queue.end();
    },
    /** What it is given, and once it is behind, the bytes of `rest` from there on. */
    feed: (rest: (start: number) => Promise<Fetched>, leave: () => void): Feed => {
      const chunks = (async function* () {
        let at = 0;
        for (let chunk = await queue.take(); chunk; chunk = await queue.take()) {
          at += chunk.length;
          yield chunk;
        }
        if (isBehind) yield* (await rest(at)).body;
      })();
      const cancel = (): void => {
        leave();
        // Not waited for: it may be in a read that does not end.
        chunks.return(undefined).catch(() => {});
      };
      return { next: async () => (await chunks.next()).value ?? undefined, cancel };
    },
  };
}

/** Content on its way into a store, beside its reader. */
interface Storing {
  /** Gives a copy of a chunk to the store; returns when the store can take the next one. Does nothing once the store has failed. */
  put(chunk: Uint8Array): Promise<void>;
  /** There will be no more. With an error the content is not kept, but the store may resume it another time. */
  end(error?: unknown): void;
  /** How it ended: whether the store has the content now, or the error of the store. Never fails. */
  readonly done: Promise<boolean | { readonly error: unknown }>;
}

/** Chunks that the store may be behind. */
const storeRoom = 4;

/** Begins to put content into a store, from its first byte on. */
function beginStoring(store: Store, target: Descriptor, signal: AbortSignal): Storing {
  const queue = createChunkQueue(storeRoom);
  const limit = deadline(signal);
  let isBusy = false;
  let isEnded = false;
  let isOpen = false;
  const chunks = async function* (offset: number): AsyncGenerator<Uint8Array, void, undefined> {
    // Earlier bytes cannot be given again: a store that finds its own beginning wrong has to wait for another time.
    if (isOpen) throw new Error('the content is on its way already');
    isOpen = true;
    let at = 0;
    for (let chunk = await queue.take(); chunk; chunk = await queue.take()) {
      const skipped = Math.min(Math.max(0, offset - at), chunk.length);
      at += chunk.length;
      if (skipped < chunk.length) yield chunk.subarray(skipped);
    }
  };
  // Another process brings the same content: its end is not waited for.
  const onWait = (): void => {
    isBusy = true;
    limit.cancel(new Error('another process is at it'));
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

interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

/** A promise that is settled from outside; nobody has to listen. */
function deferred<T>(): Deferred<T> {
  let resolve = (_value: T): void => {};
  let reject = (_error: unknown): void => {};
  const promise = new Promise<T>((...settle) => {
    [resolve, reject] = settle;
  });
  promise.catch(() => {});
  return { promise, resolve: (value) => resolve(value), reject: (error) => reject(error) };
}
