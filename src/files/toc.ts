import { bytesBody, readAll } from '../body.ts';
import { loadCodecs } from '../codec/codecs.ts';
import type { Content } from '../content/content.ts';
import { cannot, RegistryError } from '../errors.ts';
import { algorithmOf, createHasher, digestOf, type Hasher, isDigest } from '../oci/digest.ts';
import { quote } from '../text/quote.ts';
import type { BareEntry } from './entry.ts';
import { damagedLayer, decoded, storedBytes } from './layer-bytes.ts';
import { readTar } from './tar.ts';
import { countIn, entryOf, type Row, rowsOf, unusable } from './toc-rows.ts';

/** A table of contents: what is in a layer, and where. */
export interface Table {
  readonly packing: 'gzip' | 'zstd';
  /** Paths of the entries, in the order of the archive. */
  readonly paths: readonly string[];
  entryAt(index: number): BareEntry;
  /** Of a file with at least one byte. UnusableTable if the table contradicts itself. */
  storedFileAt(index: number): StoredFile;
}

/** Where a file's bytes are in a layer. */
export interface StoredFile {
  /** Range of the layer as stored. It consists of packed units, so it can be unpacked from `start` on. */
  readonly start: number;
  readonly end: number;
  /** Unpacked bytes before the first byte of the file. */
  readonly skip: number;
  /** In order; together the whole file. */
  readonly chunks: readonly FileChunk[];
}

/** A part of a file with a digest of its own. */
export interface FileChunk {
  /** Bytes, unpacked. */
  readonly size: number;
  readonly digest: string;
}

/** Most bytes of a table, as stored and unpacked. */
const mostBytes = 64 * 1_048_576;
/** Most entries of a table. */
const mostEntries = 1_000_000;

/** https://github.com/containerd/stargz-snapshotter/blob/main/docs/estargz.md: the digest of the JSON. */
const stargzDigest = 'containerd.io/snapshot/stargz/toc.digest';

/** Prefixes of the annotations of zstd:chunked, by containers/storage and by stargz-snapshotter. */
const chunkedPrefixes = ['io.github.containers.zstd-chunked.', 'io.containers.zstd-chunked.'];

/**
 * The table of contents of a layer, read and verified by the digest in the layer's annotations; undefined for a layer
 * that has none. UnusableTable if it is not what the annotations say.
 */
export async function findTable(layer: Content, signal: AbortSignal): Promise<Table | undefined> {
  const { annotations = {} } = layer.descriptor;
  const prefix = chunkedPrefixes.find((candidate) => annotations[`${candidate}manifest-position`] !== undefined);
  if (prefix !== undefined) {
    const position = annotations[`${prefix}manifest-position`] ?? '';
    return zstdTable(layer, { position, digest: annotations[`${prefix}manifest-checksum`] }, signal);
  }
  const digest = annotations[stargzDigest];
  return digest === undefined ? undefined : stargzTable(layer, digest, signal);
}

/**
 * zstd:chunked: the packed JSON is in a frame that decoders skip, at the position in the annotation.
 * https://github.com/containers/storage/blob/main/docs/containers-storage-zstd-chunked.md
 */
async function zstdTable(
  layer: Content,
  { position, digest }: { readonly position: string; readonly digest: string | undefined },
  signal: AbortSignal,
): Promise<Table> {
  const [start = 0, length = 0, unpackedSize = 0, type] = position.split(':').map(Number);
  if (!/^\d{1,15}(?::\d{1,15}){3}$/.test(position) || type !== 1) throw unusable(`has the position ${quote(position)}`);
  if (unpackedSize > mostBytes) throw unusable(`has ${unpackedSize} bytes, more than ${mostBytes}`);
  const packed = await readPart(layer, { start, end: start + length }, signal);
  verifyTable(packed, digest);
  const json = await unpack('zstd', packed, unpackedSize);
  // The header of its frame comes before it.
  return parseTable(json, 'zstd', start - 8);
}

/** eStargz: the layer's last bytes have the offset of a gzip member, in which an archive has the JSON. */
async function stargzTable(layer: Content, digest: string, signal: AbortSignal): Promise<Table> {
  const { size } = layer.descriptor;
  const footer = await readPart(layer, { start: size - footerBytes, end: size }, signal);
  const member = readFooter(footer);
  if (!member) throw unusable('is announced, but the layer does not end as eStargz does');
  const packed = await readPart(layer, { start: member.start, end: size - member.footerLength }, signal);
  const archive = await unpack('gzip', packed, mostBytes);
  let json: Uint8Array | undefined;
  for await (const { entry, data } of readTar(bytesBody(archive), unusable)) {
    if (entry.path === 'stargz.index.json') json = await readAll(data, mostBytes, 'a table of contents', noTimeLimit);
  }
  if (!json) throw unusable('is not at the offset in the footer');
  verifyTable(json, digest);
  return parseTable(json, 'gzip', member.start);
}

/** Bytes of the footer; that of stargz, the earlier format, has four less. */
const footerBytes = 51;

/** An empty gzip member whose extra field (RFC 1952, section 2.3) has the offset in hex and a name. */
function readFooter(footer: Uint8Array): { readonly start: number; readonly footerLength: number } | undefined {
  const text = String.fromCharCode(...footer);
  const member = [0x1f, 0x8b, 0x08, 0x04];
  const isAt = (at: number, bytes: readonly number[]): boolean =>
    bytes.every((byte, index) => footer[at + index] === byte);
  const offsetAt = (at: number): number | undefined => {
    const [, hex] = /^([0-9a-f]{16})STARGZ/.exec(text.slice(at)) ?? [];
    return hex === undefined ? undefined : Number.parseInt(hex, 16);
  };
  const isCurrent = isAt(0, member) && isAt(10, [26, 0, 0x53, 0x47, 22, 0]);
  const isEarlier = isAt(4, member) && isAt(14, [22, 0]);
  const start = isCurrent || isEarlier ? offsetAt(16) : undefined;
  return start === undefined ? undefined : { start, footerLength: isCurrent ? footerBytes : footerBytes - 4 };
}

/** Milliseconds of `readAll`: requests have limits of their own. */
const noTimeLimit = Number.POSITIVE_INFINITY;

async function readPart(
  layer: Content,
  { start, end }: { readonly start: number; readonly end: number },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { size } = layer.descriptor;
  if (start < 0 || start >= end || end > size) throw unusable(`has the position ${start} to ${end} in ${size} bytes`);
  if (end - start > mostBytes) throw unusable(`has ${end - start} bytes, more than ${mostBytes}`);
  return readAll(storedBytes(layer, signal, { start, end }), end - start, 'a table of contents', noTimeLimit);
}

async function unpack(packing: 'gzip' | 'zstd', bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  const decoder = (await loadCodecs())[packing];
  if (!decoder) throw unusable(`is packed as ${packing}, which is not known`);
  try {
    return await readAll(decoder(bytesBody(bytes), { limit }), limit, 'a table of contents', noTimeLimit);
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'TOO_LARGE') throw unusable(`has more than ${limit} bytes`);
    throw error;
  }
}

/** The annotation of another table may have been kept when a layer was packed anew. */
function verifyTable(bytes: Uint8Array, digest: string | undefined): void {
  if (typeof digest !== 'string' || !isDigest(digest)) throw unusable(`has the digest ${JSON.stringify(digest)}`);
  const found = digestOf(bytes, algorithmOf(digest));
  if (found !== digest) throw unusable(`has digest ${found} instead of ${digest}`);
}

/**
 * Reads the JSON format that eStargz and zstd:chunked share. The files' bytes end at `end` in the layer. UnusableTable for
 * a table that is incomplete, or whose offsets are outside the layer.
 * https://github.com/containerd/stargz-snapshotter/blob/main/docs/estargz.md#toc-tocentries-and-footer
 */
function parseTable(json: Uint8Array, packing: Table['packing'], end: number): Table {
  const rows = rowsOf(json);
  const names = { users: new Map<number, string>(), groups: new Map<number, string>() };
  const paths: string[] = [];
  const firstRows: number[] = [];
  let offsets: number[] = [];
  for (let index = 0; index < rows.length; index++) {
    const row = rows.at(index);
    const offset = countIn(row, 'offset');
    if (offset > end) throw unusable(`has an offset of ${offset}, beyond its end at ${end}`);
    if (offset > 0) offsets.push(offset);
    if (row.type === 'chunk') continue;
    if (paths.length === mostEntries) throw unusable(`has more than ${mostEntries} entries`);
    paths.push(entryOf(row, names).path);
    firstRows.push(index);
  }
  offsets = offsets.sort((a, b) => a - b);
  const entryAt = (index: number): BareEntry => entryOf(rows.at(firstRows[index] ?? 0), names);
  const storedFileAt = (index: number): StoredFile => {
    const [first = 0, next = rows.length] = firstRows.slice(index, index + 2);
    const own = Array.from({ length: next - first }, (_, at) => rows.at(first + at));
    return storedFileOf(entryAt(index).size, own, { offsets, end });
  };
  return { packing, paths, entryAt, storedFileAt };
}

/** The first of sorted numbers that is larger. */
function firstAbove(sorted: readonly number[], number: number): number | undefined {
  let [low, high] = [0, sorted.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] ?? 0) > number) high = middle;
    else low = middle + 1;
  }
  return sorted[low];
}

/** `rows` are those of one file: the only one, or one for each chunk. */
function storedFileOf(
  size: number,
  rows: readonly Row[],
  { offsets, end }: { readonly offsets: readonly number[]; readonly end: number },
): StoredFile {
  let at = 0;
  let last = 0;
  const chunks = rows.map((row, index) => {
    const start = countIn(row, 'offset');
    if (countIn(row, 'chunkOffset') !== at || start < last) throw unusable('has chunks out of order');
    const isLast = index === rows.length - 1;
    const chunkSize = countIn(row, 'chunkSize');
    const length = chunkSize === 0 && isLast ? size - at : chunkSize;
    const digest = row.chunkDigest || (rows.length === 1 ? row.digest : undefined);
    if (typeof digest !== 'string' || !isDigest(digest)) throw unusable('has a file without a digest');
    at += length;
    last = start;
    return { size: length, digest };
  });
  if (at !== size) throw unusable(`has chunks of ${at} bytes for a file of ${size}`);
  const [first = {}] = rows;
  const start = countIn(first, 'offset');
  const endOffset = countIn(first, 'endOffset');
  const fileEnd = endOffset > last ? endOffset : (firstAbove(offsets, last) ?? end);
  if (fileEnd <= start || fileEnd > end)
    throw unusable(`has a file at ${start} to ${fileEnd}, outside of its ${end} bytes`);
  return { start, end: fileEnd, skip: countIn(first, 'innerOffset'), chunks };
}

/**
 * A file's bytes, by one request for only its range of the layer. Each chunk is verified at its end: `DIGEST_MISMATCH`
 * after its last byte.
 */
export async function* storedFileBytes(
  layer: Content,
  { packing }: Table,
  { start, end, skip, chunks }: StoredFile,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const rest = chunks.values();
  let current = begin(rest.next().value);
  let skipped = 0;
  for await (let bytes of decoded(layer, packing, storedBytes(layer, signal, { start, end }))) {
    const skipping = Math.min(skip - skipped, bytes.length);
    skipped += skipping;
    bytes = bytes.subarray(skipping);
    while (current && bytes.length > 0) {
      const piece = bytes.subarray(0, current.left);
      bytes = bytes.subarray(piece.length);
      current.hasher.update(piece);
      current.left -= piece.length;
      yield piece;
      if (current.left > 0) continue;
      verifyChunk(layer, current);
      current = begin(rest.next().value);
    }
    if (!current) return;
  }
  if (current) throw damagedLayer(layer, `a file is ${current.left} bytes shorter than in its table of contents`);
}

/** A chunk that is being read. */
interface OpenChunk {
  readonly chunk: FileChunk;
  readonly hasher: Hasher;
  left: number;
}

const begin = (chunk: FileChunk | undefined): OpenChunk | undefined =>
  chunk && { chunk, hasher: createHasher(chunk.digest), left: chunk.size };

function verifyChunk(layer: Content, { chunk, hasher }: OpenChunk): void {
  const found = hasher.digest();
  if (found === chunk.digest) return;
  throw wrongDigest(layer, `a part of a file has digest ${found} instead of ${chunk.digest}`);
}

const wrongDigest = ({ descriptor: { digest } }: Content, found: string): RegistryError =>
  cannot('DIGEST_MISMATCH', `read layer ${quote(digest)}`, found, { value: digest });
