import { quote } from '../oci/quote.ts';

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
