import { cannot, messageOf, RegistryError } from './errors.ts';
import { builtin } from './runtime.ts';

/** A signal for one piece of work: it fires with its parent, on `cancel`, or when time runs out. */
export interface Deadline {
  readonly signal: AbortSignal;
  cancel(reason: unknown): void;
  /** Fires with `TIMEOUT` after `milliseconds`; takes the place of an earlier limit. `host`: whose silence it is, if `attempted` names it. */
  limit(milliseconds: number, attempted: string, host?: string): void;
  /** Ends the time limit; the parent still counts. */
  unlimit(): void;
  /** The work is over: lets go of the parent and of the timer. Must be called. */
  end(): void;
}

/** What is thrown when a signal fires: `ABORTED` with the reason as cause, or the RegistryError that was given as reason. */
export function abortError(reason: unknown): RegistryError {
  if (reason instanceof RegistryError) return reason;
  return new RegistryError('ABORTED', `The operation was aborted: ${messageOf(reason)}`, { cause: reason });
}

/** Milliseconds; timers above this fire at once. https://nodejs.org/api/timers.html */
export const longestTimer = 2 ** 31 - 1;

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
    if (!parent) continue;
    // One signal may end any number of things; Node takes eleven listeners for a leak.
    builtin('node:events')?.setMaxListeners(0, parent);
    if (parent.aborted) cancel(parent.reason);
    const follow = (): void => cancel(parent.reason);
    parent.addEventListener('abort', follow, { once: true });
    release.push(() => parent.removeEventListener('abort', follow));
  }
  return {
    signal: controller.signal,
    cancel,
    unlimit,
    limit: (milliseconds, attempted, host) => {
      unlimit();
      const late = (): void => cancel(cannot('TIMEOUT', attempted, `not done in ${milliseconds} ms`, { host }));
      timer = setTimeout(late, Math.min(milliseconds, longestTimer));
    },
    end: () => {
      unlimit();
      for (const undo of release) undo();
    },
  };
}

/** What a promise gives, or `ABORTED` as soon as the signal fires: the promise itself may not heed it. */
export function unlessAborted<T>(promise: Promise<T>, signal?: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(abortError(signal?.reason));
    if (signal?.aborted) stop();
    signal?.addEventListener('abort', stop, { once: true });
    promise.then(resolve, reject).finally(() => signal?.removeEventListener('abort', stop));
  });
}

/** Waits; fails with `ABORTED` as soon as the signal fires. */
export function sleep(milliseconds: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) {
      reject(abortError(signal.reason));
      return;
    }
    const stop = (): void => {
      clearTimeout(timer);
      reject(abortError(signal?.reason));
    };
    const timer = setTimeout(
      () => {
        signal?.removeEventListener('abort', stop);
        resolve();
      },
      Math.min(milliseconds, longestTimer),
    );
    signal?.addEventListener('abort', stop, { once: true });
  });
}
