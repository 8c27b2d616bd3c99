import type { Deadline } from '../abort.ts';
import type { Content } from '../content/content.ts';
import { cannot, messageOf, RegistryError } from '../errors.ts';
import { abortSignal, type Checks, flag, listener } from '../text/problems.ts';
import { quote } from '../text/quote.ts';
import type { BareEntry } from './entry.ts';
import { notAnArchive, storedBytes, unpacked } from './layer-bytes.ts';
import { readTar, type TarFile } from './tar.ts';
import { findTable, storedFileBytes, type Table } from './toc.ts';
import { UnusableTable } from './toc-rows.ts';

/** How to look into a layer. */
export interface FilesOptions {
  readonly signal?: AbortSignal | undefined;
  /**
   * Reads the layer itself even if it has a table of contents (eStargz, zstd:chunked). Lazily pulling runtimes trust the
   * table, all others unpack the layer; only its author can make them differ.
   */
  readonly unindexed?: boolean | undefined;
  /** Called with the reason why a table of contents is not used. The layer is read instead. */
  readonly onWarning?: ((text: string) => void) | undefined;
}

/** How to open a file of a layer. */
export interface OpenFileOptions extends FilesOptions {
  /**
   * Reads on to the end of the layer after the file's last byte, so that the digest is verified: otherwise the file ends
   * with `DIGEST_MISMATCH`, or with `BAD_RESPONSE` for a duplicate path, which only then can be noticed. If a table of
   * contents has the file's checksum, that is enough.
   */
  readonly verify?: boolean | undefined;
}

/** The checks of `FilesOptions` and `OpenFileOptions`. */
export const filesChecks: Checks = { signal: abortSignal, unindexed: flag, onWarning: listener };
export const openFileChecks: Checks = { ...filesChecks, verify: flag };

/** An entry that was found, and its content. The caller reads `chunks` to the end or calls `release`. */
export interface Located {
  readonly entry: BareEntry;
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
  /** Frees the connection. */
  release(): Promise<void>;
  /** Whether the content, read to its end, is verified. */
  isVerified(): boolean;
  /** Looks for another path after this entry instead, as `locate` does. Absent if the entry comes from a table. */
  readonly locateNext?: ((path: string) => Promise<Located | undefined>) | undefined;
}

export interface ReadContext extends OpenFileOptions {
  /** Ends the reading. */
  readonly limit: Deadline;
}

export interface LocateContext extends ReadContext {
  /** Shared by everything that is looked for on the way to one file, so that duplicates are noticed. */
  readonly sought: SoughtPaths;
  /**
   * Called with the entries up to the one that is looked for, or with all of them if `verify` is set. If there is a table,
   * only if it does not have it.
   * Returns the path at which unpacking would put the entry, if that may differ.
   */
  readonly onEntry?: ((entry: BareEntry) => string | undefined) | undefined;
}

/** The paths that were looked for on the way to one file. */
export interface SoughtPaths {
  readonly byLayer: Map<Content, Set<string>>;
  /** A layer was read to its end and had a duplicate of one of the paths: what was concluded from its first is wrong. */
  hasDuplicate: boolean;
}

export const createSoughtPaths = (): SoughtPaths => ({ byLayer: new Map(), hasDuplicate: false });

/**
 * An entry of that path; undefined if the whole layer has none. It is the last one if there is a table, and otherwise the
 * first; with `verify` its bytes end with `BAD_RESPONSE` if the layer has a duplicate.
 */
export async function locate(layer: Content, path: string, context: LocateContext): Promise<Located | undefined> {
  const table = await tableOf(layer, context, context.limit.signal);
  if (!table) return seek(openArchive(layer, context), path);
  const index = table.paths.lastIndexOf(path);
  if (index === -1) {
    for (const index of table.paths.keys()) context.onEntry?.(table.entryAt(index));
    return undefined;
  }
  const found = table.entryAt(index);
  for (let later = index + 1; later < table.paths.length; later++) {
    const isRelated = isAbove(path, table.paths[later] ?? '') || isAbove(table.paths[later] ?? '', path);
    if (isRelated && replaces(table.entryAt(later), found)) throw duplicatePath(layer, path);
  }
  return locatedInTable(layer, table, index, context);
}

/** The entry at that index in the layer, in the order of `listFiles`. */
export async function locateAt(layer: Content, index: number, context: LocateContext): Promise<Located | undefined> {
  const table = await tableOf(layer, context, context.limit.signal);
  if (table) return locatedInTable(layer, table, index, context);
  return seek(openArchive(layer, context), index);
}

function locatedInTable(layer: Content, table: Table, index: number, context: LocateContext): Located | undefined {
  if (index >= table.paths.length) return undefined;
  const entry = table.entryAt(index);
  let isVerified = (): boolean => true;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    if (entry.type !== 'file' || entry.size === 0) return;
    let hasBegun = false;
    try {
      for await (const chunk of storedFileBytes(layer, table, table.storedFileAt(index), context.limit.signal)) {
        hasBegun = true;
        yield chunk;
      }
    } catch (error) {
      if (hasBegun || !isOnlyOfTable(error)) throw error;
      warnOfTable(layer, error, context);
      const located = await locate(layer, entry.path, { ...context, unindexed: true, onEntry: undefined });
      if (located?.entry.type !== 'file' || located.entry.size !== entry.size) {
        await located?.release();
        throw error;
      }
      isVerified = located.isVerified;
      yield* located.chunks;
    }
  }
  return { entry, chunks: chunks(), release: async () => {}, isVerified: () => isVerified() };
}

function warnOfTable(layer: Content, error: unknown, { onWarning }: FilesOptions): void {
  onWarning?.(`Layer ${quote(layer.descriptor.digest)} is read from its beginning: ${messageOf(error)}`);
}

/** A layer whose archive is being read. */
interface OpenArchive {
  readonly layer: Content;
  readonly files: AsyncGenerator<TarFile, void>;
  readonly context: LocateContext;
  readonly sought: Set<string>;
  readonly duplicates: DuplicateCheck;
  /** Entries that were read. */
  count: number;
}

function openArchive(layer: Content, context: LocateContext): OpenArchive {
  const { byLayer } = context.sought;
  const sought = byLayer.get(layer) ?? new Set();
  byLayer.set(layer, sought);
  const files = archiveOf(layer, context.limit.signal);
  return { layer, files, context, sought, duplicates: createDuplicateCheck(sought), count: 0 };
}

/** Reads on up to a path or an index, or to the end. */
async function seek(archive: OpenArchive, target: string | number): Promise<Located | undefined> {
  if (typeof target === 'string') archive.sought.add(target);
  try {
    for (;;) {
      const next = await advance(archive);
      if (!next) {
        if (archive.duplicates.path !== undefined) archive.context.sought.hasDuplicate = true;
        return undefined;
      }
      if (target === next.path || target === archive.count - 1) return locatedInArchive(next.file, archive);
    }
  } catch (error) {
    await archive.files.return().catch(() => {});
    throw error;
  }
}

/** The next entry, and the path at which unpacking puts it. */
async function advance(archive: OpenArchive): Promise<{ readonly file: TarFile; readonly path: string } | undefined> {
  const { value: file, done } = await archive.files.next();
  if (done) return undefined;
  const path = archive.context.onEntry?.(file.entry) ?? file.entry.path;
  archive.duplicates.add({ ...file.entry, path });
  archive.count += 1;
  return { file, path };
}

/** The entry that the archive was read up to. */
function locatedInArchive({ entry, data }: TarFile, archive: OpenArchive): Located {
  const { layer, files, context, duplicates } = archive;
  let verified = false;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* data;
    if (!context.verify) return;
    while (await advance(archive));
    if (duplicates.path !== undefined) throw duplicatePath(layer, duplicates.path);
    verified = true;
  }
  const release = async (): Promise<void> => {
    await files.return();
  };
  const locateNext = (path: string): Promise<Located | undefined> => seek(archive, path);
  return { entry, chunks: chunks(), release, isVerified: () => verified, locateNext };
}

/** Looks for duplicates among the entries of an archive. */
interface DuplicateCheck {
  add(entry: BareEntry): void;
  /** The first path that a later entry replaced. */
  readonly path: string | undefined;
}

/** `sought` may grow while entries are added. */
function createDuplicateCheck(sought: ReadonlySet<string>): DuplicateCheck {
  const known = new Map<string, BareEntry>();
  let duplicate: string | undefined;
  return {
    add: (entry) => {
      for (const [path, earlier] of known) if (replaces(entry, earlier)) duplicate ??= path;
      if (sought.has(entry.path)) known.set(entry.path, entry);
    },
    get path() {
      return duplicate;
    },
  };
}

/** Whether unpacking an entry puts something else in the place of an earlier one. */
function replaces({ path, type }: BareEntry, earlier: BareEntry): boolean {
  const isDirectory = type === 'directory';
  const wasDirectory = earlier.type === 'directory';
  // A directory stays what it is if it has a duplicate, and if something is put into it.
  if (path === earlier.path) return !(isDirectory && wasDirectory);
  return isAbove(path, earlier.path) ? !isDirectory : !wasDirectory && isAbove(earlier.path, path);
}

/** Whether a path is that of a directory that another is in. */
const isAbove = (directory: string, path: string): boolean =>
  path.length > directory.length && path[directory.length] === '/' && path.startsWith(directory);

/** The error of a layer whose first entry of a path was read, although the last one counts. */
const duplicatePath = ({ descriptor: { digest } }: Content, path: string): RegistryError =>
  cannot('BAD_RESPONSE', `read ${quote(path)} in layer ${quote(digest)}`, 'a later entry of the layer replaces it', {
    value: path,
    reason: 'inconsistent-image',
  });

/** The entries of a layer, read from its beginning. It ends only if the digest was right. */
export const archiveOf = (layer: Content, signal: AbortSignal): AsyncGenerator<TarFile, void> =>
  readTar(unpacked(layer, storedBytes(layer, signal)), (found, code) => notAnArchive(layer, found, code));

/** Tables that were read, as long as their layer is open; undefined for a layer whose table cannot be used. */
const tables = new WeakMap<Content, { readonly table: Table | undefined }>();

/** The table of contents of a layer; undefined if it has none, if it cannot be used, or if `unindexed` is set. */
export async function tableOf(layer: Content, options: FilesOptions, signal: AbortSignal): Promise<Table | undefined> {
  if (options.unindexed) return undefined;
  const known = tables.get(layer);
  if (known) return known.table;
  let table: Table | undefined;
  try {
    table = await findTable(layer, signal);
  } catch (error) {
    if (!isOnlyOfTable(error)) throw error;
    warnOfTable(layer, error, options);
  }
  tables.set(layer, { table });
  return table;
}

/**
 * Whether the layer itself may still be read: the table is damaged, or a host refuses parts of the layer. Hosts without
 * ranges send the whole layer, which is `BAD_RESPONSE` if the table lies too far in it to discard everything before.
 */
const isOnlyOfTable = (error: unknown): boolean =>
  error instanceof UnusableTable ||
  (error instanceof RegistryError &&
    !['ABORTED', 'CLOSED', 'TIMEOUT', 'UNAUTHORIZED', 'RATE_LIMITED'].includes(error.code));
