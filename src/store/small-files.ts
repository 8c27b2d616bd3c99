import { RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import { storeError } from './fault.ts';
import type { Files } from './files.ts';

/** The whole of a file of at most `limit` bytes, else `TOO_LARGE`; undefined where there is none. */
export async function readFile(files: Files, path: string, limit: number): Promise<Uint8Array | undefined> {
  const facts = await files.facts(path);
  if (!facts) return undefined;
  if (facts.size > limit) {
    throw new RegistryError('TOO_LARGE', `Cannot read ${quote(path)}: ${facts.size} bytes, at most ${limit}`);
  }
  return readPart(files, path, facts.size);
}

/** The first `length` bytes of a file, or all where it has fewer; undefined where there is none. */
export async function readPart(files: Files, path: string, length: number): Promise<Uint8Array | undefined> {
  const file = await files.open(path, 'read');
  if (!file) return undefined;
  try {
    const bytes = new Uint8Array(length);
    let size = 0;
    while (size < length) {
      const count = await file.read(bytes.subarray(size), size);
      if (count === 0) break;
      size += count;
    }
    return bytes.subarray(0, size);
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
