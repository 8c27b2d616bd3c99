import { exitCodes } from './exit-codes.ts';

/** The signals that end a command, and their exit codes. */
export const codesOfSignals = { SIGINT: exitCodes.aborted, SIGTERM: exitCodes.terminated } as const;

/** The reason of an `Io`'s signal, and what an interrupted command throws. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
  readonly signal: keyof typeof codesOfSignals;

  constructor(signal: keyof typeof codesOfSignals, message = 'interrupted') {
    super(message);
    this.signal = signal;
  }
}

/** Whether the system still works on a request to a file or a name server. `process.exit` would wait for it. */
const isBusy = (): boolean => process.getActiveResourcesInfo().some((name) => /^(?:FSReq|GetAddrInfo)/.test(name));

/**
 * Runs when the process exits: a request that never ends (to a file server that is gone, or a pipe without a writer) would
 * keep the process alive forever, so it ends by its signal then.
 */
function endByItsSignal(reason: unknown, since: number): void {
  // Shortly after the signal a request may be one that is about to end.
  if (!(reason instanceof Interrupted) || performance.now() - since < 50 || !isBusy()) return;
  // Without a listener the signal ends the process.
  process.removeAllListeners(reason.signal);
  process.kill(process.pid, reason.signal);
}

/** The result of work, or once the signal has fired its reason, after `grace` milliseconds for the work to end by itself. */
export async function untilInterrupted<T>(work: Promise<T>, signal: AbortSignal | undefined, grace = 100): Promise<T> {
  if (!signal) return work;
  let since = 0;
  const atExit = (): void => endByItsSignal(signal.reason, since);
  let interrupt = (): void => {};
  let timer: NodeJS.Timeout | undefined;
  const end = new Promise<never>((_, reject) => {
    interrupt = () => {
      since = performance.now();
      process.once('exit', atExit);
      timer = setTimeout(() => reject(signal.reason), grace);
    };
    if (signal.aborted) interrupt();
    else signal.addEventListener('abort', interrupt, { once: true });
  });
  // The process may be another program's, and go on.
  const ended = (): void => void process.off('exit', atExit);
  work.then(ended, ended);
  try {
    return await Promise.race([work, end]);
  } finally {
    clearTimeout(timer);
    signal.removeEventListener('abort', interrupt);
  }
}
