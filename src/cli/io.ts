import { styleText } from 'node:util';

/** Where a command prints: a stream of the process, or what stands for one. */
export interface Sink {
  /** False where it has enough for now, until `drain`. */
  write(chunk: string | Uint8Array): unknown;
  readonly isTTY?: boolean | undefined;
  readonly columns?: number | undefined;
  readonly rows?: number | undefined;
  on?(event: 'drain' | 'resize', listener: () => void): unknown;
  off?(event: 'drain' | 'resize', listener: () => void): unknown;
}

/** What a command has of its process. */
export interface Io {
  readonly stdout: Sink;
  readonly stderr: Sink;
  readonly environment: Readonly<Record<string, string | undefined>>;
  /** Fires with an `Interrupted` when the user, or the system, wants an end. */
  readonly signal?: AbortSignal | undefined;
}

/** Writes, and waits where the reader is slower. */
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

/** A text in a style, where a terminal shows it and NO_COLOR is not set. */
export type Paint = (style: Style, text: string) => string;

export const painter = ({ environment }: Pick<Io, 'environment'>, sink: Pick<Sink, 'isTTY'>): Paint => {
  const isColoured = sink.isTTY === true && !environment.NO_COLOR && environment.TERM !== 'dumb';
  return (style, text) => (isColoured ? styleText(style, text, { validateStream: false }) : text);
};

/** A text of somebody else, fit for one line of a terminal: without control characters. */
export const oneLine = (text: string): string => text.replace(/[\p{Cc}\p{Cf}]+/gu, ' ').trim();

/** A text of several lines, without the characters that a terminal acts on. */
export const manyLines = (text: string): string =>
  text
    .split('\n')
    .map((line) => line.replace(/[\p{Cc}\p{Cf}]+/gu, ' '))
    .join('\n');

export const writeLines = (sink: Sink, lines: readonly string[]): void => {
  if (lines.length > 0) sink.write(`${lines.map((line) => line.trimEnd()).join('\n')}\n`);
};

export const writeJson = ({ stdout }: Io, value: unknown): void => {
  stdout.write(`${JSON.stringify(value, undefined, 2)}\n`);
};

/** One value a line, for readers that take them as they come. */
export const writeJsonLine = ({ stdout }: Io, value: unknown): void => {
  stdout.write(`${JSON.stringify(value)}\n`);
};

/** `1 problem`, `2 problems`. */
export const counted = (count: number, word: string): string => `${count} ${word}${count === 1 ? '' : 's'}`;
