import type { Attempt } from './endpoint.ts';

/** Every way in which ocifetch fails. */
export type ErrorCode =
  | 'INVALID_REFERENCE'
  | 'INVALID_DIGEST'
  | 'INVALID_CONFIG'
  | 'INVALID_REWRITE'
  | 'NO_HOSTS'
  | 'NOT_FOUND'
  | 'UNAUTHORIZED'
  | 'DENIED'
  | 'RATE_LIMITED'
  | 'UNAVAILABLE'
  | 'TIMEOUT'
  | 'ABORTED'
  | 'DIGEST_MISMATCH'
  | 'UNEXPECTED_END'
  | 'TOO_LARGE'
  | 'UNSUPPORTED_ENCODING'
  | 'DECODE_ERROR'
  | 'UNSUPPORTED'
  | 'BAD_RESPONSE'
  | 'TOO_MANY_REDIRECTS'
  | 'UNSAFE_URL'
  | 'STORE_ERROR'
  | 'CLOSED';

/** What an error tells beside its code and message. */
export interface ErrorDetails {
  /** Status of the answer, where there was one. */
  readonly status?: number | undefined;
  /** Codes of the answer's body, as the registry wrote them. */
  readonly registryErrors?: readonly string[] | undefined;
  /** `host[:port]` that was asked. */
  readonly host?: string | undefined;
  /** Every failed attempt, in the order they were made. */
  readonly attempts?: readonly Attempt[] | undefined;
  readonly cause?: unknown;
}

const brand = Symbol.for('ocifetch.RegistryError');

/**
 * The one error class. `code` says what kind, the message what was attempted, on which value, and what was found;
 * `attempts` lists every host that was asked. It holds no secret: no token, password, configured header or signed query.
 */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code: ErrorCode;
  readonly status: number | undefined;
  readonly registryErrors: readonly string[];
  readonly host: string | undefined;
  readonly attempts: readonly Attempt[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    super(message, details.cause === undefined ? undefined : { cause: details.cause });
    this.code = code;
    this.status = details.status;
    this.registryErrors = details.registryErrors ?? [];
    this.host = details.host;
    this.attempts = details.attempts ?? [];
    Object.defineProperty(this, brand, { value: true });
  }

  /** Also true for an error of another copy of this package. */
  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && brand in value;
  }
}

/**
 * Codes by how far the asking got, furthest first. Of several hosts' errors the furthest is the one that tells most:
 * bytes that were wrong, then where it was unsafe to go, then what the host refused, last what no host has.
 */
const furthest: readonly ErrorCode[] = [
  'DIGEST_MISMATCH',
  'TOO_LARGE',
  'UNEXPECTED_END',
  'DECODE_ERROR',
  'UNSUPPORTED_ENCODING',
  'BAD_RESPONSE',
  'UNSUPPORTED',
  'UNSAFE_URL',
  'TOO_MANY_REDIRECTS',
  'UNAUTHORIZED',
  'DENIED',
  'RATE_LIMITED',
  'TIMEOUT',
  'UNAVAILABLE',
];

/** The error that got furthest; `NOT_FOUND` only where every one is. */
export function furthestOf(errors: readonly RegistryError[]): RegistryError | undefined {
  const rank = ({ code }: RegistryError): number => {
    if (code === 'NOT_FOUND') return furthest.length + 1;
    const index = furthest.indexOf(code);
    return index === -1 ? furthest.length : index;
  };
  return [...errors].sort((a, b) => rank(a) - rank(b))[0];
}

/** The code that an HTTP status stands for. */
export function codeOfStatus(status: number): ErrorCode {
  if (status === 404 || status === 410) return 'NOT_FOUND';
  if (status === 401) return 'UNAUTHORIZED';
  if (status === 403 || status === 451) return 'DENIED';
  if (status === 429) return 'RATE_LIMITED';
  if (status === 408) return 'TIMEOUT';
  if (status === 425 || status >= 500) return 'UNAVAILABLE';
  return 'BAD_RESPONSE';
}

/** Any thrown value as a RegistryError: an abort keeps its reason as cause, the rest is told as `code`. */
export function asRegistryError(thrown: unknown, code: ErrorCode, doing: string): RegistryError {
  if (thrown instanceof RegistryError) return thrown;
  const found = thrown instanceof Error ? thrown.message || thrown.name : String(thrown);
  return new RegistryError(code, `${doing}: ${found}`, { cause: thrown });
}
