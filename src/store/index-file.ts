import { cannot, RegistryError, restate } from '../errors.ts';
import { parseDocumentText } from '../oci/manifest.ts';
import { quote } from '../text/quote.ts';
import type { Blobs } from './blobs.ts';
import { emptyIndex, entryOf, type LayoutIndex, toDocument } from './entries.ts';
import { readFile, readMode, writeFile } from './file-io.ts';
import type { Files } from './files.ts';
import { acquire, inTurn, type Lock, type LockFolder } from './lock.ts';
import { foundBy, storeError } from './store-error.ts';

/** `index.json` and `oci-layout` of one directory. */
export interface IndexFile {
  /**
   * What `index.json` says; nothing for a directory that is empty or does not exist. `NOT_FOUND` if `links` is false and it
   * is a link.
   */
  read(links?: boolean): Promise<LayoutIndex>;
  /** What there is of a layout: all; none; or no `index.json`, which is damage, or the first moment of its creation. */
  state(): Promise<'whole' | 'none' | 'lost'>;
  /** Writes what `change` makes of the index, while nobody else does; nothing if it returns undefined. */
  update(change: (index: LayoutIndex) => IndexChange, signal?: AbortSignal): Promise<void>;
  /** Does some work while nobody writes the index. */
  whileLocked<T>(work: (index: LayoutIndex) => Promise<T>, signal?: AbortSignal): Promise<T>;
  /** Makes the directory a layout, if it is not one. */
  create(signal?: AbortSignal): Promise<void>;
}

type IndexChange = LayoutIndex | undefined | Promise<LayoutIndex | undefined>;

/** What a layout is made of. */
export interface LayoutParts {
  readonly locks: LockFolder;
  readonly blobs: Blobs;
  readonly index: IndexFile;
}

/** Most bytes of an `index.json` that is read, and most values in it: some hundred thousand entries. */
const mostBytes = 67_108_864;
const mostValues = 2_000_000;
/** The only version of the layout format. */
const version = '1.0.0';

const notLayout = 'not an image layout, as it has neither "oci-layout" nor "index.json"';
const noIndex =
  '"index.json" is missing, which names the contents; restore it, or create one with the text ' +
  '{"schemaVersion":2,"manifests":[]} and pull again what should have a name';
/** Of a layout that has neither an index nor contents. */
const notBegun = 'nothing has been pulled into it yet, as it has no "index.json"';

export function createIndexFile(directory: string, locks: LockFolder): IndexFile {
  const { files, join } = locks;
  const path = join(directory, 'index.json');
  const layout = join(directory, 'oci-layout');
  /** `isUnlinked`: neither file was a link when this was read, or later. */
  let known: { readonly version: string; readonly index: LayoutIndex; isUnlinked: boolean } | undefined;

  const read = async (links = true): Promise<LayoutIndex> => {
    const facts = await files.facts(path);
    const isKnown = facts !== undefined && known?.version === facts.version;
    const format = links || (isKnown && known?.isUnlinked) ? undefined : await files.facts(layout);
    // Also an error would quote what it leads to.
    if (!links && (facts?.isShared || format?.isShared))
      throw cannot('NOT_FOUND', `read ${quote(path)}`, 'it is a link, and is not followed', { value: path });
    if (known && isKnown) {
      known.isUnlinked ||= !links;
      return known.index;
    }
    await checkLayout(locks, directory, facts !== undefined, links);
    const bytes = facts && (await readFile(files, path, mostBytes, readMode(links)));
    const index = bytes ? parseIndex(bytes, path) : emptyIndex;
    known = facts && bytes ? { version: facts.version, index, isUnlinked: !links } : undefined;
    return index;
  };

  const lockIndex = (signal: AbortSignal | undefined): Promise<Lock | undefined> =>
    acquire(locks, { key: 'index', takesOver: false, isDone: async () => false, signal });

  /** The index to write; undefined if there is none, and the lock is released then. */
  const changed = async (
    change: (index: LayoutIndex) => IndexChange,
    lock: Lock | undefined,
  ): Promise<LayoutIndex | undefined> => {
    try {
      await refuseLost(locks, directory);
      const index = await change(await read());
      if (!index) await lock?.drop();
      return index;
    } catch (error) {
      await lock?.drop();
      throw error;
    }
  };

  const update: IndexFile['update'] = (change, signal) =>
    inTurn(path, { signal }, async () => {
      for (;;) {
        const lock = await lockIndex(signal);
        const index = await changed(change, lock);
        if (!lock || !index) return;
        if (await commitText(files, lock, path, toDocument(index))) break;
        // The lock was lost to a process that took this one for dead: once more, from what that process wrote.
      }
      await files.syncDirectory(directory);
    });

  const exists = async (): Promise<boolean> => (await files.facts(layout)) !== undefined;
  const createOnce = async (signal: AbortSignal | undefined): Promise<void> => {
    if (await exists()) return;
    await checkLayout(locks, directory, (await files.facts(path)) !== undefined);
    const lock = await acquire(locks, { key: 'layout', takesOver: false, isDone: exists, signal });
    if (lock) await commitText(files, lock, layout, { imageLayoutVersion: version });
  };

  return {
    read,
    update,
    state: async () => {
      if (await files.facts(path)) return 'whole';
      return (await exists()) ? 'lost' : 'none';
    },
    whileLocked: (work, signal) =>
      inTurn(path, { signal }, async () => {
        const lock = await lockIndex(signal);
        try {
          return await work(await read());
        } finally {
          await lock?.drop();
        }
      }),
    create: async (signal) => {
      // Many who begin at once would only get in each other's way.
      if (!(await exists())) await inTurn(layout, { signal }, () => createOnce(signal));
      if (await files.facts(path)) return;
      await update(async (index) => ((await files.facts(path)) ? undefined : index), signal);
    },
  };
}

/** Writes a document into a locked file, and gives it its final name. False if the lock was lost. */
async function commitText(files: Files, lock: Lock, final: string, document: object): Promise<boolean> {
  try {
    await writeFile(files, lock.path, new TextEncoder().encode(JSON.stringify(document)));
    return await lock.commit(final);
  } catch (error) {
    await lock.drop().catch(() => {});
    throw error;
  }
}

/**
 * Refuses a directory that is neither a layout of a known version, nor one that is being created, nor empty. Hidden files
 * do not count.
 */
async function checkLayout(
  { files, join }: LockFolder,
  directory: string,
  hasIndex: boolean,
  links = true,
): Promise<void> {
  const path = join(directory, 'oci-layout');
  const bytes = await readFile(files, path, mostBytes, readMode(links));
  if (bytes) {
    const { imageLayoutVersion: found } = parseObject(bytes, path);
    if (found === version) return;
    throw storeError('use', path, `imageLayoutVersion ${quote(found)}, but only "${version}" is supported`);
  }
  const names = hasIndex ? ['index.json'] : ((await files.list(directory)) ?? []);
  const [stranger] = names.filter((name) => !name.startsWith('.') && name !== 'lost+found');
  if (stranger === undefined || (await files.facts(path))) return;
  throw storeError('use directory', directory, `not an image layout, as it has ${quote(stranger)} but no "oci-layout"`);
}

/** Refuses a layout that has lost its index: in a new one its contents would have no names, and `gc` would remove them. */
export async function refuseLost(
  { files, join }: Pick<LockFolder, 'files' | 'join'>,
  directory: string,
): Promise<void> {
  const hasIndex = async (): Promise<boolean> => (await files.facts(join(directory, 'index.json'))) !== undefined;
  if (await hasIndex()) return;
  const root = join(directory, 'blobs');
  for (const algorithm of (await files.list(root)) ?? []) {
    const folder = join(root, algorithm);
    if ((await files.examine(folder))?.type !== 'directory') continue;
    const contents = ((await files.list(folder)) ?? []).filter((name) => !name.startsWith('.'));
    if (contents.length === 0) continue;
    // Another process may have created both meanwhile, the index first.
    if (!(await hasIndex())) throw storeError('use directory', directory, noIndex);
  }
}

/**
 * Refuses a directory that is not a layout, or has lost its index, so that what it needs and what is garbage is unknown.
 * Returns the directory.
 */
export async function checkWhole({ locks, blobs, index }: LayoutParts, attempted: string): Promise<string> {
  const directory = locks.join(locks.folder, '..');
  await index.read();
  const state = await index.state();
  if (state === 'none') throw storeError(attempted, directory, notLayout);
  if (state === 'whole') return directory;
  const { digests } = await blobs.list();
  throw storeError(attempted, directory, digests.length > 0 ? noIndex : notBegun);
}

/** What `index.json` says, as far as its form allows; entries may be invalid. */
function parseIndex(bytes: Uint8Array, path: string): LayoutIndex {
  const { manifests, ...document } = parseObject(bytes, path);
  if ((document.schemaVersion ?? 2) !== 2) {
    throw unreadable(path, `schemaVersion ${quote(document.schemaVersion)}, expected 2`);
  }
  const list = manifests ?? [];
  if (!Array.isArray(list)) throw unreadable(path, 'manifests is not a list');
  return { document, entries: list.map(entryOf) };
}

function parseObject(bytes: Uint8Array, path: string): Record<string, unknown> {
  try {
    return parseDocumentText(bytes, mostValues);
  } catch (error) {
    const isLimit = error instanceof RegistryError && error.reason === 'limit';
    if (isLimit) throw restate(error, { attempted: `read ${quote(path)}`, value: path });
    throw unreadable(path, foundBy(error), error);
  }
}

const unreadable = (path: string, found: string, cause?: unknown): RegistryError =>
  cannot('STORE_ERROR', `read ${quote(path)}`, found, { value: path, cause });
