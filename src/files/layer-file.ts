import { abortError, type Deadline } from '../abort.ts';
import { readAll } from '../body.ts';
import { cannot, type RegistryError } from '../errors.ts';
import { asyncDispose } from '../runtime.ts';
import { quote } from '../text/quote.ts';
import type { FileEntry } from './entry.ts';

/** Bounds of a file that is read into memory. */
export interface FileBytesOptions {
  /** Most bytes to read; a larger file is `TOO_LARGE` before it is read. Default: 64 MiB, as a layer may unpack to any size. */
  readonly limit?: number | undefined;
}

/**
 * An open file of a layer. The caller reads it to its end or closes it (`await using`); otherwise a connection stays open.
 * It is read once, by one of `for await`, `bytes` and `text`; leaving the loop closes it.
 */
export interface LayerFile extends AsyncIterable<Uint8Array>, AsyncDisposable {
  /** The file that is read: the target of symbolic links, or the file that a hard link is, under the path of the link. */
  readonly entry: FileEntry;
  /**
   * True once the file was read to its end and is known to be what the digest covers: by its checksum in a verified table
   * of contents, or because the whole layer was read (`verify`). Bytes from the middle of a layer cannot be verified.
   */
  readonly verified: boolean;
  /** The content in pieces, unpacked as they arrive. */
  [Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void, undefined>;
  /** The whole content. */
  bytes(options?: FileBytesOptions): Promise<Uint8Array>;
  /** The whole content as text; bytes that are not UTF-8 become U+FFFD. */
  text(options?: FileBytesOptions): Promise<string>;
  /** Stops reading at once and frees the connection. Reading on is `CLOSED`. */
  close(): Promise<void>;
}

/** Most bytes read into memory by default. */
const defaultLimit = 64 * 1_048_576;

export interface LayerFileParts {
  readonly entry: FileEntry;
  readonly chunks: AsyncGenerator<Uint8Array, void, undefined>;
  /** Frees the connection, even if `chunks` was never begun. */
  readonly release: () => Promise<void>;
  /** Aborts what `chunks` waits for. */
  readonly limit: Deadline;
  /** Whether the content, read to its end, is verified. */
  readonly isVerified: () => boolean;
}

export function createLayerFile({ entry, chunks, release, limit, isVerified }: LayerFileParts): LayerFile {
  let state: 'unread' | 'reading' | 'done' | 'closed' = 'unread';
  const attempted = `read ${quote(entry.path)}`;
  const closed = (): RegistryError => cannot('CLOSED', attempted, 'the file was closed');
  const finish = async (): Promise<void> => {
    await chunks.return().catch(() => {});
    await release().catch(() => {});
    limit.end();
  };
  async function* read(): AsyncGenerator<Uint8Array, void, undefined> {
    if (state === 'closed') throw closed();
    if (state !== 'unread') throw cannot('CLOSED', attempted, 'it was already read; open it again');
    state = 'reading';
    try {
      for await (const chunk of chunks) {
        // Not even a chunk that has already arrived is handed on.
        if (limit.signal.aborted) throw abortError(limit.signal.reason);
        yield chunk;
      }
      state = 'done';
    } finally {
      if (state === 'reading') state = 'closed';
      await finish();
    }
  }
  const close = async (): Promise<void> => {
    if (state === 'unread' || state === 'reading') state = 'closed';
    limit.cancel(closed());
    await finish();
  };
  const bytes = async ({ limit: most = defaultLimit }: FileBytesOptions = {}): Promise<Uint8Array> => {
    if (entry.size <= most) return readAll(read(), most, quote(entry.path), Number.POSITIVE_INFINITY);
    await close();
    throw cannot('TOO_LARGE', attempted, `${entry.size} bytes, at most ${most}`, {
      value: entry.path,
      reason: 'limit',
    });
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
    [asyncDispose]: close,
  };
}
