import { isDigest } from '../oci/digest.ts';
import type { BareEntry } from './entry.ts';
import { countIn, entryOf, type Row, rowsOf, unusable } from './table-rows.ts';

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
export function parseTable(json: string, packing: Table['packing'], end: number): Table {
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
