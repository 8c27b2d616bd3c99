import type { BareEntry } from './entry.ts';
import { Blocks } from './tar-blocks.ts';
import { entryOf, typeOf } from './tar-entry.ts';
import { parseHeader, type Refuse, type TarHeader } from './tar-header.ts';
import { expandSparse } from './tar-holes.ts';
import { applyPax, type PaxRecords, parsePax, recordOf } from './tar-pax.ts';
import { readSparse } from './tar-sparse.ts';
import { textField } from './text.ts';

/** An entry of an archive with its content, which can be read until the next entry is asked for. */
export interface TarFile {
  readonly entry: BareEntry;
  readonly data: AsyncIterable<Uint8Array>;
}

/** Most bytes of an extended header or a long name, as in Go. */
const mostMetadata = 1_048_576;

/**
 * The entries of a tar archive in its order, each whole and exact, or an error of `refuse`. Content that is not read is
 * passed over. After the end the rest of `bytes` is read, so that its digest is looked at. Leaving early leaves `bytes`.
 */
export async function* readTar(bytes: AsyncIterable<Uint8Array>, refuse: Refuse): AsyncGenerator<TarFile, void> {
  const blocks = new Blocks(bytes, refuse);
  try {
    for (;;) {
      const file = await nextFile(blocks);
      if (!file) break;
      yield file;
      await blocks.skip();
    }
    await blocks.drain();
  } finally {
    await blocks.leave();
  }
}

/** What extended headers and long names say of the entry after them. */
interface Extension {
  readonly records: PaxRecords;
  readonly name?: string;
  readonly linkName?: string;
}

/** The next entry, by whatever headers it has; none at the end. */
async function nextFile(blocks: Blocks): Promise<TarFile | undefined> {
  let extension: Extension | undefined;
  for (;;) {
    const block = await nextHeader(blocks);
    if (!block && extension) throw blocks.refuse('an extended header without an entry');
    if (!block) return undefined;
    const header = parseHeader(block, blocks.refuse);
    if (!/^[xgLK]$/.test(header.flag)) return fileOf(header, extension ?? { records: [] }, blocks);
    extension = { records: [], ...extension, ...(await readExtension(header, blocks)) };
  }
}

/** The next header block; none after two of zeros, or where the bytes end between entries. */
async function nextHeader(blocks: Blocks): Promise<Uint8Array | undefined> {
  const isEmpty = (block: Uint8Array): boolean => block.every((byte) => byte === 0);
  if (!(await blocks.more())) return undefined;
  const block = await blocks.block();
  if (!isEmpty(block)) return block;
  if ((await blocks.more()) && !isEmpty(await blocks.block())) throw blocks.refuse('a block of zeros between entries');
  return undefined;
}

/** Global extended headers (`g`) say nothing: Go does not apply them, nor do the programs that extract layers. */
async function readExtension({ flag, size }: TarHeader, blocks: Blocks): Promise<Partial<Extension>> {
  const { refuse } = blocks;
  if (size > mostMetadata) throw refuse(`an extended header of ${size} bytes, more than ${mostMetadata}`);
  blocks.begin(size);
  const bytes = await blocks.content(size);
  await blocks.skip();
  if (flag === 'L') return { name: textField(bytes) };
  if (flag === 'K') return { linkName: textField(bytes) };
  const records = parsePax(bytes, refuse);
  return flag === 'x' ? { records } : {};
}

async function fileOf(plain: TarHeader, { records, name, linkName }: Extension, blocks: Blocks): Promise<TarFile> {
  const extended = applyPax(plain, records, blocks.refuse);
  const header = { ...extended, name: name || extended.name, linkName: linkName || extended.linkName };
  const type = typeOf(header, blocks.refuse);
  // Only files have content: some writers tell the size of what a link or directory stands for.
  const size = type === 'file' ? header.size : 0;
  blocks.begin(size);
  const sparse = type === 'file' ? await readSparse(header, records, blocks) : undefined;
  if (!sparse) return { entry: entryOf(header, type, size, records), data: blocks.data() };
  const real = { ...header, name: recordOf(records, 'GNU.sparse.name') ?? header.name };
  return { entry: entryOf(real, type, sparse.size, records), data: expandSparse(sparse, blocks.data()) };
}
