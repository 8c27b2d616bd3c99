import { type ErrorCode, RegistryError } from '../index.ts';
import { UsageError } from './command.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { type Io, manyLines, painter, writeJson } from './io.ts';

/** What to try next. */
const hints: Partial<Readonly<Record<ErrorCode, string>>> = {
  INVALID_REFERENCE: 'A reference is [HOST[:PORT]/]NAME[:TAG][@DIGEST], such as docker.io/library/alpine:3.20.',
  INVALID_CONFIG: 'Run "ocifetch config check" on the file.',
  NO_HOSTS: 'Run "ocifetch plan" with the reference: it tells which line of which file leaves each host out.',
  NOT_FOUND: 'Run "ocifetch doctor" with the reference: it tells what each host says.',
  UNAUTHORIZED: 'Run "ocifetch doctor" with the reference: it tells which host wants which login.',
  UNAVAILABLE: 'Run "ocifetch doctor" with the reference: it tells how far each host can be reached.',
};

/** Tells a failure in one paragraph, never with a stack trace unless DEBUG is set, and gives the exit code. */
export function tellFailure(error: unknown, io: Io, { json }: { readonly json: boolean }): number {
  const paint = painter(io, io.stderr);
  const { code, message, exit } = failureOf(error);
  if (json) writeJson(io, { error: { code, message } });
  // There is nothing to check in a file that cannot be read, nor in the environment.
  const isUnread = /^Cannot (?:read config file|use the environment's) /.test(message);
  const hint = error instanceof UsageError ? 'See "ocifetch --help".' : isUnread ? undefined : hints[code as ErrorCode];
  const text = manyLines(message);
  io.stderr.write(`${paint('red', 'ocifetch:')} ${text}${hint === undefined ? '' : `${ending(text)}${hint}`}\n`);
  if (io.environment.DEBUG && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return exit;
}

const ending = (text: string): string => (text.includes('\n') ? '\n' : /[.?!]$/.test(text) ? ' ' : '. ');

function failureOf(error: unknown): { code: string; message: string; exit: number } {
  if (error instanceof RegistryError) {
    return { code: error.code, message: error.message, exit: exitCodeOf(error.code) };
  }
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof UsageError) return { code: 'USAGE', message, exit: exitCodes.usage };
  return { code: 'FAILED', message, exit: exitCodes.failed };
}
