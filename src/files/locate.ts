import type { Deadline } from '../abort.ts';
import type { Content } from '../content/content.ts';
import { cannot, RegistryError } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { BareEntry } from './entry.ts';
import { noArchive, storedBytes, unpacked } from './layer-bytes.ts';
import type { FilesOptions, OpenFileOptions } from './options.ts';
import { readTar, type TarFile } from './tar.ts';
import { extractedBytes, findTable, type Table } from './toc.ts';

import { UnusableTable } from './toc-rows.ts';

/** An entry that was found, and a way to its content. Whoever has it reads `chunks` to the end or calls `release`. */
export interface Located {
  readonly entry: BareEntry;
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
  /** Frees the connection. */
  release(): Promise<void>;
  /** Whether what was read to the end is verified. */
  isVerified(): boolean;
  /** Looks for another path behind this entry instead, as `locate`. Absent where nothing was read on the way. */
  readonly goOn?: ((path: string) => Promise<Located | undefined>) | undefined;
}

export interface LocateContext extends OpenFileOptions {
  /** Ends the reading. */
  readonly limit: Deadline;
  /** To be shared by all that is looked for on the way to one file, so that what comes again is seen. */
  readonly asked: Asked;
  /**
   * Called with the entries up to the one that is looked for, or all of them, where there is a table or `verify`. Gives the
   * path that unpacking would put the entry at, where that may be another.
   */
  readonly see?: ((entry: BareEntry) => string | undefined) | undefined;
}

/**
 * An entry of that path; undefined where there is none, when all of the layer was seen. It is the last one where there is
 * a table, and else the first; with `verify` its bytes end with `BAD_RESPONSE` where the path comes again.
 */
export async function locate(layer: Content, path: string, context: LocateContext): Promise<Located | undefined> {
  const table = await tableOf(layer, context, context.limit.signal);
  if (!table) return seek(begin(layer, context), path);
  for (const entry of table.entries) context.see?.(entry);
  const at = table.entries.findLastIndex((one) => one.path === path);
  const found = table.entries[at];
  if (found && table.entries.slice(at + 1).some((later) => puts(later, found))) throw comesAgain(layer, path);
  return inTable(layer, table, at, context);
}

/** The entry of that number in the layer, from 0 on, as `listFiles` tells them. */
export async function locateAt(layer: Content, number: number, context: LocateContext): Promise<Located | undefined> {
  const table = await tableOf(layer, context, context.limit.signal);
  if (table) return inTable(layer, table, number, context);
  return seek(begin(layer, { ...context, asked: nothingAsked() }), number);
}

function inTable(layer: Content, table: Table, at: number, { limit }: LocateContext): Located | undefined {
  const entry = table.entries[at];
  if (!entry) return undefined;
  const extract = table.extractOf(entry);
  const chunks = extract ? extractedBytes(layer, table, extract, limit.signal) : nothing();
  return { entry, chunks, release: async () => {}, isVerified: () => true };
}

/** A layer on the way through its archive. */
interface Reading {
  readonly layer: Content;
  readonly archive: AsyncGenerator<TarFile, void>;
  readonly context: LocateContext;
  readonly paths: Set<string>;
  readonly repeats: Repeats;
  /** Entries that came. */
  count: number;
}

function begin(layer: Content, context: LocateContext): Reading {
  const { limit, asked } = context;
  const paths = asked.paths.get(layer) ?? new Set();
  asked.paths.set(layer, paths);
  return { layer, archive: archiveOf(layer, limit.signal), context, paths, repeats: createRepeats(paths), count: 0 };
}

/** The next entry, and the path it came to. */
async function advance(reading: Reading): Promise<{ readonly file: TarFile; readonly path: string } | undefined> {
  const { value: file, done } = await reading.archive.next();
  if (done) return undefined;
  const path = reading.context.see?.(file.entry) ?? file.entry.path;
  reading.repeats.see({ ...file.entry, path });
  reading.count += 1;
  return { file, path };
}

/** Reads on up to a path or the entry of a number, or to the end. */
async function seek(reading: Reading, sought: string | number): Promise<Located | undefined> {
  if (typeof sought === 'string') reading.paths.add(sought);
  try {
    for (;;) {
      const next = await advance(reading);
      if (!next) {
        if (reading.repeats.found !== undefined) reading.context.asked.isWrong = true;
        return undefined;
      }
      if (sought === next.path || sought === reading.count - 1) return inPassing(next.file, reading);
    }
  } catch (error) {
    await reading.archive.return().catch(() => {});
    throw error;
  }
}

/** An entry whose archive stands at it. */
function inPassing({ entry, data }: TarFile, reading: Reading): Located {
  const { layer, archive, context, repeats } = reading;
  let verified = false;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* data;
    if (!context.verify) return;
    while (await advance(reading));
    if (repeats.found !== undefined) throw comesAgain(layer, repeats.found);
    verified = true;
  }
  const release = async (): Promise<void> => {
    await archive.return();
  };
  const goOn = (path: string): Promise<Located | undefined> => seek(reading, path);
  return { entry, chunks: chunks(), release, isVerified: () => verified, goOn };
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}

/** What was asked for on the way to one file. */
export interface Asked {
  /** By layer. */
  readonly paths: Map<Content, Set<string>>;
  /** A layer was read to its end, and one of the paths had come again in it: what was made of its first is wrong. */
  isWrong: boolean;
}

export const nothingAsked = (): Asked => ({ paths: new Map(), isWrong: false });

/** Entries of an archive as they come, and whether a path comes again after its first. */
export interface Repeats {
  see(entry: BareEntry): void;
  /** The first path that came again. */
  readonly found: string | undefined;
}

/** `paths` may grow while entries come. */
function createRepeats(paths: ReadonlySet<string>): Repeats {
  const met = new Map<string, BareEntry>();
  let found: string | undefined;
  return {
    see: (entry) => {
      for (const [path, other] of met) if (puts(entry, other)) found ??= path;
      if (paths.has(entry.path)) met.set(entry.path, entry);
    },
    get found() {
      return found;
    },
  };
}

/** Whether unpacking the entry puts something else where another one is. */
function puts({ path, type }: BareEntry, other: BareEntry): boolean {
  const isDirectory = type === 'directory';
  const wasDirectory = other.type === 'directory';
  // A directory stays what it is when it comes again, and when something is put into it.
  if (path === other.path) return !(isDirectory && wasDirectory);
  return other.path.startsWith(`${path}/`) ? !isDirectory : !wasDirectory && path.startsWith(`${other.path}/`);
}

/** The error of a layer whose first entry of a path was read, though the last is what counts. */
const comesAgain = ({ descriptor: { digest } }: Content, path: string): RegistryError =>
  cannot(
    'BAD_RESPONSE',
    `read ${quote(path)} in layer ${quote(digest)}`,
    'the path comes again in it, and the last one counts',
    { value: path, reason: 'inconsistent-image' },
  );

/** The entries of a layer, out of the layer itself, from its beginning on. It ends only when the digest was right. */
export const archiveOf = (layer: Content, signal: AbortSignal): AsyncGenerator<TarFile, void> =>
  readTar(unpacked(layer, storedBytes(layer, signal)), (found, code) => noArchive(layer, found, code));

/** Tables that were read, as long as their layer is open; none for a layer whose table cannot be used. */
const tables = new WeakMap<Content, { readonly table: Table | undefined }>();

/** The table of contents of a layer; undefined where it has none, where it cannot be used, and where it is not wanted. */
export async function tableOf(
  layer: Content,
  { unindexed = false, onWarning }: FilesOptions,
  signal: AbortSignal,
): Promise<Table | undefined> {
  if (unindexed) return undefined;
  const known = tables.get(layer);
  if (known) return known.table;
  let table: Table | undefined;
  try {
    table = await findTable(layer, signal);
  } catch (error) {
    if (!(error instanceof Error) || !isPassable(error)) throw error;
    onWarning?.(`Layer ${quote(layer.descriptor.digest)} is read from its beginning: ${error.message}`);
  }
  tables.set(layer, { table });
  return table;
}

/** Hosts that give no ranges give the whole: `BAD_RESPONSE`, where the table lies too far in it to drop all before. */
const isPassable = (error: Error): boolean =>
  error instanceof UnusableTable || (error instanceof RegistryError && error.code === 'BAD_RESPONSE');
