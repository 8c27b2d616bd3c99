import type { Digest } from '../oci/digest.ts';

/** The kind of an entry of a layer. */
export type FileType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character-device' | 'block-device' | 'fifo';

/** A file, directory or other entry of a layer, as its tar header describes it. */
export interface FileEntry {
  /**
   * From the root, without a leading `/` or `./`, without `..` and without a `/` at the end; empty for the root itself.
   * Bytes that are not UTF-8 become U+FFFD, so two such names can become the same.
   */
  readonly path: string;
  readonly type: FileType;
  /** Bytes of a file's content; 0 for everything else. */
  readonly size: number;
  /** Permission bits, with setuid, setgid and sticky: 0o644. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly userName?: string | undefined;
  readonly groupName?: string | undefined;
  /** To the millisecond. Times before 1970 in the GNU format are a second late. */
  readonly modified: Date;
  /**
   * Of a symbolic link its target as written; of a hard link the path of the entry that it is another name of, in the same
   * layer or, as some runtimes allow, in one below.
   */
  readonly linkPath?: string | undefined;
  /** Of devices. */
  readonly deviceMajor?: number | undefined;
  readonly deviceMinor?: number | undefined;
  /** Extended attributes by name: `security.capability`. From a tar header only those whose value is UTF-8. */
  readonly xattrs?: Readonly<Record<string, Uint8Array>> | undefined;
  /** The layer that has the entry. */
  readonly layer: Digest;
}

/** An entry without its layer, as archives and tables of contents have it. */
export type BareEntry = Omit<FileEntry, 'layer'>;

/** A path in the form of `FileEntry.path`: `.` and empty names are dropped, `..` is applied, but never above the root. */
export function cleanPath(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names.join('/');
}

/** Milliseconds on either side of 1970 that a Date can hold. */
const mostMilliseconds = 8.64e15;

/** A date; a time out of its range becomes the nearest one in it. */
export const dateOf = (milliseconds: number): Date =>
  new Date(Math.max(-mostMilliseconds, Math.min(mostMilliseconds, milliseconds)));
