import { type BareEntry, cleanPath, dateOf, type FileType } from './entry.ts';

/** A record of the table, not yet checked. */
export type Row = Readonly<Record<string, unknown>>;

/** Types by their names in eStargz and zstd:chunked. */
const types: ReadonlyMap<unknown, FileType> = new Map([
  ['reg', 'file'],
  ['dir', 'directory'],
  ['symlink', 'symlink'],
  ['hardlink', 'hardlink'],
  ['char', 'character-device'],
  ['block', 'block-device'],
  ['fifo', 'fifo'],
]);

/** A table cannot be used; the layer itself may still be read. */
export class UnusableTable extends Error {}

export const unusable = (found: string): UnusableTable => new UnusableTable(`its table of contents ${found}`);

/** The records of a table. The first is one of an entry, not of a later chunk. */
export function rowsOf(json: string): readonly Row[] {
  let table: unknown;
  try {
    table = JSON.parse(json);
  } catch {
    throw unusable('is not JSON');
  }
  const { version, entries } = (table ?? {}) as Row;
  if (version !== 1) throw unusable(`has version ${JSON.stringify(version)}, not 1`);
  if (!Array.isArray(entries) || !entries.every(isRow)) throw unusable('has no list of entries');
  if (entries[0]?.type === 'chunk') throw unusable('begins in the middle of a file');
  // Go writes this for bytes that are not UTF-8: the name cannot be known.
  if (/\uFFFD|\\ufffd/i.test(json)) throw unusable('has names that are not UTF-8');
  return entries;
}

const isRow = (row: unknown): row is Row => typeof row === 'object' && row !== null && !Array.isArray(row);

/** A whole number from 0 on; 0 if the row has none. */
export function countIn(row: Row, key: string): number {
  const value = row[key] ?? 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw unusable(`has ${key} ${JSON.stringify(value)}`);
  }
  return value;
}

/** Names by id: a table has each name only once. */
export interface OwnerNames {
  readonly users: Map<number, string>;
  readonly groups: Map<number, string>;
}

/** The entry that a row describes. */
export function entryOf(row: Row, names: OwnerNames): BareEntry {
  const type = types.get(row.type);
  if (!type) throw unusable(`has an entry of type ${JSON.stringify(row.type)}`);
  const [uid, gid] = [countIn(row, 'uid'), countIn(row, 'gid')];
  const linkName = textIn(row, 'linkName');
  const userName = nameOf(names.users, uid, textIn(row, 'userName'));
  const groupName = nameOf(names.groups, gid, textIn(row, 'groupName'));
  const xattrs = xattrsOf(row.xattrs);
  const isDevice = type === 'character-device' || type === 'block-device';
  return {
    path: cleanPath(textIn(row, 'name')),
    type,
    size: type === 'file' ? countIn(row, 'size') : 0,
    mode: countIn(row, 'mode'),
    uid,
    gid,
    ...(userName && { userName }),
    ...(groupName && { groupName }),
    modified: dateOf(Date.parse(textIn(row, 'modtime')) || 0),
    ...(type === 'symlink' && { linkPath: linkName }),
    ...(type === 'hardlink' && { linkPath: cleanPath(linkName) }),
    ...(isDevice && { deviceMajor: countIn(row, 'devMajor'), deviceMinor: countIn(row, 'devMinor') }),
    ...(xattrs && { xattrs }),
  };
}

function textIn(row: Row, key: string): string {
  const value = row[key] ?? '';
  if (typeof value !== 'string') throw unusable(`has ${key} ${JSON.stringify(value)}`);
  return value;
}

function nameOf(names: Map<number, string>, id: number, name: string): string | undefined {
  if (name !== '') names.set(id, name);
  return names.get(id);
}

/** Values are base64. */
function xattrsOf(value: unknown): Readonly<Record<string, Uint8Array>> | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const pairs = Object.entries(value).map(([key, text]) => [key, fromBase64(text)] as const);
  return pairs.length > 0 ? Object.fromEntries(pairs) : undefined;
}

function fromBase64(text: unknown): Uint8Array {
  try {
    return Uint8Array.from(atob(String(text)), (character) => character.charCodeAt(0));
  } catch {
    throw unusable('has an extended attribute that is not base64');
  }
}
