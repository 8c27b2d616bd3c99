import { readJson } from '../text/json.ts';
import { type BareEntry, cleanPath, dateOf, type FileType, literalText } from './entry.ts';

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

/** The rows of a table: one for each entry, and one for each further chunk of a file. */
export interface Rows {
  readonly length: number;
  at(index: number): Row;
}

/** Most bytes of a row. */
const mostRowBytes = 1_048_576;

/**
 * The rows in the JSON of a table. They stay bytes, and each is parsed when it is needed, since the rows of a large layer
 * take ten times as much memory as objects. The first is one of an entry.
 */
export function rowsOf(json: Uint8Array): Rows {
  const { places, listStart, listEnd } = findRows(json);
  const [head, tail] = [json.subarray(0, listStart), json.subarray(listEnd)];
  const { version, entries } = (parsed(`${decoder.decode(head)}${decoder.decode(tail)}`) ?? {}) as Row;
  if (version !== 1) throw unusable(`has version ${JSON.stringify(version)}, not 1`);
  if (!Array.isArray(entries)) throw unusable('has no list of entries');
  const at = (index: number): Row => {
    const text = decoder.decode(json.subarray(places[2 * index], places[2 * index + 1]));
    // Go writes this for bytes that are not UTF-8, and so does the decoder: the name cannot be known.
    if (/\uFFFD|\\ufffd|\\ud[89a-f]/i.test(text)) throw unusable('has names that are not UTF-8');
    return (parsed(text) ?? {}) as Row;
  };
  if (places.length > 0 && at(0).type === 'chunk') throw unusable('begins in the middle of a file');
  return { length: places.length / 2, at };
}

const decoder = new TextDecoder();

function parsed(text: string): unknown {
  const read = readJson(text);
  if ('found' in read) throw unusable(`is ${read.found}`);
  return read.value;
}

/** Where the rows are in the JSON: the objects in the list of the key `entries`, start and end of each in turn. */
function findRows(json: Uint8Array) {
  let places = new Uint32Array(1024);
  let count = 0;
  let depth = 0;
  let [textStart, listStart, listEnd] = [0, 0, 0];
  let isText = false;
  let key = '';
  for (let at = 0; at < json.length; at++) {
    const letter = json[at] ?? 0;
    const isInList = depth === 2 && listStart > listEnd;
    if (isText) {
      if (letter === 0x5c) at += 1;
      else if (letter === 0x22) {
        isText = false;
        if (depth === 1) key = decoder.decode(json.subarray(textStart, Math.min(at, textStart + 20)));
      }
    } else if (letter === 0x22) {
      isText = true;
      textStart = at + 1;
    } else if (letter === 0x7b || letter === 0x5b) {
      depth += 1;
      if (depth === 2 && key === 'entries') {
        if (letter !== 0x5b || listStart > 0) throw unusable('has no list of entries');
        listStart = at + 1;
      } else if (isInList && letter === 0x7b) {
        if (count + 2 > places.length) places = grown(places);
        places[count] = at;
      }
    } else if (letter === 0x7d || letter === 0x5d) {
      depth -= 1;
      if (depth === 2 && listStart > listEnd) {
        if (at - (places[count] ?? 0) > mostRowBytes) throw unusable(`has a row of more than ${mostRowBytes} bytes`);
        places[count + 1] = at + 1;
        count += 2;
      } else if (isInList) listEnd = at;
    }
    if (isInList && !isBetweenRows(letter)) throw unusable('has no list of entries');
  }
  return { places: places.subarray(0, count), listStart, listEnd };
}

function grown(places: Uint32Array): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(2 * places.length);
  larger.set(places);
  return larger;
}

/** Whether a byte may come between the rows, or begins or ends something there: `{`, `]`, `,` and whitespace. */
const isBetweenRows = (letter: number): boolean => [0x7b, 0x5d, 0x2c, 0x20, 0x09, 0x0a, 0x0d].includes(letter);

/** A whole number from 0 on; 0 if the row has none. */
export function countIn(row: Row, key: string): number {
  const value = row[key] ?? 0;
  if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < 0) {
    throw unusable(`has ${key} ${JSON.stringify(value)}`);
  }
  return value;
}

/** Most names of users, and of groups. */
const mostNames = 10_000;

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
  const linkName = literalText(textIn(row, 'linkName'));
  const userName = nameOf(names.users, uid, textIn(row, 'userName'));
  const groupName = nameOf(names.groups, gid, textIn(row, 'groupName'));
  const xattrs = xattrsOf(row.xattrs);
  const isDevice = type === 'character-device' || type === 'block-device';
  return {
    path: cleanPath(literalText(textIn(row, 'name'))),
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
  if (name !== '' && names.size < mostNames) names.set(id, name);
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
