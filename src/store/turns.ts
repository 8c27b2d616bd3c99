import { unlessAborted } from '../deadline.ts';

const ends = new Map<string, Promise<unknown>>();

/**
 * Lets those of this process who are at the same path go one after the other, whichever store they come from. `onWait`
 * is called where somebody is before. A signal that fires ends the waiting at once.
 */
export async function inTurn<T>(
  path: string,
  { signal, onWait }: { readonly signal?: AbortSignal | undefined; readonly onWait?: (() => void) | undefined },
  work: () => Promise<T>,
): Promise<T> {
  const before = ends.get(path);
  let end = (): void => {};
  const mine = new Promise<void>((resolve) => {
    end = resolve;
  });
  const last = Promise.all([before, mine]);
  ends.set(path, last);
  try {
    if (before) {
      onWait?.();
      await unlessAborted(before, signal);
    }
    return await work();
  } finally {
    end();
    if (ends.get(path) === last) ends.delete(path);
  }
}
