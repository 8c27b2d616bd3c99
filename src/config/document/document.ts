import { cannot, RegistryError } from '../../errors.ts';
import { quote } from '../../text/quote.ts';

/** Where something stands in a file; both count from 1, columns in UTF-16 code units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A value of a file, whatever its format, and where it begins. */
export type DocumentNode = TableNode | ListNode | ScalarNode;

/** Its entries are in the file's order, also where their keys look like numbers; no key has a meaning to JavaScript. */
export interface TableNode {
  readonly kind: 'table';
  readonly at: Position;
  readonly entries: ReadonlyMap<string, DocumentEntry>;
}

export interface ListNode {
  readonly kind: 'list';
  readonly at: Position;
  readonly items: readonly DocumentNode[];
}

export interface ScalarNode {
  readonly kind: 'scalar';
  readonly at: Position;
  /** A text, number, boolean, date, or null. */
  readonly value: unknown;
  /** As it is written, where the format lets a text be written like another value: YAML's `password: 0123`. */
  readonly source?: string;
  /** It stands in quotes, where the format has texts without them. */
  readonly quoted?: true;
}

export interface DocumentEntry {
  /** Where its key stands. */
  readonly at: Position;
  readonly value: DocumentNode;
}

/** Takes a fault that leaves the rest of a document legible, such as a key that comes again. */
export type TellFault = (at: Position, words: string) => void;

/** What is said of a key that comes again; the first counts. */
export const keyAgain = (key: string, first: Position): string =>
  `found the key ${quote(key)} again after ${first.line}:${first.column}, expected once`;

/** In the file's order. */
export const byPosition = (a: Position, b: Position): number => a.line - b.line || a.column - b.column;

/** Characters of the longest text that is read: 4 Mi. */
export const longestText = 4 * 1024 * 1024;

/** Levels of the deepest document that is read. */
export const deepest = 64;

/** A way from an offset of a text to its line and column. Linear once, logarithmic each time. */
export function positions(text: string): (offset: number) => Position {
  const starts = [0];
  for (let end = text.indexOf('\n'); end !== -1; end = text.indexOf('\n', end + 1)) starts.push(end + 1);
  return (offset) => {
    let low = 0;
    let high = starts.length - 1;
    while (low < high) {
      const middle = Math.ceil((low + high) / 2);
      if ((starts[middle] ?? 0) <= offset) low = middle;
      else high = middle - 1;
    }
    return { line: low + 1, column: offset - (starts[low] ?? 0) + 1 };
  };
}

/** `hosts.toml:3:1`. */
export const placeText = (file: string, { line, column }: Position): string => `${file}:${line}:${column}`;

/** `INVALID_CONFIG` with every problem of a file, each beginning with its place. */
export const fileError = (file: string, problems: readonly string[], cause?: unknown): RegistryError =>
  problemsError('file', file, problems, cause);

/** As `fileError`, of what is in a directory; each problem names its paths. */
export const directoryError = (directory: string, problems: readonly string[]): RegistryError =>
  problemsError('directory', directory, problems);

function problemsError(kind: string, path: string, problems: readonly string[], cause?: unknown): RegistryError {
  const told =
    problems.length === 1
      ? problems[0]
      : `${problems.length} problems${problems.map((line) => `\n  ${line}`).join('')}`;
  return cannot('INVALID_CONFIG', `use config ${kind} ${quote(path)}`, told ?? '', { cause });
}

/** `INVALID_CONFIG` for a file or directory that cannot be read at all. */
export const unreadable = (path: string, found: string, kind = 'file', cause?: unknown): RegistryError =>
  cannot('INVALID_CONFIG', `read config ${kind} ${quote(path)}`, found, { cause });

/** For readers that tell of no other fault beside it. */
export const refuse =
  (file: string): TellFault =>
  (at, words) => {
    throw fileError(file, [`${placeText(file, at)}: ${words}`]);
  };

/** The results of reading several files; where some are refused, one `INVALID_CONFIG` with the problems of them all. */
export async function allFiles<Result>(reads: readonly Promise<Result>[]): Promise<Result[]> {
  const settled = await Promise.allSettled(reads);
  const faults = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  const [first, second] = faults;
  if (first === undefined) return Promise.all(reads);
  const other = faults.find((fault) => !(fault instanceof RegistryError && fault.code === 'INVALID_CONFIG'));
  if (other !== undefined || second === undefined) throw other ?? first;
  const lines = faults.flatMap((fault: RegistryError) => problemLines(fault));
  const files = faults.reduce((sum, { message }: RegistryError) => sum + filesIn(message), 0);
  const told = `Cannot use ${files} config files: ${lines.length} problems`;
  throw new RegistryError('INVALID_CONFIG', [told, ...lines].join('\n  '), { cause: first });
}

/** Of how many files an error tells. */
const filesIn = (message: string): number => Number(/^Cannot use (\d+) config files: /.exec(message)?.[1] ?? 1);

/** The problems that an error of a file tells, without the words before them, as each begins with its place. */
function problemLines({ message }: RegistryError): string[] {
  const [first = '', ...lines] = message.split('\n').map((line) => line.trim());
  if (lines.length > 0) return lines;
  const [, problem] = /^Cannot use config file "(?:[^"\\]|\\.)*": (.*:\d+:\d+: .*)$/.exec(first) ?? [];
  return [problem ?? first];
}

/** Refuses, as `INVALID_CONFIG`, a text that no configuration is as long as. */
export function checkLength(text: string, file: string, longest = longestText): void {
  if (text.length <= longest) return;
  throw fileError(file, [`found ${text.length} characters, expected at most ${longest}`]);
}

/** What stands at an offset of a text, told by its kind: of letters and digits, which may be a secret's, nothing is shown. */
export function standsAt(text: string, offset: number): string {
  const codePoint = text.codePointAt(offset);
  if (codePoint === undefined) return 'the end of the file';
  const shown = String.fromCodePoint(codePoint);
  if (shown === '\ufeff') return 'a byte order mark';
  if (shown === '\ufffd') return 'bytes that are not UTF-8';
  if (/^(?:\/[/*]|#)/.test(text.slice(offset, offset + 2))) return 'a comment';
  if (shown === '"') return 'a text';
  if (/\p{N}/u.test(shown)) return 'a number';
  if (/[\p{L}_$]/u.test(shown)) return 'a bare word';
  return /[\p{P}\p{S}]/u.test(shown) ? quote(shown) : 'a character that is not shown';
}
