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

/**
 * What work gives, or once the signal has fired its reason, whether the work has ended or not: it has `grace`
 * milliseconds to end by itself.
 */
export async function untilInterrupted<T>(work: Promise<T>, signal: AbortSignal | undefined, grace = 100): Promise<T> {
  if (!signal) return work;
  let interrupt = (): void => {};
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    interrupt = () => {
      timer = setTimeout(() => reject(signal.reason), grace);
    };
    if (signal.aborted) interrupt();
    else signal.addEventListener('abort', interrupt, { once: true });
  });
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', interrupt);
  }
}
