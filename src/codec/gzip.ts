import { joined } from './byte-reader.ts';
import { createAllowance, type Decoder, damaged, truncated } from './codec.ts';

export type InflateFormat = 'gzip' | 'zlib' | 'raw';

/** What unpacks one deflate stream, or gzip members one after the other. Chunks it hands on are the receiver's. */
export interface Inflater {
  write(bytes: Uint8Array): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Fails where the stream has not ended. */
  end(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /**
   * Bytes at the end of the last `write` that lie after the stream; 0 while it goes on. After a gzip member comes
   * another, unless the next byte is zero.
   */
  readonly rest: number;
  close(): void;
}

export type OpenInflater = (format: InflateFormat, coding: string, limit?: number) => Inflater;

/** The gzip and deflate decoders out of an inflater: the same verdict on every input, whatever the inflater lets pass. */
export function inflateDecoders(open: OpenInflater): { readonly gzip: Decoder; readonly deflate: Decoder } {
  return {
    gzip: (body, { limit } = {}) => inflated('gzip', body, limit, () => open('gzip', 'gzip', limit)),
    deflate: (body, { limit } = {}) =>
      inflated('deflate', body, limit, (head) => open(isZlib(head) ? 'zlib' : 'raw', 'deflate', limit)),
  };
}

async function* inflated(
  coding: string,
  body: AsyncIterable<Uint8Array>,
  limit: number | undefined,
  open: (head: Uint8Array) => Inflater,
): AsyncGenerator<Uint8Array, void> {
  const allowance = createAllowance(coding, limit);
  let inflater: Inflater | undefined;
  let head: Uint8Array = new Uint8Array(0);
  let over = false;
  try {
    for await (const chunk of body) {
      if (over) refuseRest(coding, chunk);
      if (over || chunk.length === 0) continue;
      const bytes = head.length > 0 && !inflater ? joined(head, chunk) : chunk;
      if (bytes.length < 2 && !inflater) {
        head = bytes;
        continue;
      }
      inflater ??= open(bytes);
      for await (const output of inflater.write(bytes)) {
        allowance.take(output.length);
        yield output;
      }
      over = inflater.rest > 0;
      if (over) refuseRest(coding, bytes.subarray(bytes.length - inflater.rest));
    }
    if (!inflater) throw damaged(coding, truncated);
    if (over) return;
    for await (const output of inflater.end()) {
      allowance.take(output.length);
      yield output;
    }
  } finally {
    inflater?.close();
  }
}

/** Zeros after the last gzip member are padding, as of tapes (gzip's own habit); all else is garbage. */
function refuseRest(coding: string, bytes: Uint8Array): void {
  if (coding === 'gzip' && bytes.every((byte) => byte === 0)) return;
  if (bytes.length > 0) throw damaged(coding, 'garbage after the end of the stream');
}

/**
 * RFC 9110 means the zlib format (RFC 1950) by "deflate"; some servers send bare deflate data (RFC 1951). That begins
 * like a zlib header only as a stored block with bits set in its padding, which no encoder makes.
 */
function isZlib([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 15) === 8 && first >> 4 <= 7 && (first * 256 + second) % 31 === 0;
}
