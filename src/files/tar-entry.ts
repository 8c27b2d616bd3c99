import type { Header } from 'tar-stream';
import { quote } from '../oci/quote.ts';
import { type BareEntry, cleanPath, dateOf, type FileType } from './entry.ts';

/** Makes the error for an archive that is not what it should be, out of what was found. */
export type Refuse = (found: string, code?: 'UNSUPPORTED') => Error;

const types: ReadonlyMap<string | null, FileType> = new Map([
  ['file', 'file'],
  ['contiguous-file', 'file'],
  ['link', 'hardlink'],
  ['symlink', 'symlink'],
  ['directory', 'directory'],
  ['character-device', 'character-device'],
  ['block-device', 'block-device'],
  ['fifo', 'fifo'],
]);

const sparsePrefix = 'GNU.sparse.';
const xattrPrefix = 'SCHILY.xattr.';

/** Whether what is stored are parts of a file, and a list of them. */
export const isSparse = ({ pax }: Header): boolean =>
  Object.keys(pax ?? {}).some((key) => key.startsWith(sparsePrefix));

/**
 * The entry of a header. What its extended header says of owners and times is not yet in it. Refused is what
 * tar-stream cannot read on from: sizes of what has no content, and types that it does not know.
 */
export function entryOf(header: Header, refuse: Refuse): BareEntry {
  const pax = (header.pax ?? {}) as Readonly<Record<string, string | undefined>>;
  const name = pax[`${sparsePrefix}name`] || header.name;
  if (name.includes('\0')) throw refuse(`the name ${quote(name)}, with a NUL in it`);
  const type = typeOf(header, refuse);
  const number = (key: string, value: number): number => {
    if (Number.isSafeInteger(value)) return value;
    throw refuse(`${quote(name)} with the ${key} ${value}, not a number to count with`);
  };
  // tar-stream takes the digits that a text begins with.
  const stored = number('size', pax.size && Number(pax.size) !== header.size ? Number.NaN : header.size);
  if (type !== 'file' && stored !== 0) throw refuse(`${quote(name)}, a ${type}, with a size of ${stored} bytes`);
  const size = pax[`${sparsePrefix}realsize`] || pax[`${sparsePrefix}size`];
  const seconds = pax.mtime?.replace(/(\.\d{3})\d*$/, '$1');
  const modified = number('time', seconds ? Math.round(Number(seconds) * 1000) : header.mtime.getTime());
  const userName = pax.uname || header.uname;
  const groupName = pax.gname || header.gname;
  const linkName = header.linkname ?? '';
  const xattrs = xattrsOf(pax);
  const isDevice = type === 'character-device' || type === 'block-device';
  return {
    path: cleanPath(name),
    type,
    size: size ? number('size', Number(size)) : stored,
    mode: number('mode', header.mode),
    uid: number('uid', pax.uid ? Number(pax.uid) : header.uid),
    gid: number('gid', pax.gid ? Number(pax.gid) : header.gid),
    ...(userName !== '' && { userName }),
    ...(groupName !== '' && { groupName }),
    modified: dateOf(modified),
    ...(type === 'symlink' && { linkPath: linkName }),
    ...(type === 'hardlink' && { linkPath: cleanPath(linkName) }),
    ...(isDevice && { deviceMajor: header.devmajor, deviceMinor: header.devminor }),
    ...(xattrs && { xattrs }),
  };
}

/** Old archives write a directory as a file with a `/` at its end. */
function typeOf({ type, name, size }: Header, refuse: Refuse): FileType {
  if (type === 'file' && size === 0 && name.endsWith('/')) return 'directory';
  const found = types.get(type);
  if (found) return found;
  throw refuse(`${quote(name)}, a sparse file of the old GNU format, or of a type that no layer has`, 'UNSUPPORTED');
}

/** Extended attributes; undefined where there are none. tar-stream has them as text only: what was none is left out. */
function xattrsOf(pax: Readonly<Record<string, string | undefined>>): Readonly<Record<string, Uint8Array>> | undefined {
  const found = Object.entries(pax).flatMap(([key, value = '']) =>
    key.startsWith(xattrPrefix) && !/\uFFFD/.test(key + value)
      ? [[key.slice(xattrPrefix.length), new TextEncoder().encode(value)] as const]
      : [],
  );
  return found.length > 0 ? Object.fromEntries(found) : undefined;
}
