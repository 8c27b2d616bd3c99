import { algorithmOf, digestOf } from '../../oci/digest.ts';
import { writeFile } from '../file-io.ts';
import type { Files, PlacedFile } from '../files.ts';
import { acquireShared, createInFolder } from '../lock.ts';
import { rememberWritten } from '../verified.ts';
import { leavesNothing, mismatch, type PushTask, pour } from './task.ts';

/**
 * Most bytes of a content that is received into memory, and then written at once. For more, the cost of a lock does not matter,
 * and what a process that is killed had received is worth resuming.
 */
export const smallBytes = 65_536;

/** What a push of small content needs to know. */
export interface SmallPush {
  readonly unsynced: Unsynced;
  /** Whether somebody else has brought it. */
  isDone(): Promise<boolean>;
  /** Whether nobody relies on it before all is synced. */
  isDeferred(): Promise<boolean>;
}

/**
 * Pushes a content that is received into memory: one file is created, written and renamed, and no lock is needed, as its bytes
 * are known to be right by then: if others push the same content, nothing is lost but the work. The disk may have it only after
 * `unsynced` has been synced.
 */
export async function pushSmall(task: PushTask, { unsynced, isDone, isDeferred }: SmallPush): Promise<void> {
  const { target, locks, key, path } = task;
  const bytes = await receive(task);
  const hashed = digestOf(bytes, algorithmOf(target.digest));
  if (hashed !== target.digest) throw mismatch(task, hashed);
  const mayWait = await isDeferred();
  // What others have brought meanwhile stays, as they may have synced and named it.
  if (!mayWait && (await isDone())) return;
  await createInFolder(locks, key, async (temporary) => {
    const file = await locks.files.place({ bytes, temporary, final: path, folders: [] });
    if (!file) return undefined;
    // Content that is not remembered is hashed once more.
    const facts = await file.facts().catch(() => undefined);
    if (facts) rememberWritten(path, facts, hashed);
    await (mayWait ? unsynced.add(file, path) : unsynced.sync(file, path));
    return path;
  });
}

/** All bytes of a content. What came of it before it broke is left for the next time. */
async function receive(task: PushTask): Promise<Uint8Array> {
  const { target, locks, key } = task;
  const bytes = new Uint8Array(target.size);
  let length = 0;
  const write = (chunk: Uint8Array, recycle?: (chunk: Uint8Array) => void): undefined => {
    bytes.set(chunk, length);
    length += chunk.length;
    recycle?.(chunk);
  };
  try {
    await pour(task, { write }, 0);
  } catch (error) {
    if (length > 0 && !leavesNothing(task, error)) {
      await acquireShared(locks, key)
        .then((lock) => writeFile(locks.files, lock.path, bytes.subarray(0, length)).then(lock.keep, lock.drop))
        .catch(() => {});
    }
    throw error;
  }
  return bytes;
}

/** Files that have their final names, and whose bytes the disk may not have yet. */
export interface Unsynced {
  /** Takes an open file, which is synced with others. Waits while these are being synced, if they are many. */
  add(file: PlacedFile, path: string): Promise<void>;
  /** Takes an open file and returns when the disk has its bytes; if it failed to, the file is removed. */
  sync(file: PlacedFile, path: string): Promise<void>;
  /**
   * Returns when the disk has the bytes of all that were added. If it failed to, those files are removed, and this fails, each
   * time: whoever waits does not know which of them were others'.
   */
  syncAll(): Promise<void>;
  /** As `syncAll`, for the end of all work, which has failed where it could: the next work begins anew. */
  end(): Promise<void>;
}

/** Files that are open at a time before they are synced. */
const mostUnsynced = 64;

export function createUnsynced(files: Pick<Files, 'remove'>): Unsynced {
  let waiting: { readonly file: PlacedFile; readonly path: string }[] = [];
  let syncing: Promise<unknown> = Promise.resolve();
  let failure: { readonly error: unknown } | undefined;
  const sync: Unsynced['sync'] = async (file, path) => {
    try {
      await file.sync();
    } catch (error) {
      await files.remove(path).catch(() => {});
      throw error;
    } finally {
      await file.close().catch(() => {});
    }
  };
  const syncWaiting = (): Promise<unknown> => {
    const batch = waiting.map(({ file, path }) =>
      sync(file, path).catch((error: unknown) => {
        failure ??= { error };
      }),
    );
    waiting = [];
    syncing = Promise.all([syncing, ...batch]);
    return syncing;
  };
  return {
    add: async (file, path) => {
      waiting.push({ file, path });
      if (waiting.length < mostUnsynced) return;
      const before = syncing;
      void syncWaiting();
      await before;
    },
    sync,
    syncAll: async () => {
      await syncWaiting();
      if (failure) throw failure.error;
    },
    end: async () => {
      await syncWaiting();
      failure = undefined;
    },
  };
}
