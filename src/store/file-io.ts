import { abortError } from '../abort.ts';
import { cannot } from '../errors.ts';
import { createHasher, type Digest, type DigestAlgorithm, type Hasher } from '../oci/digest.ts';
import { createPile } from '../pile.ts';
import { quote } from '../text/quote.ts';
import type { FileFacts, Files, OpenFile, OpenMode } from './files.ts';
import { storeError } from './store-error.ts';

/** Bytes that are read at a time if the size is not known. */
const stepBytes = 65_536;
/** Bytes that are gathered while others are written, before the writer's caller has to wait. */
const mostGathered = 1_048_576;

/** How a file is opened to be read. */
export type ReadMode = Extract<OpenMode, `read${string}`>;

/** The mode that reads through links, or refuses them on the open file. */
export const readMode = (links = true): ReadMode => (links ? 'read' : 'read-unlinked');

/** The whole of a file of at most `limit` bytes, else `TOO_LARGE`; undefined if it does not exist. */
export async function readFile(
  files: Files,
  path: string,
  limit: number,
  mode?: ReadMode,
): Promise<Uint8Array | undefined> {
  const bytes = await readPart(files, path, limit + 1, mode);
  if (bytes && bytes.length > limit) {
    throw cannot('TOO_LARGE', `read ${quote(path)}`, `more than ${limit} bytes`, { reason: 'limit', value: path });
  }
  return bytes;
}

/**
 * The first `length` bytes of a file, or all if it has fewer; undefined if it does not exist. Its size is not requested
 * first: by then another file may have its name.
 */
export async function readPart(
  files: Files,
  path: string,
  length: number,
  mode: ReadMode = 'read',
): Promise<Uint8Array | undefined> {
  const file = await files.open(path, mode);
  if (!file) return undefined;
  try {
    const pile = createPile();
    while (pile.size < length) {
      const chunk = new Uint8Array(Math.min(stepBytes, length - pile.size));
      const count = await file.read(chunk, pile.size);
      if (count === 0) break;
      pile.add(chunk.subarray(0, count));
    }
    return pile.join();
  } finally {
    await file.close();
  }
}

/** Makes `bytes` the whole of an existing file, and returns when the disk has them. */
export async function writeFile(files: Files, path: string, bytes: Uint8Array): Promise<void> {
  const file = await files.open(path, 'write');
  if (!file) throw storeError('write', path, 'it no longer exists');
  try {
    await file.truncate(0);
    await file.write([bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
}

/** Copies a file without following a link, to a path where there is nothing. */
export async function copyFile(files: Files, from: string, to: string): Promise<void> {
  const source = await files.open(from, 'read-unlinked');
  if (!source) throw storeError('copy', from, 'it no longer exists');
  try {
    const target = await files.open(to, 'create');
    if (!target) throw storeError('copy to', to, 'there is a file, or its directory is gone');
    try {
      const buffer = new Uint8Array(mostGathered);
      for (let position = 0; ; ) {
        const count = await source.read(buffer, position);
        if (count === 0) break;
        await target.write([buffer.subarray(0, count)], position);
        position += count;
      }
    } finally {
      await target.close();
    }
  } finally {
    await source.close();
  }
}

/** Writes bytes into a file and hashes them. Whoever opened it closes it. */
export interface Writer {
  /** Has the bytes of the file and those that were added: whoever continues the file later can do so with it. */
  readonly hasher: Hasher;
  /**
   * Adds a chunk, which belongs to the writer from now on; `recycle`, the same for all, which must not throw, is called with
   * each one that is written. Returns a promise if there is something to wait for.
   */
  write(chunk: Uint8Array, recycle?: (chunk: Uint8Array) => void): Promise<void> | undefined;
  /** The digest of the whole file, once the disk has it. Nothing is written after it. */
  finish(): Promise<Digest>;
  /** What the file is now, whatever has its name. */
  facts(): Promise<FileFacts>;
  /** Writes what was added, unless that failed, and closes the file. Safe to call again. */
  close(): Promise<void>;
}

export interface WriterOptions {
  readonly algorithm: DigestAlgorithm;
  /** Bytes at the beginning of the file to continue after: they are read and hashed first. */
  readonly at: number;
  /** Has hashed these bytes already, so that they need not be read. */
  readonly hasher?: Hasher | undefined;
  /** Bytes that the file has now; those after `at` are cut off. Default: `at`. */
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Opens an existing file. `STORE_ERROR` for what the file system refuses, or if the file has fewer than `at` bytes. */
export async function openWriter(files: Files, path: string, options: WriterOptions): Promise<Writer> {
  const { algorithm, at, size: found = at, signal } = options;
  const file = await files.open(path, 'write');
  if (!file) throw storeError('write', path, 'it does not exist');
  const hasher = options.hasher ?? createHasher(algorithm);
  try {
    if (!options.hasher) await hashInto(hasher, file, { path, at, signal });
    if (found > at) await file.truncate(at);
  } catch (error) {
    await file.close();
    throw error;
  }
  let position = at;
  let gathered: Uint8Array[] = [];
  let size = 0;
  let writing: Promise<void> | undefined;
  let failure: { readonly error: unknown } | undefined;
  let isClosed = false;
  let recycleEach: ((chunk: Uint8Array) => void) | undefined;
  /** Begins to write what is gathered. One write is under way at a time; it begins the next one. */
  const put = (): void => {
    const from = position;
    const chunks = gathered;
    position += size;
    gathered = [];
    size = 0;
    writing = file.write(chunks, from).then(
      () => {
        writing = undefined;
        if (size > 0) put();
        if (recycleEach) for (const chunk of chunks) recycleEach(chunk);
      },
      (error: unknown) => {
        writing = undefined;
        failure = { error };
      },
    );
  };
  const flush = async (): Promise<void> => {
    while (writing) await writing;
    if (failure) throw failure.error;
  };
  const settled = async (): Promise<void> => {
    await writing;
    if (failure) throw failure.error;
  };
  return {
    hasher,
    // A chunk is written at once, so that a process that is killed loses little; those that arrive meanwhile are gathered.
    write: (chunk, recycle) => {
      recycleEach = recycle;
      hasher.update(chunk);
      if (failure) return settled();
      gathered.push(chunk);
      size += chunk.length;
      if (!writing) put();
      return size < mostGathered ? undefined : settled();
    },
    finish: async () => {
      await flush();
      await file.sync();
      return hasher.digest();
    },
    facts: () => file.facts(),
    close: async () => {
      if (isClosed) return;
      isClosed = true;
      try {
        if (!failure) await flush();
      } finally {
        await file.close();
      }
    },
  };
}

/** Hashes the first `at` bytes of a file, or all if that is infinite; returns how many they were. */
export async function hashInto(
  hasher: Hasher,
  file: OpenFile,
  { path, at, signal }: { readonly path: string } & Pick<WriterOptions, 'at' | 'signal'>,
): Promise<number> {
  const buffer = new Uint8Array(Math.min(at, mostGathered));
  let done = 0;
  while (done < at) {
    if (signal?.aborted) throw abortError(signal.reason);
    const count = await file.read(buffer.subarray(0, Math.min(buffer.length, at - done)), done);
    if (count === 0 && at === Number.POSITIVE_INFINITY) break;
    if (count === 0) throw storeError('resume', path, `it has ${done} bytes, expected at least ${at}`);
    hasher.update(buffer.subarray(0, count));
    done += count;
  }
  return done;
}
