import { emptyIndex, type LayoutIndex, toDocument } from './entries.ts';
import type { Files } from './files.ts';
import type { Held } from './held.ts';
import { checkLayout, mostBytes, parseIndex, refuseLost, version } from './index-text.ts';
import { hold } from './lock.ts';
import type { Holding } from './others.ts';
import { readFile, writeFile } from './small-files.ts';
import { inTurn } from './turns.ts';

/** `index.json` and `oci-layout` of one directory. */
export interface IndexFile {
  /** What `index.json` says; nothing for a directory that is empty or not there. */
  read(): Promise<LayoutIndex>;
  /** What there is of a layout: all; none; or no `index.json`, which is damage, or the first moment of its making. */
  state(): Promise<'whole' | 'none' | 'lost'>;
  /** Writes what `change` makes of the index, while nobody else does; nothing where it gives undefined. */
  update(change: (index: LayoutIndex) => Change, signal?: AbortSignal): Promise<void>;
  /** Does something while nobody writes the index. */
  hold<T>(work: (index: LayoutIndex) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Makes the directory a layout, if it is none. */
  create(signal?: AbortSignal): Promise<void>;
}

type Change = LayoutIndex | undefined | Promise<LayoutIndex | undefined>;

export function createIndexFile(directory: string, holding: Holding): IndexFile {
  const { files, join } = holding;
  const path = join(directory, 'index.json');
  let known: { readonly version: string; readonly index: LayoutIndex } | undefined;

  const read = async (): Promise<LayoutIndex> => {
    const facts = await files.facts(path);
    if (facts && known?.version === facts.version) return known.index;
    await checkLayout(holding, directory, facts !== undefined);
    const bytes = facts && (await readFile(files, path, mostBytes));
    const index = bytes ? parseIndex(bytes, path) : emptyIndex;
    known = facts && bytes ? { version: facts.version, index } : undefined;
    return index;
  };

  const changed = async (
    change: (index: LayoutIndex) => Change,
    held: Held | undefined,
  ): Promise<LayoutIndex | undefined> => {
    try {
      await refuseLost(holding, directory);
      const index = await change(await read());
      if (!index) await held?.drop();
      return index;
    } catch (error) {
      await held?.drop();
      throw error;
    }
  };

  const holdIndex = (signal: AbortSignal | undefined) =>
    hold(holding, { key: 'index', isCarried: false, isDone: async () => false, signal });

  const update: IndexFile['update'] = (change, signal) =>
    inTurn(path, { signal }, async () => {
      for (;;) {
        const held = await holdIndex(signal);
        const index = await changed(change, held);
        if (!held || !index) return;
        if (await commitText(files, held, path, toDocument(index))) break;
        // It was lost to somebody who took this process for dead: once more, from what that one wrote.
      }
      await files.syncDirectory(directory);
    });

  const layout = join(directory, 'oci-layout');
  const isMade = async (): Promise<boolean> => (await files.facts(layout)) !== undefined;
  const make = async (signal: AbortSignal | undefined): Promise<void> => {
    if (await isMade()) return;
    await checkLayout(holding, directory, (await files.facts(path)) !== undefined);
    const held = await hold(holding, { key: 'layout', isCarried: false, isDone: isMade, signal });
    if (held) await commitText(files, held, layout, { imageLayoutVersion: version });
  };

  return {
    read,
    update,
    state: async () => {
      if (await files.facts(path)) return 'whole';
      return (await isMade()) ? 'lost' : 'none';
    },
    hold: (work, signal) =>
      inTurn(path, { signal }, async () => {
        const held = await holdIndex(signal);
        try {
          return await work(await read());
        } finally {
          await held?.drop();
        }
      }),
    create: async (signal) => {
      // Many who begin at once would only be in each other's way.
      if (!(await isMade())) await inTurn(layout, { signal }, () => make(signal));
      if (await files.facts(path)) return;
      await update(async (index) => ((await files.facts(path)) ? undefined : index), signal);
    },
  };
}

/** Writes a document into a held file, and gives it its final name. False where the file was lost to somebody else. */
async function commitText(files: Files, held: Held, final: string, document: object): Promise<boolean> {
  try {
    await writeFile(files, held.path, new TextEncoder().encode(JSON.stringify(document)));
    return await held.commit(final);
  } catch (error) {
    await held.drop().catch(() => {});
    throw error;
  }
}
