import { exitCodes } from './exit-codes.ts';

/** The signals that a command ends for, and what the program ends with. */
export const codesOfSignals = { SIGINT: exitCodes.aborted, SIGTERM: exitCodes.terminated } as const;

/** The reason of an `Io`'s signal, and what a command throws that was ended by it. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: keyof typeof codesOfSignals;

  constructor(signal: keyof typeof codesOfSignals, message = 'interrupted') {
    super(message);
    this.signal = signal;
  }
}

/** Node's list of what it has asked the system for and has no answer to yet. */
const requests = (): readonly unknown[] =>
  (process as { readonly _getActiveRequests?: () => readonly unknown[] })._getActiveRequests?.() ?? [];

/**
 * What is to be done when the process exits: it ends by its signal where the system still works on something that it was
 * asked for before the signal came. What is stuck there, a file server that is gone or a pipe that nobody writes to, would
 * keep `process.exit` waiting for ever.
 */
function endStuck(signal: AbortSignal): () => void {
  const before = new Set(requests());
  const since = performance.now();
  return () => {
    const { reason } = signal;
    const isStuck = performance.now() - since > 50 && requests().some((request) => before.has(request));
    if (!isStuck || !(reason instanceof Interrupted)) return;
    // With no listener left the signal does what it does by itself.
    process.removeAllListeners(reason.signal);
    process.kill(process.pid, reason.signal);
  };
}

/**
 * What work gives, or once the signal has fired its reason, whether the work has ended or not: it has `grace`
 * milliseconds to end by itself.
 */
export async function untilInterrupted<T>(work: Promise<T>, signal: AbortSignal | undefined, grace = 100): Promise<T> {
  if (!signal) return work;
  let interrupt = (): void => {};
  let exiting = (): void => {};
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    interrupt = () => {
      exiting = endStuck(signal);
      process.once('exit', exiting);
      timer = setTimeout(() => reject(signal.reason), grace);
    };
    if (signal.aborted) interrupt();
    else signal.addEventListener('abort', interrupt, { once: true });
  });
  // Not where the process is another's, and goes on.
  const ended = (): void => void process.off('exit', exiting);
  work.then(ended, ended);
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', interrupt);
  }
}
