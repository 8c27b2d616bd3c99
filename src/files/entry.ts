import type { Digest } from '../oci/digest.ts';

/** The kind of an entry of a layer. */
export type FileType = 'file' | 'directory' | 'symlink' | 'hardlink' | 'character-device' | 'block-device' | 'fifo';

/** A file, directory or other entry of a layer, as its tar header describes it. */
export interface FileEntry {
  /**
   * From the root, without a leading `/` or `./`, without `..` and without a `/` at the end; empty for the root itself.
   * Bytes that are not UTF-8 are written `\xff`, so that different names stay different, and a file is opened by the path
   * that was listed; the backslash of a name that looks the same is written `\x5c`.
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
  /** To the millisecond. */
  readonly modified: Date;
  /**
   * Of a symbolic link its target as written; of a hard link the path of the entry that it is another name of, in the same
   * layer or, as some runtimes allow, in one below.
   */
  readonly linkPath?: string | undefined;
  /** Of devices. */
  readonly deviceMajor?: number | undefined;
  readonly deviceMinor?: number | undefined;
  /** Extended attributes by name: `security.capability`. */
  readonly xattrs?: Readonly<Record<string, Uint8Array>> | undefined;
  /** The layer that has the entry. */
  readonly layer: Digest;
}

/** An entry without its layer, as archives and tables of contents have it. */
export type BareEntry = Omit<FileEntry, 'layer'>;

const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** The text of a name, in the form of `FileEntry.path`. */
export function textOf(bytes: Uint8Array): string {
  try {
    return literalText(strictDecoder.decode(bytes));
  } catch {
    return escapedText(bytes);
  }
}

/** A text of which nothing is taken for an escaped byte. */
export const literalText = (text: string): string => text.replace(/\\(?=x(?:5c|[89a-f][0-9a-f]))/g, '\\x5c');

function escapedText(bytes: Uint8Array): string {
  const parts: string[] = [];
  let start = 0;
  const addLiteral = (end: number): void => {
    if (end > start) parts.push(literalText(strictDecoder.decode(bytes.subarray(start, end))));
  };
  for (let at = 0; at < bytes.length; ) {
    const length = letterLength(bytes, at);
    if (length === 0) {
      addLiteral(at);
      parts.push(`\\x${bytes[at]?.toString(16)}`);
      start = at + 1;
    }
    at += length || 1;
  }
  addLiteral(bytes.length);
  return parts.join('');
}

/** Bytes of the letter in UTF-8 that begins there; 0 if none does. https://www.unicode.org/versions/Unicode16.0.0/core-spec/chapter-3/#G27506 */
function letterLength(bytes: Uint8Array, at: number): number {
  const [first = 0, second = 0, ...others] = bytes.subarray(at, at + 4);
  if (first < 0x80) return 1;
  const count = first < 0xc2 || first > 0xf4 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
  const lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
  const highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
  const rest = others.slice(0, Math.max(0, count - 2));
  const isWhole = rest.length === Math.max(0, count - 2) && rest.every((byte) => byte >> 6 === 2);
  return isWhole && second >= lowest && second <= highest ? count : 0;
}

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
