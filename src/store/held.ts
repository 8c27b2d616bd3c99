import type { Holding } from './others.ts';
import { nobody } from './owner.ts';
import { storeError } from './store-error.ts';

/**
 * A file that is held: a lock by its name, and the place for its bytes. One of `commit`, `keep` and `drop` must follow.
 * Whoever was silent for a minute may lose it to another; `commit` then changes nothing, and says so.
 */
export interface Held {
  readonly path: string;
  /** Bytes that were carried over. */
  readonly size: number;
  /** Gives the file its final name, whose directory must be there. False where the file was lost. */
  commit(final: string): Promise<boolean>;
  /** Lets go, and leaves the bytes to whoever comes next. */
  keep(): Promise<void>;
  /** Lets go, and removes the bytes. */
  drop(): Promise<void>;
}

/** Milliseconds between two signs of life. */
const touchEvery = 10_000;
/** Lets go of a file: its bytes, if it has any and they are kept, are nobody's then. */
export async function letGo(holding: Holding, key: string, path: string, isKept: boolean): Promise<void> {
  const { files, folder, join } = holding;
  const isEmpty = !isKept || ((await files.facts(path))?.size ?? 0) === 0;
  if (isEmpty) await files.remove(path);
  else await files.rename(path, join(folder, `${key}.${nobody}`));
  await leave(holding);
}

/** The last one removes the folder, unless something is left in it. */
async function leave(holding: Holding): Promise<void> {
  holding.active -= 1;
  if (holding.active === 0) await holding.files.removeDirectory(holding.folder);
}

/** A file that is held from now on; it gives signs of life until it is let go. */
export function heldFile(holding: Holding, key: string, path: string, size: number): Held {
  const timer = setInterval(() => {
    holding.files.touch(path).catch(() => {});
  }, touchEvery);
  (timer as { unref?: () => void }).unref?.();
  const end = (isKept: boolean): Promise<void> => {
    clearInterval(timer);
    return letGo(holding, key, path, isKept);
  };
  return {
    path,
    size,
    commit: async (final) => {
      clearInterval(timer);
      const isCommitted = await holding.files.rename(path, final);
      if (!isCommitted && (await holding.files.facts(path))) throw storeError('write', final, 'its directory is gone');
      await leave(holding);
      return isCommitted;
    },
    keep: () => end(true),
    drop: () => end(false),
  };
}
