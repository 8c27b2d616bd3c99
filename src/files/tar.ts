import { quote } from '../oci/quote.ts';
import type { BareEntry } from './entry.ts';
import { entryOf, isSparse, type Refuse } from './tar-entry.ts';
import { TarParser } from './tar-parser.ts';

/** An entry of an archive with its content, which can be read until the next entry is asked for. */
export interface TarFile {
  readonly entry: BareEntry;
  readonly data: AsyncIterable<Uint8Array>;
}

/**
 * The entries of a tar archive in its order, or an error of `refuse`. Content that is not read is passed over; that of
 * sparse files is refused. The archive ends where two blocks of zeros mark it, or with `bytes`; what follows the mark is
 * no part of it, and read to its end for the faults and the digest alone. Leaving early leaves `bytes`.
 */
export async function* readTar(bytes: AsyncIterable<Uint8Array>, refuse: Refuse): AsyncGenerator<TarFile, void> {
  const { extract } = await import('tar-stream');
  const archive = new TarParser(extract, bytes, refuse);
  try {
    for (;;) {
      const header = await archive.next();
      if (!header) return;
      const entry = entryOf(header, refuse);
      const found = `${quote(entry.path)} is a sparse file, which cannot be read`;
      yield { entry, data: archive.content(isSparse(header) ? refuse(found, 'UNSUPPORTED') : undefined) };
      for await (const _ of archive.content());
    }
  } finally {
    await archive.leave();
  }
}
