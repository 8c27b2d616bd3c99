import { type ByteReader, createByteReader } from '../codec/byte-reader.ts';
import { quote } from '../text/quote.ts';
import { type BareEntry, cleanPath, dateOf, type FileType, textOf } from './entry.ts';
import { expanded, oldSparseParts, oldSparseSize, partsInContent, partsInRecords, type SparseParts } from './sparse.ts';
import {
  blockBytes,
  parseHeader,
  parseRecords,
  type Refuse,
  type TarHeader,
  untilNul,
  xattrPrefix,
} from './tar-header.ts';

/** An entry of an archive with its content, which can be read until the next entry is requested. */
export interface TarFile {
  readonly entry: BareEntry;
  readonly data: AsyncIterable<Uint8Array>;
}

/**
 * The entries of a tar archive in its order (V7, ustar, pax, GNU), or an error of `refuse`. Content that is not read is
 * skipped. The archive ends with two blocks of zeros, or with `bytes`, also in the padding of the last entry (`umoci insert`
 * writes neither). What follows the zeros is not part of it, but is read to its end for errors of `bytes` and for the
 * digest. Leaving early closes `bytes`.
 */
export async function* readTar(bytes: AsyncIterable<Uint8Array>, refuse: Refuse): AsyncGenerator<TarFile, void> {
  const reader = createByteReader(bytes);
  const archive: Archive = { reader, refuse, isClosed: false };
  try {
    for (let found = await nextEntry(archive); found; found = await nextEntry(archive)) {
      const content = createContent(archive, found.stored);
      yield { entry: found.entry, data: dataOf(content, found, refuse) };
      await content.skip();
    }
    while (await reader.fill(1)) take(reader, reader.available);
  } finally {
    archive.isClosed = true;
    await reader.close();
  }
}

interface Archive {
  readonly reader: ByteReader;
  readonly refuse: Refuse;
  isClosed: boolean;
}

interface FoundEntry {
  readonly entry: BareEntry;
  /** Bytes of its content in the archive. */
  readonly stored: number;
  /** Of a sparse file; `inside` if the list of its parts is in its content. */
  readonly parts?: SparseParts | 'inside' | undefined;
}

const types: ReadonlyMap<string, FileType> = new Map([
  ['0', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'character-device'],
  ['4', 'block-device'],
  ['5', 'directory'],
  ['6', 'fifo'],
  // Contiguous, and sparse in the old GNU format.
  ['7', 'file'],
  ['S', 'file'],
]);

/** Most bytes of extended headers and long names before an entry; a name of 1 MiB fits. */
const mostMetadata = 1_114_112;

const sparsePrefix = 'GNU.sparse.';
const cutOff = 'not a whole tar archive: cut off';

/** What comes before the header that it is about. */
interface Metadata {
  name?: Uint8Array;
  link?: Uint8Array;
  records: ReadonlyMap<string, Uint8Array>;
}

/** Undefined at the end of the archive. */
async function nextEntry({ reader, refuse }: Archive): Promise<FoundEntry | undefined> {
  const metadata: Metadata = { records: new Map() };
  let metadataBytes = 0;
  for (;;) {
    const block = await nextHeader(reader, refuse);
    if (!block) return undefined;
    const header = parseHeader(block);
    if (!header) throw refuse('not a tar archive: a header has a wrong checksum');
    const { flag } = header;
    if (!/^[xXgLKN]$/.test(flag)) return entryOf(header, metadata, { block, reader, refuse });
    metadataBytes += numberIn('size', header.size, { name: 'an extended header', refuse });
    if (metadataBytes > mostMetadata) {
      throw refuse(`more than ${mostMetadata} bytes of extended headers before an entry`, 'TOO_LARGE');
    }
    if (!(await reader.fill(paddedTo(header.size)))) throw refuse(cutOff);
    const bytes = take(reader, paddedTo(header.size)).slice(0, header.size);
    // As in Go, global headers ("g") do not apply to entries: `git archive` keeps a comment there.
    if (flag === 'x' || flag === 'X') metadata.records = parseRecords(bytes);
    else if (flag === 'K') metadata.link = untilNul(bytes);
    else if (flag !== 'g') metadata.name = untilNul(bytes);
  }
}

/** The next block that is not one of zeros; undefined after two of them, and at the end of the bytes. */
async function nextHeader(reader: ByteReader, refuse: Refuse): Promise<Uint8Array | undefined> {
  for (let zeros = 0; zeros < 2; zeros++) {
    const isWhole = await reader.fill(blockBytes);
    const block = take(reader, isWhole ? blockBytes : reader.available);
    const isZero = block.every((byte) => byte === 0);
    if (!isWhole && !isZero) throw refuse(cutOff);
    if (!isZero) return block;
    if (!isWhole) return undefined;
  }
  return undefined;
}

function take(reader: ByteReader, count: number): Uint8Array {
  reader.read(count);
  return reader.cut();
}

const paddedTo = (size: number): number => Math.ceil(size / blockBytes) * blockBytes;

function numberIn(key: string, value: number, { name, refuse }: { readonly name: string; readonly refuse: Refuse }) {
  if (Number.isSafeInteger(value) && (key !== 'size' || value >= 0)) return value;
  throw refuse(`${quote(name)} with the ${key} ${value}, not a usable number`);
}

/**
 * The entry of a header. As in Go, only files have content: bazel and tar-rs write sizes of links, directories and devices
 * without any.
 */
async function entryOf(
  header: TarHeader,
  { name: longName, link: longLink, records }: Metadata,
  { block, reader, refuse }: { readonly block: Uint8Array; readonly reader: ByteReader; readonly refuse: Refuse },
): Promise<FoundEntry> {
  const bytesOfName = records.get(`${sparsePrefix}name`) ?? records.get('path') ?? longName ?? header.name;
  const name = textOf(bytesOfName);
  if (bytesOfName.includes(0)) throw refuse(`the name ${quote(name)}, with a NUL in it`);
  const type = header.flag === '0' && header.size === 0 && name.endsWith('/') ? 'directory' : types.get(header.flag);
  if (!type) throw refuse(`${quote(name)}, of a type that no layer has`, 'UNSUPPORTED');
  const numberOf = (key: string, value: number): number => numberIn(key, value, { name, refuse });
  const recordOr = (key: string, otherwise: number, label = key): number => {
    const record = records.get(key);
    return numberOf(label, record ? decimalOf(textOf(record)) : otherwise);
  };
  const stored = type === 'file' ? recordOr('size', header.size) : 0;
  const isOld = header.flag === 'S';
  const parts = isOld ? await oldSparseParts(block, reader, refuse) : type === 'file' ? partsIn(records) : undefined;
  const size = recordOr(`${sparsePrefix}size`, isOld ? oldSparseSize(block) : stored, 'size');
  const entry: BareEntry = {
    path: cleanPath(name),
    type,
    size: parts === undefined ? stored : recordOr(`${sparsePrefix}realsize`, size, 'size'),
    mode: numberOf('mode', header.mode),
    uid: recordOr('uid', header.uid),
    gid: recordOr('gid', header.gid),
    ...namesOf(header, records),
    modified: dateOf(numberOf('time', timeOf(header, records.get('mtime')))),
    ...detailsOf(type, header, records.get('linkpath') ?? longLink ?? header.link),
    ...xattrsOf(records),
  };
  return { entry, stored, parts };
}

const decimalOf = (text: string): number => (/^-?\d+$/.test(text) ? Number(text) : Number.NaN);

function detailsOf(type: FileType, { deviceMajor, deviceMinor }: TarHeader, link: Uint8Array): Partial<BareEntry> {
  if (type === 'symlink') return { linkPath: textOf(link) };
  if (type === 'hardlink') return { linkPath: cleanPath(textOf(link)) };
  if (type !== 'character-device' && type !== 'block-device') return {};
  return { deviceMajor: deviceMajor || 0, deviceMinor: deviceMinor || 0 };
}

/** What is known of the parts of a file from its records; undefined if it is not sparse. */
function partsIn(records: Metadata['records']): FoundEntry['parts'] {
  if (![...records.keys()].some((key) => key.startsWith(sparsePrefix))) return undefined;
  const major = records.get(`${sparsePrefix}major`);
  return major && textOf(major) !== '0' ? 'inside' : partsInRecords(records);
}

/** Milliseconds since 1970. */
function timeOf({ modified }: TarHeader, record: Uint8Array | undefined): number {
  if (!record) return modified * 1000;
  return Math.round(Number(textOf(record).replace(/(\.\d{3})\d*$/, '$1')) * 1000);
}

function namesOf(header: TarHeader, records: Metadata['records']): Pick<BareEntry, 'userName' | 'groupName'> {
  const [user, group] = [records.get('uname'), records.get('gname')];
  const userName = user ? textOf(user) : header.userName;
  const groupName = group ? textOf(group) : header.groupName;
  return { ...(userName && { userName }), ...(groupName && { groupName }) };
}

function xattrsOf(records: Metadata['records']): Pick<BareEntry, 'xattrs'> {
  const found = [...records].filter(([key]) => key.startsWith(xattrPrefix));
  const pairs = found.map(([key, value]) => [key.slice(xattrPrefix.length), new Uint8Array(value)] as const);
  return pairs.length > 0 ? { xattrs: Object.fromEntries(pairs) } : {};
}

/** The content of an entry as it is stored. */
function createContent(archive: Archive, stored: number) {
  const { reader, refuse } = archive;
  let left = stored;
  const piece = async (most: number): Promise<Uint8Array> => {
    const isThere = reader.available > 0 || (await reader.fill(1));
    if (!isThere || archive.isClosed) throw refuse(cutOff);
    const bytes = take(reader, Math.min(most, left, reader.available));
    left -= bytes.length;
    return bytes;
  };
  const skip = async (): Promise<void> => {
    while (left > 0) await piece(left);
    const padding = paddedTo(stored) - stored;
    // The archive may end here without it.
    await reader.fill(padding);
    take(reader, Math.min(padding, reader.available));
  };
  return {
    get left() {
      return left;
    },
    piece,
    skip,
  };
}

async function* dataOf(
  content: ReturnType<typeof createContent>,
  { entry, parts }: FoundEntry,
  refuse: Refuse,
): AsyncGenerator<Uint8Array, void> {
  const { size } = entry;
  if (parts) {
    const list = parts === 'inside' ? await partsInContent(content, refuse) : parts;
    yield* expanded(content, list, { size, refuse });
  }
  while (!parts && content.left > 0) yield await content.piece(content.left);
}
