import { abortError, sleep, unlessAborted } from '../abort.ts';
import { copyFile } from './file-io.ts';
import type { FileFacts, Files } from './files.ts';
import { isOwner, nobody, type OwnerState, type Owners, stateOf, touchEvery } from './owner.ts';
import { storeError } from './store-error.ts';

/*
 * The lock protocol. A file that a crash leaves behind locks nothing: each owner creates its own file `<key>.<owner>`, only
 * files of living owners count, and an owner has the lock if it then sees no other. Keys are `index` (index.json), `layout`
 * (a layout that is being created), `<algorithm>-<hex>` (a blob) and `upload-<id>`; `session` and `gc` are files that exclude each other. Two who see each other both withdraw, and try again after
 * a random time. The file is also where the owner writes: the last step is to rename it to its final name, which fails if
 * another owner took the file over. So an owner that was suspended for longer than `goneAfter` cannot do any harm.
 */

/** The folder of the lock files. */
export interface LockFolder {
  readonly files: Files;
  readonly owners: Owners;
  /** Its path. */
  readonly folder: string;
  readonly join: (...parts: readonly string[]) => string;
  /** Least and most milliseconds between two tries to get a lock. Default: 20, 200. */
  readonly waits?: readonly [least: number, most: number] | undefined;
  /** Milliseconds without a sign of life after which an owner counts as gone. Default: a minute. */
  readonly goneAfter?: number | undefined;
  /** Locks that are held or tried through this object now. */
  active: number;
}

export interface LockOptions {
  /** What to lock: the letters of a file name, without a full stop. */
  readonly key: string;
  /** Takes over the bytes of owners that are gone; otherwise they are removed. */
  readonly takesOver: boolean;
  /** `keep` leaves a file without bytes, too: that it is there says something. */
  readonly keepsEmpty?: boolean | undefined;
  /** Whether another owner has done the work meanwhile. */
  readonly isDone: () => Promise<boolean>;
  readonly signal?: AbortSignal | undefined;
  /** Called once, when waiting begins. */
  readonly onWait?: (() => void) | undefined;
}

/**
 * A lock that is held, and the file for its bytes. One of `commit`, `keep` and `drop` must follow. An owner without a sign
 * of life for a minute may lose it to another; `commit` then changes nothing, and returns false.
 */
export interface Lock {
  readonly path: string;
  /** Bytes that were taken over. */
  readonly size: number;
  /** Renames the file to its final name, whose directory must exist. False if the file was lost. */
  commit(final: string): Promise<boolean>;
  /** Releases the lock, and leaves the bytes to whoever locks the key next. */
  keep(): Promise<void>;
  /** Releases the lock, and removes the bytes. */
  drop(): Promise<void>;
}

/** Somebody's lock file. */
export interface LockFile {
  readonly path: string;
  readonly facts: FileFacts;
  readonly state: OwnerState;
}

/** Times to create a folder that others remove. */
const mostTries = 10;

/**
 * Locks a key against everybody else who uses the same folder, other processes and machines too. Undefined if `isDone`
 * said that there is no need any more. `ABORTED` as soon as the signal fires.
 */
export async function acquire(locks: LockFolder, options: LockOptions): Promise<Lock | undefined> {
  const { key, isDone, signal, onWait } = options;
  for (let isWaiting = false; ; isWaiting = true) {
    if (signal?.aborted) throw abortError(signal.reason);
    if (await isDone()) return undefined;
    // Whoever waits looks first, so that those who wait do not keep creating and removing files.
    const others = isWaiting ? await lockFilesOf(locks, key) : [];
    if (!others.some(({ state }) => state === 'live')) {
      const lock = await tryAcquire(locks, options);
      if (lock === 'done') return undefined;
      if (lock) return lock;
    }
    if (!isWaiting) onWait?.();
    const [least, most] = locks.waits ?? [20, 200];
    await sleep(least + Math.random() * (most - least), signal);
  }
}

/** The lock; `'done'` if the work is done; undefined if another owner lives: then the own file is removed again, or kept as a partial if it has taken-over bytes. */
async function tryAcquire(locks: LockFolder, options: LockOptions): Promise<Lock | 'done' | undefined> {
  const { key, isDone, keepsEmpty = false } = options;
  let path = await createLockFile(locks, key);
  let isChanged = false;
  locks.active += 1;
  try {
    for (;;) {
      const others = await lockFilesOf(locks, key, path);
      const isTaken = others.some(({ state }) => state === 'live');
      if (isTaken || (others.length === 0 && (await isDone()))) {
        await release(locks, key, path, isTaken && 'with-bytes');
        return isTaken ? undefined : 'done';
      }
      if (others.length === 0) {
        const size = isChanged ? ((await locks.files.facts(path))?.size ?? 0) : 0;
        return lockOf(locks, { key, path, size, keepsEmpty });
      }
      isChanged = true;
      path = await takeOver(locks, options, path, others);
    }
  } catch (error) {
    await release(locks, key, path, 'with-bytes').catch(() => {});
    throw error;
  }
}

/** A lock that does not exclude others of the same key: it only shows that its owner is at work. */
export async function acquireShared(locks: LockFolder, key: string): Promise<Lock> {
  const path = await createLockFile(locks, key);
  locks.active += 1;
  return lockOf(locks, { key, path, size: 0, keepsEmpty: false });
}

/** Creates a file of a key, of a name that nobody else has. */
const createLockFile = (locks: LockFolder, key: string): Promise<string> =>
  withNewName(locks, key, async (path) => {
    const file = await locks.files.open(path, 'create');
    await file?.close();
    return file && path;
  });

/** Creates a file at the path, and returns it; undefined if there is no folder. */
type Create = (path: string) => Promise<string | undefined>;

/** As `withNewName`, for a file that is gone from the folder when `create` returns. */
export async function createInFolder(locks: LockFolder, key: string, create: Create): Promise<void> {
  locks.active += 1;
  try {
    await withNewName(locks, key, create);
  } finally {
    await leave(locks);
  }
}

/** Has a file created in the folder, of a name that nobody else has. */
async function withNewName({ files, owners, folder, join }: LockFolder, key: string, create: Create): Promise<string> {
  for (let tries = 0; tries < mostTries; tries++) {
    const path = await create(join(folder, `${key}.${owners.next()}`));
    if (path !== undefined) return path;
    // Others remove the folder when it is empty, perhaps just now.
    await files.makeDirectory(folder).catch((error) => {
      if (tries === mostTries - 1) throw error;
    });
  }
  throw storeError('create a file in', folder, 'it keeps being removed');
}

/** All files of a key, except the one at `own`. */
export async function lockFilesOf(locks: LockFolder, key: string, own?: string): Promise<readonly LockFile[]> {
  const { files, folder, join } = locks;
  const found: LockFile[] = [];
  for (const name of (await files.list(folder)) ?? []) {
    const path = join(folder, name);
    if (!name.startsWith(`${key}.`) || path === own) continue;
    const owner = name.slice(key.length + 1);
    if (owner !== nobody && !isOwner(owner)) continue;
    const facts = await lockFacts(files, path);
    if (facts) found.push({ path, facts, state: stateOf(locks, owner, path, facts) });
  }
  return found;
}

/** What is at the path of a lock file: a file, or a link, which nobody here makes. Anything else is an error. */
export async function lockFacts(files: Files, path: string): Promise<FileFacts | undefined> {
  const facts = await files.examine(path);
  return facts?.isLink ? facts : files.facts(path);
}

/**
 * Takes over the longest of the files whose owners are gone, and removes the others. Returns the path of the own file. What
 * somebody else could still write is not taken over: a link, a file with another name elsewhere, one of another user.
 */
async function takeOver(
  locks: LockFolder,
  { key, takesOver }: LockOptions,
  path: string,
  others: readonly LockFile[],
): Promise<string> {
  const { files, owners, folder, join } = locks;
  const own = await files.facts(path);
  // A network file system may give all files to another user than this process has.
  const isOurs = (facts: FileFacts | undefined): boolean => facts?.isShared === false && facts.user === own?.user;
  const [longest] = others
    .filter(({ facts }) => takesOver && isOurs(facts) && facts.size > (own?.size ?? 0))
    .sort((a, b) => b.facts.size - a.facts.size);
  for (const other of others) if (other !== longest) await files.remove(other.path);
  // False if another owner was faster: the next look shows it.
  if (!longest || !(await files.rename(longest.path, path))) return path;
  const taken = await lockFacts(files, path);
  if (taken && !isOurs(taken)) {
    // It was replaced since it was examined.
    await files.remove(path);
    return createLockFile(locks, key);
  }
  if (longest.state === 'gone') return path;
  // Its owner may only be suspended, and continue to write: then into a file that nobody looks at.
  const copied = join(folder, `${key}.${owners.next()}`);
  try {
    await copyFile(files, path, copied);
  } catch (error) {
    await files.remove(copied);
    throw error;
  }
  await files.remove(path);
  return copied;
}

/** The lock of a file, which is given signs of life until it is released. */
function lockOf(
  locks: LockFolder,
  { key, path, size, keepsEmpty }: Pick<Lock, 'path' | 'size'> & { readonly key: string; readonly keepsEmpty: boolean },
): Lock {
  const { files } = locks;
  const timer = setInterval(() => {
    files.touch(path).catch(() => {});
  }, touchEvery);
  (timer as { unref?: () => void }).unref?.();
  const end = (isKept: boolean): Promise<void> => {
    clearInterval(timer);
    return release(locks, key, path, isKept && (keepsEmpty ? 'always' : 'with-bytes'));
  };
  return {
    path,
    size,
    commit: async (final) => {
      clearInterval(timer);
      const isCommitted = await files.rename(path, final);
      if (!isCommitted && (await files.facts(path))) throw storeError('write', final, 'its directory is gone');
      await leave(locks);
      return isCommitted;
    },
    keep: () => end(true),
    drop: () => end(false),
  };
}

/** Releases a file: if it has bytes that are kept, it belongs to nobody then; otherwise it is removed. */
async function release(
  locks: LockFolder,
  key: string,
  path: string,
  isKept: false | 'with-bytes' | 'always',
): Promise<void> {
  const { files, folder, join } = locks;
  const isRemoved = isKept !== 'always' && (!isKept || ((await files.facts(path))?.size ?? 0) === 0);
  if (isRemoved) await files.remove(path);
  else await files.rename(path, join(folder, `${key}.${nobody}`));
  await leave(locks);
}

/** The last lock to go removes the folder, unless something is left in it. */
async function leave(locks: LockFolder): Promise<void> {
  locks.active -= 1;
  if (locks.active === 0) await locks.files.removeDirectory(locks.folder);
}

/** The end of the last work at a path, by path. */
const lastEnds = new Map<string, Promise<unknown>>();

/**
 * Runs work at the same path one after the other within this process, whichever store it comes from. `onWait` is called if
 * other work comes first. A signal that fires ends the waiting at once.
 */
export async function inTurn<T>(
  path: string,
  { signal, onWait }: { readonly signal?: AbortSignal | undefined; readonly onWait?: (() => void) | undefined },
  work: () => Promise<T>,
): Promise<T> {
  const before = lastEnds.get(path);
  let end = (): void => {};
  const mine = new Promise<void>((resolve) => {
    end = resolve;
  });
  const last = Promise.all([before, mine]);
  lastEnds.set(path, last);
  try {
    if (before) {
      onWait?.();
      await unlessAborted(before, signal);
    }
    return await work();
  } finally {
    end();
    if (lastEnds.get(path) === last) lastEnds.delete(path);
  }
}
