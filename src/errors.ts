import { safeCause } from './cause.ts';
import type { Attempt, Owed } from './endpoint.ts';
import { oneLine, redact, safeRecord, safeText } from './redaction.ts';

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

/**
 * The kind of problem within its code, for programs that react to it. The set is closed in a release; minor releases may
 * add kinds, and an error may have none.
 *
 * - `unreadable`: a file or directory of the configuration cannot be read at all, so nothing in it is wrong
 * - `environment`: a variable of the environment is wrong, not a file
 * - `platform`: no image for the requested platform (`platforms` and `suggestion` say what there is)
 * - `invalid-platform`, `invalid-name`: the caller's own value is wrong
 * - `limit`: a limit of this library was reached (`limit` names its option, if it has one); no host is to blame
 * - `size-conflict`: an image gives one digest two sizes, so the image itself is wrong, whoever serves it
 * - `inconsistent-image`: an image contradicts itself (`data` that is not its content, a duplicate path): it is wrong everywhere
 * - `invalid-document`: bytes with the right digest that are not the document they should be
 * - `not-a-manifest`: a blob instead of a manifest
 * - `path`: there is no such path in an image
 * - `too-slow`: a body came more slowly than `timeouts.minimumSpeed`
 * - `range`: a host did not send the range that was requested
 * - `unread`: a request waited for others whose bodies nobody read
 * - `skipped`: no request was sent, as the host failed or asked to wait a moment ago and another one was left
 * - `login-refused`, `no-login`, `login-withheld`: refused with a login, without one, or at another origin than it is for
 * - `private-address`: a registry refers to a host at a private address (`value`) that `allowPrivate` does not list
 * - `bundle`: a bundler has changed a part of this package or of its dependencies, so that it cannot be loaded
 * - `no-repository`: the registry does not have the repository at all
 * - `layout-in-use`: another process is writing into the layout
 * - `upload-in-use`: another call is adding to the upload
 */
export type ErrorReason =
  | 'unreadable'
  | 'environment'
  | 'platform'
  | 'invalid-platform'
  | 'invalid-name'
  | 'limit'
  | 'size-conflict'
  | 'inconsistent-image'
  | 'invalid-document'
  | 'not-a-manifest'
  | 'path'
  | 'too-slow'
  | 'range'
  | 'unread'
  | 'skipped'
  | 'login-refused'
  | 'no-login'
  | 'login-withheld'
  | 'private-address'
  | 'bundle'
  | 'no-repository'
  | 'layout-in-use'
  | 'upload-in-use';

/** One problem of a configuration, and its place. */
export interface ConfigProblem {
  /** Path of the file or directory, as it was given. */
  readonly file?: string | undefined;
  /** Both counted from 1. */
  readonly line?: number | undefined;
  readonly column?: number | undefined;
  /** Key path, as people write it: `registries["docker.io"].mirrors[0].url`. */
  readonly key?: string | undefined;
  /** What was found, and what was expected. */
  readonly found: string;
}

/** A credential helper that failed. */
export interface HelperFailure {
  /** `docker-credential-` and the name that the configuration gives. */
  readonly program: string;
  /** What became of it, without anything that may hold a login. */
  readonly found: string;
  /** Whether there is no such program on PATH. */
  readonly isMissing: boolean;
}

/** What an error reports besides its code and message. */
export interface ErrorDetails {
  /** What was attempted, as the message has it between "Cannot" and the colon: `read config file "hosts.toml"`. */
  readonly attempted?: string | undefined;
  /** What was found, as the message has it after the colon, without advice. */
  readonly found?: string | undefined;
  readonly reason?: ErrorReason | undefined;
  /** The reference that the operation was for, as it was given, or in full if only its parts were. */
  readonly reference?: string | undefined;
  /** The value that the error is about, not quoted or shortened: a reference, a digest, a path, a platform. Never a secret. */
  readonly value?: string | undefined;
  /** Name of the option whose limit was reached: `limits.pages`. */
  readonly limit?: string | undefined;
  /** Platforms that an index has images for, or the one of a single image. Empty: it has none. */
  readonly platforms?: readonly string[] | undefined;
  /** A platform that would do. */
  readonly suggestion?: string | undefined;
  /** The credential helper whose failure this is. */
  readonly helper?: HelperFailure | undefined;
  /** Every problem of a configuration, sorted by place. */
  readonly problems?: readonly ConfigProblem[] | undefined;
  /** Status of the response, if there was one. */
  readonly status?: number | undefined;
  /** Codes of the response's body, as the registry wrote them. */
  readonly registryErrors?: readonly string[] | undefined;
  /** `host[:port]` that was contacted. */
  readonly host?: string | undefined;
  /** Milliseconds that the host asked to wait (`Retry-After`). */
  readonly retryAfter?: number | undefined;
  /** What the host is owed when no other one is left. Read by `firstOf`. */
  readonly owed?: Owed | undefined;
  /** Every failed attempt, in the order they were made. */
  readonly attempts?: readonly Attempt[] | undefined;
  readonly cause?: unknown;
}

const brand = Symbol.for('ocifetch.RegistryError');

/** For several problems, each on a line of its own. */
const safeLines = (text: string): string => text.split('\n').map(safeText).join('\n');

/**
 * The one error class. `code` says what kind, the message what was attempted, on which value, and what was found;
 * `attempts` lists every host that was contacted. Whoever makes it, it holds no secret that is in use (a token, a password,
 * a configured header, a signed query), also in its causes, and the message is one line, or one for each problem.
 */
export class RegistryError extends Error {
  override readonly name = 'RegistryError';
  readonly code: ErrorCode;
  readonly attempted: string | undefined;
  readonly found: string | undefined;
  readonly reason: ErrorReason | undefined;
  readonly reference: string | undefined;
  readonly value: string | undefined;
  readonly limit: string | undefined;
  readonly platforms: readonly string[] | undefined;
  readonly suggestion: string | undefined;
  readonly helper: HelperFailure | undefined;
  readonly problems: readonly ConfigProblem[];
  readonly status: number | undefined;
  readonly registryErrors: readonly string[];
  readonly host: string | undefined;
  readonly retryAfter: number | undefined;
  readonly owed: Owed | undefined;
  readonly attempts: readonly Attempt[];

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}) {
    const { value, found, reference, cause, ...given } = details;
    // The reason of a caller's own signal is left as it is.
    const kept = code === 'ABORTED' ? cause : safeCause(cause, (thrown) => brand in thrown);
    const facts = safeRecord(given);
    const { problems = [] } = facts;
    const text = problems.length > 1 ? safeLines : safeText;
    super(text(message), kept === undefined ? undefined : { cause: kept });
    this.code = code;
    this.attempted = facts.attempted;
    this.found = found === undefined ? undefined : text(found);
    this.reason = facts.reason;
    this.reference = reference === undefined ? undefined : redact(reference);
    this.value = value === undefined ? undefined : redact(value);
    this.limit = facts.limit;
    this.platforms = facts.platforms;
    this.suggestion = facts.suggestion;
    this.helper = facts.helper;
    this.problems = problems;
    this.status = facts.status;
    this.registryErrors = facts.registryErrors ?? [];
    this.host = facts.host;
    this.retryAfter = facts.retryAfter;
    this.owed = facts.owed;
    this.attempts = facts.attempts ?? [];
    Object.defineProperty(this, brand, { value: true });
  }

  /** Also true for an error of another copy of this package. A subclass has only those that it made itself. */
  static override readonly [Symbol.hasInstance]: (value: unknown) => boolean = hasInstance;
}

function hasInstance(this: { readonly prototype: object }, value: unknown): boolean {
  if (typeof value !== 'object' || value === null || !(brand in value)) return false;
  return this.prototype === RegistryError.prototype || Object.prototype.isPrototypeOf.call(this.prototype, value);
}

/**
 * An error in the form that messages have, `Cannot <attempted>: <found>`, with both parts as fields, so that nobody has to
 * read them out of the message.
 */
export const cannot = (
  code: ErrorCode,
  attempted: string,
  found: string,
  details: Omit<ErrorDetails, 'attempted' | 'found'> = {},
): RegistryError => new RegistryError(code, `Cannot ${attempted}: ${found}`, { ...details, attempted, found });

/** A problem as messages show it: its place, its key, and what was found. */
export function problemText({ file, line, column, key, found }: ConfigProblem): string {
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  return [...(place === '' ? [] : [place]), ...(key === undefined ? [] : [key]), found].join(': ');
}

/**
 * `INVALID_CONFIG` with all problems: one in the line of the message, several each in a line of its own. `value` is the
 * file or directory that `attempted` already names; a problem that has no line in it is shown without it.
 */
export function configError(
  attempted: string,
  problems: readonly ConfigProblem[],
  details: Omit<ErrorDetails, 'attempted' | 'found' | 'problems'> = {},
): RegistryError {
  const lines = problems.map((problem) =>
    oneLine(
      problemText(
        problem.line === undefined && problem.file === details.value ? { ...problem, file: undefined } : problem,
      ),
    ),
  );
  const found = lines.length === 1 ? lines.join() : [`${lines.length} problems`, ...lines].join('\n  ');
  return cannot('INVALID_CONFIG', oneLine(attempted), found, { ...details, problems });
}

/**
 * The same error with some of its facts replaced. The message stays, unless `attempted` or `found` is replaced: then it is
 * made anew of both, or is only `found` if nobody knows what was attempted.
 */
export function restate(error: RegistryError, changes: ErrorDetails): RegistryError {
  const { code, attempted, found, reason, value, limit, platforms, suggestion, helper, problems } = error;
  const { status, registryErrors, host, retryAfter, owed, attempts, cause } = error;
  const facts = { attempted, found, reason, value, limit, platforms, suggestion, helper, problems };
  const details = { ...facts, status, registryErrors, host, retryAfter, owed, attempts, cause, ...changes };
  const isReworded = changes.attempted !== undefined || changes.found !== undefined;
  const words = details.found ?? error.message;
  const message = details.attempted === undefined ? words : `Cannot ${details.attempted}: ${words}`;
  const reference = isReworded ? changes.reference : error.reference;
  return new RegistryError(code, isReworded ? message : error.message, { reference, ...details });
}

/** What an operation is for. */
export interface Subject {
  /** `resolve`, `fetch`. */
  readonly verb: string;
  /** The reference, as it was given. */
  readonly reference: string;
  /** The tag or digest by which inner errors name the same. */
  readonly part?: string | undefined;
}

/** What was thrown, as an error that names the whole reference: a tag, a digest or a URL does not say which one was meant. */
export function naming(thrown: unknown, { verb, reference, part }: Subject): unknown {
  if (!(thrown instanceof RegistryError) || thrown.reference !== undefined) return thrown;
  const { attempted, value } = thrown;
  const whole = `${verb} ${quoted(reference)}`;
  const isWhole = attempted === undefined || attempted === whole || (value !== undefined && value === part);
  const named = isWhole ? whole : `${attempted} for ${quoted(reference)}`;
  return restate(thrown, { attempted: named, reference });
}

const quoted = (text: string): string => JSON.stringify(safeText(text));

/** The error that ends an operation (an abort, a time limit), with every attempt until then and the host of the last one. */
export function withAttemptsOf(end: RegistryError, thrown: readonly unknown[]): RegistryError {
  const made = thrown.flatMap((error) => (error instanceof RegistryError ? error.attempts : []));
  const attempts = [...new Set(made)];
  const { host = attempts.at(-1)?.host, cause = thrown.at(-1) } = end;
  return attempts.length === 0 ? end : restate(end, { host, attempts, cause });
}

/**
 * Codes by how far a request got, furthest first. Of several hosts' errors the furthest is the most informative: wrong
 * bytes, then unsafe redirects, then refusals, last what no host has.
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

/** The error that got furthest; `NOT_FOUND` only if all are. */
export function furthestOf(errors: readonly RegistryError[]): RegistryError | undefined {
  const rank = ({ code }: RegistryError): number => {
    if (code === 'NOT_FOUND') return furthest.length + 1;
    const index = furthest.indexOf(code);
    return index === -1 ? furthest.length : index;
  };
  return [...errors].sort((a, b) => rank(a) - rank(b))[0];
}

/** Statuses with which a registry that says why refuses by a policy: Harbor's 412 for content with vulnerabilities. */
const refusedByPolicy = new Set([409, 412, 422, 423, 424, 428]);

/** The code that an HTTP status stands for; `isExplained` if the registry gave a code of its own with it. */
export function codeOfStatus(status: number, isExplained = false): ErrorCode {
  if (status === 404 || status === 410) return 'NOT_FOUND';
  if (status === 401) return 'UNAUTHORIZED';
  if (status === 402 || status === 403 || status === 451) return 'DENIED';
  if (isExplained && refusedByPolicy.has(status)) return 'DENIED';
  if (status === 429) return 'RATE_LIMITED';
  if (status === 408) return 'TIMEOUT';
  if (status === 425 || status >= 500) return 'UNAVAILABLE';
  return 'BAD_RESPONSE';
}

/** Whether something thrown is an error, of any realm: in a VM context, as Jest makes one, Node's errors have another `Error`. */
export const isError = (thrown: unknown): thrown is Error =>
  typeof thrown === 'object' && thrown !== null && 'message' in thrown && typeof thrown.message === 'string';

/** Anything thrown as an error. */
export const asError = (thrown: unknown): Error => (isError(thrown) ? thrown : new Error(String(thrown)));

/** The text of anything thrown, to be part of another message; programs read fields instead. */
export const messageOf = (thrown: unknown): string =>
  isError(thrown) ? thrown.message || thrown.name : String(thrown);

/** Any thrown value as a RegistryError: one is returned as it is, the rest becomes the cause of one with `code`. */
export const asRegistryError = (thrown: unknown, code: ErrorCode, attempted: string): RegistryError =>
  thrown instanceof RegistryError ? thrown : cannot(code, attempted, messageOf(thrown), { cause: thrown });
