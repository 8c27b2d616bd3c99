import type { ErrorCode, RegistryError } from '../index.ts';
import { UsageError } from './command.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { codesOfSignals, Interrupted } from './interrupted.ts';
import { type Io, manyLines, painter, writeJson, writeJsonLine } from './io.ts';
import { OutputError } from './output.ts';

const doctor = (tells: string): string => `Run "ocifetch doctor" with the reference: it tells ${tells}.`;
const wrongBytes = 'Have the cache of the host that is named emptied, or leave the host out of the configuration.';

/** What to try next. */
const hints: Partial<Readonly<Record<ErrorCode, string>>> = {
  INVALID_REFERENCE: 'A reference is [HOST[:PORT]/]NAME[:TAG][@DIGEST], such as docker.io/library/alpine:3.20.',
  INVALID_DIGEST: 'A digest is sha256: and 64 hex digits, or sha512: and 128.',
  INVALID_CONFIG: 'Run "ocifetch config check" on the file.',
  NO_HOSTS: 'Run "ocifetch plan" with the reference: it tells which line of which file leaves each host out.',
  NOT_FOUND: doctor('what each host says'),
  UNAUTHORIZED: doctor('which host wants which login'),
  DENIED: doctor('which login each host is given'),
  UNAVAILABLE: doctor('how far each host can be reached'),
  TIMEOUT: doctor('how far each host can be reached'),
  RATE_LIMITED: 'Wait and run it again, log in, or put a mirror before the host.',
  BAD_RESPONSE: doctor('what answers there'),
  UNEXPECTED_END: 'Run it again; if it breaks off again, "ocifetch doctor" with the reference tells of each host.',
  DIGEST_MISMATCH: wrongBytes,
  TOO_LARGE: wrongBytes,
  STORE_ERROR: 'Mend that, and run the same command again.',
};

const platformHint = 'Name one with --platform; "--platform all" takes the whole index.';

/** Other advice, by what the message says: beginnings of it, and what is tried next where anything can be. */
const exceptions: readonly (readonly [RegExp, string?])[] = [
  [/^Cannot write file /],
  // A path in an image, of which the message has the nearest.
  [/^Cannot find /],
  // There is nothing to check in a file that cannot be read, nor in the environment.
  [/^Cannot (?:read config file|use the environment's) /],
  [/^Cannot choose an image of /, platformHint],
  // They say what is expected.
  [/^Cannot (?:parse|use) platform |^Cannot use name /],
  // A limit, of lists or of files, which no host is to blame for.
  [/the limit "limits\.pages"|^Cannot list the files of /],
];

/**
 * Tells a failure in one paragraph, never with a stack trace unless DEBUG is set, and gives the exit code. As JSON, too,
 * where that is asked for: as a document, or as one more line of those that were printed.
 */
export function tellFailure(error: unknown, io: Io, json: 'document' | 'line' | false): number {
  const paint = painter(io, io.stderr);
  const { code, message, exit } = failureOf(error, io.signal?.aborted ? io.signal.reason : undefined);
  if (json) (json === 'line' ? writeJsonLine : writeJson)(io, { error: { code, message } });
  const hint = hintOf(code, message);
  // Said once, in words of the command line.
  const text = manyLines(hint === platformHint ? message.replace(/; choose one with platform$/, '') : message);
  io.stderr.write(`${paint('red', 'ocifetch:')} ${text}${hint === undefined ? '' : `${ending(text)}${hint}`}\n`);
  if (io.environment.DEBUG && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return exit;
}

const ending = (text: string): string => (text.includes('\n') ? '\n' : /[.?!]$/.test(text) ? ' ' : '. ');

function hintOf(code: string, message: string): string | undefined {
  if (code === 'USAGE') return message.includes('--help"') ? undefined : 'See "ocifetch --help".';
  const exception = exceptions.find(([words]) => words.test(message));
  return exception ? exception[1] : hints[code as ErrorCode];
}

/** By its name: what is wrong with a command line is told without loading the library. */
const isRegistryError = (error: unknown): error is RegistryError =>
  error instanceof Error && error.name === 'RegistryError';

function failureOf(error: unknown, reason: unknown): { code: string; message: string; exit: number } {
  const message = error instanceof Error ? error.message : String(error);
  const interrupted = [error, reason].find((one) => one instanceof Interrupted);
  if (interrupted) return { code: 'ABORTED', message: interrupted.message, exit: codesOfSignals[interrupted.signal] };
  if (isRegistryError(error)) return { code: error.code, message, exit: exitCodeOf(error.code) };
  if (error instanceof OutputError) return { code: 'STORE_ERROR', message, exit: exitCodes.storage };
  if (error instanceof UsageError) return { code: 'USAGE', message, exit: exitCodes.usage };
  return { code: 'FAILED', message, exit: exitCodes.failed };
}
