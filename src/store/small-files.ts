import { join } from '../body.ts';
import { cannot } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { Files } from './files.ts';
import { storeError } from './store-error.ts';

/** Bytes that are read at a time where nobody knows how many there are. */
const stepBytes = 65_536;

/** The whole of a file of at most `limit` bytes, else `TOO_LARGE`; undefined where there is none. */
export async function readFile(files: Files, path: string, limit: number): Promise<Uint8Array | undefined> {
  const bytes = await readPart(files, path, limit + 1);
  if (bytes && bytes.length > limit) {
    throw cannot('TOO_LARGE', `read ${quote(path)}`, `more than ${limit} bytes`, { reason: 'limit', value: path });
  }
  return bytes;
}

/**
 * The first `length` bytes of a file, or all where it has fewer; undefined where there is none. Its size is not asked for
 * first: by then another file may have its name.
 */
export async function readPart(files: Files, path: string, length: number): Promise<Uint8Array | undefined> {
  const file = await files.open(path, 'read');
  if (!file) return undefined;
  try {
    const chunks: Uint8Array[] = [];
    let size = 0;
    while (size < length) {
      const chunk = new Uint8Array(Math.min(stepBytes, length - size));
      const count = await file.read(chunk, size);
      if (count === 0) break;
      size += count;
      chunks.push(chunk.subarray(0, count));
    }
    return join(chunks, size);
  } finally {
    await file.close();
  }
}

/** Makes `bytes` the whole of a file that is there, and returns when the disk has them. */
export async function writeFile(files: Files, path: string, bytes: Uint8Array): Promise<void> {
  const file = await files.open(path, 'write');
  if (!file) throw storeError('write', path, 'it is not there any more');
  try {
    await file.truncate(0);
    await file.write([bytes], 0);
    await file.sync();
  } finally {
    await file.close();
  }
}
