import { type ErrorCode, messageOf, RegistryError } from '../../errors.ts';

/** Codes of the distribution specification, and three that it leaves to servers: `UNAVAILABLE`, `UNKNOWN`, `RANGE_INVALID`. */
export type ProblemCode =
  | 'BLOB_UNKNOWN'
  | 'BLOB_UPLOAD_INVALID'
  | 'BLOB_UPLOAD_UNKNOWN'
  | 'DENIED'
  | 'DIGEST_INVALID'
  | 'MANIFEST_BLOB_UNKNOWN'
  | 'MANIFEST_INVALID'
  | 'MANIFEST_UNKNOWN'
  | 'NAME_INVALID'
  | 'NAME_UNKNOWN'
  | 'RANGE_INVALID'
  | 'SIZE_INVALID'
  | 'TOOMANYREQUESTS'
  | 'UNAUTHORIZED'
  | 'UNAVAILABLE'
  | 'UNKNOWN'
  | 'UNSUPPORTED';

/** The status and code of an error; the code of `NOT_FOUND` depends on the route. Nearly the inverse of `codeOfStatus`. */
const problems: Readonly<Record<Exclude<ErrorCode, 'NOT_FOUND'>, readonly [status: number, code: ProblemCode]>> = {
  INVALID_REFERENCE: [400, 'NAME_INVALID'],
  INVALID_DIGEST: [400, 'DIGEST_INVALID'],
  INVALID_CONFIG: [500, 'UNKNOWN'],
  INVALID_REWRITE: [500, 'UNKNOWN'],
  NO_HOSTS: [503, 'UNAVAILABLE'],
  UNAUTHORIZED: [401, 'UNAUTHORIZED'],
  DENIED: [403, 'DENIED'],
  RATE_LIMITED: [429, 'TOOMANYREQUESTS'],
  UNAVAILABLE: [503, 'UNAVAILABLE'],
  // 408 would say that the client was slow.
  TIMEOUT: [504, 'UNAVAILABLE'],
  ABORTED: [503, 'UNAVAILABLE'],
  DIGEST_MISMATCH: [502, 'DIGEST_INVALID'],
  UNEXPECTED_END: [502, 'SIZE_INVALID'],
  TOO_LARGE: [502, 'SIZE_INVALID'],
  UNSUPPORTED_ENCODING: [502, 'UNKNOWN'],
  DECODE_ERROR: [502, 'UNKNOWN'],
  UNSUPPORTED: [405, 'UNSUPPORTED'],
  BAD_RESPONSE: [502, 'UNKNOWN'],
  TOO_MANY_REDIRECTS: [502, 'UNKNOWN'],
  UNSAFE_URL: [502, 'UNKNOWN'],
  STORE_ERROR: [500, 'UNKNOWN'],
  CLOSED: [503, 'UNAVAILABLE'],
};

/** In a request that writes, these are errors of the client, who sent the bytes. */
const clientErrors: Partial<Record<ErrorCode, number>> = {
  DIGEST_MISMATCH: 400,
  UNEXPECTED_END: 400,
  TOO_LARGE: 413,
};

/** An error as a response says it. */
export interface ServerProblem {
  readonly status: number;
  readonly code: ProblemCode;
  readonly message: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** Servers whose statuses differ from those of the specification. */
export type StatusTable = 'ociserver' | 'distribution';

const statusesOf: Readonly<Record<StatusTable, Partial<Record<ProblemCode, number>>>> = {
  ociserver: { UNSUPPORTED: 400, BLOB_UPLOAD_INVALID: 416, MANIFEST_BLOB_UNKNOWN: 404 },
  distribution: { UNSUPPORTED: 405, BLOB_UPLOAD_INVALID: 404, MANIFEST_BLOB_UNKNOWN: 400 },
};

/** How errors are written. */
export interface ProblemRules {
  /** Which status an error has if servers differ. Default: that of the specification. */
  readonly statuses?: StatusTable;
  /** Writes the response to an error in another form. Its status and headers may be used or not. */
  readonly writeError?: (found: ServerProblem, request: Request) => Response | Promise<Response>;
}

/** What responses that `problem` made say. */
const problemsIn = new WeakMap<Response, ServerProblem>();

/** The response to an error as the options of a server want it; any other response as it is. */
export async function rewritten(
  response: Response,
  request: Request,
  { statuses, writeError }: ProblemRules,
): Promise<Response> {
  const found = problemsIn.get(response);
  if (!found || !(statuses || writeError)) return response;
  const status = (statuses && statusesOf[statuses][found.code]) ?? found.status;
  if (writeError) return ofKnownLength(await writeError({ ...found, status }, request));
  const { code, message, headers } = found;
  return status === found.status ? response : problem(status, code, message, headers);
}

async function ofKnownLength(response: Response): Promise<Response> {
  if (!response.body || response.headers.has('content-length')) return response;
  const body = await response.arrayBuffer();
  const known = new Response(body, response);
  known.headers.set('content-length', String(body.byteLength));
  return known;
}

/** An error response in the form of the specification. https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#error-codes */
export function problem(
  status: number,
  code: ProblemCode,
  message: string,
  headers: Readonly<Record<string, string>> = {},
  detail?: unknown,
): Response {
  const body = new TextEncoder().encode(JSON.stringify({ errors: [{ code, message, detail }] }));
  const own = { 'content-type': 'application/json', 'content-length': String(body.length) };
  const response = new Response(body, { status, headers: { ...own, ...headers } });
  problemsIn.set(response, { status, code, message, headers });
  return response;
}

/** 404 for an API that is not offered, as clients expect from a registry without referrers. */
export const notOffered = ({ method, url }: Request): Response =>
  problem(404, 'UNSUPPORTED', `Cannot ${method} "${new URL(url).pathname}": not offered here`);

/** Statuses of what may succeed a little later. https://www.rfc-editor.org/rfc/rfc9110#section-10.2.3 */
const retried: ReadonlySet<number> = new Set([429, 503]);

/** Whole seconds until then: as a host upstream said, else a few. */
const secondsOf = (milliseconds = 5_000): string => String(Math.max(1, Math.ceil(milliseconds / 1_000)));

/**
 * The response to an error of a source or store. `unknown` is the code for `NOT_FOUND`. Anything but a RegistryError is a
 * 500 without details.
 */
export function problemOf(error: unknown, { unknown, writes }: { unknown: ProblemCode; writes: boolean }): Response {
  if (!(error instanceof RegistryError)) return problem(500, 'UNKNOWN', 'The server failed');
  if (error.code === 'NOT_FOUND')
    return problem(404, error.reason === 'no-repository' ? 'NAME_UNKNOWN' : unknown, messageOf(error));
  const [status, code] = problems[error.code];
  // Its message may have paths of this machine.
  if (status === 500) return problem(500, code, 'The server failed');
  const headers = retried.has(status) ? { 'retry-after': secondsOf(error.retryAfter) } : {};
  return problem((writes && clientErrors[error.code]) || status, code, messageOf(error), headers);
}
