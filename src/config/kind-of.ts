import { quote } from '../oci/quote.ts';

/** A value that is of the wrong kind, as messages tell it: `the text "5"`, `the number 5`, `true`, `a list`. */
export function kindOf(value: unknown): string {
  if (typeof value === 'string') return `the text ${quote(value)}`;
  if (typeof value === 'number' || typeof value === 'bigint') return `the number ${value}`;
  if (value === null || value === undefined) return 'nothing';
  if (value instanceof Date) return 'a date';
  // Quotes are for texts.
  return quote(value).slice(1, -1);
}
