import type { Content } from '../content/content.ts';
import { RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import { findTable } from './find-table.ts';
import { noArchive, storedBytes, unpacked } from './layer-bytes.ts';
import type { FilesOptions } from './options.ts';
import type { Table } from './table.ts';
import { UnusableTable } from './table-rows.ts';
import { readTar, type TarFile } from './tar.ts';

/** The entries of a layer, out of the layer itself, from its beginning on. It ends only when the digest was right. */
export const archiveOf = (layer: Content, signal: AbortSignal): AsyncGenerator<TarFile, void> =>
  readTar(unpacked(layer, storedBytes(layer, signal)), (found, code) => noArchive(layer, found, code));

/** Tables that were read, as long as their layer is open; none for a layer whose table cannot be used. */
const tables = new WeakMap<Content, { readonly table: Table | undefined }>();

/** The table of contents of a layer; undefined where it has none, where it cannot be used, and where it is not wanted. */
export async function tableOf(
  layer: Content,
  { unindexed = false, onWarning }: FilesOptions,
  signal: AbortSignal,
): Promise<Table | undefined> {
  if (unindexed) return undefined;
  const known = tables.get(layer);
  if (known) return known.table;
  let table: Table | undefined;
  try {
    table = await findTable(layer, signal);
  } catch (error) {
    if (!(error instanceof Error) || !isPassable(error)) throw error;
    onWarning?.(`Layer ${quote(layer.descriptor.digest)} is read from its beginning: ${error.message}`);
  }
  tables.set(layer, { table });
  return table;
}

/** Hosts that give no ranges give the whole: `BAD_RESPONSE`, where the table lies too far in it to drop all before. */
const isPassable = (error: Error): boolean =>
  error instanceof UnusableTable || (error instanceof RegistryError && error.code === 'BAD_RESPONSE');
