import type { ErrorCode } from '../index.ts';

/** Exit codes of the program. */
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

const writeProblems: Readonly<Record<string, string>> = {
  ENOENT: 'there is no such directory',
  ENOTDIR: 'a part of the path is not a directory',
  EACCES: 'no permission',
  EPERM: 'no permission',
  EROFS: 'the disk is read-only',
  ENOSPC: 'the disk is full',
  EDQUOT: 'the disk quota is used up',
  EFBIG: 'the file is larger than this process or file system allows',
};

/** Why output was not written, in words. Exit code 9. */
export const writeProblem = ({ code, message }: NodeJS.ErrnoException): string => writeProblems[code ?? ''] ?? message;
