import { cannot } from '../../errors.ts';
import { builtin } from '../../runtime.ts';
import type { FileFacts, PlacedFile, Placement } from '../files.ts';
import { fileSystemError, linkedFolder, systemCode } from '../store-error.ts';

type NodeFs = typeof import('node:fs');

/**
 * Creates a file with all of its bytes and gives it its final name; throws what the system says if it cannot be created. The
 * calls are synchronous: each costs less than handing it to a thread, and nobody comes between them.
 */
export function placeFile(
  { bytes, temporary, final, folders }: Placement,
  factsOf: (stats: import('node:fs').BigIntStats, isLink: boolean) => FileFacts,
): PlacedFile {
  const fs = builtin('node:fs');
  if (!fs) throw cannot('UNSUPPORTED', 'use an image layout', 'this runtime has no node:fs');
  refuseLinks(fs, folders);
  const { O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW } = fs.constants;
  const file = fs.openSync(temporary, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW);
  const step = <T>(attempted: string, path: string, work: () => T): T => {
    try {
      return work();
    } catch (error) {
      throw fileSystemError(attempted, path, error);
    }
  };
  try {
    refuseLinks(fs, folders);
    step('write', temporary, () => writeAll(fs, file, bytes));
    step('rename a file to', final, () => fs.renameSync(temporary, final));
  } catch (error) {
    fs.closeSync(file);
    fs.rmSync(temporary, { force: true });
    throw error;
  }
  const synced = (): Promise<void> =>
    new Promise((resolve, reject) => {
      fs.fdatasync(file, (error) => (error ? reject(error) : resolve()));
    });
  return {
    facts: async () => step('examine', final, () => factsOf(fs.fstatSync(file, { bigint: true }), false)),
    sync: () =>
      ifOffered(synced).catch((error) => {
        throw fileSystemError('write', final, error);
      }),
    close: async () => step('close', final, () => fs.closeSync(file)),
  };
}

/** Somebody may have replaced a folder by a link, and leads the file elsewhere. */
function refuseLinks({ lstatSync }: NodeFs, folders: readonly string[]): void {
  for (const folder of folders) {
    if (lstatSync(folder, { throwIfNoEntry: false })?.isSymbolicLink()) throw linkedFolder(folder);
  }
}

/** The system may take fewer bytes than it is given. */
function writeAll({ writeSync }: NodeFs, file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at, bytes.length - at, at);
}

/**
 * Does what a runtime may not offer, and goes without it then: Node's permission model forbids `fsync`, and the file handles of
 * Yarn's Plug'n'Play throw. What the system itself refuses is an error.
 */
export async function ifOffered(sync: () => Promise<void>): Promise<void> {
  try {
    await sync();
  } catch (error) {
    if (/^E[A-Z0-9]+$/.test(systemCode(error) ?? '')) throw error;
  }
}
