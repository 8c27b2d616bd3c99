import type { RegistryError } from '../index.ts';
import { UsageError } from './command.ts';
import { exitCodeOf, exitCodes } from './exit-codes.ts';
import { hinted } from './hints.ts';
import { codesOfSignals, Interrupted } from './interrupted.ts';
import { type Io, manyLines, painter, writeJson, writeJsonLine } from './io.ts';
import { OutputError } from './output.ts';
import type { Line } from './parse.ts';

/** What failed. */
interface Failed extends Partial<Line> {
  readonly isJson: boolean;
}

/**
 * Tells a failure in one paragraph, never with a stack trace unless DEBUG is set, and gives the exit code. As JSON, too,
 * where that is asked for: as a document, or as one more line of those that were printed.
 */
export function tellFailure(error: unknown, io: Io, { isJson, asked, given }: Failed): number {
  const paint = painter(io, io.stderr);
  const { code, message, exit } = failureOf(error, io.signal?.aborted ? io.signal.reason : undefined);
  if (isJson) (asked?.command.jsonLines ? writeJsonLine : writeJson)(io, { error: { code, message } });
  const { text: told, hint } = hinted(code, message, { command: asked?.entry.name, platform: given?.texts.platform });
  const text = manyLines(told);
  io.stderr.write(`${paint('red', 'ocifetch:')} ${text}${hint === undefined ? '' : `${ending(text)}${hint}`}\n`);
  if (io.environment.DEBUG && error instanceof Error) io.stderr.write(`${error.stack}\n`);
  return exit;
}

const ending = (text: string): string => (text.includes('\n') ? '\n' : /[.?!]$/.test(text) ? ' ' : '. ');

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
