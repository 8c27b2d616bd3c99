import { sleep } from '../deadline.ts';
import { cannot } from '../errors.ts';
import { builtin } from '../runtime.ts';
import type { Files, OpenFile } from './files.ts';
import { makeDirectory } from './make-directory.ts';
import { storeFault, systemCode } from './store-error.ts';

/** Milliseconds that are waited, all in all, for other files to be closed. */
const mostPatience = 5_000;

/** `UNSUPPORTED` where the runtime has no file system. */
export function nodeFiles(): Files {
  const fs = builtin('node:fs')?.promises;
  if (!fs) throw cannot('UNSUPPORTED', 'use an image layout', 'this runtime has no node:fs');

  /** Does it, and again while too many files are open; a failure with one of `expected` is undefined. */
  const attempt = async <T>(
    attempted: string,
    path: string,
    expected: readonly string[],
    work: () => Promise<T>,
  ): Promise<T | undefined> => {
    for (let waited = 0, pause = 10; ; waited += pause, pause = Math.min(pause * 2, 200)) {
      try {
        return await work();
      } catch (error) {
        const code = systemCode(error) ?? '';
        if (expected.includes(code)) return undefined;
        if (!(code === 'EMFILE' || code === 'ENFILE') || waited > mostPatience)
          throw storeFault(attempted, path, error);
        await sleep(pause);
      }
    }
  };
  const done = async (work: Promise<unknown>): Promise<true> => {
    await work;
    return true;
  };
  const absent = ['ENOENT'];

  return {
    open: async (path, mode) => {
      const { flags, attempted, expected } = modes[mode];
      const handle = await attempt(attempted, path, expected, () => fs.open(path, flags));
      return handle && openFile(handle, path);
    },
    facts: async (path) => {
      const found = await attempt('look at', path, [...absent, 'ENOTDIR'], () => fs.stat(path, { bigint: true }));
      if (!found?.isFile()) return undefined;
      const { size, mtimeMs, mtimeNs, ino } = found;
      return { size: Number(size), modified: Number(mtimeMs), version: `${ino}:${size}:${mtimeNs}` };
    },
    list: (path) => attempt('list', path, absent, () => fs.readdir(path)),
    rename: async (from, to) =>
      (await attempt('give a file its name', to, absent, () => done(fs.rename(from, to)))) ?? false,
    remove: async (path) => (await attempt('remove', path, absent, () => done(fs.unlink(path)))) ?? false,
    copy: async (from, to) => {
      await attempt('copy to', to, [], () => fs.copyFile(from, to));
    },
    makeDirectory: async (path) => {
      await attempt('make directory', path, [], () => makeDirectory(fs, path));
    },
    removeDirectory: async (path) => {
      await fs.rmdir(path).catch(() => {});
    },
    touch: async (path) => {
      const now = new Date();
      return (await attempt('touch', path, absent, () => done(fs.utimes(path, now, now)))) ?? false;
    },
    syncDirectory: async (path) => {
      const handle = await attempt('sync', path, [], () => fs.open(path, 'r')).catch(() => undefined);
      await handle?.sync().catch(() => {});
      await handle?.close();
    },
  };
}

const modes = {
  read: { flags: 'r', attempted: 'read', expected: ['ENOENT'] },
  write: { flags: 'r+', attempted: 'write', expected: ['ENOENT'] },
  create: { flags: 'wx+', attempted: 'create', expected: ['EEXIST', 'ENOENT'] },
} as const;

function openFile(handle: import('node:fs/promises').FileHandle, path: string): OpenFile {
  const told = async <T>(attempted: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw storeFault(attempted, path, error);
    }
  };
  return {
    read: async (buffer, position) => {
      const { bytesRead } = await told('read', handle.read(buffer, 0, buffer.length, position));
      return bytesRead;
    },
    write: (chunks, position) => told('write', writeAll(handle, chunks, position)),
    truncate: (size) => told('write', handle.truncate(size)),
    sync: () => told('write', handle.datasync()),
    close: () => told('close', handle.close()),
  };
}

/** The system may take fewer bytes than it is given. */
async function writeAll(
  handle: import('node:fs/promises').FileHandle,
  chunks: readonly Uint8Array[],
  position: number,
): Promise<void> {
  let at = position;
  let left = [...chunks];
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = after(left, bytesWritten);
  }
}

/** What is left of the chunks after so many bytes. */
function after(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  const left: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (skip < chunk.length) left.push(chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.length);
  }
  return left;
}
