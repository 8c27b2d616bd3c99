import { cannot, type RegistryError } from '../errors.ts';

/** Bounds of decoding. */
export interface DecodeOptions {
  /** The most bytes to decode; one more is `TOO_LARGE`, found before it is allocated. Default: no limit. */
  readonly limit?: number | undefined;
}

/**
 * Removes one content encoding. Fails with a RegistryError: `DECODE_ERROR` for damaged or truncated input and for
 * anything after its end, `TOO_LARGE` over the limit; an error of `body` is passed on as it is. Leaving early closes `body`.
 */
export type Decoder = (body: AsyncIterable<Uint8Array>, options?: DecodeOptions) => AsyncIterable<Uint8Array>;

/** Decoders by the name of their encoding, lower case; the order is the order of preference in Accept-Encoding. */
export type Codecs = Readonly<Record<string, Decoder>>;

/** Milliseconds a decoder may work before the event loop runs. */
const longestTurn = 20;

/**
 * Lets the event loop run if decoding in JavaScript has blocked it for long: timers, aborts and other bodies wait
 * meanwhile. To be awaited between steps; usually it resolves at once.
 */
export function createPause(): () => Promise<void> {
  const later = globalThis.setImmediate ?? globalThis.setTimeout;
  let since = performance.now();
  return async () => {
    if (performance.now() - since < longestTurn) return;
    await new Promise<void>((resolve) => {
      later(resolve);
    });
    since = performance.now();
  };
}

/** Problems that every implementation reports in the same words. */
export const truncated = 'unexpected end of input';
export const withoutDictionary = 'needs a dictionary';

/** The error for input that is not valid in its encoding: `Cannot decode gzip: …`. */
export function damaged(coding: string, found: string, cause?: unknown): RegistryError {
  return cannot('DECODE_ERROR', `decode ${coding}`, found, { cause });
}

/** Counts bytes against a limit, so that a bomb is refused before it is unpacked. */
export interface Allowance {
  /** Bytes still allowed. */
  readonly left: number;
  /** Fails with `TOO_LARGE` if `bytes` more are not allowed; takes nothing. */
  expect(bytes: number): void;
  /** The same, and takes them. */
  take(bytes: number): void;
}

export function createAllowance(coding: string, limit = Number.POSITIVE_INFINITY): Allowance {
  let left = limit;
  const expect = (bytes: number): void => {
    if (bytes <= left) return;
    throw cannot('TOO_LARGE', `decode ${coding}`, `more than ${limit} bytes`);
  };
  return {
    get left() {
      return left;
    },
    expect,
    take(bytes) {
      expect(bytes);
      left -= bytes;
    },
  };
}
