import { cannot, type RegistryError } from '../errors.ts';

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
