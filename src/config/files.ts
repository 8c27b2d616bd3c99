import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { RegistryError } from '../errors.ts';
import { unreadable } from './file-problems.ts';
import type { FileRead } from './merge.ts';
import { readBytes } from './read-file.ts';
import type { Place } from './usual-places.ts';
import { decodeText } from './utf8.ts';

/** Files that were read, and what they say. */
export interface Found {
  readonly files: readonly string[];
  readonly reads: readonly FileRead[];
}

/** The text of a file; undefined for one that is not there and need not be. */
export async function textOf(place: Place): Promise<string | undefined> {
  const bytes = await unlessMissing(place, 'file', () => readBytes(place.path));
  return bytes && decodeText(bytes, place.path);
}

/** The names in a directory, sorted; undefined for one that is not there and need not be. */
export const namesIn = async (place: Place): Promise<string[] | undefined> =>
  (await unlessMissing(place, 'directory', () => readdir(place.path)))?.sort();

/** The paths of what is in a directory and is itself none, sorted by name; none where there is no such directory. */
export async function filesIn(directory: string): Promise<string[]> {
  const paths = ((await namesIn({ path: directory, named: false })) ?? []).map((name) => join(directory, name));
  // What is not there to be looked at is told when it is read.
  const isFile = (path: string): Promise<boolean> =>
    stat(path).then(
      (found) => !found.isDirectory(),
      () => true,
    );
  const kept = await Promise.all(paths.map(isFile));
  return paths.filter((_, index) => kept[index]);
}

type Kind = 'file' | 'directory';

async function unlessMissing<T>({ path, named }: Place, kind: Kind, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    const { code = '', message } = cause as NodeJS.ErrnoException;
    if (!named && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    const found = kind === 'directory' && code === 'ENOTDIR' ? 'it is no directory' : words.get(code);
    throw unreadable(path, found ?? (code === 'ENOENT' ? `no such ${kind}` : message), kind, cause);
  }
}

/** Failures of the system, by its code. */
const words: ReadonlyMap<string, string> = new Map([
  ['ENOTDIR', 'no such file'],
  ['EACCES', 'permission denied'],
  ['EPERM', 'permission denied'],
  ['EISDIR', 'it is a directory'],
  ['ENXIO', 'it is a socket'],
  ['ELOOP', 'links that lead nowhere'],
  ['ENAMETOOLONG', 'a name that is too long'],
]);
