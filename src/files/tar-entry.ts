import { type BareEntry, cleanPath, dateOf, type FileType } from './entry.ts';
import type { Refuse, TarHeader } from './tar-header.ts';
import { type PaxRecords, xattrsOf } from './tar-pax.ts';

/** Types by their flag. https://pubs.opengroup.org/onlinepubs/9799919799/utilities/pax.html#tag_20_94_13_06 */
const types: ReadonlyMap<string, FileType> = new Map([
  ['', 'file'],
  ['0', 'file'],
  ['7', 'file'],
  ['S', 'file'],
  ['1', 'hardlink'],
  ['2', 'symlink'],
  ['3', 'character-device'],
  ['4', 'block-device'],
  ['5', 'directory'],
  ['6', 'fifo'],
]);

/** What a header is of. Old archives write a directory as a file with a `/` at its end. Other types are refused. */
export function typeOf({ flag, name }: TarHeader, refuse: Refuse): FileType {
  const type = flag === '' && name.endsWith('/') ? 'directory' : types.get(flag);
  if (!type)
    throw refuse(`${JSON.stringify(name.slice(0, 300))} of the type ${JSON.stringify(flag)}, which no layer has`);
  return type;
}

/** The entry of a header that its extended header was applied to. */
export function entryOf(header: TarHeader, type: FileType, size: number, records: PaxRecords): BareEntry {
  const { userName, groupName, linkName } = header;
  const xattrs = xattrsOf(records);
  const isDevice = type === 'character-device' || type === 'block-device';
  return {
    path: cleanPath(header.name),
    type,
    size,
    mode: header.mode,
    uid: header.uid,
    gid: header.gid,
    ...(userName !== '' && { userName }),
    ...(groupName !== '' && { groupName }),
    modified: dateOf(Math.round(header.modified * 1000)),
    ...(type === 'symlink' && { linkPath: linkName }),
    ...(type === 'hardlink' && { linkPath: cleanPath(linkName) }),
    ...(isDevice && { deviceMajor: header.deviceMajor, deviceMinor: header.deviceMinor }),
    ...(xattrs && { xattrs }),
  };
}
