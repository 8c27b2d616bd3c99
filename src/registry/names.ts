import { cannot } from '../errors.ts';
import { nameProblem, type Repository } from '../oci/reference.ts';
import { isCatalog, type Registry, type Source } from '../source.ts';
import { quote } from '../text/quote.ts';
import { type AbleSource, type MadeRegistry, withRepositories } from './changed.ts';

/**
 * A registry of the repositories below a prefix of another one, by the rest of their names. The prefix is one or more whole
 * components: below `a` is `a/b`, but neither `a` nor `ab/c`. `INVALID_REFERENCE` for a prefix that is not a repository name.
 */
export function under(registry: Registry, prefix: string): MadeRegistry {
  const problem = nameProblem(prefix);
  if (problem !== undefined)
    throw cannot('INVALID_REFERENCE', `use prefix ${quote(prefix)}`, problem, { value: prefix });
  const start = `${prefix}/`;
  return withRepositories(
    ({ registry: host, name }) => registry({ registry: host, name: start + name }),
    [registry],
    isCatalog(registry) &&
      (async (options) => {
        const all = await registry.repositories(options);
        return all.filter((name) => name.startsWith(start)).map((name) => name.slice(start.length));
      }),
  );
}

/**
 * A registry of only the allowed repositories: their names, or a function that is asked each time. The others do not exist: what is read is
 * `NOT_FOUND`, they are not listed and have no referrers; what is written is `DENIED`. The names of a list of repositories come
 * without a registry: the function is asked about them as those of `localhost`.
 */
export function only(
  registry: Registry,
  allowed: readonly string[] | ((repository: Repository) => boolean),
): MadeRegistry {
  const names = typeof allowed === 'function' ? undefined : new Set(allowed);
  const isAllowed = typeof allowed === 'function' ? allowed : ({ name }: Repository) => names?.has(name) ?? false;
  return withRepositories(
    (repository) => (isAllowed(repository) ? registry(repository) : hidden(repository)),
    [registry],
    isCatalog(registry) &&
      (async (options) => {
        const all = await registry.repositories(options);
        return all.filter((name) => isAllowed({ registry: 'localhost', name }));
      }),
  );
}

/** A repository that does not exist and cannot be created. */
function hidden({ registry, name }: Repository): Source {
  const found = `no repository "${registry}/${name}" here`;
  const missing = (attempted: string) => async (): Promise<never> => {
    throw cannot('NOT_FOUND', attempted, found, { value: name, reason: 'no-repository' });
  };
  const denied = async (): Promise<never> => {
    throw cannot('DENIED', `write to repository "${name}"`, found, { value: name });
  };
  const source: AbleSource = {
    isDenied: true,
    resolve: (reference) => missing(`resolve "${reference}"`)(),
    fetch: ({ digest }) => missing(`fetch "${digest}"`)(),
    tags: missing('list tags'),
    referrers: async () => [],
    push: denied,
    tag: denied,
    keep: denied,
    beginUpload: denied,
    findUpload: denied,
    mount: denied,
    remove: (digest) => missing(`remove "${digest}"`)(),
    untag: (tag) => missing(`untag "${tag}"`)(),
  };
  return source;
}
