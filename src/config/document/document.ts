import { type ConfigProblem, configError, messageOf, RegistryError } from '../../errors.ts';
import { quote } from '../../text/quote.ts';

/** A position in a file; both count from 1, columns in UTF-16 code units. */
export interface Position {
  readonly line: number;
  readonly column: number;
}

/** A value of a file, whatever its format, and where it begins. */
export type DocumentNode = TableNode | ListNode | ScalarNode;

/** Its entries are in the file's order, even if keys look like numbers; no key, such as `__proto__`, is special. */
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
  /** As it is written, if the format has texts that look like other values: YAML's `password: 0123`. */
  readonly source?: string;
  /** It is in quotes, if the format has texts without them. */
  readonly quoted?: true;
}

export interface DocumentEntry {
  /** Position of its key. */
  readonly at: Position;
  readonly value: DocumentNode;
}

/** Characters of the longest text that is read: 4 Mi. */
export const longestText = 4 * 1024 * 1024;

/** Levels of the deepest document that is read. */
export const deepest = 64;

/** Refuses, as `INVALID_CONFIG`, a text that no configuration is as long as. */
export function checkLength(text: string, file: string, longest = longestText): void {
  if (text.length <= longest) return;
  throw fileError(file, [{ found: `found ${text.length} characters, expected at most ${longest}` }]);
}

/** In the file's order. */
export const byPosition = (a: Position, b: Position): number => a.line - b.line || a.column - b.column;

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

/**
 * Parses the place of a declared TLS setting: `file:line:column: key path`, or the path of a directory, whose name may end in a
 * port. People may write anything there, which is then taken for a path.
 */
export function declaredPlace(declaredAt: string): Omit<ConfigProblem, 'found'> {
  const [, file, line, column, key] = /^(.+?):(\d+):(\d+): (.+)$/s.exec(declaredAt) ?? [];
  return file === undefined ? { file: declaredAt } : { file, line: Number(line), column: Number(column), key };
}

/** The kind of what is at an offset of a text; letters and digits, which may be a secret's, are not shown. */
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

/** A problem of a file. */
export interface FileProblem {
  /** Undefined for a problem of the whole file. */
  readonly at?: Position | undefined;
  /** Key path in the file. */
  readonly key?: string | undefined;
  /** What was found, and what was expected. */
  readonly found: string;
}

/** Takes a problem after which a document can be read on, such as a duplicate key. */
export type ReportProblem = (at: Position, found: string) => void;

/** The problem of a duplicate key; the first counts. */
export const duplicateKey = (key: string, first: Position): string =>
  `duplicate key ${quote(key)}, first at ${first.line}:${first.column}`;

/** For readers that stop at the first problem. */
export const refuse =
  (file: string): ReportProblem =>
  (at, found) => {
    throw fileError(file, [{ at, found }]);
  };

/** Problems of one file that are reported; more of them would not help. */
export const mostProblems = 100;

/** `INVALID_CONFIG` with the problems of a file, sorted by place; `left` is how many more were found. */
export function fileError(file: string, problems: readonly FileProblem[], left = 0): RegistryError {
  const sorted = [...problems].sort(byPlace);
  const more = Math.max(0, sorted.length - mostProblems) + left;
  const listed = sorted
    .slice(0, mostProblems)
    .map(({ at, key, found }): ConfigProblem => ({ file, line: at?.line, column: at?.column, key, found }));
  const all = more === 0 ? listed : [...listed, { file, found: `and ${more} more` }];
  return configError(`use config file ${quote(file)}`, all, { value: file });
}

/** Problems of the whole file come last. */
const byPlace = (a: FileProblem, b: FileProblem): number =>
  a.at && b.at ? byPosition(a.at, b.at) : Number(a.at === undefined) - Number(b.at === undefined);

/** `INVALID_CONFIG` with the problems of what is in a directory. */
export const directoryError = (directory: string, problems: readonly ConfigProblem[]): RegistryError =>
  configError(`use config directory ${quote(directory)}`, problems, { value: directory });

/** `INVALID_CONFIG` for a file or directory that cannot be read at all. */
export const unreadable = (path: string, found: string, kind = 'file', cause?: unknown): RegistryError =>
  configError(`read config ${kind} ${quote(path)}`, [{ file: path, found }], {
    reason: 'unreadable',
    value: path,
    cause,
  });

/** The results of reading several files. If some are refused: one `INVALID_CONFIG` with the problems of them all. */
export async function allFiles<Result>(reads: readonly Promise<Result>[]): Promise<Result[]> {
  const settled = await Promise.allSettled(reads);
  const thrown = settled.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  const [first, second] = thrown;
  if (first === undefined) return Promise.all(reads);
  const other = thrown.find((error) => !(error instanceof RegistryError && error.code === 'INVALID_CONFIG'));
  if (other !== undefined || second === undefined) throw other ?? first;
  const problems = thrown.flatMap((error: RegistryError) =>
    error.problems.length > 0 ? error.problems : [{ found: messageOf(error) }],
  );
  const files = new Set(problems.map(({ file }) => file));
  throw configError(`use ${files.size} config files`, problems, { cause: first });
}
