import { randomUUID } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UsageError } from './command.ts';
import { writeProblem } from './exit-codes.ts';
import { type Io, send } from './io.ts';

/** Where content is written. Ended by `commit` or `discard`. */
export interface Output {
  write(chunk: Uint8Array): Promise<void>;
  /** All bytes are written, and right. */
  commit(): Promise<void>;
  /** They are not: removes the file. */
  discard(): Promise<void>;
  /** Starts over; absent if what was written cannot be taken back. */
  readonly restart?: () => Promise<void>;
}

/** Opens an output, and commits it after `write`, or discards it if that fails. */
export async function withOutput(
  path: string | undefined,
  io: Io,
  write: (output: Output) => Promise<void>,
): Promise<void> {
  const output = await openOutput(path, io);
  try {
    await write(output);
    await output.commit();
  } catch (error) {
    await output.discard();
    throw error;
  }
}

/** stdout for `-`, and without a path, when a terminal gets only text; else a file. */
function openOutput(path: string | undefined, io: Io): Promise<Output> {
  return path === undefined || path === '-' ? Promise.resolve(standardOutput(io, path === '-')) : fileOutput(path);
}

function standardOutput({ stdout }: Io, isForced: boolean): Output {
  let isFirst = true;
  let endsLine = true;
  return {
    write: async (chunk) => {
      if (stdout.isTTY && !isForced && isFirst && isBinary(chunk)) {
        throw new UsageError(
          'The content is binary, and stdout is a terminal: write it to a file with -o FILE, or force it with -o -',
        );
      }
      isFirst = false;
      endsLine = chunk.at(-1) === 10;
      await send(stdout, chunk);
    },
    commit: async () => {
      if (stdout.isTTY && !endsLine) stdout.write('\n');
    },
    discard: async () => {},
  };
}

/** Whether there are control characters other than white space and those of colours. */
const isBinary = (chunk: Uint8Array): boolean =>
  chunk.some((byte) => byte < 32 && (byte < 9 || byte > 13) && byte !== 27);

/** Written under another name in the same directory, and renamed by `commit`. A pipe or a device is written directly. */
async function fileOutput(path: string): Promise<Output> {
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
  const temporary = join(dirname(final), `.${basename(final)}.${randomUUID().slice(0, 8)}`);
  const file = await writable(open(temporary, 'wx', found?.mode));
  const discard = async (): Promise<void> => {
    await file.close().catch(() => {});
    await rm(temporary, { force: true });
  };
  let at = 0;
  return {
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
    },
  };
}

function streamOutput(file: FileHandle, writable: <T>(work: Promise<T>) => Promise<T>): Output {
  const close = (): Promise<void> => file.close();
  return { write: (chunk) => writable(file.writeFile(chunk)), commit: close, discard: close };
}

const unwritable = (path: string, error: NodeJS.ErrnoException): OutputError =>
  new OutputError(`Cannot write file "${path}": ${writeProblem(error)}`);

/** A file that cannot be written: exit code 9. */
export class OutputError extends Error {
  override readonly name = 'OutputError';
}
