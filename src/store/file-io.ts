import { abortError } from '../deadline.ts';
import type { Digest, DigestAlgorithm } from '../oci/digest.ts';
import { createHasher } from '../oci/digest.ts';
import type { Files, OpenFile } from './files.ts';
import { storeError } from './store-error.ts';

/** Puts bytes into a file and counts them into a digest. Whoever opened it closes it. */
export interface Writer {
  /**
   * Adds a chunk, which belongs to the writer from now on; `recycle`, the same for all, which must not throw, is called with
   * each one that is written. Where there is something to wait for, a promise of it.
   */
  write(chunk: Uint8Array, recycle?: (chunk: Uint8Array) => void): Promise<void> | undefined;
  /** The digest of the whole file, once the disk has it. Nothing is written after it. */
  finish(): Promise<Digest>;
  /** Puts down what was added, unless that failed, and closes the file. Safe to call again. */
  close(): Promise<void>;
}

export interface WriterOptions {
  readonly algorithm: DigestAlgorithm;
  /** Bytes at the beginning of the file to go on after: they are read and counted first. */
  readonly at: number;
  /** Bytes that the file has now; what is after `at` is cut off. Default: `at`. */
  readonly size?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Bytes that are gathered while others are written, before the giver has to wait. */
const mostGathered = 1_048_576;

/** Opens a file that is there. `STORE_ERROR` for what the file system refuses, or where it has fewer than `at` bytes. */
export async function openWriter(files: Files, path: string, options: WriterOptions): Promise<Writer> {
  const { algorithm, at, size: found = at, signal } = options;
  const file = await files.open(path, 'write');
  if (!file) throw storeError('write', path, 'it is not there');
  const hasher = createHasher(algorithm);
  try {
    await readInto(hasher, file, { path, at, signal });
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
    // What comes is written at once, so that a process that is killed loses little; gathered is what comes meanwhile.
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

/** The digest and size of a file; undefined where there is none. */
export async function hashFile(
  files: Files,
  path: string,
  { algorithm, signal }: Pick<WriterOptions, 'algorithm' | 'signal'>,
): Promise<{ readonly digest: Digest; readonly size: number } | undefined> {
  const file = await files.open(path, 'read');
  if (!file) return undefined;
  const hasher = createHasher(algorithm);
  try {
    const size = await readInto(hasher, file, { path, at: Number.POSITIVE_INFINITY, signal });
    return { digest: hasher.digest(), size };
  } finally {
    await file.close();
  }
}

interface Beginning {
  readonly path: string;
  readonly at: number;
  readonly signal?: AbortSignal | undefined;
}

/** Counts the first `at` bytes of a file, or all where that is infinite; gives how many they were. */
async function readInto(
  hasher: { update(chunk: Uint8Array): void },
  file: OpenFile,
  { path, at, signal }: Beginning,
): Promise<number> {
  const buffer = new Uint8Array(Math.min(at, mostGathered));
  let done = 0;
  while (done < at) {
    if (signal?.aborted) throw abortError(signal.reason);
    const count = await file.read(buffer.subarray(0, Math.min(buffer.length, at - done)), done);
    if (count === 0 && at === Number.POSITIVE_INFINITY) break;
    if (count === 0) throw storeError('go on with', path, `${done} bytes where ${at} are said to be`);
    hasher.update(buffer.subarray(0, count));
    done += count;
  }
  return done;
}
