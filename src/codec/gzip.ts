import { joined } from './byte-reader.ts';
import { createAllowance, type Decoder, damaged, truncated } from './codec.ts';

export type InflateFormat = 'gzip' | 'zlib' | 'raw';

/** Unpacks one deflate stream, or gzip members one after the other. The receiver owns the chunks. */
export interface Inflater {
  write(bytes: Uint8Array): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /** Fails if the stream has not ended. */
  end(): Iterable<Uint8Array> | AsyncIterable<Uint8Array>;
  /**
   * Bytes at the end of the last `write` that lie after the stream; 0 until it ends. A gzip member is followed by
   * another unless the next byte is zero.
   */
  readonly rest: number;
  close(): void;
}

export type OpenInflater = (format: InflateFormat, coding: string, limit?: number) => Inflater;

/** gzip and deflate decoders that use an inflater, and accept and reject the same inputs with any of them. */
export function inflateDecoders(open: OpenInflater): { readonly gzip: Decoder; readonly deflate: Decoder } {
  return {
    gzip: (body, { limit } = {}) => inflate('gzip', body, limit, () => open('gzip', 'gzip', limit)),
    deflate: (body, { limit } = {}) =>
      inflate('deflate', body, limit, (head) => open(isZlib(head) ? 'zlib' : 'raw', 'deflate', limit)),
  };
}

async function* inflate(
  coding: string,
  body: AsyncIterable<Uint8Array>,
  limit: number | undefined,
  open: (head: Uint8Array) => Inflater,
): AsyncGenerator<Uint8Array, void> {
  const allowance = createAllowance(coding, limit);
  let inflater: Inflater | undefined;
  let head: Uint8Array = new Uint8Array(0);
  let hasEnded = false;
  try {
    for await (const chunk of body) {
      if (hasEnded) refuseRest(coding, chunk);
      if (hasEnded || chunk.length === 0) continue;
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
      hasEnded = inflater.rest > 0;
      if (hasEnded) refuseRest(coding, bytes.subarray(bytes.length - inflater.rest));
    }
    if (!inflater) throw damaged(coding, truncated);
    if (hasEnded) return;
    for await (const output of inflater.end()) {
      allowance.take(output.length);
      yield output;
    }
  } finally {
    inflater?.close();
  }
}

/** Zeros after the last gzip member are padding, as on tapes (gzip accepts them, too); anything else is garbage. */
function refuseRest(coding: string, bytes: Uint8Array): void {
  if (coding === 'gzip' && bytes.every((byte) => byte === 0)) return;
  if (bytes.length > 0) throw damaged(coding, 'garbage after the end of the stream');
}

/**
 * "deflate" is the zlib format (RFC 1950) in RFC 9110; some servers send bare deflate data (RFC 1951). That looks like
 * a zlib header only if it begins with a stored block with bits set in its padding, which no encoder writes.
 */
function isZlib([first = 0, second = 0]: Uint8Array): boolean {
  return (first & 15) === 8 && first >> 4 <= 7 && (first * 256 + second) % 31 === 0;
}
