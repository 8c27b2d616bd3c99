import { randomUUID } from 'node:crypto';
import { type FileHandle, open, realpath, rename, rm, stat } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { UsageError } from './command.ts';
import { type Io, send } from './io.ts';
import { writeFault } from './write-fault.ts';

/** Where content is written. One of `commit` and `discard` ends it. */
export interface Output {
  write(chunk: Uint8Array): Promise<void>;
  /** All bytes are here, and right. */
  commit(): Promise<void>;
  /** They are not: nothing of a file stays. */
  discard(): Promise<void>;
  /** Begins anew; absent where what was written is gone. */
  readonly restart?: () => Promise<void>;
}

/** Of `-` stdout, also if it is a terminal; without a path stdout, which must be none where the content is no text. */
export function openOutput(path: string | undefined, io: Io): Promise<Output> {
  return path === undefined || path === '-' ? Promise.resolve(standardOutput(io, path === '-')) : fileOutput(path);
}

function standardOutput({ stdout }: Io, isMeant: boolean): Output {
  let isFirst = true;
  let endsLine = true;
  return {
    write: async (chunk) => {
      if (stdout.isTTY && !isMeant && isFirst && isBinary(chunk)) {
        throw new UsageError('This is no text for a terminal: write it to a file with -o FILE, or say -o -');
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

/** Control characters that no text has; white space and colours are none. */
const isBinary = (chunk: Uint8Array): boolean =>
  chunk.some((byte) => byte < 32 && (byte < 9 || byte > 13) && byte !== 27);

/** Written beside its final name, which it gets when it is committed. A pipe or a device is written as it is. */
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
  new OutputError(`Cannot write file "${path}": ${writeFault(error)}`);

/** A file that cannot be written: exit code 9. */
export class OutputError extends Error {
  override readonly name = 'OutputError';
}
