import { textField } from './text.ts';

/** Makes the error for an archive that is not what it should be, out of what was found. */
export type Refuse = (found: string) => Error;

/** Bytes of a block; headers are one, contents are filled up to whole ones. */
export const blockBytes = 512;

/** A header block, before extended headers change what it says. */
export interface TarHeader {
  /** The type flag: `0` file, `5` directory, `x` extended header …; empty for the NUL of old archives. */
  readonly flag: string;
  readonly name: string;
  readonly linkName: string;
  /** Bytes in the archive, as the field says. */
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
  /** Written in the old GNU format. */
  readonly isGnu: boolean;
  /** The block itself. */
  readonly block: Uint8Array;
}

/**
 * Reads a header block of any format: V7, ustar, pax, star, GNU. Where formats leave a choice it is Go's, as Go programs
 * write and extract layers. https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06
 */
export function parseHeader(block: Uint8Array, refuse: Refuse): TarHeader {
  checkSum(block, refuse);
  const text = (start: number, length: number): string => textField(block.subarray(start, start + length));
  const number = (start: number, length: number, what: string): number =>
    parseNumber(block.subarray(start, start + length), what, refuse);
  const magic = latin(block.subarray(257, 265));
  const isUstar = magic.startsWith('ustar\0');
  const isGnu = magic === 'ustar  \0';
  const isStar = isUstar && latin(block.subarray(508)) === 'tar\0';
  const hasOwners = isUstar || isGnu;
  const prefix = isStar ? text(345, 131) : isUstar ? text(345, 155) : isGnu ? strayPrefix(block) : '';
  const size = number(124, 12, 'size');
  if (size < 0) throw refuse(`a size of ${size} bytes`);
  return {
    flag: text(156, 1),
    name: prefix === '' ? text(0, 100) : `${prefix}/${text(0, 100)}`,
    linkName: text(157, 100),
    size,
    mode: number(100, 8, 'mode'),
    uid: number(108, 8, 'uid'),
    gid: number(116, 8, 'gid'),
    modified: number(136, 12, 'mtime'),
    userName: hasOwners ? text(265, 32) : '',
    groupName: hasOwners ? text(297, 32) : '',
    deviceMajor: hasOwners ? number(329, 8, 'devmajor') : 0,
    deviceMinor: hasOwners ? number(337, 8, 'devminor') : 0,
    isGnu,
    block,
  };
}

/**
 * A number in octal, or, where its first bit is set, in two's complement of base 256. Empty is 0. One that cannot be
 * counted with is refused.
 */
export function parseNumber(field: Uint8Array, what: string, refuse: Refuse): number {
  const first = field[0] ?? 0;
  const digits = first & 0x80 ? '' : octalDigits(field);
  if (!(first & 0x80) && !/^[0-7]*$/.test(digits))
    throw refuse(`${what} ${JSON.stringify(digits)}, not an octal number`);
  const value = first & 0x80 ? parseBinary(field) : Number.parseInt(digits || '0', 8);
  if (!Number.isSafeInteger(value)) throw refuse(`${what} too large to count with`);
  return value;
}

function parseBinary(field: Uint8Array): number {
  const isNegative = ((field[0] ?? 0) & 0x40) !== 0;
  const flip = isNegative ? 0xff : 0;
  let value = 0;
  for (const [index, byte] of field.entries()) {
    value = value * 256 + ((byte ^ flip) & (index === 0 ? 0x7f : 0xff));
  }
  return isNegative ? -value - 1 : value;
}

/** Go before 1.8 wrote a prefix where GNU has times; it is one where the field is no time. https://go.dev/issue/21005 */
function strayPrefix(block: Uint8Array): string {
  const times = [latin(block.subarray(345, 357)), latin(block.subarray(357, 369))];
  const areTimes = times.every((time) => time.charCodeAt(0) >= 0x80 || /^[ \0]*[0-7]*[ \0]*$/.test(time));
  const text = textField(block.subarray(345, 500));
  return areTimes || [...text].some((character) => character > '\x7f') ? '' : text;
}

/** The sum of all bytes, its own field as spaces; Sun's tar took the bytes as signed. */
function checkSum(block: Uint8Array, refuse: Refuse): void {
  let unsigned = 0;
  let signed = 0;
  for (let index = 0; index < blockBytes; index++) {
    const counted = index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
    unsigned += counted;
    signed += counted > 127 ? counted - 256 : counted;
  }
  const digits = octalDigits(block.subarray(148, 156));
  const told = /^[0-7]+$/.test(digits) ? Number.parseInt(digits, 8) : Number.NaN;
  if (told !== unsigned && told !== signed) throw refuse('a header whose checksum is wrong, or no tar at all');
}

const latin = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

/** What is between spaces and NULs, up to the first NUL. */
const octalDigits = (field: Uint8Array): string =>
  latin(field)
    .replace(/^[ \0]+|[ \0]+$/g, '')
    .replace(/\0.*$/s, '');
