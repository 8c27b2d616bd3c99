/** An open file. Whoever opened it closes it. */
export interface OpenFile {
  /** What it was when it was opened. */
  readonly found: FileFacts;
  /** Reads into `buffer` from `position` on; returns how many bytes were read, 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Writes all of the chunks, one after the other, from `position` on. */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Returns when the disk has the bytes. */
  sync(): Promise<void>;
  /** What the file is now, whatever has its name. */
  facts(): Promise<FileFacts>;
  close(): Promise<void>;
}

/** What is at a path. If that is a symbolic link: what the link leads to. */
export interface FileFacts {
  /** `nothing` if it is a symbolic link that leads nowhere. */
  readonly type: 'file' | 'directory' | 'FIFO' | 'socket' | 'device' | 'nothing';
  /** Whether it is a symbolic link. */
  readonly isLink: boolean;
  /** Whether its bytes are, or may be, those of a file elsewhere: it is a symbolic link, or a file with more than one name. */
  readonly isShared: boolean;
  /** Number of the user that owns it. */
  readonly user: number;
  readonly size: number;
  /** Milliseconds since 1970, of the last write. */
  readonly modified: number;
  /** Changes whenever the file is replaced or written. */
  readonly version: string;
}

/**
 * How a file is opened. Only `read` follows a symbolic link at the path. What is opened to be written has no other name. A
 * path with anything but a regular file is an error, at once.
 */
export type OpenMode = 'read' | 'read-unlinked' | 'write' | 'create';

/** A file that has all of its bytes and its final name, still open. Whoever placed it closes it. */
export type PlacedFile = Pick<OpenFile, 'sync' | 'facts' | 'close'>;

/** A file to be created with all of its bytes. */
export interface Placement {
  readonly bytes: Uint8Array;
  /** Where it is created, so that nothing incomplete has its final name. */
  readonly temporary: string;
  readonly final: string;
  /** Folders that must not be symbolic links, else `STORE_ERROR`. */
  readonly folders: readonly string[];
}

/**
 * The file system, as a layout needs it: the boundary at which tests break it. Every failure is a `STORE_ERROR` that
 * names the path; what may be missing is a result, not a failure. If too many files are open, a call waits.
 */
export interface Files {
  /** Undefined: for `create` if the file exists or its directory does not, otherwise if the file does not exist. */
  open(path: string, mode: OpenMode): Promise<OpenFile | undefined>;
  /** Does not wait for the disk. Undefined if the directory of the temporary file does not exist. */
  place(placement: Placement): Promise<PlacedFile | undefined>;
  /** Undefined if there is nothing. */
  examine(path: string): Promise<FileFacts | undefined>;
  /**
   * As `examine`, for what must be a file: undefined for a symbolic link that leads nowhere, and unless `links` for a file
   * that `isShared`; an error for anything else.
   */
  facts(path: string, links?: boolean): Promise<FileFacts | undefined>;
  /** `FileFacts.version` of a file, at once; undefined for anything else, also for a link. Fails with the system's error. */
  versionOf(path: string): string | undefined;
  /** Names in a directory; undefined if there is no such directory. */
  list(path: string): Promise<readonly string[] | undefined>;
  /** Gives a file another name, replacing a file of that name. False if there is no such file or no such directory. */
  rename(from: string, to: string): Promise<boolean>;
  /** Gives a file one more name (a hard link). False if the system does not, or there is something of that name. */
  link(from: string, to: string): Promise<boolean>;
  /** False if there is no such file. */
  remove(path: string): Promise<boolean>;
  /** With its parents. */
  makeDirectory(path: string): Promise<void>;
  /** Removes a directory if it is empty; never fails. */
  removeDirectory(path: string): Promise<void>;
  /** Sets the time of the last write to now. False if there is no such file. */
  touch(path: string): Promise<boolean>;
  /** Returns when the disk has the names in a directory; at once if the system or the file system cannot say. */
  syncDirectory(path: string): Promise<void>;
}
