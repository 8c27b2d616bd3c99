import { allFiles } from '../../config/document/document.ts';
import { below, directoryOf } from '../../config/document/parts.ts';
import { decodeText, readNamed } from '../../config/files.ts';
import { formatOf, type OwnConfigPlace, readSettings } from '../../config/own/read.ts';
import { parseCloudRanges } from './cloud-ranges.ts';
import { type FrontOptions, frontFileSchema, frontProblems } from './front-options.ts';

/** What a file says of a front: the names of files in place of the clouds' addresses. */
export interface FrontFile extends Omit<FrontOptions, 'ranges' | 'transport' | 'onEvent'> {
  /** Paths of files that `parseCloudRanges` reads; relative ones are relative to the directory of this file. */
  readonly ranges?: readonly string[] | undefined;
}

/**
 * Reads the file of a front, in YAML, JSON or TOML, without opening those that it names. `INVALID_CONFIG` with all problems, each
 * with `file:line:column`, what was found and what was expected.
 */
export function readFront(text: string, { file, format }: OwnConfigPlace): FrontFile {
  const { value } = readSettings(text, { file, format }, (found) => frontProblems(found, frontFileSchema));
  const { ranges, ...rest } = value as FrontFile;
  return { ...rest, ...(ranges && { ranges: ranges.map((path) => below(directoryOf(file), path)) }) };
}

/** Most bytes of a file of cloud ranges. Amazon's has 2.5 MiB, Azure's 5. */
const rangeBytes = 64 * 1_048_576;

/** What `loadFront` gives. */
export async function readFrontFiles(path: string): Promise<FrontOptions> {
  const text = decodeText(await readNamed(path), path);
  const { ranges = [], ...options } = readFront(text, { file: path, format: formatOf(path) });
  const read = await allFiles(
    ranges.map(async (file) => parseCloudRanges(decodeText(await readNamed(file, rangeBytes), file), file)),
  );
  return { ...options, ranges: read.flat() };
}
