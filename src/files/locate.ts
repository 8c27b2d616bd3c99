import type { Content } from '../content/content.ts';
import type { Deadline } from '../deadline.ts';
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
  /** Called with the entries up to the one that is looked for; with all of them, where there is a table. */
  readonly see?: ((entry: BareEntry) => void) | undefined;
}

/** The first entry of that path; undefined where there is none, when all of the layer was seen. */
export async function locate(layer: Content, path: string, context: LocateContext): Promise<Located | undefined> {
  const table = await tableOf(layer, context, context.limit.signal);
  return table ? inTable(layer, table, path, context) : inArchive(layer, path, context);
}

function inTable(layer: Content, table: Table, path: string, { limit, see }: LocateContext): Located | undefined {
  for (const entry of table.entries) see?.(entry);
  const entry = table.entries.find((one) => one.path === path);
  if (!entry) return undefined;
  const extract = table.extractOf(entry);
  const chunks = extract ? extractedBytes(layer, table, extract, limit.signal) : nothing();
  return { entry, chunks, release: async () => {}, isVerified: () => true };
}

async function inArchive(layer: Content, path: string, context: LocateContext): Promise<Located | undefined> {
  return seek(archiveOf(layer, context.limit.signal), path, context);
}

type Archive = AsyncGenerator<TarFile, void>;

/** Reads on up to a path, or to the end. */
async function seek(archive: Archive, path: string, context: LocateContext): Promise<Located | undefined> {
  try {
    for (;;) {
      const { value, done } = await archive.next();
      if (done) return undefined;
      context.see?.(value.entry);
      if (value.entry.path === path) return inPassing(value, archive, context);
    }
  } catch (error) {
    await archive.return().catch(() => {});
    throw error;
  }
}

/** An entry whose archive stands at it. */
function inPassing({ entry, data }: TarFile, archive: Archive, context: LocateContext): Located {
  let verified = false;
  async function* chunks(): AsyncGenerator<Uint8Array, void, undefined> {
    yield* data;
    if (!context.verify) return;
    for (let ended = false; !ended; ) ended = (await archive.next()).done === true;
    verified = true;
  }
  const release = async (): Promise<void> => {
    await archive.return();
  };
  const goOn = (path: string): Promise<Located | undefined> => seek(archive, path, context);
  return { entry, chunks: chunks(), release, isVerified: () => verified, goOn };
}

async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
