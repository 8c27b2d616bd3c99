import type { Attempt } from './endpoint.ts';
import { asRegistryError, furthestOf, RegistryError } from './errors.ts';
import type { Repository } from './oci/reference.ts';
import type { CallOptions, FetchOptions, Registry, Source } from './source.ts';

/**
 * The first source that answers, in order: the only loop over hosts. Any failure moves on, but for `ABORTED`; each
 * source is told whether another is left. When all have failed, the error has the code that got furthest (`NOT_FOUND`
 * only where every one says so) and every attempt. Without sources: `NO_HOSTS`.
 */
export function firstOf(...sources: readonly Source[]): Source {
  const first = async <T>(
    doing: string,
    order: readonly Source[],
    options: CallOptions,
    ask: (source: Source, options: CallOptions) => Promise<T>,
  ): Promise<T> => {
    const errors: RegistryError[] = [];
    for (const [index, source] of order.entries()) {
      try {
        return await ask(source, { ...options, more: options.more || index + 1 < order.length });
      } catch (thrown) {
        const error = asRegistryError(thrown, 'UNAVAILABLE', doing);
        if (error.code === 'ABORTED' || options.signal?.aborted) throw error;
        errors.push(error);
      }
    }
    throw combineErrors(doing, errors);
  };
  return {
    resolve: (reference, options = {}) =>
      first(`Cannot resolve "${reference}"`, sources, options, (source, each) => source.resolve(reference, each)),
    fetch: (target, options = {}) =>
      first(`Cannot fetch "${target.digest}"`, inOrder(sources, options), options, (source, each) =>
        source.fetch(target, { ...options, ...each }),
      ),
  };
}

/** The sources that may be asked, those to be asked last at the end. */
function inOrder(sources: readonly Source[], { last = [], except = [] }: FetchOptions): readonly Source[] {
  const place = ({ name }: Source): number => (name === undefined ? -1 : last.indexOf(name));
  return sources.filter(({ name }) => name === undefined || !except.includes(name)).sort((a, b) => place(a) - place(b));
}

/** One error for all that was tried. */
export function combineErrors(doing: string, errors: readonly RegistryError[]): RegistryError {
  const main = furthestOf(errors);
  if (!main) return new RegistryError('NO_HOSTS', `${doing}: no host is left to ask`);
  if (errors.length === 1) return main;
  const attempts: Attempt[] = errors.flatMap((error) => error.attempts);
  const told = [...new Set(errors.map(({ message }) => message))].join('; ');
  const { code, status, registryErrors, host } = main;
  return new RegistryError(code, `${doing}: ${told}`, { status, registryErrors, host, attempts, cause: main });
}

/** A registry below a prefix of another one's repositories. */
export const under =
  (registry: Registry, prefix: string): Registry =>
  (repository) =>
    registry({ ...repository, name: `${prefix}/${repository.name}` });

/** A registry of only those repositories that `allowed` says yes to; the others are `NOT_FOUND`. */
export const only =
  (registry: Registry, allowed: (repository: Repository) => boolean): Registry =>
  (repository) => {
    if (allowed(repository)) return registry(repository);
    const refuse = (): Promise<never> =>
      Promise.reject(new RegistryError('NOT_FOUND', `No repository "${repository.registry}/${repository.name}" here`));
    return { resolve: refuse, fetch: refuse };
  };
