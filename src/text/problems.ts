import type { z } from 'zod';
import { type ConfigProblem, configError } from '../errors.ts';
import { isPlain, keyText, nearest, quote } from './quote.ts';

/** The keys from the root of a value to a part of it. */
export type KeyPath = readonly PropertyKey[];

/** A key path as people write it: `layers[0].size`, `registries["docker.io"].mirrors[0].url`. */
export function pathText(path: KeyPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(String(key))) return `${text}[${quote(keyText(String(key)))}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

/** As `pathText`; undefined for the whole document. */
export const keyOf = (path: KeyPath): string | undefined => (path.length === 0 ? undefined : pathText(path));

/** The value at a path; undefined if nothing is there. */
export function valueAt(root: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    root,
  );
}

/** The first problem of a document, or of its part at `at`: field, value in quotes, what is wrong with it. */
export function firstProblem(error: z.ZodError, root: unknown, at: KeyPath = []): string {
  const issue = error.issues[0];
  const path = issue?.path ?? [];
  const whole = [...at, ...path];
  const subject = whole.length === 0 ? 'it' : `field ${quote(pathText(whole))}`;
  return `${subject} is ${quote(valueAt(root, path))}: ${issue?.message ?? 'not as expected'}`;
}

/** All problems of a value that a schema refuses: the key, what was found, and the message of the schema. */
export const schemaProblems = (error: z.ZodError, root: unknown): ConfigProblem[] =>
  error.issues.map(({ path, message }) => ({
    key: keyOf(path),
    found: `found ${shown(valueAt(root, path))}, ${message}`,
  }));

/**
 * Checks the value of an option: what was expected instead, `expected a path`, or undefined if it fits. For a group of
 * options it is the checks of that group.
 */
export type Check = (value: unknown) => string | Checks | undefined;

/** The checks of all options that exist, by name. */
export interface Checks {
  readonly [name: string]: Check;
}

/** For values that are checked elsewhere. */
export const anything: Check = () => undefined;

export const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'expected true or false');

export const filledText: Check = (value) => (typeof value === 'string' && value !== '' ? undefined : 'expected a text');

/** A URL with one of these beginnings; `example` is shown for anything else. */
export const urlLike =
  (beginning: RegExp, example: string): Check =>
  (value) =>
    typeof value === 'string' && beginning.test(value) && URL.canParse(value)
      ? undefined
      : `expected a URL, as ${example}`;

export const listener: Check = (value) => (typeof value === 'function' ? undefined : 'expected a function');

/** An `AbortSignal`, of this or another realm. */
export const abortSignal: Check = (value) =>
  typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value
    ? undefined
    : 'expected an AbortSignal';

/** A whole number in these bounds, both included. */
export const wholeNumber =
  (least: number, most = Number.MAX_SAFE_INTEGER): Check =>
  (value) =>
    Number.isSafeInteger(value) && Number(value) >= least && Number(value) <= most
      ? undefined
      : `expected a whole number, ${most === Number.MAX_SAFE_INTEGER ? `at least ${least}` : `${least} to ${most}`}`;

/**
 * Refuses unknown options and wrong values, which would otherwise be ignored: `INVALID_CONFIG` with all of them.
 * `attempted` is `load config`. An option that is undefined counts as left out.
 */
export function checkOptions(attempted: string, options: unknown, checks: Checks): void {
  const problems = optionProblems(options, checks, []);
  if (problems.length > 0) throw configError(attempted, problems);
}

/** Refuses as options what is no plain object, of which nothing would be read: `INVALID_CONFIG`. */
export function checkPlain(attempted: string, options: unknown): void {
  if (options === undefined || (typeof options === 'object' && options !== null && isPlain(options))) return;
  throw configError(attempted, [{ found: `found ${shown(options)}, expected an object of options` }]);
}

/** What `checkOptions` refuses of the options at `path`. */
export function optionProblems(options: unknown, checks: Checks, path: KeyPath): ConfigProblem[] {
  if (typeof options !== 'object' || options === null || !isPlain(options)) {
    return [{ key: keyOf(path), found: `found ${shown(options)}, expected an object of options` }];
  }
  // Own and inherited: what is read must be checked.
  const names = new Set([...Object.keys(options), ...Object.keys(checks)]);
  return [...names].flatMap((name) => {
    const here = [...path, name];
    const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
    if (!check) return [{ found: unknownOption(here, Object.keys(checks)) }];
    const value: unknown = Reflect.get(options, name);
    const expected = value === undefined ? undefined : check(value);
    if (expected === undefined) return [];
    if (typeof expected === 'object') return optionProblems(value, expected, here);
    return [{ key: pathText(here), found: `found ${shown(value)}, ${expected}` }];
  });
}

function unknownOption(path: KeyPath, known: readonly string[]): string {
  const near = nearest(String(path.at(-1)), known);
  const hint =
    near === undefined
      ? `expected one of ${known.join(', ')}`
      : `did you mean ${quote(pathText([...path.slice(0, -1), near]))}?`;
  return `unknown option ${quote(pathText(path))}, ${hint}`;
}

/** A text in quotes, anything else as it is or by its kind. */
export function shown(value: unknown): string {
  const text = quote(value);
  return typeof value === 'string' ? text : text.slice(1, -1);
}
