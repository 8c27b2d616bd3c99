import { textOf } from './entry.ts';

/** The fields of a header block; bytes where a text need not be UTF-8. */
export interface TarHeader {
  /** `0` for a file; also of old archives, which have a NUL. */
  readonly flag: string;
  readonly name: Uint8Array;
  readonly link: Uint8Array;
  /** NaN for what is not a number. */
  readonly size: number;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Seconds since 1970. */
  readonly modified: number;
  readonly userName: string;
  readonly groupName: string;
  readonly deviceMajor: number;
  readonly deviceMinor: number;
}

/** Makes the error for an archive that cannot be read, from what was found. */
export type Refuse = (found: string, code?: 'UNSUPPORTED' | 'TOO_LARGE') => Error;

/** Bytes of a block. A header is one block; contents are padded to whole blocks. */
export const blockBytes = 512;

/** Undefined for what is not a header. */
export function parseHeader(block: Uint8Array): TarHeader | undefined {
  if (!hasChecksum(block)) return undefined;
  const text = (start: number, length: number): Uint8Array => untilNul(block.subarray(start, start + length));
  const number = (start: number, length: number): number => numberOf(block.subarray(start, start + length));
  const name = text(0, 100);
  const isUstar = letters(block.subarray(257, 263)) === 'ustar\0';
  const prefix = isUstar ? text(345, 155) : new Uint8Array(0);
  return {
    flag: block[156] === 0 ? '0' : letters(block.subarray(156, 157)),
    name: prefix.length > 0 ? Uint8Array.from([...prefix, 0x2f, ...name]) : name,
    link: text(157, 100),
    size: number(124, 12),
    mode: number(100, 8),
    uid: number(108, 8),
    gid: number(116, 8),
    modified: number(136, 12),
    userName: textOf(text(265, 32)),
    groupName: textOf(text(297, 32)),
    deviceMajor: number(329, 8),
    deviceMinor: number(337, 8),
  };
}

/** Old writers added the bytes as signed. */
function hasChecksum(block: Uint8Array): boolean {
  let [unsigned, signed] = [0, 0];
  for (let at = 0; at < blockBytes; at++) {
    const byte = at >= 148 && at < 156 ? 0x20 : (block[at] ?? 0);
    unsigned += byte;
    signed += byte < 0x80 ? byte : byte - 0x100;
  }
  const stored = numberOf(block.subarray(148, 156));
  return stored === unsigned || stored === signed;
}

export function untilNul(bytes: Uint8Array): Uint8Array {
  const end = bytes.indexOf(0);
  return end === -1 ? bytes : bytes.subarray(0, end);
}

/** One letter for each byte. */
const letters = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** Octal between spaces and NULs or, if the first bit is set, of base 256. */
export function numberOf(field: Uint8Array): number {
  const [first = 0] = field;
  if (first < 0x80) {
    const [digits = ''] = letters(field).trimStart().split(/[ \0]/, 1);
    return digits === '' ? 0 : Number.parseInt(digits, 8);
  }
  if (first !== 0x80 && first !== 0xff) return Number.NaN;
  let value = first === 0xff ? -1 : 0;
  for (const byte of field.subarray(1)) value = value * 256 + byte;
  return value;
}

/** The list of the parts of a sparse file, in the form of version 0.1; version 0.0 has a record for each number. */
export const sparseMap = 'GNU.sparse.map';
const sparseParts: readonly string[] = ['GNU.sparse.offset', 'GNU.sparse.numbytes'];

/** Keys of extended attributes, which may be empty. */
export const xattrPrefix = 'SCHILY.xattr.';

/** The records of an extended header by key, as far as they are well-formed; the last of a key counts. */
export function parseRecords(bytes: Uint8Array): ReadonlyMap<string, Uint8Array> {
  const records = new Map<string, Uint8Array>();
  const parts: string[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const length = space === -1 || space > at + 10 ? 0 : Number(letters(bytes.subarray(at, space)));
    const record = bytes.subarray(space + 1, at + length - 1);
    const equals = record.indexOf(0x3d);
    if (!(length > 0) || at + length > bytes.length || equals === -1) break;
    const key = textOf(record.subarray(0, equals));
    const value = record.subarray(equals + 1);
    if (sparseParts.includes(key)) parts.push(textOf(value));
    else if (value.length > 0 || key.startsWith(xattrPrefix)) records.set(key, value);
    // No value: as if there were no record.
    else records.delete(key);
    at += length;
  }
  if (parts.length > 0) records.set(sparseMap, new TextEncoder().encode(parts.join(',')));
  return records;
}
