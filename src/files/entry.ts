import type { Digest } from '../oci/digest.ts';

/** What an entry of a layer is. */
export type FileType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character-device' | 'block-device' | 'fifo';

/** A file, directory or anything else of a layer, as its tar header describes it. */
export interface FileEntry {
  /**
   * From the root, without `/` or `./` in front, `..` or a `/` at the end; empty for the root itself. Bytes that are not
   * UTF-8 are U+FFFD each: two such names can become one.
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
   * Of a symbolic link its target as written; of a hard link the path of what it is another name of, in the same layer or,
   * as some runtimes allow, one below.
   */
  readonly linkPath?: string | undefined;
  /** Of devices. */
  readonly deviceMajor?: number | undefined;
  readonly deviceMinor?: number | undefined;
  /** Extended attributes by name: `security.capability`. Out of a tar header only those whose value is UTF-8. */
  readonly xattrs?: Readonly<Record<string, Uint8Array>> | undefined;
  /** The layer that has it. */
  readonly layer: Digest;
}

/** An entry without its layer, as archives and tables of contents tell it. */
export type BareEntry = Omit<FileEntry, 'layer'>;

/** A path as entries have it: names from the root, `.` and empty ones left out, `..` taken back, never above the root. */
export function cleanPath(path: string): string {
  const names: string[] = [];
  for (const name of path.split('/')) {
    if (name === '..') names.pop();
    else if (name !== '' && name !== '.') names.push(name);
  }
  return names.join('/');
}

/** Milliseconds that a Date can hold on either side of 1970. */
const farthest = 8.64e15;

/** A date, the farthest one there is where the time is farther. */
export const dateOf = (milliseconds: number): Date => new Date(Math.max(-farthest, Math.min(farthest, milliseconds)));
