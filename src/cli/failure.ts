import type { ErrorCode, ErrorReason, RegistryError } from '../index.ts';
import { UsageError } from './command.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { codesOfSignals, Interrupted } from './interrupted.ts';
import { type Io, manyLines, oneLine, painter, writeJson, writeJsonLine } from './io.ts';
import { helperAdvice } from './login-helpers.ts';
import { OutputError } from './output.ts';
import type { Line } from './parse.ts';

/** The command line that failed, as far as it was parsed. */
interface FailedLine extends Partial<Line> {
  readonly isJson: boolean;
}

/**
 * Prints an error in one paragraph, with advice and without a stack unless DEBUG is set, and returns the exit code. With
 * `--json` also as JSON on stdout, on one line for commands that print lines.
 */
export function reportFailure(error: unknown, io: Io, line: FailedLine): number {
  const { code, message, exit, shown = message, advice } = failureOf(error, io, line);
  if (line.isJson) (line.requested?.command.jsonLines ? writeJsonLine : writeJson)(io, { error: { code, message } });
  const text = manyLines(shown);
  const more = advice === undefined ? '' : `${separatorAfter(text)}${advice}`;
  io.stderr.write(`${painter(io, io.stderr)('red', 'ocifetch:')} ${text}${more}\n`);
  if (io.environment.DEBUG && error instanceof Error) io.stderr.write(`${stackTexts(error).join('\n')}\n`);
  return exit;
}

/** Causes of causes that are printed. */
const deepest = 8;

/** Stacks of an error and of its causes, whose messages cannot forge a line. */
function stackTexts(thrown: unknown, depth = 0): string[] {
  if (!(thrown instanceof Error)) return [oneLine(String(thrown))];
  const { name, message, stack = '', cause } = thrown;
  const head = `${name}: ${message}`;
  const frames = stack.startsWith(head) ? stack.slice(head.length) : '';
  const causes: unknown[] = [
    ...(cause === undefined ? [] : [cause]),
    ...(thrown instanceof AggregateError ? thrown.errors : []),
  ];
  const below = depth < deepest ? causes.flatMap((each) => causedBy(stackTexts(each, depth + 1))) : [];
  return [`${oneLine(head)}${manyLines(frames)}`, ...below];
}

const causedBy = ([first = '', ...more]: readonly string[]): string[] => [`caused by ${first}`, ...more];

const separatorAfter = (text: string): string => (text.includes('\n') ? '\n' : /[.?!]$/.test(text) ? ' ' : '. ');

interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exit: number;
  /** The message without the library's own advice, if the program has better advice. */
  readonly shown?: string;
  readonly advice?: string | undefined;
}

function failureOf(error: unknown, { signal }: Io, line: FailedLine): Failure {
  const words = error instanceof Error ? error.message : String(error);
  // Only the library's messages have several lines of their own; others repeat what was typed or found.
  const message = isRegistryError(error) ? words : oneLine(words);
  const interrupted = [error, signal?.aborted ? signal.reason : undefined].find((one) => one instanceof Interrupted);
  if (interrupted) return { code: 'ABORTED', message: interrupted.message, exit: codesOfSignals[interrupted.signal] };
  if (isRegistryError(error)) {
    const { code, reason, attempted, found } = error;
    const failure = { code, message, exit: exitCodeOf(code) };
    if (reason === 'platform')
      return { ...failure, shown: `Cannot ${attempted}: ${found}`, ...platformAdvice(error, line) };
    if (error.helper) return { ...failure, advice: `${helperAdvice(error.helper)}.` };
    const byCode =
      /^(?:REF|REPOSITORY)/.test(line.requested?.entry.usage ?? '') || !isOfHosts(code)
        ? adviceByCode[code]
        : undefined;
    const advice = reason && reason in adviceByReason ? adviceByReason[reason] : byCode;
    return { ...failure, advice: [advice, limitAdvice(error, line)].filter(Boolean).join(' ') || undefined };
  }
  if (isLost(error)) {
    const found = 'Cannot find the current directory: it no longer exists';
    return { code: 'STORE_ERROR', message: found, exit: exitCodes.storage, advice: 'Run it in another one.' };
  }
  if (error instanceof OutputError) return { code: 'STORE_ERROR', message, exit: exitCodes.storage };
  if (error instanceof UsageError) {
    const command = error.command ?? line.requested?.entry.name;
    const advice = `See "ocifetch ${command === undefined ? '' : `${command} `}--help".`;
    return { code: 'USAGE', message, exit: exitCodes.usage, advice };
  }
  return { code: 'FAILED', message, exit: exitCodes.failed };
}

/** By its name, since a wrong command line is reported without loading the library. */
const isRegistryError = (error: unknown): error is RegistryError =>
  error instanceof Error && error.name === 'RegistryError';

/** The system's error if the current directory was removed. Whatever takes a relative path throws it. */
const isLost = (error: unknown): boolean => error instanceof Error && 'syscall' in error && error.syscall === 'uv_cwd';

const doctor = (shows: string): string => `Run "ocifetch doctor" with the reference: it shows ${shows}.`;
const wrongBytes = 'Have the cache of the named host emptied, or remove it from the configuration.';
const wrongImage = 'The image itself is wrong, whichever host serves it: have it built again.';

/** What to try next. */
const adviceByCode: Partial<Readonly<Record<ErrorCode, string>>> = {
  INVALID_REFERENCE: 'A reference is [HOST[:PORT]/]NAME[:TAG][@DIGEST], such as docker.io/library/alpine:3.20.',
  INVALID_DIGEST: 'A digest is sha256: and 64 hex digits, or sha512: and 128.',
  INVALID_CONFIG: 'Run "ocifetch config check" on the file.',
  NO_HOSTS: 'Run "ocifetch plan" with the reference: it shows which line of which file leaves each host out.',
  NOT_FOUND: doctor('what each host says'),
  UNAUTHORIZED: doctor('which host requires which login'),
  DENIED: doctor('which login each host is given'),
  UNAVAILABLE: doctor('at which step each host fails'),
  TIMEOUT: doctor('at which step each host fails'),
  RATE_LIMITED: 'Wait and run it again, log in, or configure a mirror of the host.',
  BAD_RESPONSE: doctor('how each host responds'),
  UNEXPECTED_END:
    'Run it again. If it breaks off again, "ocifetch doctor" with the reference shows how each host responds.',
  DIGEST_MISMATCH: wrongBytes,
  TOO_LARGE: wrongBytes,
  STORE_ERROR: 'Fix that, then run the same command again.',
};

/** Whether the advice is about hosts, which a command for a directory or a file has nothing to do with. */
const isOfHosts = (code: ErrorCode): boolean => code !== 'STORE_ERROR' && !code.startsWith('INVALID_');

/** Advice for errors with a reason, instead of that for their code. Undefined: the message says enough. */
const adviceByReason: Readonly<Partial<Record<ErrorReason, string | undefined>>> = {
  unreadable: undefined,
  environment: undefined,
  'invalid-platform': undefined,
  'invalid-name': undefined,
  path: undefined,
  limit: 'This is a limit of ocifetch; no host is to blame.',
  'size-conflict': wrongImage,
  'inconsistent-image': wrongImage,
  'invalid-document': wrongImage,
  'not-a-manifest': '"ocifetch get" prints blobs.',
  'login-refused': `The login that was sent is refused, or has no access: log in again, or request access. ${doctor('which login it was')}`,
  'no-login': `No login was sent: log in, or correct the name. ${doctor('where a login is looked up')}`,
  'login-withheld': 'The host redirects from http to https, where no login is sent: write https:// in its URL.',
  'private-address':
    'If that host is one of yours, allow it: --allow-private HOST (or .domain, an address, a CIDR block), or allowPrivate in the configuration.',
  'too-slow': 'Run it again, and a pull resumes; a mirror that is nearer helps.',
  unread: 'This is an error of ocifetch itself: please report it. Running it again may help.',
  'layout-in-use': 'Wait until that process is done, then run it again.',
};

/** Milliseconds of a Retry-After that a client obeys, if it is not given another limit. */
const longestWait = 60_000;

/** The flag and the key of the limit that was reached, if the command takes flags for limits. */
function limitAdvice({ code, limit, retryAfter = 0 }: RegistryError, { requested }: FailedLine): string | undefined {
  const options = requested?.command.options ?? {};
  const [flag] = Object.entries(options).find(([, { key }]) => key !== undefined && key === limit) ?? [];
  if (flag !== undefined) return `--${flag}, or ${limit} of ocifetch's own file, changes it.`;
  if (limit?.startsWith('timeouts.')) return `${limit} of ocifetch's own file changes it.`;
  if (retryAfter > longestWait && 'retry-after' in options)
    return "--retry-after, or timeouts.retryAfter of ocifetch's own file, is the longest wait that is obeyed.";
  return code === 'UNAVAILABLE' && 'retries' in options ? '--retries tries more often.' : undefined;
}

/** Advice if an index has no image for a platform. Only `pull` can take all platforms. */
function platformAdvice(
  { platforms = [], suggestion }: RegistryError,
  { requested, given }: Partial<Line>,
): Pick<Failure, 'advice'> {
  const isPull = requested?.entry.name === 'pull';
  const isNamed = given?.texts.platform !== undefined;
  const parts = [
    ...(suggestion !== undefined ? [`Or use "--platform ${suggestion}".`] : []),
    ...(suggestion === undefined && !isNamed && platforms.length > 0 ? ['Choose one with --platform.'] : []),
    ...(isPull ? ['"--platform all" takes all of it.'] : []),
    ...(!isPull && platforms.length === 0 ? ['Name one by its digest: "ocifetch manifest" prints the index.'] : []),
  ];
  return parts.length === 0 ? {} : { advice: parts.join(' ') };
}
