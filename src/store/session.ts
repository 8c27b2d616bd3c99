import { sleep, unlessAborted } from '../abort.ts';
import { RegistryError } from '../errors.ts';
import { acquireShared, type Lock, type LockFolder, lockFilesOf } from './lock.ts';
import { storeError } from './store-error.ts';

/** Work that is more than one push: until it ends `gc` keeps away, in other processes, too. */
export interface LayoutSession {
  /** Whether work has begun that has not ended. */
  isOpen(): boolean;
  /** False if others are at work, who would push the same content at the same time; known a tenth of a second late. */
  worksAlone(): Promise<boolean>;
  /** Work begins; the function that it returns ends it. Creates nothing by itself. */
  begin(): () => Promise<void>;
  /** To be called before content is looked for or written: from then on `gc` sees the work that has begun. */
  mark(signal: AbortSignal | undefined): Promise<void>;
  /** As `mark`, if there may be nothing to write into, or no permission. */
  markIfLayout(signal: AbortSignal | undefined): Promise<void>;
  /** `STORE_ERROR` if the mark was lost, and with it perhaps content. */
  check(attempted: string): Promise<void>;
}

/** The key of the lock of a `gc`, and of the shared locks of the sessions that exclude it. */
export const garbageKey = 'gc';
const sessionKey = 'session';
/** Milliseconds between two looks for a `gc`. */
const lookEvery = 50;
/** Milliseconds between two looks for the sessions of others. */
const othersEvery = 100;

/** The lock file by which others see a session. */
interface Mark {
  readonly lock: Promise<Lock>;
  readonly cancel: AbortController;
}

export function createSession(locks: LockFolder): LayoutSession {
  const directory = locks.join(locks.folder, '..');
  const hasBlobs = async (): Promise<boolean> => (await locks.files.list(locks.join(directory, 'blobs'))) !== undefined;
  let count = 0;
  let current: Mark | undefined;
  let looked = Number.NEGATIVE_INFINITY;
  let alone = Promise.resolve(true);
  const startMark = (): Mark => {
    const cancel = new AbortController();
    const mark: Mark = { lock: start(locks, cancel.signal), cancel };
    mark.lock.catch(() => {
      if (current === mark) current = undefined;
    });
    return mark;
  };
  const mark: LayoutSession['mark'] = async (signal) => {
    if (count === 0) return;
    current ??= startMark();
    await unlessAborted(current.lock, signal);
  };
  const end = async (): Promise<void> => {
    count -= 1;
    if (count > 0 || !current) return;
    const { lock, cancel } = current;
    current = undefined;
    cancel.abort();
    // A file that cannot be removed belongs to nobody once this process has ended.
    await lock.then((one) => one.drop()).catch(() => {});
  };
  return {
    mark,
    isOpen: () => count > 0,
    worksAlone: async () => {
      if (!current) return true;
      if (performance.now() - looked > othersEvery) {
        looked = performance.now();
        const others = current.lock.then(({ path }) => lockFilesOf(locks, sessionKey, path));
        alone = others.then((files) => !files.some(({ state }) => state === 'live'));
      }
      return alone;
    },
    begin: () => {
      count += 1;
      let ended: Promise<void> | undefined;
      return () => {
        ended ??= end();
        return ended;
      };
    },
    markIfLayout: async (signal) => {
      if (count === 0 || !(current || (await hasBlobs()))) return;
      await mark(signal).catch((error: unknown) => {
        if (!(error instanceof RegistryError && error.code === 'STORE_ERROR')) throw error;
      });
    },
    check: async (attempted) => {
      const lock = await current?.lock.catch(() => undefined);
      if (!lock || (await locks.files.facts(lock.path))) return;
      const found = 'this process showed no activity for a minute, so "gc" may have removed content';
      throw storeError(attempted, directory, found);
    },
  };
}

async function start(locks: LockFolder, signal: AbortSignal): Promise<Lock> {
  const lock = await acquireShared(locks, sessionKey);
  try {
    for (const { path, state } of await lockFilesOf(locks, sessionKey, lock.path)) {
      if (state === 'gone') await locks.files.remove(path);
    }
    await untilNoGarbage(locks, signal);
  } catch (error) {
    await lock.drop().catch(() => {});
    throw error;
  }
  return lock;
}

/** A session and `gc` create their files first and then look for the other's: one of them sees the other. `gc` gives way. */
async function untilNoGarbage(locks: LockFolder, signal: AbortSignal): Promise<void> {
  const isLive = async (): Promise<boolean> =>
    (await lockFilesOf(locks, garbageKey)).some(({ state }) => state === 'live');
  while (await isLive()) await sleep(lookEvery, signal);
}
