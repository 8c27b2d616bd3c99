import { cannot, type RegistryError } from '../errors.ts';

/** Bounds of decoding. */
export interface DecodeOptions {
  /** The most bytes to hand on; one more is `TOO_LARGE`, found before it is allocated. Unbounded when left out. */
  readonly limit?: number | undefined;
}

/**
 * Takes one content encoding off. Fails with a RegistryError: `DECODE_ERROR` for damaged or truncated input and for
 * anything after its end, `TOO_LARGE` over the limit; an error of `body` comes through as it is. Leaving early leaves `body`.
 */
export type Decoder = (body: AsyncIterable<Uint8Array>, options?: DecodeOptions) => AsyncIterable<Uint8Array>;

/** Decoders by the name of their encoding, lower case; the order is the order of preference in Accept-Encoding. */
export type Codecs = Readonly<Record<string, Decoder>>;

/** Milliseconds a decoder may work before others get their turn. */
const turn = 20;

/**
 * Lets the event loop run where decoding in JavaScript has held it for long: timers, aborts and other bodies wait
 * meanwhile. Await it between steps; mostly it is over at once.
 */
export function createPause(): () => Promise<void> {
  const later = globalThis.setImmediate ?? globalThis.setTimeout;
  let since = performance.now();
  return async () => {
    if (performance.now() - since < turn) return;
    await new Promise<void>((resolve) => {
      later(resolve);
    });
    since = performance.now();
  };
}

/** Findings that every implementation words the same. */
export const truncated = 'unexpected end of input';
export const withoutDictionary = 'needs a dictionary';

/** The error for input that is not what its encoding says: `Cannot decode gzip: …`. */
export function damaged(coding: string, found: string, cause?: unknown): RegistryError {
  return cannot('DECODE_ERROR', `decode ${coding}`, found, { cause });
}

/** Counts bytes against a limit, so that a bomb is refused before it is unpacked. */
export interface Allowance {
  /** Bytes still allowed. */
  readonly left: number;
  /** Fails with `TOO_LARGE` where `bytes` more are not allowed; takes nothing. */
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
