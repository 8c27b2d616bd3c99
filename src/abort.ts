import { cannot, type ErrorDetails, messageOf, RegistryError, restate, withAttemptsOf } from './errors.ts';
import { builtin } from './runtime.ts';

/** Milliseconds; timers above this fire at once. https://nodejs.org/api/timers.html */
export const longestTimer = 2 ** 31 - 1;

/** What is thrown when a signal fires: `ABORTED` with the reason as cause, or the RegistryError that was given as reason. */
export function abortError(reason: unknown): RegistryError {
  if (reason instanceof RegistryError) return reason;
  const why = messageOf(reason);
  return new RegistryError('ABORTED', `The operation was aborted: ${why}`, {
    found: `it was aborted: ${why}`,
    cause: reason,
  });
}

/** Calls `run` once when the signal fires, at once if it has already. Returns a function that stops listening. */
export function onAbort(signal: AbortSignal | undefined, run: (reason: unknown) => void): () => void {
  if (!signal) return () => {};
  const listener = (): void => run(signal.reason);
  if (signal.aborted) listener();
  else signal.addEventListener('abort', listener, { once: true });
  return () => signal.removeEventListener('abort', listener);
}

/** A signal for one piece of work: it fires with its parent, on `cancel`, or when time runs out. */
export interface Deadline {
  readonly signal: AbortSignal;
  cancel(reason: unknown): void;
  /** Fires with `TIMEOUT` after `milliseconds`; replaces an earlier limit. `facts`: the host that is waited for, if `attempted` names it, and the name of the limit. */
  limit(milliseconds: number, attempted: string, facts?: Pick<ErrorDetails, 'host' | 'limit'>): void;
  /** Ends the time limit; the parent still counts. */
  unlimit(): void;
  /** The work is over: releases the parent and the timer. Must be called. */
  end(): void;
}

export function deadline(...parents: (AbortSignal | undefined)[]): Deadline {
  const controller = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  const unlimit = (): void => clearTimeout(timer);
  const release: (() => void)[] = [];
  const cancel = (reason: unknown): void => {
    unlimit();
    if (!controller.signal.aborted) controller.abort(abortError(reason));
  };
  for (const parent of parents) {
    if (parent) allowListeners(parent);
    release.push(onAbort(parent, cancel));
  }
  return {
    signal: controller.signal,
    cancel,
    unlimit,
    limit: (milliseconds, attempted, facts) => {
      unlimit();
      const late = (): void => cancel(cannot('TIMEOUT', attempted, `not done in ${milliseconds} ms`, facts));
      timer = setTimeout(late, Math.min(milliseconds, longestTimer));
    },
    end: () => {
      unlimit();
      for (const undo of release) undo();
    },
  };
}

/** One signal may end any number of things; Node takes eleven listeners for a leak. Other signals count none, and Node refuses them. */
function allowListeners(signal: AbortSignal): void {
  try {
    builtin('node:events')?.setMaxListeners(0, signal);
  } catch {
    // One of a library, such as happy-dom's.
  }
}

/** What ends an operation, besides its work. */
export interface OperationLimits {
  readonly signals: readonly (AbortSignal | undefined)[];
  /** Milliseconds, then it fails with `TIMEOUT`; without it there is no limit. */
  readonly operation: number | undefined;
}

/** Runs one operation. If a signal or the time limit ends it, the error has the attempts made until then. */
export async function runOperation<T>(
  attempted: string,
  { signals, operation }: OperationLimits,
  work: (call: { readonly signal: AbortSignal }) => Promise<T>,
): Promise<T> {
  const limit = deadline(...signals);
  try {
    limit.signal.throwIfAborted();
    if (operation !== undefined) limit.limit(operation, attempted, { limit: 'timeouts.operation' });
    return await work({ signal: limit.signal });
  } catch (error) {
    if (!limit.signal.aborted) throw error;
    const end = withAttemptsOf(abortError(limit.signal.reason), [error]);
    throw end.attempted === undefined ? restate(end, { attempted }) : end;
  } finally {
    limit.end();
  }
}

/** The result of a promise, or `ABORTED` as soon as the signal fires: the promise itself may not heed it. */
export function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, (reason) => reject(abortError(reason)));
    promise.then(resolve, reject).finally(release);
  });
}

/** Waits; fails with `ABORTED` as soon as the signal fires. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    const wake = (): void => {
      release();
      resolve();
    };
    const timer = setTimeout(wake, Math.min(milliseconds, longestTimer));
    const release = onAbort(signal, (reason) => {
      clearTimeout(timer);
      reject(abortError(reason));
    });
  });
}

/** Milliseconds. */
const longestBackoff = 60_000;
export const defaultBackoff = 200;

/** Milliseconds before the next of `tried` tries, give or take a half; doubles each time. */
export const jittered = (backoff: number, tried: number): number =>
  Math.min(backoff * 2 ** (tried - 1) * (0.5 + Math.random()), longestBackoff);

interface Flight<T> {
  readonly result: Promise<T>;
  readonly controller: AbortController;
  waiting: number;
}

/**
 * Runs the work of a key once for all callers that want it at the same time. A caller whose signal fires does not end it
 * for the others; the work is aborted when the last one has left. Nothing is kept: a failure reaches only those who waited.
 */
export function singleFlight<T>() {
  const flights = new Map<string, Flight<T>>();
  const start = (key: string, work: (signal: AbortSignal) => Promise<T>): Flight<T> => {
    const controller = new AbortController();
    const result = work(controller.signal).finally(() => {
      if (flights.get(key) === flight) flights.delete(key);
    });
    const flight: Flight<T> = { result, controller, waiting: 0 };
    flights.set(key, flight);
    return flight;
  };
  return (key: string, signal: AbortSignal | undefined, work: (signal: AbortSignal) => Promise<T>): Promise<T> => {
    if (signal?.aborted) return Promise.reject(abortError(signal.reason));
    const flight = flights.get(key) ?? start(key, work);
    flight.waiting += 1;
    return new Promise((resolve, reject) => {
      const release = onAbort(signal, (reason) => {
        flight.waiting -= 1;
        if (flight.waiting === 0) {
          if (flights.get(key) === flight) flights.delete(key);
          flight.controller.abort(reason);
        }
        reject(abortError(reason));
      });
      flight.result.then(resolve, reject).finally(release);
    });
  };
}
