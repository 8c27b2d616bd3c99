import { deadline } from '../abort.ts';
import type { Content } from '../content/content.ts';
import { cannot, type RegistryError } from '../errors.ts';
import { quote } from '../text/quote.ts';
import { type BareEntry, cleanPath, type FileEntry } from './entry.ts';
import { damagedLayer, mustBeLayer } from './layer-bytes.ts';
import { createLayerFile, type LayerFile } from './layer-file.ts';
import { mostLinks } from './layer-tree.ts';
import { archiveOf, type LocateContext, type Located, locate, nothingAsked, tableOf } from './locate.ts';

import type { FilesOptions, OpenFileOptions } from './options.ts';

/** Most hard links to hard links. */

/**
 * What is in a layer: tar, also packed with gzip or zstd, in the order of the archive, whiteouts (`.wh.`) as they are.
 * Leaving the loop frees the connection. Of a layer with a table of contents only that is read (`unindexed`).
 * A path that is there twice is told twice: unpacking keeps the last, `openFile` reads the first it comes to.
 *
 * `DECODE_ERROR` for what is no whole archive, `UNSUPPORTED` for other packings, encrypted layers and sparse files of the
 * old GNU format, and `DIGEST_MISMATCH` at the end of a layer, or for a table of contents, whose bytes are wrong.
 */
export async function* listFiles(
  layer: Content,
  options: FilesOptions = {},
): AsyncGenerator<FileEntry, void, undefined> {
  mustBeLayer(layer);
  const { digest } = layer.descriptor;
  const limit = deadline(options.signal);
  try {
    const table = await tableOf(layer, options, limit.signal);
    for (const entry of table?.entries ?? []) yield { ...entry, layer: digest };
    if (table) return;
    for await (const { entry } of archiveOf(layer, limit.signal)) yield { ...entry, layer: digest };
  } finally {
    limit.end();
  }
}

/**
 * A file of a layer, by its path from the root. The layer is read up to the file and, when it was read, no further. With
 * a table of contents only the file's own bytes are. A hard link is what it links to in the same layer; symbolic links are
 * not followed, as what they lead to may be in another layer (`client.files` does). Of a path that is there twice the
 * first one is read, where unpacking keeps the last: with `verify` the bytes then end with `BAD_RESPONSE`. A table of
 * contents tells the last.
 *
 * `NOT_FOUND` with the path that comes nearest, `UNSUPPORTED` for what is no file, and when a sparse file is read; further
 * errors as `listFiles`.
 */
export async function openFile(layer: Content, path: string, options: OpenFileOptions = {}): Promise<LayerFile> {
  mustBeLayer(layer);
  const limit = deadline(options.signal);
  try {
    const nearest = createNearestPath(cleanPath(path));
    const see = ({ path: seen }: BareEntry): undefined => {
      nearest.see(seen);
    };
    const context: LocateContext = { ...options, limit, asked: nothingAsked() };
    const first = await locate(layer, cleanPath(path), { ...context, see });
    if (!first) {
      const found = `not there${nearest.hint}`;
      throw cannot('NOT_FOUND', `open ${quote(path)} in layer ${shown(layer)}`, found, { value: path, reason: 'path' });
    }
    return await openLocated(layer, first, context);
  } catch (error) {
    limit.end();
    throw error;
  }
}

/** What was located, as a file; a hard link as what it links to. Ends it otherwise. */
async function openLocated(layer: Content, located: Located, context: LocateContext): Promise<LayerFile> {
  const { path } = located.entry;
  let found: Located | undefined = located;
  for (let links = 0; found.entry.type === 'hardlink'; links++) {
    const linkPath: string = found.entry.linkPath ?? '';
    await found.release();
    found = links < mostLinks ? await locate(layer, linkPath, context) : undefined;
    if (!found) throw lostLink(layer, { path, linkPath });
  }
  const { digest } = layer.descriptor;
  return fileOf({ ...found, entry: { ...found.entry, path, layer: digest } }, context, `layer ${shown(layer)}`);
}

/** The error of a hard link that leads nowhere. */
export const lostLink = (layer: Content, { path, linkPath }: Pick<BareEntry, 'path' | 'linkPath'>): RegistryError =>
  damagedLayer(layer, `${quote(path)} is a hard link to ${quote(linkPath)}, which is not there`);

/** What was located, under the name that `entry` has, where it is a file. Ends it otherwise. */
export async function fileOf(
  { entry, ...reading }: Located & { readonly entry: FileEntry },
  { limit }: LocateContext,
  where: string,
): Promise<LayerFile> {
  if (entry.type === 'file') return createLayerFile({ ...reading, entry, limit });
  await reading.release();
  throw noFile(entry, where);
}

/** `UNSUPPORTED`: only files have content. */
export function noFile(
  { path, type, linkPath }: Pick<BareEntry, 'path' | 'type' | 'linkPath'>,
  where: string,
): RegistryError {
  const kind = type === 'symlink' ? `a symbolic link to ${quote(linkPath)}` : `a ${type}`;
  return cannot('UNSUPPORTED', `open ${quote(path)} in ${where}`, `it is ${kind}, not a file`);
}

const shown = (layer: Content): string => quote(layer.descriptor.digest);

/** Looks for the path that a wrong one was meant to be, among those that come by. */
export interface NearestPath {
  /** Paths that there are. */
  see(path: string): void;
  /** `, did you mean "usr/bin/env"?`, or nothing. */
  readonly hint: string;
}

/**
 * How alike two paths are: the same but for case, the same name elsewhere, or a neighbour that begins alike. Nothing that
 * takes longer: it is asked of every entry of a layer.
 */
export function createNearestPath(wanted: string): NearestPath {
  const lower = wanted.toLowerCase();
  const name = nameOf(lower);
  const directory = lower.slice(0, lower.length - name.length);
  let best: string | undefined;
  let most = 0;
  const likeness = (path: string): number => {
    const other = path.toLowerCase();
    if (other === lower) return 1000;
    if (nameOf(other) === name) return 500;
    return other.startsWith(directory) ? alike(nameOf(other), name) : 0;
  };
  return {
    see: (path) => {
      const found = likeness(path);
      if (found <= most) return;
      most = found;
      best = path;
    },
    get hint() {
      return best === undefined ? '' : `, did you mean ${JSON.stringify(best.slice(0, 300))}?`;
    },
  };
}

const nameOf = (path: string): string => path.slice(path.lastIndexOf('/') + 1);

/** Letters that two names begin with, where that is at least half of either; 0 otherwise. */
function alike(first: string, second: string): number {
  let count = 0;
  while (count < first.length && count < 400 && first[count] === second[count]) count++;
  return count * 2 >= Math.max(first.length, second.length) ? count : 0;
}
