import { deadline, onAbort, unlessAborted } from '../abort.ts';
import { createBody } from '../body.ts';
import type { Reading } from '../content/reading.ts';
import { resume } from '../content/resume.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Fetched, FetchOptions, Source, Store } from '../source.ts';
import { beginKeeping, type Keeping } from './keeping.ts';
import { later } from './later.ts';
import { createReader, patience } from './reader.ts';

/** Where a content comes from, and where it is to be kept. */
export interface Route {
  readonly origin: Source;
  readonly store: Store;
  readonly target: Descriptor;
  /** Of the first reader. */
  readonly options: FetchOptions;
  /** Called once it is known whether the store has it, or with the error that the origin gave. */
  readonly onDone: (isStored: boolean, storeError?: unknown) => void;
  /** Called when the last one has left: nobody may wait for it any more. */
  readonly onLeft: () => void;
}

/** One download of a content, for its first reader and for the store; others wait for the store. */
export interface Flight {
  readonly target: Descriptor;
  /** The answer of the origin, whose body also feeds the store. */
  readonly opened: Promise<Fetched>;
  /** Waits until the store has it: false where it never will. Fails as the origin did, and with `ABORTED`. */
  wait(signal: AbortSignal | undefined): Promise<boolean>;
}

export function startFlight(route: Route): Flight {
  const { origin, store, target, options } = route;
  const limit = deadline();
  const done = later<boolean>();
  const reader = createReader();
  let waiting = 0;
  let release = (): void => {};
  let at = 0;

  const stop = (): void => {
    // All bytes are here: what is left to do is the store's alone.
    if (!reader.queue.isLeft || waiting > 0 || at === target.size) return;
    route.onLeft();
    limit.cancel('nobody wants it any more');
  };
  const leave = (): void => {
    reader.queue.leave();
    stop();
  };
  const settle = (outcome: Awaited<Keeping['done']>): void => {
    done.resolve(outcome === true);
    route.onDone(outcome === true, typeof outcome === 'object' ? outcome.error : undefined);
    if (!reader.isReading()) limit.cancel('the store needs no more of it');
  };
  const pump = async (opened: Fetched): Promise<void> => {
    const keeping = beginKeeping(store, target, limit.signal);
    void keeping.done.then(settle);
    try {
      for await (const chunk of resume(readingOf(route, opened, limit.signal))) {
        at += chunk.length;
        await Promise.all([keeping.put(chunk), reader.give(chunk, () => waiting > 0)]);
      }
      keeping.end();
      await keeping.done;
      reader.queue.end();
    } catch (error) {
      done.reject(error);
      keeping.end(error);
      reader.queue.end(error);
    }
  };
  const rest = async (start: number): Promise<Fetched> =>
    ((await done.promise) ? store : origin).fetch(target, { ...options, range: { start } });
  const open = async (): Promise<Fetched> => {
    try {
      // Whoever starts it has it before it can end.
      await undefined;
      release = onAbort(options.signal, leave);
      const opened = await origin.fetch(target, { ...options, range: undefined, signal: limit.signal });
      void pump(opened);
      return { ...opened, body: createBody(reader.feed(rest, leave), { signal: options.signal }).body };
    } catch (error) {
      done.reject(error);
      route.onDone(false);
      throw error;
    }
  };

  void done.promise.catch(() => {}).finally(() => release());
  return {
    target,
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

function readingOf({ target, origin, options }: Route, opened: Fetched, signal: AbortSignal): Reading {
  const { last = [], except = [], onWarning } = options;
  const nothing = (): void => {};
  return {
    source: origin,
    descriptor: target,
    range: { start: 0, end: target.size },
    signal,
    emit: nothing,
    opened,
    last,
    except: [...except],
    discard: Infinity,
    warned: onWarning && { add: onWarning, texts: () => [] },
    isHashed: true,
    begin: nothing,
    take: nothing,
    complete: nothing,
    over: nothing,
  };
}
