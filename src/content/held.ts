import { abortError, deadline } from '../abort.ts';
import type { Fetched } from '../source.ts';
import { cancelWith } from './cancel-with.ts';

/** An answer that is open before anybody reads it: it ends with the signals of its content, as long as it is held. */
export interface Held {
  /** Hands it over to a reading of the whole; for a part it is of no use, and is ended. */
  take(isWhole: boolean): Fetched | undefined;
  close(reason: unknown): Promise<void>;
}

export function holdOpen(opened: Fetched | undefined, signals: readonly (AbortSignal | undefined)[]): Held {
  let held = opened;
  const limit = deadline(...signals);
  if (opened) cancelWith(opened.body, limit.signal);
  else limit.end();
  const release = (): Fetched | undefined => {
    const released = held;
    held = undefined;
    limit.end();
    return released;
  };
  const close = async (reason: unknown): Promise<void> => release()?.body.cancel(reason);
  return {
    take: (isWhole) => {
      if (isWhole) return release();
      close(abortError('another part of it is read first')).catch(() => {});
      return undefined;
    },
    close,
  };
}
