import { fstatSync, writeSync } from 'node:fs';
import { styleText } from 'node:util';
import { exitCodes, writeProblem } from './exit-codes.ts';

/** Where a command prints: a stream of the process, or one of a test. */
export interface Sink {
  /** Returns false when the reader is slower: then wait for `drain`. */
  write(chunk: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  on?(event: 'drain' | 'resize', listener: () => void): unknown;
  off?(event: 'drain' | 'resize', listener: () => void): unknown;
}

/** What a command gets from its process. */
export interface Io {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Fires with an `Interrupted` as its reason when the user or the system ends the program. */
  readonly signal?: AbortSignal | undefined;
}

/** The streams of this process. A failure of stdout ends the process, one of stderr does not. */
export function standardStreams(): Pick<Io, 'stdout' | 'stderr'> {
  process.stdout.on('error', endFailed);
  // Progress and warnings may have no reader, or no room: the work is done all the same.
  process.stderr.on('error', () => {});
  return { stdout: isFile() ? fileSink : process.stdout, stderr: process.stderr };
}

/** A block device counts too: Node has no stream for it, and would drop what is written. */
function isFile(): boolean {
  try {
    const found = fstatSync(1);
    return found.isFile() || found.isBlockDevice();
  } catch {
    return false;
  }
}

/** Node's own stream of a file writes once, and loses what did not fit. */
const fileSink: Sink = {
  write: (chunk) => {
    const bytes = typeof chunk === 'string' ? Buffer.from(chunk) : chunk;
    try {
      for (let done = 0; done < bytes.length; ) done += writeSync(1, bytes, done, bytes.length - done);
    } catch (error) {
      endFailed(error as NodeJS.ErrnoException);
    }
  },
};

function endFailed(error: NodeJS.ErrnoException): never {
  // The reader has seen enough: `| head`. Other programs end then, too.
  if (error.code === 'EPIPE') process.exit(process.exitCode ?? exitCodes.pipe);
  const { stderr, env: environment } = process;
  const paint = painter({ environment }, stderr);
  try {
    writeSync(2, `${paint('red', 'ocifetch:')} Cannot write the output: ${writeProblem(error)}\n`);
  } catch {
    // The exit code says it.
  }
  process.exit(exitCodes.storage);
}

/** Writes, and waits for a slower reader. */
export async function send(sink: Sink, chunk: string | Uint8Array): Promise<void> {
  if (sink.write(chunk) !== false || !sink.on) return;
  await new Promise<void>((drained) => {
    const listener = (): void => {
      sink.off?.('drain', listener);
      drained();
    };
    sink.on?.('drain', listener);
  });
}

type Style = Parameters<typeof styleText>[0];

/** Styles a text on a terminal, unless NO_COLOR is set. */
export type Paint = (style: Style, text: string) => string;

export const painter = ({ environment }: Pick<Io, 'environment'>, sink: Pick<Sink, 'isTTY'>): Paint => {
  const isColoured = sink.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
  return (style, text) => (isColoured ? styleText(style, text, { validateStream: false }) : text);
};

/** Control and format characters and separators of lines: what a terminal may act on. */
const acting = /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu;

/** A text from outside on one line, without characters that a terminal acts on. */
export const oneLine = (text: string): string => text.replace(acting, ' ').trim();

/** A text of several lines, without characters that a terminal acts on. */
export const manyLines = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.replace(acting, ' '))
    .join('\n');

/** A text with such characters as `\u{1b}`, except line ends and tabs. */
export const escapedText = (text: string): string => text.replace(/[^\P{Cc}\n\t]|[\p{Cf}\p{Zl}\p{Zp}]/gu, escapedPoint);

/** `\u{1b}` */
export const escapedPoint = (character: string): string => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`;

export const writeLines = (sink: Sink, lines: readonly string[]): void => {
  if (lines.length > 0) sink.write(`${lines.map((line) => line.trimEnd()).join('\n')}\n`);
};

export const writeJson = ({ stdout }: Io, value: unknown): void => {
  stdout.write(`${jsonText(value, 2)}\n`);
};

/** JSON has escapes only for the first control characters; the others are the same text escaped. */
export const jsonText = (value: unknown, indent?: number): string =>
  JSON.stringify(value, undefined, indent).replace(/[^\P{Cc}\n]|[\p{Cf}\p{Zl}\p{Zp}]/gu, (character) =>
    character
      .split('')
      .map((unit) => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
      .join(''),
  );

/** One value on a line, for readers that take them as they come. */
export const writeJsonLine = ({ stdout }: Io, value: unknown): void => {
  stdout.write(`${jsonText(value)}\n`);
};

/** `1 problem`, `2 problems`. */
export const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
