import { constants, type FileHandle, open, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { RegistryError } from '../errors.ts';
import { createPile } from '../pile.ts';
import { fileError, longestText, type Position, positions, unreadable } from './document/document.ts';
import type { FileRead } from './merge.ts';
import type { ConfigPlace } from './usual-places.ts';

/** Files that were read, and what they say. */
export interface ReadFiles {
  readonly files: readonly string[];
  readonly reads: readonly FileRead[];
}

/** The text of a file; undefined for one that is not there and need not be. */
export async function textOf(place: ConfigPlace): Promise<string | undefined> {
  const bytes = await unlessMissing(place, 'file', () => readBytes(place.path));
  return bytes && decodeText(bytes, place.path);
}

/** The bytes of a file that must be there, at most `most` of them. `INVALID_CONFIG` if it cannot be read. */
export async function readNamed(path: string, most = longestText): Promise<Uint8Array> {
  return (await unlessMissing({ path, named: true }, 'file', () => readBytes(path, { most }))) ?? new Uint8Array();
}

/** The names in a directory, sorted; undefined for one that is not there and need not be. */
export const namesIn = async (place: ConfigPlace): Promise<string[] | undefined> =>
  (await unlessMissing(place, 'directory', () => readdir(place.path)))?.sort();

/** The paths of the files in a directory, sorted by name; empty if it does not exist. */
export async function filesIn(directory: string): Promise<string[]> {
  const paths = ((await namesIn({ path: directory, named: false })) ?? []).map((name) => join(directory, name));
  // Whatever cannot be looked at is reported when it is read.
  const isFile = (path: string): Promise<boolean> =>
    stat(path).then(
      (found) => !found.isDirectory(),
      () => true,
    );
  const kept = await Promise.all(paths.map(isFile));
  return paths.filter((_, index) => kept[index]);
}

async function unlessMissing<T>(
  { path, named }: ConfigPlace,
  kind: 'file' | 'directory',
  work: () => Promise<T>,
): Promise<T | undefined> {
  try {
    return await work();
  } catch (cause) {
    if (cause instanceof RegistryError) throw cause;
    const { code = '', message } = cause as NodeJS.ErrnoException;
    if (!named && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    const found = kind === 'directory' && code === 'ENOTDIR' ? 'it is not a directory' : words.get(code);
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
  ['ELOOP', 'a loop of symbolic links'],
  ['ENAMETOOLONG', 'a name that is too long'],
]);

/** How much is read of a file. */
interface ReadLimits {
  /** Milliseconds in which a pipe must come to its end. */
  readonly limit?: number;
  /** Bytes of the longest file. Default 4 MiB. */
  readonly most?: number;
}

/**
 * The bytes of a configuration file, at most `most` of them. A pipe or a device is read, too, and has `limit` milliseconds
 * to come to its end. `INVALID_CONFIG` for what is longer or takes longer, and for a directory; other failures are the
 * system's.
 */
export async function readBytes(
  path: string,
  { limit = 10_000, most = longestText }: ReadLimits = {},
): Promise<Uint8Array> {
  // Not to block: to open a pipe that nobody writes to would hold a thread, and with it the end of the process, for ever.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const found = await handle.stat();
    if (found.isDirectory()) throw unreadable(path, 'it is a directory');
    if (found.size > most) throw tooLong(path, found.size, most);
    return await readToEnd(handle, path, { limit, most, isPipe: found.isFIFO() });
  } finally {
    await handle.close();
  }
}

const tooLong = (path: string, length: number, most: number): Error =>
  fileError(path, [{ found: `found ${length} bytes, expected at most ${most}` }]);

async function readToEnd(
  handle: FileHandle,
  path: string,
  { limit, most, isPipe }: Required<ReadLimits> & { readonly isPipe: boolean },
): Promise<Uint8Array> {
  const pile = createPile();
  for (const end = performance.now() + limit; performance.now() <= end; ) {
    const chunk = await readNext(handle);
    if (chunk && chunk.length > 0) {
      pile.add(chunk);
      if (pile.size > most) throw tooLong(path, pile.size, most);
      continue;
    }
    // A pipe that nobody has written to yet looks as if it were at its end: no event says which, so it is read again.
    if (chunk && (pile.size > 0 || !isPipe)) return pile.join();
    await wait(20);
  }
  throw unreadable(path, `it is ${isPipe ? 'a pipe' : 'a device'} that did not end within ${limit} ms`);
}

/** What is there to be read, nothing at the end; undefined if something may come later. */
async function readNext(handle: FileHandle): Promise<Buffer | undefined> {
  const chunk = Buffer.allocUnsafe(65_536);
  try {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, null);
    // A copy, as a pipe may give each byte on its own.
    return Buffer.from(chunk.subarray(0, bytesRead));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}

/**
 * The text of a file's bytes, with a byte order mark where it has one. `INVALID_CONFIG` for bytes that are not UTF-8, with
 * the place of the first; they are not shown, as they may be a secret's.
 */
export function decodeText(bytes: Uint8Array, file: string): string {
  if (isUtf16(bytes)) throw fileError(file, [{ at: { line: 1, column: 1 }, found: 'found UTF-16, expected UTF-8' }]);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fileError(file, [{ at: firstWrong(bytes), found: 'found bytes that are not UTF-8, expected UTF-8' }]);
  }
}

/** By its byte order mark, or by every other byte of what should be two letters being zero. */
function isUtf16([first, second, third, fourth]: Uint8Array): boolean {
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true;
  const zeros = [first, second, third, fourth].map((byte) => byte === 0);
  return zeros[0] !== zeros[1] && zeros[0] === zeros[2] && zeros[1] === zeros[3];
}

/** The place of the first byte that is not UTF-8, for which a decoder that forgives puts U+FFFD. */
function firstWrong(bytes: Uint8Array): Position {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  let end = 0;
  let offset = 0;
  for (let at = text.indexOf('\ufffd'); at !== -1; at = text.indexOf('\ufffd', end)) {
    offset += new TextEncoder().encode(text.slice(end, at)).length;
    const [first, second, third] = bytes.subarray(offset, offset + 3);
    // One that was written.
    if (first !== 0xef || second !== 0xbf || third !== 0xbd) return positions(text)(at);
    offset += 3;
    end = at + 1;
  }
  return { line: 1, column: 1 };
}
