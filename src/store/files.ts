/** An open file. Whoever opened it closes it. */
export interface OpenFile {
  /** Reads into `buffer` from `position` on; gives the bytes that were read, 0 at the end. */
  read(buffer: Uint8Array, position: number): Promise<number>;
  /** Writes all of the chunks, one after the other, from `position` on. */
  write(chunks: readonly Uint8Array[], position: number): Promise<void>;
  truncate(size: number): Promise<void>;
  /** Returns when the disk has the bytes. */
  sync(): Promise<void>;
  close(): Promise<void>;
}

/** What is known of a file. */
export interface FileFacts {
  readonly size: number;
  /** Milliseconds since 1970, of the last write. */
  readonly modified: number;
  /** Changes whenever the file is replaced or written. */
  readonly version: string;
}

/**
 * The file system, as a layout needs it: the boundary at which tests break it. Every failure is a `STORE_ERROR` that
 * names the path; what is expected to be missing is an answer, not a failure. Too many open files are waited for.
 */
export interface Files {
  /** Undefined: for `create` where there is such a file or no directory for it, for `read` and `write` where there is none. */
  open(path: string, mode: 'read' | 'write' | 'create'): Promise<OpenFile | undefined>;
  /** Undefined where there is no such file. */
  facts(path: string): Promise<FileFacts | undefined>;
  /** Names in a directory; undefined where there is no such directory. */
  list(path: string): Promise<readonly string[] | undefined>;
  /** Gives a file another name, which may be taken. False where there is no such file or no such directory. */
  rename(from: string, to: string): Promise<boolean>;
  /** False where there is no such file. */
  remove(path: string): Promise<boolean>;
  copy(from: string, to: string): Promise<void>;
  /** With its parents. */
  makeDirectory(path: string): Promise<void>;
  /** Removes a directory if it is empty; never fails. */
  removeDirectory(path: string): Promise<void>;
  /** Sets the time of the last write to now. False where there is no such file. */
  touch(path: string): Promise<boolean>;
  /** Returns when the disk has the names in a directory; where a system cannot say, at once. */
  syncDirectory(path: string): Promise<void>;
}
