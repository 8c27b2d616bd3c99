import { sleep } from '../abort.ts';
import { cannot } from '../errors.ts';
import { builtin } from '../runtime.ts';
import { quote } from '../text/quote.ts';
import type { Files, OpenFile } from './files.ts';
import { fileSystemError, systemCode } from './store-error.ts';

/**
 * The file system of Node. `patience`: milliseconds to wait in total for other files to be closed if too many are open.
 * `UNSUPPORTED` if the runtime has none.
 */
export function nodeFiles({ patience = 5_000 }: { readonly patience?: number } = {}): Files {
  const fs = builtin('node:fs')?.promises;
  if (!fs) throw cannot('UNSUPPORTED', 'use an image layout', 'this runtime has no node:fs');

  /** Does the work, again while too many files are open; a failure with one of the codes `expected` is undefined. */
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
        if (!(code === 'EMFILE' || code === 'ENFILE') || waited > patience)
          throw fileSystemError(attempted, path, error);
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
      const found = await attempt('examine', path, [...absent, 'ENOTDIR'], () => fs.stat(path, { bigint: true }));
      if (!found?.isFile()) return undefined;
      const { size, mtimeMs, mtimeNs, ino } = found;
      return { size: Number(size), modified: Number(mtimeMs), version: `${ino}:${size}:${mtimeNs}` };
    },
    list: (path) => attempt('list', path, absent, () => fs.readdir(path)),
    rename: async (from, to) =>
      (await attempt('rename a file to', to, absent, () => done(fs.rename(from, to)))) ?? false,
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

/**
 * Creates a directory with its parents. Not by the option of `mkdir`, which never ends if a file system says that a
 * directory below it does not exist.
 */
async function makeDirectory(fs: typeof import('node:fs/promises'), path: string): Promise<void> {
  /** The parent, if it has to be created first. */
  const once = async (): Promise<string | undefined> => {
    try {
      await fs.mkdir(path);
    } catch (error) {
      const exists = await fs.stat(path).then(
        (facts) => facts.isDirectory(),
        () => false,
      );
      if (exists) return undefined;
      await refuseLink(path);
      if (systemCode(error) === 'ENOENT') return builtin('node:path')?.dirname(path);
      throw error;
    }
    return undefined;
  };
  const parent = await once();
  if (parent === undefined || parent === path) return;
  await makeDirectory(fs, parent);
  if ((await once()) !== undefined) throw Object.assign(new Error('no directory can be made here'), { code: 'ENOENT' });
}

/** A directory cannot be created where a symbolic link is, wherever it leads. */
export async function refuseLink(path: string): Promise<void> {
  const target = await builtin('node:fs')
    ?.promises.readlink(path)
    .catch(() => undefined);
  if (target !== undefined) throw new Error(`it is a symbolic link to ${quote(target)}, which is not a directory`);
}

function openFile(handle: import('node:fs/promises').FileHandle, path: string): OpenFile {
  const reported = async <T>(attempted: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw fileSystemError(attempted, path, error);
    }
  };
  return {
    read: async (buffer, position) => {
      const { bytesRead } = await reported('read', handle.read(buffer, 0, buffer.length, position));
      return bytesRead;
    },
    write: (chunks, position) => reported('write', writeAll(handle, chunks, position)),
    truncate: (size) => reported('write', handle.truncate(size)),
    sync: () => reported('write', handle.datasync()),
    close: () => reported('close', handle.close()),
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

/** What is left of the chunks after the first `bytes` bytes. */
function after(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  const left: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (skip < chunk.length) left.push(chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.length);
  }
  return left;
}
