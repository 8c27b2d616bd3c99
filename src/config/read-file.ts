import { constants, type FileHandle, open } from 'node:fs/promises';
import { setTimeout as wait } from 'node:timers/promises';
import { longestText } from './document.ts';
import { fileError, unreadable } from './file-problems.ts';

/**
 * The bytes of a configuration file, at most 4 MiB of them. A pipe or a device is read, too, and has `limit` milliseconds
 * to come to its end. `INVALID_CONFIG` for what is longer or takes longer, and for a directory; other failures are the
 * system's.
 */
export async function readBytes(path: string, limit = 10_000): Promise<Buffer> {
  // Not to block: to open a pipe that nobody writes to would hold a thread, and with it the end of the process, for ever.
  const handle = await open(path, constants.O_RDONLY | (constants.O_NONBLOCK ?? 0));
  try {
    const found = await handle.stat();
    if (found.isDirectory()) throw unreadable(path, 'it is a directory');
    if (found.size > longestText) throw tooLong(path, found.size);
    return await readToEnd(handle, path, { limit, isPipe: found.isFIFO() });
  } finally {
    await handle.close();
  }
}

const tooLong = (path: string, length: number): Error =>
  fileError(path, [`found ${length} bytes, expected at most ${longestText}`]);

async function readToEnd(
  handle: FileHandle,
  path: string,
  { limit, isPipe }: { readonly limit: number; readonly isPipe: boolean },
): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for (const end = performance.now() + limit; ; ) {
    const chunk = await readNext(handle);
    // A pipe that nobody has written to yet looks as if it were at its end.
    if (chunk?.length === 0 && (length > 0 || !isPipe)) return Buffer.concat(chunks);
    if (chunk && chunk.length > 0) {
      chunks.push(chunk);
      length += chunk.length;
      if (length > longestText) throw tooLong(path, length);
      continue;
    }
    if (performance.now() > end) {
      throw unreadable(path, `it is ${isPipe ? 'a pipe' : 'a device'} that did not come to its end in ${limit} ms`);
    }
    await wait(20);
  }
}

/** What is there to be read, nothing at the end; undefined where something may come later. */
async function readNext(handle: FileHandle): Promise<Buffer | undefined> {
  const chunk = Buffer.allocUnsafe(65_536);
  try {
    const { bytesRead } = await handle.read(chunk, 0, chunk.length, null);
    return chunk.subarray(0, bytesRead);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}
