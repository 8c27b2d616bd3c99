import type { Body } from '../source.ts';

/** Cancels a body as soon as the signal fires, also while nobody reads it. Gives what lets go of the signal. */
export function cancelWith(body: Body, signal: AbortSignal): () => void {
  const cancel = (): void => {
    body.cancel(signal.reason).catch(() => {});
  };
  if (signal.aborted) cancel();
  signal.addEventListener('abort', cancel, { once: true });
  return () => signal.removeEventListener('abort', cancel);
}
