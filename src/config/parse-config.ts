import type { z } from 'zod';
import { cannot } from '../errors.ts';
import { pathText, valueAt } from '../text/faults.ts';
import { kindOf, nearest, quote } from '../text/quote.ts';
import type { Config } from './model.ts';
import { normalizeKey } from './registry-keys.ts';
import { configSchema, knownKeys } from './schema.ts';

/**
 * Checks a configuration and gives it with its keys in one spelling (`index.docker.io` is `docker.io`). What it is
 * given is not changed. `INVALID_CONFIG` tells every problem there is, each with its key path, what was found and what
 * was expected; `where` says whose configuration it is. Values that may be secret are never told.
 */
export function parseConfig(value: unknown, where = 'config'): Config {
  const parsed = configSchema.safeParse(value) satisfies z.ZodSafeParseResult<Config>;
  const problems = problemsOf(value, parsed.error);
  if (problems.length > 0 || !parsed.success) {
    const [first, ...others] = problems;
    const told =
      others.length === 0 ? first : `${problems.length} problems${problems.map((line) => `\n  ${line}`).join('')}`;
    throw cannot('INVALID_CONFIG', `use ${where}`, told ?? '');
  }
  const { registries, credentials, ...rest } = parsed.data;
  return {
    ...rest,
    ...(registries && { registries: byHost(registries) }),
    ...(credentials && { credentials: typeof credentials === 'function' ? credentials : byHost(credentials) }),
  };
}

/** Without a prototype: a registry may be called `constructor`. */
const byHost = <Value>(record: Record<string, Value>): Record<string, Value> =>
  Object.assign(
    Object.create(null),
    Object.fromEntries(Object.entries(record).map(([key, value]) => [normalizeKey(key), value])),
  );

type Path = readonly PropertyKey[];
type Issue = z.core.$ZodIssue;

/** Everything wrong with a configuration, a line each: key path, what was found, what was expected. */
export function problemsOf(config: unknown, error?: z.ZodError): string[] {
  const issues = error?.issues.flatMap((issue) => linesOf(issue, config, issue.path)) ?? [];
  const twice = [...sameKeys(config, 'registries'), ...sameKeys(config, 'credentials')];
  return [...issues, ...twice, ...protoKeys(config)];
}

function linesOf(issue: Issue, config: unknown, path: Path): string[] {
  if (issue.code === 'unrecognized_keys') return issue.keys.map((key) => unknownKey(path, key));
  if (issue.code === 'invalid_key') return [`${pathText(path)}: ${issue.issues[0]?.message}`];
  const value = valueAt(config, path);
  if (issue.code === 'invalid_union' && typeof value === 'object' && value !== null) {
    // The other form is no object, and what is wrong with it tells nothing.
    return issue.errors.at(-1)?.flatMap((inner) => linesOf(inner, config, [...path, ...inner.path])) ?? [];
  }
  // It has its own words, without its login.
  if (path[0] === 'proxy' && issue.code === 'custom') return [`${pathText(path)}: ${issue.message}`];
  return [
    `${path.length === 0 ? 'it' : pathText(path)}: ${found(value, path, issue.code === 'invalid_type')}, ${issue.message}`,
  ];
}

function unknownKey(path: Path, key: string): string {
  const known = knownKeys(path);
  const near = nearest(key, known);
  const hint = near === undefined ? `expected one of ${known.join(', ')}` : `did you mean ${quote(near)}?`;
  return `${pathText([...path, key])}: unknown key ${quote(key)}, ${hint}`;
}

function found(value: unknown, path: Path, isKind: boolean): string {
  if (value === undefined) return 'nothing found';
  if (isSecret(path))
    return `found ${typeof value === 'string' ? 'a text that is not shown' : 'a value that is not shown'}`;
  // A URL that is wrong may still have a login before its host, or a token in its query.
  const isUrl = path.at(-1) === 'url' || path[0] === 'proxy';
  const shown = typeof value === 'string' && isUrl ? value.replace(/^.*@/s, '***@').replace(/\?.*$/s, '?***') : value;
  return `found ${typeof shown === 'string' && !isKind ? quote(shown) : kindOf(shown)}`;
}

/** Where passwords, tokens, keys and headers stand, or what was meant to hold them; a whole file given as a text, too. */
function isSecret(path: Path): boolean {
  if (path.length === 0 || path[0] === 'credentials') return true;
  return ['headers', 'tls', 'key'].some((name) => path.lastIndexOf(name) > 1);
}

/** Keys that are one host, spelled differently. */
function sameKeys(config: unknown, field: string): string[] {
  const record = valueAt(config, [field]);
  if (typeof record !== 'object' || record === null) return [];
  const spelled = new Map<string, string>();
  return Object.keys(record).flatMap((key) => {
    const one = normalizeKey(key);
    const before = spelled.get(one);
    spelled.set(one, key);
    return before === undefined ? [] : [`${pathText([field, key])}: the same as ${quote(before)}, expected once`];
  });
}

/** Keys named `__proto__`, which objects built from them would take for their prototype. */
function protoKeys(value: unknown, path: Path = [], seen = new Set<unknown>()): string[] {
  if (typeof value !== 'object' || value === null || seen.has(value)) return [];
  seen.add(value);
  return Reflect.ownKeys(value).flatMap((key) => {
    if (key === '__proto__') return [`${pathText([...path, key])}: unknown key "__proto__", expected another name`];
    const inner = [...path, Array.isArray(value) && typeof key === 'string' && /^\d+$/.test(key) ? Number(key) : key];
    // Deeper than any key of a configuration.
    return path.length > 8 ? [] : protoKeys(Reflect.get(value, key), inner, seen);
  });
}
