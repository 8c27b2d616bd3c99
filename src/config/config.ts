import type { z } from 'zod';
import { cannot } from '../errors.ts';
import { normalizeKey } from './host.ts';
import type { Config } from './model.ts';
import { problemsOf } from './problems.ts';
import { configSchema } from './schema.ts';

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
