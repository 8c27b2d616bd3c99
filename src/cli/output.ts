import { randomUUID } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { RegistryError } from '../index.ts';
import { UsageError } from './command.ts';
import { writeProblem } from './exit-codes.ts';
import { escapedText, type Io, send } from './io.ts';
import { openPartial, type PartialFile, release } from './partial-file.ts';

/** Where content is written. Ended by `commit` or `discard`. */
export interface Output {
  write(chunk: Uint8Array): Promise<void>;
  /** All bytes are written, and right. */
  commit(): Promise<void>;
  /** They are not: removes the file, unless it can be resumed after this error. Returns the bytes that are kept. */
  discard(error: unknown): Promise<number>;
  /** Starts over; absent if what was written cannot be taken back. */
  readonly restart?: () => Promise<void>;
  /** What an earlier time left, after which writing resumes. */
  readonly kept?: Kept | undefined;
}

export interface Kept {
  /** Bytes; more than 0. */
  readonly size: number;
  read(): AsyncIterable<Uint8Array>;
}

/** How an output is written. */
export interface OutputOptions {
  /** The digest of the whole: a file keeps what was written when it breaks off, and resumes the next time. */
  readonly digest?: string | undefined;
  /** Called when a file that broke off was kept, with its bytes. */
  readonly onKept?: ((bytes: number) => void) | undefined;
}

/** Opens an output, and commits it after `write`, or discards it if that fails. */
export async function withOutput(
  path: string | undefined,
  io: Io,
  write: (output: Output) => Promise<void>,
  { digest, onKept }: OutputOptions = {},
): Promise<void> {
  const output = await openOutput(path, io, digest);
  try {
    await write(output);
    await output.commit();
  } catch (error) {
    const kept = await output.discard(error);
    if (kept > 0) onKept?.(kept);
    throw error;
  }
}

/** stdout for `-`, and without a path, when a terminal gets only text; else a file. */
function openOutput(path: string | undefined, io: Io, digest: string | undefined): Promise<Output> {
  return path === undefined || path === '-'
    ? Promise.resolve(standardOutput(io, path === '-'))
    : fileOutput(path, digest);
}

function standardOutput({ stdout }: Io, isForced: boolean): Output {
  if (stdout.isTTY && !isForced) return terminalOutput(stdout);
  let endsLine = true;
  return {
    write: async (chunk) => {
      endsLine = chunk.at(-1) === 10;
      await send(stdout, chunk);
    },
    commit: async () => {
      if (stdout.isTTY && !endsLine) stdout.write('\n');
    },
    discard: async () => 0,
  };
}

/**
 * Text for a terminal: all but line ends and tabs that a terminal acts on is escaped, in whatever chunk it is, as pagers do.
 * Content that begins as binary is refused; if that shows only later, what is printed is of no use, but harmless.
 */
function terminalOutput(stdout: Io['stdout']): Output {
  const decoder = new TextDecoder();
  let isFirst = true;
  let shown = '\n';
  let held = '';
  const print = async (text: string): Promise<void> => {
    // Half of a line end of Windows waits for its other half.
    const whole = held + text;
    held = whole.endsWith('\r') ? '\r' : '';
    const printed = escapedText(whole.slice(0, whole.length - held.length).replaceAll('\r\n', '\n'));
    if (printed === '') return;
    shown = printed;
    await send(stdout, printed);
  };
  return {
    write: async (chunk) => {
      if (isFirst && isBinary(chunk)) {
        throw new UsageError(
          'The content is binary, and stdout is a terminal: write it to a file with -o FILE, or force it with -o -',
        );
      }
      isFirst = false;
      await print(decoder.decode(chunk, { stream: true }));
    },
    commit: async () => {
      await print(`${decoder.decode()}${held === '' ? '' : '\n'}`);
      if (!shown.endsWith('\n')) stdout.write('\n');
    },
    discard: async () => 0,
  };
}

/** Bytes in which git looks for what is binary. */
const headBytes = 8_000;

/** Whether content begins with control characters other than white space and those of colours. */
const isBinary = (chunk: Uint8Array): boolean =>
  chunk.subarray(0, headBytes).some((byte) => byte < 32 && (byte < 9 || byte > 13) && byte !== 27);

/** Written under another name in the same directory, and renamed by `commit`. A pipe or a device is written directly. */
async function fileOutput(path: string, digest: string | undefined): Promise<Output> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return undefined;
    throw unwritable(path, error);
  });
  if (found?.isDirectory()) throw new UsageError(`Cannot write file "${path}": it is a directory`);
  const writable = <T>(work: Promise<T>): Promise<T> =>
    work.catch((error: NodeJS.ErrnoException) => {
      throw unwritable(path, error);
    });
  if (found && !found.isFile()) return streamOutput(await writable(open(path, 'w')), writable);
  const final = found ? await writable(realpath(path)) : path;
  const { path: temporary, file, size } = await writable(openTemporary(final, digest, found?.mode));
  let at = size;
  const discard = async (error: unknown): Promise<number> => {
    await file.close().catch(() => {});
    release(temporary);
    if (digest !== undefined && at > 0 && !isWrong(error)) return at;
    await rm(temporary, { force: true });
    return 0;
  };
  return {
    kept: size > 0 ? { size, read: () => readFrom(file, size) } : undefined,
    write: async (chunk) => {
      for (let done = 0; done < chunk.length; ) {
        const { bytesWritten } = await writable(file.write(chunk, done, chunk.length - done, at));
        done += bytesWritten;
        at += bytesWritten;
      }
    },
    restart: async () => {
      await writable(file.truncate(0));
      at = 0;
    },
    discard,
    commit: async () => {
      await writable(file.sync().then(() => file.close()));
      await writable(rename(temporary, final));
      release(temporary);
    },
  };
}

const openTemporary = async (
  final: string,
  digest: string | undefined,
  mode: number | undefined,
): Promise<PartialFile> => {
  if (digest !== undefined) return openPartial(final, digest, mode);
  const path = join(dirname(final), `.${basename(final)}.${randomUUID().slice(0, 8)}`);
  return { path, file: await open(path, 'wx', mode), size: 0 };
};

/** Whether the bytes themselves are wrong, so that nothing of them is kept. */
export const isWrong = (error: unknown): boolean =>
  error instanceof RegistryError && (error.code === 'DIGEST_MISMATCH' || error.code === 'TOO_LARGE');

async function* readFrom(file: FileHandle, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < size; ) {
    const { bytesRead, buffer } = await file.read(Buffer.alloc(Math.min(1_048_576, size - at)), { position: at });
    if (bytesRead === 0) return;
    at += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function streamOutput(file: FileHandle, writable: <T>(work: Promise<T>) => Promise<T>): Output {
  const close = (): Promise<void> => file.close();
  const discard = async (): Promise<number> => {
    await close();
    return 0;
  };
  return { write: (chunk) => writable(file.writeFile(chunk)), commit: close, discard };
}

const unwritable = (path: string, error: NodeJS.ErrnoException): OutputError =>
  new OutputError(`Cannot write file "${path}": ${writeProblem(error)}`);

/** A file that cannot be written: exit code 9. */
export class OutputError extends Error {
  override readonly name = 'OutputError';
}
