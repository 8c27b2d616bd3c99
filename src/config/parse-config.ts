import type { z } from 'zod';
import { configError } from '../errors.ts';
import { keepHeader, keepKey, keepLogin, keepUrl } from '../redaction.ts';
import { type KeyPath, keyOf, valueAt } from '../text/problems.ts';
import { describeValue, isPlain, quote, unknownKey } from '../text/quote.ts';
import type { Config } from './model.ts';
import { isPath } from './pem.ts';
import { normalizeKey } from './registry-keys.ts';
import { configSchema, knownKeys } from './schema.ts';

/**
 * Checks a configuration and gives it with its keys in one spelling (`index.docker.io` is `docker.io`). What it is
 * given is not changed. `INVALID_CONFIG` reports every problem, each with its key path, what was found and what was
 * expected; `where` says whose configuration it is, and `file` from which file. Values that may be secret are never
 * reported.
 */
export function parseConfig(value: unknown, where = 'config', file?: string): Config {
  const parsed = configSchema.safeParse(value) satisfies z.ZodSafeParseResult<Config>;
  const problems = problemsOf(value, parsed.error);
  if (problems.length > 0 || !parsed.success) {
    const keyed = problems.map(({ path, found }) => ({ file, key: keyOf(path), found }));
    throw configError(`use ${where}`, keyed, { value: file });
  }
  keepSecrets(parsed.data);
  const { registries, credentials, ...rest } = parsed.data;
  return {
    ...rest,
    ...(registries && { registries: byHost(registries) }),
    ...(credentials && { credentials: typeof credentials === 'function' ? credentials : byHost(credentials) }),
  };
}

/** From now on no error shows them, whatever repeats them. */
function keepSecrets({ registries = {}, credentials, proxy = {} }: Config): void {
  for (const login of Object.values((typeof credentials === 'function' ? credentials.logins : credentials) ?? {})) {
    keepLogin(login);
  }
  for (const { mirrors = [], origin } of Object.values(registries)) {
    for (const { headers = {}, tls } of typeof origin === 'object' ? [...mirrors, origin] : mirrors) {
      for (const [name, value] of Object.entries(headers)) keepHeader(name, value);
      if (tls?.key !== undefined && !isPath(tls.key)) keepKey(tls.key);
    }
  }
  for (const url of [proxy.http, proxy.https, proxy.all]) if (url !== undefined) keepUrl(new URL(url));
}

/** Without a prototype: a registry may be called `constructor`. */
const byHost = <Value>(record: Record<string, Value>): Record<string, Value> =>
  Object.assign(
    Object.create(null),
    Object.fromEntries(Object.entries(record).map(([key, value]) => [normalizeKey(key), value])),
  );

type Issue = z.core.$ZodIssue;

/** A problem of a configuration. */
export interface KeyProblem {
  readonly path: KeyPath;
  /** What was found, and what was expected. */
  readonly found: string;
}

/** Everything wrong with a configuration. */
export function problemsOf(config: unknown, error?: z.ZodError): KeyProblem[] {
  const issues = error?.issues.flatMap((issue) => problemsOfIssue(issue, config, issue.path)) ?? [];
  const duplicates = [...sameKeys(config, 'registries'), ...sameKeys(config, 'credentials')];
  // What has the wrong kind at all is reported once.
  const reported = new Set(issues.map(({ path }) => keyOf(path)));
  const foreign = foreignParts(config).filter(({ path }) => !reported.has(keyOf(path)));
  return [...issues, ...duplicates, ...foreign];
}

function problemsOfIssue(issue: Issue, config: unknown, path: KeyPath): KeyProblem[] {
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => ({ path: [...path, key], found: unknownKey(key, knownKeys(path)) }));
  if (issue.code === 'invalid_key') return [{ path, found: issue.issues[0]?.message ?? issue.message }];
  const value = valueAt(config, path);
  if (issue.code === 'invalid_union' && typeof value === 'object' && value !== null) {
    // The other form is not an object, and its problems do not help.
    return issue.errors.at(-1)?.flatMap((inner) => problemsOfIssue(inner, config, [...path, ...inner.path])) ?? [];
  }
  // It has its own words, without its login.
  if (path[0] === 'proxy' && issue.code === 'custom') return [{ path, found: issue.message }];
  return [{ path, found: `${shown(value, path, issue.code === 'invalid_type')}, ${issue.message}` }];
}

function shown(value: unknown, path: KeyPath, isKind: boolean): string {
  if (value === undefined) return 'nothing found';
  if (isSecret(path) && !isForeign(value))
    return `found ${typeof value === 'string' ? 'a text that is not shown' : 'a value that is not shown'}`;
  // A URL that is wrong may still have a login before its host, or a token in its query.
  const isUrl = path.at(-1) === 'url' || path[0] === 'proxy';
  const bare = typeof value === 'string' && isUrl ? value.replace(/^.*@/s, '***@').replace(/\?.*/s, '?***') : value;
  return `found ${typeof bare === 'string' && !isKind ? quote(bare) : describeValue(bare)}`;
}

/** An object of a class, whose content is not in its properties. */
const isForeign = (value: unknown): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value) && !isPlain(value);

/** Where passwords, tokens, keys and headers stand, or what was meant to hold them; a whole file given as a text, too. */
function isSecret(path: KeyPath): boolean {
  if (path.length === 0 || path[0] === 'credentials') return true;
  return ['headers', 'tls', 'key'].some((name) => path.lastIndexOf(name) > 1);
}

/** Keys that are one host, spelled differently. */
function sameKeys(config: unknown, field: string): KeyProblem[] {
  const record = valueAt(config, [field]);
  if (typeof record !== 'object' || record === null) return [];
  const spelled = new Map<string, string>();
  return Object.keys(record).flatMap((key) => {
    const one = normalizeKey(key);
    const before = spelled.get(one);
    spelled.set(one, key);
    return before === undefined ? [] : [{ path: [field, key], found: `the same as ${quote(before)}, expected once` }];
  });
}

/**
 * Parts that are no plain objects (a promise that was not awaited, a Map), of which nothing would be read, and keys named
 * `__proto__`, which objects built from them would take for their prototype.
 */
function foreignParts(value: unknown, path: KeyPath = [], seen = new Set<unknown>()): KeyProblem[] {
  if (typeof value !== 'object' || value === null || seen.has(value)) return [];
  seen.add(value);
  if (isForeign(value)) return [{ path, found: `found ${describeValue(value)}, expected an object` }];
  return Reflect.ownKeys(value).flatMap((key) => {
    if (key === '__proto__') return [{ path: [...path, key], found: 'unknown key "__proto__", expected another name' }];
    const inner = [...path, Array.isArray(value) && typeof key === 'string' && /^\d+$/.test(key) ? Number(key) : key];
    // Deeper than any key of a configuration.
    return path.length > 8 ? [] : foreignParts(Reflect.get(value, key), inner, seen);
  });
}
