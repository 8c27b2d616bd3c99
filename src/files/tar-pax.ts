import type { Refuse, TarHeader } from './tar-header.ts';
import { textOf } from './text.ts';

/** The records of an extended header, in order: a key can come more than once. */
export type PaxRecords = readonly (readonly [key: string, value: Uint8Array])[];

/** What begins the key of an extended attribute. */
const xattrPrefix = 'SCHILY.xattr.';

/**
 * Reads records of the form `length key=value\n`, the length counting all of it; anything else is refused.
 * https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_03
 */
export function parsePax(bytes: Uint8Array, refuse: Refuse): PaxRecords {
  const records: (readonly [string, Uint8Array])[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.subarray(at, at + 20).indexOf(0x20);
    const digits = textOf(bytes.subarray(at, at + Math.max(0, space)));
    const end = at + Number(digits);
    const equals = bytes.indexOf(0x3d, at + space + 1);
    const isWhole = /^\d+$/.test(digits) && end <= bytes.length && bytes[end - 1] === 0x0a;
    if (!isWhole || equals === -1 || equals >= end - 1 || equals === at + space + 1) {
      throw refuse('an extended header with a record that is none');
    }
    const key = textOf(bytes.subarray(at + space + 1, equals));
    if (key.includes('\0')) throw refuse('an extended header with a NUL in a key');
    records.push([key, bytes.slice(equals + 1, end - 1)]);
    at = end;
  }
  return records;
}

/** The last value of a key; undefined where there is none, or an empty one, which leaves the header's own in force. */
export function recordOf(records: PaxRecords, key: string): string | undefined {
  const found = records.findLast(([name]) => name === key)?.[1];
  return found && found.length > 0 ? textOf(found) : undefined;
}

/** A whole number from 0 on in a record. */
export function countOf(records: PaxRecords, key: string, refuse: Refuse): number | undefined {
  const text = recordOf(records, key);
  return text === undefined ? undefined : parseCount(text, key, refuse);
}

export function parseCount(text: string, what: string, refuse: Refuse): number {
  const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!Number.isSafeInteger(value))
    throw refuse(`${what} ${JSON.stringify(text.slice(0, 40))}, not a number to count with`);
  return value;
}

/** A header as its extended header makes it; `modified` may then have a fraction. */
export function applyPax(header: TarHeader, records: PaxRecords, refuse: Refuse): TarHeader {
  if (records.length === 0) return header;
  const name = pathOf(records, 'path', refuse);
  const linkName = pathOf(records, 'linkpath', refuse);
  return {
    ...header,
    name: name ?? header.name,
    linkName: linkName ?? header.linkName,
    size: countOf(records, 'size', refuse) ?? header.size,
    uid: countOf(records, 'uid', refuse) ?? header.uid,
    gid: countOf(records, 'gid', refuse) ?? header.gid,
    modified: timeOf(records, 'mtime', refuse) ?? header.modified,
    userName: recordOf(records, 'uname') ?? header.userName,
    groupName: recordOf(records, 'gname') ?? header.groupName,
  };
}

/** Extended attributes; undefined where there are none. */
export function xattrsOf(records: PaxRecords): Readonly<Record<string, Uint8Array>> | undefined {
  const found = records.filter(([key]) => key.startsWith(xattrPrefix) && key.length > xattrPrefix.length);
  if (found.length === 0) return undefined;
  return Object.fromEntries(found.map(([key, value]) => [key.slice(xattrPrefix.length), value]));
}

function pathOf(records: PaxRecords, key: string, refuse: Refuse): string | undefined {
  const path = recordOf(records, key);
  if (path?.includes('\0')) throw refuse(`${key} ${JSON.stringify(path.slice(0, 40))} with a NUL in it`);
  return path;
}

/** Seconds with a fraction, to the millisecond. */
function timeOf(records: PaxRecords, key: string, refuse: Refuse): number | undefined {
  const text = recordOf(records, key);
  if (text === undefined) return undefined;
  const [, sign, seconds, fraction = ''] = /^(-?)(\d{1,15})(?:\.(\d*))?$/.exec(text) ?? [];
  if (seconds === undefined) throw refuse(`${key} ${JSON.stringify(text.slice(0, 40))}, not a time`);
  const milliseconds = Number(seconds) * 1000 + Number(fraction.slice(0, 3).padEnd(3, '0'));
  return (sign === '-' ? -milliseconds : milliseconds) / 1000;
}
