import { readAll } from '../body.ts';
import { loadCodecs } from '../codec/codecs.ts';
import type { Content } from '../content/content.ts';
import { cannot, RegistryError } from '../errors.ts';
import { algorithmOf, createHasher, digestOf, type Hasher, isDigest } from '../oci/digest.ts';
import { quote } from '../text/quote.ts';
import type { BareEntry } from './entry.ts';
import { damagedLayer, decoded, storedBytes } from './layer-bytes.ts';
import { readTar } from './tar.ts';
import { countIn, entryOf, type Row, rowsOf, unusable } from './toc-rows.ts';

/** Most bytes of a table, as stored and unpacked. */
const mostBytes = 64 * 1_048_576;

/** https://github.com/containerd/stargz-snapshotter/blob/main/docs/estargz.md: the digest of the JSON. */
const stargzDigest = 'containerd.io/snapshot/stargz/toc.digest';

/** Prefixes of the annotations of zstd:chunked: those of containers/storage, and of stargz-snapshotter. */
const chunkedPrefixes = ['io.github.containers.zstd-chunked.', 'io.containers.zstd-chunked.'];

/**
 * The table of contents of a layer, read and verified by the digest in the layer's annotations; undefined for a layer
 * that has none. UnusableTable where it is not what the annotations say, `DIGEST_MISMATCH` where its bytes are wrong.
 */
export async function findTable(layer: Content, signal: AbortSignal): Promise<Table | undefined> {
  const { annotations = {} } = layer.descriptor;
  const prefix = chunkedPrefixes.find((one) => annotations[`${one}manifest-position`] !== undefined);
  if (prefix !== undefined) {
    const position = annotations[`${prefix}manifest-position`] ?? '';
    return zstdTable(layer, { position, digest: annotations[`${prefix}manifest-checksum`] }, signal);
  }
  const digest = annotations[stargzDigest];
  return digest === undefined ? undefined : stargzTable(layer, digest, signal);
}

/**
 * zstd:chunked: the packed JSON lies in a frame that decoders skip, where the annotation says.
 * https://github.com/containers/storage/blob/main/docs/containers-storage-zstd-chunked.md
 */
async function zstdTable(
  layer: Content,
  { position, digest }: { readonly position: string; readonly digest: string | undefined },
  signal: AbortSignal,
): Promise<Table> {
  const [start = 0, length = 0, unpacked = 0, type] = position.split(':').map(Number);
  if (!/^\d{1,15}(?::\d{1,15}){3}$/.test(position) || type !== 1) throw unusable(`is said to be at ${quote(position)}`);
  if (unpacked > mostBytes) throw unusable(`has ${unpacked} bytes, more than ${mostBytes}`);
  const packed = await part(layer, { start, end: start + length }, signal);
  verifyTable(layer, packed, digest);
  const json = await unpack('zstd', packed, unpacked);
  // In front of it stands the header of its frame.
  return parseTable(new TextDecoder().decode(json), 'zstd', start - 8);
}

/** eStargz: the layer's last bytes tell where the gzip member begins that has an archive with the JSON in it. */
async function stargzTable(layer: Content, digest: string, signal: AbortSignal): Promise<Table> {
  const { size } = layer.descriptor;
  const footer = await part(layer, { start: size - footerBytes, end: size }, signal);
  const found = readFooter(footer);
  if (!found) throw unusable('is announced, but the layer does not end as eStargz does');
  const packed = await part(layer, { start: found.start, end: size - found.length }, signal);
  const archive = await unpack('gzip', packed, mostBytes);
  let json: Uint8Array | undefined;
  for await (const { entry, data } of readTar(pieces(archive), unusable)) {
    if (entry.path === 'stargz.index.json') json = await readAll(data, mostBytes, 'a table of contents', unhurried);
  }
  if (!json) throw unusable('is not where the footer says');
  verifyTable(layer, json, digest);
  return parseTable(new TextDecoder().decode(json), 'gzip', found.start);
}

/** Bytes of the footer; the first form of it, stargz, has four less. */
const footerBytes = 51;

/** An empty gzip member with an extra field (RFC 1952, section 2.3), which has the offset in hex, and a name. */
function readFooter(footer: Uint8Array): { readonly start: number; readonly length: number } | undefined {
  const text = String.fromCharCode(...footer);
  const member = [0x1f, 0x8b, 0x08, 0x04];
  const stands = (at: number, bytes: readonly number[]): boolean =>
    bytes.every((byte, index) => footer[at + index] === byte);
  const offsetAt = (at: number): number => {
    const [, hex] = /^([0-9a-f]{16})STARGZ/.exec(text.slice(at)) ?? [];
    return hex === undefined ? Number.NaN : Number.parseInt(hex, 16);
  };
  const now = stands(0, member) && stands(10, [26, 0, 0x53, 0x47, 22, 0]) ? offsetAt(16) : Number.NaN;
  if (!Number.isNaN(now)) return { start: now, length: footerBytes };
  const once = stands(4, member) && stands(14, [22, 0]) ? offsetAt(16) : Number.NaN;
  return Number.isNaN(once) ? undefined : { start: once, length: footerBytes - 4 };
}

/** Milliseconds for what has its own limits below: none. */
const unhurried = Number.POSITIVE_INFINITY;

async function part(
  layer: Content,
  { start, end }: { readonly start: number; readonly end: number },
  signal: AbortSignal,
): Promise<Uint8Array> {
  const { size } = layer.descriptor;
  if (start < 0 || start >= end || end > size) throw unusable(`is said to be at ${start} to ${end} of ${size} bytes`);
  if (end - start > mostBytes) throw unusable(`has ${end - start} bytes, more than ${mostBytes}`);
  return readAll(storedBytes(layer, signal, { start, end }), end - start, 'a table of contents', unhurried);
}

async function unpack(packing: 'gzip' | 'zstd', bytes: Uint8Array, limit: number): Promise<Uint8Array> {
  const decoder = (await loadCodecs())[packing];
  if (!decoder) throw unusable(`is packed as ${packing}, which is not known`);
  try {
    return await readAll(decoder(pieces(bytes), { limit }), limit, 'a table of contents', unhurried);
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'TOO_LARGE') throw unusable(`has more than ${limit} bytes`);
    throw error;
  }
}

/** A layer whose table is not what was promised is not to be believed at all. */
function verifyTable(layer: Content, bytes: Uint8Array, digest: string | undefined): void {
  if (digest === undefined || !isDigest(digest)) throw unusable(`has the digest ${JSON.stringify(digest)}`);
  const found = digestOf(bytes, algorithmOf(digest));
  if (found === digest) return;
  const { digest: name } = layer.descriptor;
  const message = `its table of contents has digest ${found} instead of ${digest}`;
  throw cannot('DIGEST_MISMATCH', `read layer ${quote(name)}`, message);
}

async function* pieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

/**
 * A file's bytes, by one request for its place in the layer alone. Each chunk is verified at its end: `DIGEST_MISMATCH`
 * after its last byte.
 */
export async function* extractedBytes(
  layer: Content,
  { packing }: Table,
  { start, end, skip, chunks }: Extract,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const rest = chunks.values();
  let running = begin(rest.next().value);
  let skipped = 0;
  for await (let bytes of decoded(layer, packing, storedBytes(layer, signal, { start, end }))) {
    const unwanted = Math.min(skip - skipped, bytes.length);
    skipped += unwanted;
    bytes = bytes.subarray(unwanted);
    while (running && bytes.length > 0) {
      const piece = bytes.subarray(0, running.left);
      bytes = bytes.subarray(piece.length);
      running.hasher.update(piece);
      running.left -= piece.length;
      yield piece;
      if (running.left > 0) continue;
      verifyFile(layer, running);
      running = begin(rest.next().value);
    }
    if (!running) return;
  }
  if (running) throw damagedLayer(layer, `a file ends ${running.left} bytes before its table of contents says`);
}

/** A chunk that is being read. */
interface Running {
  readonly chunk: Chunk;
  readonly hasher: Hasher;
  left: number;
}

const begin = (chunk: Chunk | undefined): Running | undefined =>
  chunk && { chunk, hasher: createHasher(chunk.digest), left: chunk.size };

function verifyFile(layer: Content, { chunk, hasher }: Running): void {
  const found = hasher.digest();
  if (found === chunk.digest) return;
  const message = `a part of a file has digest ${found} instead of ${chunk.digest}`;
  throw cannot('DIGEST_MISMATCH', `read layer ${quote(layer.descriptor.digest)}`, message);
}

/** A run of a file's bytes with a digest of its own. */
export interface Chunk {
  /** Bytes of it, unpacked. */
  readonly size: number;
  readonly digest: string;
}

/** Where a file's bytes are in a layer. */
export interface Extract {
  /** Bytes of the layer, as stored: packed units that can be unpacked from `start` on. */
  readonly start: number;
  readonly end: number;
  /** Unpacked bytes in front of the file's first one. */
  readonly skip: number;
  /** One after the other, all of the file. */
  readonly chunks: readonly Chunk[];
}

/** A table of contents: what is in a layer, and where. */
export interface Table {
  readonly packing: 'gzip' | 'zstd';
  /** In the order of the archive. */
  readonly entries: readonly BareEntry[];
  /** Of a file with at least one byte. */
  extractOf(entry: BareEntry): Extract | undefined;
}

/**
 * Reads the JSON that eStargz and zstd:chunked share. `end` is where the files' bytes end in the layer. Throws
 * UnusableTable for a table that is not whole, or whose places lie outside the layer.
 * https://github.com/containerd/stargz-snapshotter/blob/main/docs/estargz.md#toc-tocentries-and-footer
 */
function parseTable(json: string, packing: Table['packing'], end: number): Table {
  const rows = rowsOf(json);
  const starts = sortedStarts(rows, end);
  const extracts = new Map<BareEntry, Extract>();
  const names = { users: new Map<number, string>(), groups: new Map<number, string>() };
  const entries: BareEntry[] = [];
  for (let index = 0; index < rows.length; ) {
    const row = rows[index] ?? {};
    let next = index + 1;
    while (rows[next]?.type === 'chunk') next++;
    const entry = entryOf(row, names);
    entries.push(entry);
    if (entry.type === 'file' && entry.size > 0) {
      extracts.set(entry, extractOf(entry.size, rows.slice(index, next), { starts, end }));
    }
    index = next;
  }
  return { packing, entries, extractOf: (entry) => extracts.get(entry) };
}

/** Where packed units begin, each once, in order. */
function sortedStarts(rows: readonly Row[], end: number): readonly number[] {
  const starts = new Set<number>();
  for (const row of rows) {
    const start = countIn(row, 'offset');
    if (start > end) throw unusable(`has an offset of ${start}, beyond its end at ${end}`);
    if (start > 0) starts.add(start);
  }
  return [...starts].sort((a, b) => a - b);
}

interface Places {
  readonly starts: readonly number[];
  readonly end: number;
}

/** The rows of one file: one that says all, or the first chunk and those after it. */
function extractOf(size: number, rows: readonly Row[], { starts, end }: Places): Extract {
  let at = 0;
  let last = 0;
  const chunks = rows.map((row, index) => {
    const start = countIn(row, 'offset');
    if (countIn(row, 'chunkOffset') !== at || start < last) throw unusable('has chunks out of order');
    const isLast = index === rows.length - 1;
    const told = countIn(row, 'chunkSize');
    const length = told === 0 && isLast ? size - at : told;
    const digest = row.chunkDigest || (rows.length === 1 ? row.digest : undefined);
    if (typeof digest !== 'string' || !isDigest(digest)) throw unusable('has a file without a digest');
    at += length;
    last = start;
    return { size: length, digest };
  });
  if (at !== size) throw unusable(`has chunks of ${at} bytes for a file of ${size}`);
  const [first = {}] = rows;
  const start = countIn(first, 'offset');
  const told = countIn(first, 'endOffset');
  const after = told > last ? told : (starts.find((one) => one > last) ?? end);
  if (start <= 0 || after > end) throw unusable(`has a file at ${start} to ${after}, outside of its ${end} bytes`);
  return { start, end: after, skip: countIn(first, 'innerOffset'), chunks };
}
