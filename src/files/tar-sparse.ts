import type { Blocks } from './tar-blocks.ts';
import { blockBytes, parseNumber, type Refuse, type TarHeader } from './tar-header.ts';
import { countOf, type PaxRecords, parseCount, recordOf } from './tar-pax.ts';
import { textOf } from './text.ts';

/** A part of a sparse file that is in the archive; what lies between is zeros. */
export interface Extent {
  readonly offset: number;
  readonly length: number;
}

/** A file with holes. */
export interface Sparse {
  /** Bytes of the file, holes and all. */
  readonly size: number;
  readonly extents: readonly Extent[];
}

/** Most blocks of a list of parts: 1 MiB. */
const mostBlocks = 2048;

/**
 * Reads the list of parts of a sparse file, wherever its format has it; undefined for a file that is not sparse. What is
 * left of the content after that are the parts.
 * https://www.gnu.org/software/tar/manual/html_section/Sparse-Formats.html
 */
export async function readSparse(
  { flag, isGnu, block }: TarHeader,
  records: PaxRecords,
  blocks: Blocks,
): Promise<Sparse | undefined> {
  const { refuse } = blocks;
  if (flag === 'S') {
    if (!isGnu) throw refuse('a sparse file of a format that is not known');
    const size = parseNumber(block.subarray(483, 495), 'sparse size', refuse);
    return checked({ size, extents: await extentsOfBlocks(block, blocks) }, blocks.left, refuse);
  }
  const format = formatOf(records, refuse);
  if (!format) return undefined;
  const size = countOf(records, 'GNU.sparse.realsize', refuse) ?? countOf(records, 'GNU.sparse.size', refuse);
  if (size === undefined) throw refuse('a sparse file without its size');
  const extents = format === 'records' ? extentsOfRecords(records, refuse) : await extentsOfData(blocks);
  return checked({ size, extents }, blocks.left, refuse);
}

/** Where the extended header says that the parts are listed. */
function formatOf(records: PaxRecords, refuse: Refuse): 'records' | 'data' | undefined {
  const major = recordOf(records, 'GNU.sparse.major');
  const minor = recordOf(records, 'GNU.sparse.minor');
  const version = major === undefined && minor === undefined ? undefined : `${major}.${minor}`;
  if (version === '1.0') return 'data';
  if (version !== undefined && version !== '0.0' && version !== '0.1')
    throw refuse(`a sparse file of version ${version}`);
  return records.some(([key]) => /^GNU\.sparse\.(?:map|offset|numblocks)$/.test(key)) ? 'records' : undefined;
}

/** Refuses parts that overlap, lie beyond the end, or are not as long together as what the archive holds of the file. */
function checked(sparse: Sparse, stored: number, refuse: Refuse): Sparse {
  let end = 0;
  let sum = 0;
  for (const { offset, length } of sparse.extents) {
    const isFit = offset >= end && length >= 0 && offset + length <= sparse.size;
    if (!isFit) throw refuse('a sparse file whose parts do not fit');
    end = offset + length;
    sum += length;
  }
  if (sum !== stored) throw refuse(`a sparse file of ${stored} stored bytes whose parts are ${sum}`);
  return sparse;
}

/** The parts that the extended header lists: one after the other (0.0), or all in one record (0.1). */
function extentsOfRecords(records: PaxRecords, refuse: Refuse): readonly Extent[] {
  const single = records.filter(([key]) => key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes');
  const inOrder = single.every(([key], index) => key === `GNU.sparse.${index % 2 === 0 ? 'offset' : 'numbytes'}`);
  if (!inOrder) throw refuse('a sparse file whose parts are out of order');
  const map = recordOf(records, 'GNU.sparse.map');
  const texts = single.length > 0 ? single.map(([, value]) => textOf(value)) : (map?.split(',') ?? []);
  const extents = pairs(texts, refuse);
  if (countOf(records, 'GNU.sparse.numblocks', refuse) !== extents.length) {
    throw refuse(`a sparse file of ${extents.length} parts that says it has another number of them`);
  }
  return extents;
}

/** The parts listed in the old GNU format: in the header, and in blocks of their own after it. */
async function extentsOfBlocks(header: Uint8Array, blocks: Blocks): Promise<readonly Extent[]> {
  const { refuse } = blocks;
  const extents: Extent[] = [];
  let more = header[482];
  let fields = header.subarray(386, 482);
  for (let count = 0; ; count++) {
    // Pairs of twelve digits each; those that are not used are empty.
    for (let at = 0; at + 24 <= fields.length && fields[at] !== 0; at += 24) {
      const offset = parseNumber(fields.subarray(at, at + 12), 'sparse offset', refuse);
      extents.push({ offset, length: parseNumber(fields.subarray(at + 12, at + 24), 'sparse length', refuse) });
    }
    if (!more) return extents;
    if (count === mostBlocks) throw refuse(`a sparse file whose parts fill more than ${mostBlocks} blocks`);
    const block = await blocks.block();
    more = block[504];
    fields = block.subarray(0, 504);
  }
}

/**
 * The parts listed in front of the data (1.0): decimal numbers, one a line, how many there are first, filled up to
 * whole blocks. `next` gives the next block.
 */
async function extentsOfData(blocks: Blocks): Promise<readonly Extent[]> {
  const { refuse } = blocks;
  let rest = '';
  let count = 0;
  const lines: string[] = [];
  const readTo = async (wanted: number): Promise<void> => {
    while (lines.length < wanted) {
      count += 1;
      if (count > mostBlocks) throw refuse(`a sparse file whose parts fill more than ${mostBlocks} blocks`);
      const parts = (rest + textOf(await blocks.content(blockBytes))).split('\n');
      rest = parts.pop() ?? '';
      lines.push(...parts);
    }
  };
  await readTo(1);
  const end = 1 + 2 * parseCount(lines[0] ?? '', 'number of sparse parts', refuse);
  await readTo(end);
  return pairs(lines.slice(1, end), refuse);
}

function pairs(texts: readonly string[], refuse: Refuse): readonly Extent[] {
  if (texts.length % 2 === 1) throw refuse('a sparse file with a part that has no length');
  return Array.from({ length: texts.length / 2 }, (_, index) => ({
    offset: parseCount(texts[index * 2] ?? '', 'sparse offset', refuse),
    length: parseCount(texts[index * 2 + 1] ?? '', 'sparse length', refuse),
  }));
}
