import { randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';

/** A file under a temporary name, which becomes another one when it is complete. */
export interface PartialFile {
  readonly path: string;
  readonly file: FileHandle;
  /** Bytes of an earlier time. */
  readonly size: number;
}

/** Paths that this process is writing. */
const active = new Set<string>();

/** Says that a partial file is not written any more. */
export const release = (path: string): boolean => active.delete(path);

/**
 * The partial file of a content beside its final name, `.NAME.<digest>.<process>-<random>.partial`: one that a process left
 * which is gone, if there is one; otherwise a new one. It is taken over by a new name, so that only one process has it. What
 * is a link, has another name or belongs to another user is removed instead: nothing is written through it.
 */
export async function openPartial(final: string, digest: string, mode: number | undefined): Promise<PartialFile> {
  const folder = dirname(final);
  const prefix = `.${basename(final).slice(0, 60)}.${digest.replace(/^.*:/, '').slice(0, 16)}.`;
  const path = join(folder, `${prefix}${process.pid}-${randomUUID().slice(0, 8)}.partial`);
  active.add(path);
  try {
    for (const name of await readdir(folder)) {
      const [, owner] =
        /^(\d+)-[\da-f]{8}\.partial$/.exec(name.startsWith(prefix) ? name.slice(prefix.length) : '') ?? [];
      if (owner === undefined || isInUse(join(folder, name), Number(owner))) continue;
      const taken = await takeOver(join(folder, name), path);
      if (taken) return taken;
    }
    return { path, file: await open(path, 'wx+', mode), size: 0 };
  } catch (error) {
    release(path);
    throw error;
  }
}

function isInUse(path: string, owner: number): boolean {
  if (owner === process.pid) return active.has(path);
  try {
    process.kill(owner, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== 'ESRCH';
  }
}

/** Undefined if somebody else was faster, or if it cannot be trusted. */
async function takeOver(left: string, path: string): Promise<PartialFile | undefined> {
  let file: FileHandle | undefined;
  try {
    await rename(left, path);
    // A pipe or a device would wait for somebody.
    if ((await lstat(path)).isFile()) {
      file = await open(path, constants.O_RDWR | (constants.O_NOFOLLOW ?? 0));
      const { nlink, uid, size } = await file.stat();
      if (nlink === 1 && uid === (process.getuid?.() ?? uid)) return { path, file, size };
    }
  } catch {
    // It is gone, or not to be read: begun anew.
  }
  await file?.close();
  await rm(path, { force: true, recursive: true });
  return undefined;
}
