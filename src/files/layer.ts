import { deadline } from '../abort.ts';
import type { Content } from '../content/content.ts';
import { cannot, type RegistryError } from '../errors.ts';
import { checkOptions } from '../text/problems.ts';
import { quote } from '../text/quote.ts';
import { type BareEntry, cleanPath, type FileEntry } from './entry.ts';
import { checkLayerType, damagedLayer } from './layer-bytes.ts';
import { createLayerFile, type LayerFile } from './layer-file.ts';
import { mostLinks } from './layer-tree.ts';
import {
  archiveOf,
  createSoughtPaths,
  type FilesOptions,
  filesChecks,
  type LocateContext,
  type Located,
  locate,
  type OpenFileOptions,
  openFileChecks,
  type ReadContext,
  tableOf,
} from './locate.ts';

/**
 * The entries of a layer (tar, also packed with gzip or zstd) in the order of the archive, whiteouts (`.wh.`) as they are.
 * Leaving the loop frees the connection. If the layer has a table of contents, only that is read (`unindexed`).
 * A duplicate path is listed twice: unpacking keeps the last, `openFile` reads the first.
 *
 * `INVALID_CONFIG` for unknown options, `DECODE_ERROR` for what is not a whole archive, `UNSUPPORTED` for other packings, encrypted layers and unknown types of
 * entries, and `DIGEST_MISMATCH` for wrong bytes: of a layer at its end, of a table of contents at once.
 */
export async function* listFiles(
  layer: Content,
  options: FilesOptions = {},
): AsyncGenerator<FileEntry, void, undefined> {
  checkOptions('list files', options, filesChecks);
  yield* entriesOf(layer, options);
}

/** As `listFiles`, with options that were checked. */
export async function* entriesOf(layer: Content, options: FilesOptions): AsyncGenerator<FileEntry, void, undefined> {
  checkLayerType(layer);
  const { digest } = layer.descriptor;
  const limit = deadline(options.signal);
  try {
    const table = await tableOf(layer, options, limit.signal);
    for (const index of table?.paths.keys() ?? []) if (table) yield { ...table.entryAt(index), layer: digest };
    if (table) return;
    for await (const { entry } of archiveOf(layer, limit.signal)) yield { ...entry, layer: digest };
  } finally {
    limit.end();
  }
}

/**
 * A file of a layer, by its path from the root. The layer is read up to the file and, once the file was read, no further.
 * With a table of contents only the file's own bytes are read. A hard link is what it links to in the same layer; symbolic
 * links are not followed, since they may lead to another layer (`client.files` follows them). Of a duplicate path the
 * first is read, although unpacking keeps the last: with `verify` the bytes then end with `BAD_RESPONSE`. With a table of
 * contents the last is read.
 *
 * `NOT_FOUND` with the path that comes nearest, `UNSUPPORTED` for what is not a file; other
 * errors as those of `listFiles`.
 */
export async function openFile(layer: Content, path: string, options: OpenFileOptions = {}): Promise<LayerFile> {
  checkOptions(`open ${quote(path)}`, options, openFileChecks);
  checkLayerType(layer);
  const where = `layer ${quote(layer.descriptor.digest)}`;
  const limit = deadline(options.signal);
  try {
    const nearest = createNearestPath(cleanPath(path));
    const onEntry = ({ path }: Pick<BareEntry, 'path'>): undefined => {
      nearest.add(path);
    };
    const context: LocateContext = { ...options, limit, sought: createSoughtPaths() };
    const located = await locate(layer, cleanPath(path), { ...context, onEntry });
    if (!located) {
      const details = { value: path, reason: 'path' } as const;
      throw cannot('NOT_FOUND', `open ${quote(path)} in ${where}`, `not there${nearest.hint}`, details);
    }
    const target = await followHardLinks(layer, located, context);
    const entry = { ...target.entry, path: located.entry.path, layer: layer.descriptor.digest };
    return await openLocated({ ...target, entry }, context, where);
  } catch (error) {
    limit.end();
    throw error;
  }
}

async function followHardLinks(layer: Content, located: Located, context: LocateContext): Promise<Located> {
  const { path } = located.entry;
  let found: Located | undefined = located;
  for (let links = 0; found.entry.type === 'hardlink'; links++) {
    const linkPath: string = found.entry.linkPath ?? '';
    await found.release();
    found = links < mostLinks ? await locate(layer, linkPath, context) : undefined;
    if (!found) throw brokenHardLink(layer, { path, linkPath });
  }
  return found;
}

/** The error of a hard link whose target is not there. */
export const brokenHardLink = (
  layer: Content,
  { path, linkPath }: Pick<BareEntry, 'path' | 'linkPath'>,
): RegistryError => damagedLayer(layer, `${quote(path)} is a hard link to ${quote(linkPath)}, which is not there`);

/** Opens a located file; anything else is released and refused. */
export async function openLocated(
  { entry, ...content }: Located & { readonly entry: FileEntry },
  { limit }: ReadContext,
  where: string,
): Promise<LayerFile> {
  if (entry.type === 'file') return createLayerFile({ ...content, entry, limit });
  await content.release();
  throw notAFile(entry, where);
}

/** `UNSUPPORTED`: only files have content. */
export function notAFile(
  { path, type, linkPath }: Pick<BareEntry, 'path' | 'type' | 'linkPath'>,
  where: string,
  reference?: string,
): RegistryError {
  const kind = type === 'symlink' ? `a symbolic link to ${quote(linkPath)}` : `a ${type}`;
  return cannot('UNSUPPORTED', `open ${quote(path)} in ${where}`, `it is ${kind}, not a file`, {
    value: path,
    reference,
  });
}

/** Looks for the path that was probably meant by a wrong one. */
export interface NearestPath {
  /** A path that exists. */
  add(path: string): void;
  /** `, did you mean "usr/bin/env"?`, or nothing. */
  readonly hint: string;
}

/**
 * Paths are alike if they differ only in case, have the same name, or are in the same directory and begin alike. Nothing
 * that takes longer is compared, since every entry of a layer is.
 */
export function createNearestPath(wanted: string): NearestPath {
  const lower = wanted.toLowerCase();
  const name = lastName(lower);
  const directory = lower.slice(0, lower.length - name.length);
  let best: string | undefined;
  let highest = 0;
  const likeness = (path: string): number => {
    const other = path.toLowerCase();
    if (other === lower) return 1000;
    if (lastName(other) === name) return 500;
    return other.startsWith(directory) ? commonLength(lastName(other), name) : 0;
  };
  return {
    add: (path) => {
      const found = likeness(path);
      if (found <= highest) return;
      highest = found;
      best = path;
    },
    get hint() {
      return best === undefined ? '' : `, did you mean ${JSON.stringify(best.slice(0, 300))}?`;
    },
  };
}

const lastName = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Letters that two names both begin with, if that is at least half of either; otherwise 0. */
function commonLength(first: string, second: string): number {
  let count = 0;
  while (count < first.length && count < 400 && first[count] === second[count]) count++;
  return count * 2 >= Math.max(first.length, second.length) ? count : 0;
}
