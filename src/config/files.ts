import { readdir, readFile } from 'node:fs/promises';
import { RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import type { FileRead } from './merge.ts';
import type { Place } from './usual-places.ts';

/** Files that were read, and what they say. */
export interface Found {
  readonly files: readonly string[];
  readonly reads: readonly FileRead[];
}

/** The text of a file; undefined for one that is not there and need not be. */
export const textOf = (place: Place): Promise<string | undefined> =>
  unlessMissing(place, () => readFile(place.path, 'utf8'));

/** The names in a directory, sorted; undefined for one that is not there and need not be. */
export const namesIn = async (place: Place): Promise<string[] | undefined> =>
  (await unlessMissing(place, () => readdir(place.path)))?.sort();

async function unlessMissing<T>({ path, named }: Place, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (!named && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    throw new RegistryError('INVALID_CONFIG', `Cannot read config file ${quote(path)}: ${message}`, { cause });
  }
}
