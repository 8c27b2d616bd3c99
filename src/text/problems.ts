import type { z } from 'zod';
import { type ConfigProblem, configError } from '../errors.ts';
import { legible, nearest, quote } from './quote.ts';

/** Keys from the root of a document to a value. */
export type KeyPath = readonly PropertyKey[];

/** A key path as people write it: `layers[0].size`, `registries["docker.io"].mirrors[0].url`. */
export function pathText(path: KeyPath): string {
  return path.reduce<string>((text, key) => {
    if (typeof key === 'number') return `${text}[${key}]`;
    if (!/^[A-Za-z_][A-Za-z0-9_]*$/.test(String(key))) return `${text}[${JSON.stringify(legible(String(key)))}]`;
    return text === '' ? String(key) : `${text}.${String(key)}`;
  }, '');
}

/** As `pathText`; undefined for the whole document. */
export const keyOf = (path: KeyPath): string | undefined => (path.length === 0 ? undefined : pathText(path));

/** The value at a path, if there is one. */
export function valueAt(root: unknown, path: KeyPath): unknown {
  return path.reduce<unknown>(
    (value, key) =>
      typeof value === 'object' && value !== null && Object.hasOwn(value, key)
        ? (value as Record<PropertyKey, unknown>)[key]
        : undefined,
    root,
  );
}

/** The first problem of a document: field, value in quotes, what is wrong with it. */
export function firstProblem(error: z.ZodError, root: unknown): string {
  const issue = error.issues[0];
  const path = issue?.path ?? [];
  const where = path.length === 0 ? 'it' : `field ${quote(pathText(path))}`;
  return `${where} is ${quote(valueAt(root, path))}: ${issue?.message ?? 'not as expected'}`;
}

/** What was expected in place of a value, `expected a path`; undefined if the value is right. */
export type Check = (value: unknown) => string | undefined;

/** The checks of all options there are, by name. */
export type Checks = Readonly<Record<string, Check>>;

/** For what is judged elsewhere. */
export const anything: Check = () => undefined;

export const flag: Check = (value) => (typeof value === 'boolean' ? undefined : 'expected true or false');

export const listener: Check = (value) => (typeof value === 'function' ? undefined : 'expected a function');

/** An `AbortSignal`, of this or another realm. */
export const abortSignal: Check = (value) =>
  typeof value === 'object' && value !== null && 'aborted' in value && 'addEventListener' in value
    ? undefined
    : 'expected an AbortSignal';

/**
 * Refuses unknown options and wrong values, which would be ignored silently: `INVALID_CONFIG` with all of them. `attempted`
 * is `load config`. An option that is undefined counts as left out.
 */
export function checkOptions(attempted: string, options: unknown, checks: Checks): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options)) {
    throw configError(attempted, [{ found: `found ${shown(options)}, expected an object of options` }]);
  }
  const problems = Object.entries(options).flatMap(([name, value]) => problemOf(name, value, checks) ?? []);
  if (problems.length > 0) throw configError(attempted, problems);
}

function problemOf(name: string, value: unknown, checks: Checks): ConfigProblem | undefined {
  const check = Object.hasOwn(checks, name) ? checks[name] : undefined;
  if (!check) {
    const near = nearest(name, Object.keys(checks));
    const hint =
      near === undefined ? `expected one of ${Object.keys(checks).join(', ')}` : `did you mean ${quote(near)}?`;
    return { found: `unknown option ${quote(name)}, ${hint}` };
  }
  const expected = value === undefined ? undefined : check(value);
  return expected === undefined ? undefined : { key: pathText([name]), found: `found ${shown(value)}, ${expected}` };
}

/** A text in quotes, anything else as it is or by its kind. */
function shown(value: unknown): string {
  const text = quote(value);
  return typeof value === 'string' ? text : text.slice(1, -1);
}
