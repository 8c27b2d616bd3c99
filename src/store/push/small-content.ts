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

/**
 * Pushes a content that is received into memory: one file is created, written and renamed, and no lock is needed, as its bytes
 * are known to be right by then: if others push the same content, nothing is lost but the work. The disk may have it only after `unsynced` has been synced.
 */
export async function pushSmall(task: PushTask, unsynced: Unsynced): Promise<void> {
  const { target, locks, key, path } = task;
  const bytes = await receive(task);
  const hashed = digestOf(bytes, algorithmOf(target.digest));
  if (hashed !== target.digest) throw mismatch(task, hashed);
  await createInFolder(locks, key, async (temporary) => {
    const file = await locks.files.place({ bytes, temporary, final: path, folders: [] });
    if (!file) return undefined;
    // Content that is not remembered is hashed once more.
    const facts = await file.facts().catch(() => undefined);
    if (facts) rememberWritten(path, facts, hashed);
    await unsynced.add(file, path);
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
      const lock = await acquireShared(locks, key);
      await writeFile(locks.files, lock.path, bytes.subarray(0, length))
        .then(lock.keep, lock.drop)
        .catch(() => {});
    }
    throw error;
  }
  return bytes;
}

/** Files that have their final names, and whose bytes the disk may not have yet. */
export interface Unsynced {
  /** Takes an open file. Waits while others are being synced, if they are many. */
  add(file: PlacedFile, path: string): Promise<void>;
  /** Returns when the disk has the bytes of all. If it failed to, since the last call, those files are removed. */
  sync(): Promise<void>;
}

/** Files that are open at a time before they are synced. */
const mostUnsynced = 64;

export function createUnsynced(files: Pick<Files, 'remove'>): Unsynced {
  let waiting: { readonly file: PlacedFile; readonly path: string }[] = [];
  let syncing: Promise<unknown> = Promise.resolve();
  let failure: { readonly error: unknown } | undefined;
  const syncAll = (): Promise<unknown> => {
    const batch = waiting;
    waiting = [];
    const work = batch.map(async ({ file, path }) => {
      try {
        await file.sync();
      } catch (error) {
        failure ??= { error };
        await files.remove(path).catch(() => {});
      }
      await file.close().catch(() => {});
    });
    syncing = Promise.all([syncing, ...work]);
    return syncing;
  };
  return {
    add: async (file, path) => {
      waiting.push({ file, path });
      if (waiting.length < mostUnsynced) return;
      const before = syncing;
      void syncAll();
      await before;
    },
    sync: async () => {
      await syncAll();
      const failed = failure;
      failure = undefined;
      if (failed) throw failed.error;
    },
  };
}
