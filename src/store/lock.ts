import { abortError, sleep } from '../deadline.ts';
import { type Held, heldFile, letGo } from './held.ts';
import { type Holding, type Other, othersOf } from './others.ts';
import { storeError } from './store-error.ts';

/** What to hold, and what to do meanwhile. */
export interface HoldOptions {
  /** Names it: the letters of a file name, without a full stop. */
  readonly key: string;
  /** Takes over the bytes of those who are gone; else they are removed. */
  readonly isCarried: boolean;
  /** Whether somebody else has done it meanwhile. */
  readonly isDone: () => Promise<boolean>;
  readonly signal?: AbortSignal | undefined;
  /** Called once, when waiting begins. */
  readonly onWait?: (() => void) | undefined;
}

/** Times to make a folder that others remove. */
const mostTries = 10;
/** Least and most milliseconds between two looks. */
const waits = [20, 200] as const;

/**
 * Holds a key against everybody else who uses the same folder, other processes and machines too. Undefined where
 * `isDone` said that there is no need any more. `ABORTED` as soon as the signal fires.
 *
 * There is no lock file that a crash could leave behind: an owner makes a file `<key>.<owner>`, and holds the key if it
 * then sees no other living owner's. Two who see each other both withdraw, and try again after a while drawn by lot.
 * The last step of a holder is to rename its own file, which fails if another took it over: so even one who slept
 * through its time spoils nothing.
 */
export async function hold(holding: Holding, options: HoldOptions): Promise<Held | undefined> {
  const { isDone, signal, onWait } = options;
  for (let isWaiting = false; ; isWaiting = true) {
    if (signal?.aborted) throw abortError(signal.reason);
    if (await isDone()) return undefined;
    // Who waits looks first, so that not everybody's files go to and fro.
    const others = isWaiting ? await othersOf(holding, options.key) : [];
    if (!others.some(({ state }) => state === 'live')) {
      const held = await enter(holding, options);
      if (held === 'done') return undefined;
      if (held) return held;
    }
    if (!isWaiting) onWait?.();
    const [least, most] = waits;
    await sleep(least + Math.random() * (most - least), signal);
  }
}

/** Makes a file of one's own and looks round: undefined where another is seen, and one's own file is gone again. */
async function enter(holding: Holding, options: HoldOptions): Promise<Held | 'done' | undefined> {
  let path = await create(holding, options.key);
  let isChanged = false;
  holding.active += 1;
  try {
    for (;;) {
      const others = await othersOf(holding, options.key, path);
      const isMet = others.some(({ state }) => state === 'live');
      if (isMet || (others.length === 0 && (await options.isDone()))) {
        await letGo(holding, options.key, path, isMet);
        return isMet ? undefined : 'done';
      }
      if (others.length === 0) {
        const size = isChanged ? ((await holding.files.facts(path))?.size ?? 0) : 0;
        return heldFile(holding, options.key, path, size);
      }
      isChanged = true;
      path = await takeOver(holding, options, path, others);
    }
  } catch (error) {
    await letGo(holding, options.key, path, true).catch(() => {});
    throw error;
  }
}

/** Makes a file of a key that nobody else has. */
export async function create({ files, owners, folder, join }: Holding, key: string): Promise<string> {
  for (let tries = 0; tries < mostTries; tries++) {
    const path = join(folder, `${key}.${owners.next()}`);
    const file = await files.open(path, 'create');
    await file?.close();
    if (file) return path;
    // Others remove the folder when it is empty, perhaps just now.
    await files.makeDirectory(folder).catch((error) => {
      if (tries === mostTries - 1) throw error;
    });
  }
  throw storeError('create a file in', folder, 'it is removed again and again');
}

/** Makes the longest of what was left one's own, and removes the others. Gives the path of one's own file. */
async function takeOver(
  { files, owners, folder, join }: Holding,
  { key, isCarried }: HoldOptions,
  path: string,
  others: readonly Other[],
): Promise<string> {
  const [longest, ...rest] = [...others].sort((a, b) => b.facts.size - a.facts.size);
  for (const other of isCarried ? rest : others) await files.remove(other.path);
  if (!isCarried || !longest) return path;
  const own = (await files.facts(path))?.size ?? 0;
  if (own >= longest.facts.size) {
    await files.remove(longest.path);
    return path;
  }
  // False where another was faster: the next look tells.
  if (!(await files.rename(longest.path, path)) || longest.state === 'gone') return path;
  // Its owner may only sleep, and then go on writing: into a file that nobody looks at.
  const copied = join(folder, `${key}.${owners.next()}`);
  try {
    await files.copy(path, copied);
  } catch (error) {
    await files.remove(copied);
    throw error;
  }
  await files.remove(path);
  return copied;
}
