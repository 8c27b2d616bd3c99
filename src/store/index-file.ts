import { RegistryError } from '../errors.ts';
import { parseDocumentText } from '../oci/json.ts';
import { quote } from '../oci/quote.ts';
import { emptyIndex, entryOf, type LayoutIndex, toDocument } from './entries.ts';
import { storeError } from './fault.ts';
import type { Files } from './files.ts';
import type { Held } from './held.ts';
import { hold } from './hold.ts';
import type { Holding } from './others.ts';
import { readFile, writeFile } from './small-files.ts';
import { inTurn } from './turns.ts';

/** `index.json` and `oci-layout` of one directory. */
export interface IndexFile {
  /** What `index.json` says; nothing for a directory that is empty or not there. */
  read(): Promise<LayoutIndex>;
  /** Writes what `change` makes of the index, while nobody else does; nothing where it gives undefined. */
  update(change: (index: LayoutIndex) => Change, signal?: AbortSignal): Promise<void>;
  /** Does something while nobody writes the index. */
  hold<T>(work: (index: LayoutIndex) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Makes the directory a layout, if it is none. */
  create(signal?: AbortSignal): Promise<void>;
}

type Change = LayoutIndex | undefined | Promise<LayoutIndex | undefined>;

/** Most bytes of an `index.json` that is read. */
const mostBytes = 67_108_864;
const version = '1.0.0';

export function createIndexFile(directory: string, holding: Holding): IndexFile {
  const { files, join } = holding;
  const path = join(directory, 'index.json');
  let known: { readonly version: string; readonly index: LayoutIndex } | undefined;

  const read = async (): Promise<LayoutIndex> => {
    const facts = await files.facts(path);
    if (facts && known?.version === facts.version) return known.index;
    await checkLayout(holding, directory, facts !== undefined);
    const bytes = facts && (await readFile(files, path, mostBytes));
    const index = bytes ? parse(bytes, path) : emptyIndex;
    known = facts && bytes ? { version: facts.version, index } : undefined;
    return index;
  };

  const changed = async (
    change: (index: LayoutIndex) => Change,
    held: Held | undefined,
  ): Promise<LayoutIndex | undefined> => {
    try {
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

  return {
    read,
    update,
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
      const layout = join(directory, 'oci-layout');
      const isDone = async (): Promise<boolean> => (await files.facts(layout)) !== undefined;
      if (!(await isDone())) {
        await checkLayout(holding, directory, (await files.facts(path)) !== undefined);
        const held = await hold(holding, { key: 'layout', isCarried: false, isDone, signal });
        if (held) await commitText(files, held, layout, { imageLayoutVersion: version });
      }
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

/** Refuses what is neither a layout of a known version, or being made one, nor empty; hidden files are nobody's content. */
async function checkLayout({ files, join }: Holding, directory: string, hasIndex: boolean): Promise<void> {
  const path = join(directory, 'oci-layout');
  const bytes = await readFile(files, path, mostBytes);
  if (bytes) {
    const { imageLayoutVersion: found } = parseObject(bytes, path);
    if (found === version) return;
    throw storeError('use', path, `imageLayoutVersion ${quote(found)}, only "${version}" is known`);
  }
  const names = hasIndex ? ['index.json'] : ((await files.list(directory)) ?? []);
  const [stranger] = names.filter((name) => !name.startsWith('.') && name !== 'lost+found');
  if (stranger === undefined || (await files.facts(path))) return;
  throw storeError('use directory', directory, `no image layout, as there is ${quote(stranger)} but no "oci-layout"`);
}

function parse(bytes: Uint8Array, path: string): LayoutIndex {
  const { manifests, ...document } = parseObject(bytes, path);
  if (document.schemaVersion !== undefined && document.schemaVersion !== 2) {
    throw bad(path, `schemaVersion ${quote(document.schemaVersion)}, expected 2`);
  }
  const list = manifests ?? [];
  if (!Array.isArray(list)) throw bad(path, 'manifests is not a list');
  const strange = list.findIndex((raw) => typeof raw !== 'object' || raw === null || Array.isArray(raw));
  if (strange !== -1) throw bad(path, `manifests[${strange}] is not an object`);
  return { document, entries: list.map(entryOf) };
}

function parseObject(bytes: Uint8Array, path: string): Record<string, unknown> {
  try {
    return parseDocumentText(bytes);
  } catch (error) {
    const message = error instanceof Error ? error.message : String(error);
    throw bad(path, message.replace(/^Cannot read manifest: /, ''), error);
  }
}

const bad = (path: string, found: string, cause?: unknown): RegistryError =>
  new RegistryError('BAD_RESPONSE', `Cannot read ${quote(path)}: ${found}`, { cause });
