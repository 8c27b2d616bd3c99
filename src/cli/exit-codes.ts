import type { ErrorCode } from '../index.ts';

/** What the program ends with. */
export const exitCodes = {
  ok: 0,
  failed: 1,
  usage: 2,
  configuration: 3,
  notFound: 4,
  denied: 5,
  unavailable: 6,
  wrongBytes: 7,
  unsafe: 8,
  storage: 9,
  aborted: 130,
  pipe: 141,
  terminated: 143,
} as const;

/** What each of them means, for the help and the documentation. */
export const exitMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: 'done',
  failed: 'a check found problems, no host can serve the reference, or another failure',
  usage: 'the command line, a reference or a digest is not right',
  configuration: 'the configuration is not right, or leaves no host to ask',
  notFound: 'no host has it',
  denied: 'no login, a wrong one, or one that may not',
  unavailable: 'hosts that are dead, fail, break off, take too long or say "later"',
  wrongBytes: 'an answer that is not what it should be',
  unsafe: 'an answer that leads to where it is unsafe to go, or something that is not supported',
  storage: 'the disk is full, read-only or out of reach, or a layout is damaged',
  aborted: 'interrupted',
  pipe: 'whoever read the output left before all of it was written',
  terminated: 'ended by SIGTERM',
};

const byCode: Readonly<Record<ErrorCode, keyof typeof exitCodes>> = {
  INVALID_REFERENCE: 'usage',
  INVALID_DIGEST: 'usage',
  INVALID_CONFIG: 'configuration',
  INVALID_REWRITE: 'configuration',
  NO_HOSTS: 'configuration',
  NOT_FOUND: 'notFound',
  UNAUTHORIZED: 'denied',
  DENIED: 'denied',
  RATE_LIMITED: 'unavailable',
  UNAVAILABLE: 'unavailable',
  TIMEOUT: 'unavailable',
  ABORTED: 'aborted',
  DIGEST_MISMATCH: 'wrongBytes',
  UNEXPECTED_END: 'unavailable',
  TOO_LARGE: 'wrongBytes',
  UNSUPPORTED_ENCODING: 'wrongBytes',
  DECODE_ERROR: 'wrongBytes',
  BAD_RESPONSE: 'wrongBytes',
  UNSUPPORTED: 'unsafe',
  TOO_MANY_REDIRECTS: 'unsafe',
  UNSAFE_URL: 'unsafe',
  STORE_ERROR: 'storage',
  CLOSED: 'failed',
};

export const exitCodeOf = (code: ErrorCode): number => exitCodes[byCode[code] ?? 'failed'];
