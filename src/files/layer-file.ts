import { abortError, type Deadline } from '../abort.ts';
import { readAll } from '../body.ts';
import { cannot, type RegistryError } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { FileEntry } from './entry.ts';

/** Bounds of a file that is taken into memory. */
export interface FileBytesOptions {
  /** Most bytes to take; a larger file is `TOO_LARGE` before it is read. Default: 64 MiB, as a layer may unpack to anything. */
  readonly limit?: number | undefined;
}

/**
 * One file of a layer, open: whoever has it reads it to its end or closes it (`await using`), or a connection stays taken.
 * It is read once, by one of `for await`, `bytes` and `text`; leaving the loop closes it.
 */
export interface LayerFile extends AsyncIterable<Uint8Array>, AsyncDisposable {
  /** The file that is read: what links lead to, under the name that the last one gave. */
  readonly entry: FileEntry;
  /**
   * True once the file was read to its end and is known to be what the digest stands for: by its checksum in a verified
   * table of contents, or since the whole layer was read (`verify`). Bytes out of the middle of a layer cannot be verified.
   */
  readonly verified: boolean;
  /** The content in pieces, unpacked as they come. */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined>;
  /** All of it. */
  bytes(options?: FileBytesOptions): Promise<Uint8Array>;
  /** All of it as text; bytes that are not UTF-8 become U+FFFD. */
  text(options?: FileBytesOptions): Promise<string>;
  /** Ends the reading, at once, and frees the connection. Reading on is `CLOSED`. */
  close(): Promise<void>;
}

/** Most bytes taken into memory where nobody says. */
const mostBytes = 64 * 1_048_576;

export interface LayerFileParts {
  readonly entry: FileEntry;
  /** Its content. */
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
  /** Frees the connection, also where `chunks` was never begun. */
  readonly release: () => Promise<void>;
  /** Ends what `chunks` waits for. */
  readonly limit: Deadline;
  /** Whether what was read to the end is verified. */
  readonly isVerified: () => boolean;
}

export function createLayerFile({ entry, chunks, release, limit, isVerified }: LayerFileParts): LayerFile {
  let state: 'fresh' | 'begun' | 'done' | 'closed' = 'fresh';
  const attempted = `read ${quote(entry.path)}`;
  const closed = (): RegistryError => cannot('CLOSED', attempted, 'the file was closed');
  const finish = async (): Promise<void> => {
    await chunks.return().catch(() => {});
    await release().catch(() => {});
    limit.end();
  };
  async function* read(): AsyncGenerator<Uint8Array, void, undefined> {
    if (state === 'closed') throw closed();
    if (state !== 'fresh') throw cannot('CLOSED', attempted, 'it was read already; open it again');
    state = 'begun';
    try {
      for await (const chunk of chunks) {
        // What is at hand already is not handed on either.
        if (limit.signal.aborted) throw abortError(limit.signal.reason);
        yield chunk;
      }
      state = 'done';
    } finally {
      if (state === 'begun') state = 'closed';
      await finish();
    }
  }
  const close = async (): Promise<void> => {
    if (state === 'fresh' || state === 'begun') state = 'closed';
    limit.cancel(closed());
    await finish();
  };
  const bytes = async ({ limit: most = mostBytes }: FileBytesOptions = {}): Promise<Uint8Array> => {
    if (entry.size <= most) return readAll(read(), most, quote(entry.path), Number.POSITIVE_INFINITY);
    await close();
    throw cannot('TOO_LARGE', attempted, `${entry.size} bytes, at most ${most}`, { reason: 'limit' });
  };
  return {
    entry,
    get verified() {
      return state === 'done' && isVerified();
    },
    [Symbol.asyncIterator]: read,
    bytes,
    text: async (options) => new TextDecoder().decode(await bytes(options)),
    close,
    [Symbol.asyncDispose]: close,
  };
}
