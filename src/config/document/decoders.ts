import { describeValue, quote, unknownKey } from '../../text/quote.ts';

import type { DocumentEntry, DocumentNode, TableNode } from './document.ts';

import type { FileReport, KeyPlace } from './file-report.ts';

/** A value and its place. */
export interface Placed<Value> extends KeyPlace {
  readonly value: Value;
}

/** An entry of a table whose keys are names. */
export interface Named<Value> extends Placed<Value> {
  readonly key: string;
}

/** Reads a value as what it must be. One that is something else is a problem, and read as left out. */
export type ValueDecoder<Value> = (found: Placed<DocumentNode>, report: FileReport) => Value | undefined;

type Shape = Readonly<Record<string, ValueDecoder<unknown>>>;

/** What a table holds, each key by its decoder. */
export type Decoded<Keys extends Shape> = {
  readonly [Key in keyof Keys]?: Keys[Key] extends ValueDecoder<infer Value> ? Value : never;
};

const scalar =
  <Value>(
    expected: string,
    convert: (value: unknown) => Value | undefined,
    isSecret = false,
  ): ValueDecoder<Placed<Value>> =>
  (found, report) => {
    const value = found.value.kind === 'scalar' ? convert(found.value.value) : undefined;
    if (value === undefined) return wrong(found, report, expected, isSecret);
    return { ...found, value };
  };

const asText = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

export const text = scalar('a text', asText);
/** A text; the problem of another value shows an example. */
export const textLike = (example: string): typeof text => scalar(`a text such as ${quote(example)}`, asText);
/** A text that is never shown, nor a wrong value in its place. */
export const secret = scalar('a text', asText, true);
export const flag = scalar('true or false', (value) => (typeof value === 'boolean' ? value : undefined));
export const number = scalar('a number', (value) =>
  typeof value === 'number' || typeof value === 'bigint' ? Number(value) : undefined,
);
/** Whatever it is; for keys that are known and not used. */
export const anything: ValueDecoder<Placed<DocumentNode>> = (found) => found;

export const listOf =
  <Value>(item: ValueDecoder<Value>): ValueDecoder<Placed<readonly Value[]>> =>
  (found, report) => {
    if (found.value.kind !== 'list') return wrong(found, report, 'a list');
    const values = found.value.items.flatMap((node, index) => {
      const value = item({ value: node, at: node.at, path: [...found.path, index] }, report);
      return value === undefined ? [] : [value];
    });
    return { ...found, value: values };
  };

/** A table whose keys are names, in the file's order. */
export const namesOf =
  <Value>(inner: ValueDecoder<Placed<Value>>): ValueDecoder<Placed<readonly Named<Value>[]>> =>
  (found, report) => {
    if (found.value.kind !== 'table') return wrong(found, report, 'a table');
    const values = [...found.value.entries].flatMap(([key, entry]) => {
      if (isNull(entry.value)) return [];
      const value = inner({ value: entry.value, at: entry.at, path: [...found.path, key] }, report);
      return value === undefined ? [] : [{ ...value, key }];
    });
    return { ...found, value: values };
  };

/** How a table is read. */
interface TableRules {
  /** As Go reads JSON: a key in another letter case is the known one, unless that is there, too. */
  readonly anyCase?: boolean;
  /** Its own tool ignores keys that it does not know, and nothing depends on them: they are warnings. */
  readonly isOpen?: boolean;
}

/** A table of known keys. Any other is a problem that names the nearest; one that is null is as left out. */
export const tableOf =
  <Keys extends Shape>(keys: Keys, { anyCase, isOpen }: TableRules = {}): ValueDecoder<Placed<Decoded<Keys>>> =>
  (found, report) => {
    if (found.value.kind !== 'table') return wrong(found, report, 'a table');
    const value: Record<string, unknown> = Object.create(null);
    const names = Object.keys(keys);
    const { entries } = anyCase ? inKnownCase(found.value, names) : found.value;
    for (const [key, entry] of entries) {
      const place = { at: entry.at, path: [...found.path, key] };
      const decoder = Object.hasOwn(keys, key) ? keys[key] : undefined;
      if (!decoder && isOpen) report.warn(place, () => `not used, ${unknownKey(key, names)}`);
      else if (!decoder) report.problem(place, () => unknownKey(key, names));
      const decoded = isNull(entry.value) ? undefined : decoder?.({ ...place, value: entry.value }, report);
      if (decoded !== undefined) value[key] = decoded;
    }
    return { ...found, value: value as Decoded<Keys> };
  };

/** The table with keys that differ from known ones only in their letter case spelled as those. */
export function inKnownCase(table: TableNode, known: readonly string[]): TableNode {
  const spelled = new Map(known.map((key) => [key.toLowerCase(), key]));
  const entries = new Map<string, DocumentEntry>();
  for (const [key, entry] of table.entries) {
    const name = spelled.get(key.toLowerCase()) ?? key;
    // As for a duplicate key, the first counts; an exact one counts before any other.
    if (key === name || !(entries.has(name) || table.entries.has(name))) entries.set(name, entry);
  }
  return { ...table, entries };
}

const isNull = (node: DocumentNode): boolean => node.kind === 'scalar' && node.value === null;

function wrong(found: Placed<DocumentNode>, report: FileReport, expected: string, isSecret = false): undefined {
  const { kind, at } = found.value;
  const shown = isSecret
    ? 'a value that is not shown'
    : kind === 'scalar'
      ? describeValue(found.value.value)
      : `a ${kind}`;
  report.problem({ at, path: found.path }, `found ${shown}, expected ${expected}`);
  return undefined;
}
