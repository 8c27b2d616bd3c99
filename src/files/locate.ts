import type { Content } from '../content/content.ts';
import type { Deadline } from '../deadline.ts';
import { type Asked, comesAgain, createRepeats, nothingAsked, puts, type Repeats } from './again.ts';
import { archiveOf, tableOf } from './archive.ts';
import type { BareEntry } from './entry.ts';
import type { OpenFileOptions } from './options.ts';
import type { Table } from './table.ts';
import { extractedBytes } from './table-file.ts';
import type { TarFile } from './tar.ts';

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
