import { sleep, unlessAborted } from '../deadline.ts';
import { RegistryError } from '../errors.ts';
import { type Held, heldFile } from './held.ts';
import { create } from './lock.ts';
import { type Holding, othersOf } from './others.ts';
import { storeError } from './store-error.ts';

/** Work that is more than one push: until it ends `gc` keeps away, in other processes, too. */
export interface Session {
  /** Work begins; the function that it gives ends it. Makes nothing by itself. */
  begin(): () => Promise<void>;
  /** To be called before content is looked for or written: from then on `gc` sees the work that has begun. */
  mark(signal: AbortSignal | undefined): Promise<void>;
  /** As `mark`, where there may be nothing to write into, or no right to. */
  markIfLayout(signal: AbortSignal | undefined): Promise<void>;
  /** `STORE_ERROR` where the mark was lost, and with it perhaps content. */
  check(attempted: string): Promise<void>;
}

/** The key of the file of a `gc`, and of the files of those with whom it does not go together. */
export const garbageKey = 'gc';
const sessionKey = 'session';
/** Milliseconds between two looks. */
const lookEvery = 50;

/** The file by which a session is seen. */
interface Mark {
  readonly held: Promise<Held>;
  readonly cancel: AbortController;
}

export function createSession(holding: Holding): Session {
  const directory = holding.join(holding.folder, '..');
  const hasBlobs = async (): Promise<boolean> =>
    (await holding.files.list(holding.join(directory, 'blobs'))) !== undefined;
  let count = 0;
  let current: Mark | undefined;
  const start = (): Mark => {
    const cancel = new AbortController();
    const mark: Mark = { held: enter(holding, cancel.signal), cancel };
    mark.held.catch(() => {
      if (current === mark) current = undefined;
    });
    return mark;
  };
  const mark: Session['mark'] = async (signal) => {
    if (count === 0) return;
    current ??= start();
    await unlessAborted(current.held, signal);
  };
  const end = async (): Promise<void> => {
    count -= 1;
    if (count > 0 || !current) return;
    const { held, cancel } = current;
    current = undefined;
    cancel.abort();
    // A file that cannot be removed is nobody's when this process has ended.
    await held.then((one) => one.drop()).catch(() => {});
  };
  return {
    mark,
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
      const held = await current?.held.catch(() => undefined);
      if (!held || (await holding.files.facts(held.path))) return;
      throw storeError(attempted, directory, 'nothing was heard of this process for a minute, and content may be gone');
    },
  };
}

async function enter(holding: Holding, signal: AbortSignal): Promise<Held> {
  const path = await create(holding, sessionKey);
  holding.active += 1;
  const held = heldFile(holding, sessionKey, path, 0);
  try {
    for (const { path: left, state } of await othersOf(holding, sessionKey, path)) {
      if (state === 'gone') await holding.files.remove(left);
    }
    await garbageEnds(holding, signal);
  } catch (error) {
    await held.drop().catch(() => {});
    throw error;
  }
  return held;
}

/** Each of both makes its file first and then looks for the other's: one of them sees the other. `gc` gives way. */
async function garbageEnds(holding: Holding, signal: AbortSignal): Promise<void> {
  const isLive = async (): Promise<boolean> =>
    (await othersOf(holding, garbageKey)).some(({ state }) => state === 'live');
  while (await isLive()) await sleep(lookEvery, signal);
}
