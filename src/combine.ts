import type { Attempt } from './endpoint.ts';
import { asRegistryError, furthestOf, RegistryError } from './errors.ts';
import type { Repository } from './oci/reference.ts';
import type { CallOptions, Fetched, FetchOptions, Registry, Source } from './source.ts';

/** A source that failed before another one answered. */
export interface Failed {
  /** Its name, if it has one. */
  readonly from: string | undefined;
  readonly error: RegistryError;
}

const before = new WeakMap<Fetched, readonly Failed[]>();

/** What `firstOf` and `orElse` asked in vain before this answer, in the order in which it was asked. */
export const failedBefore = (fetched: Fetched): readonly Failed[] => before.get(fetched) ?? [];

/**
 * The first source that answers, in order: the only loop over hosts. Any failure moves on, but for `ABORTED`; each
 * source is told whether another is left. When all have failed, the error has the code that got furthest (`NOT_FOUND`
 * only where every one says so) and every attempt. Without sources: `NO_HOSTS`.
 */
export const firstOf = (...sources: readonly Source[]): Source => inTurn(sources, () => true, true);

/**
 * The second source only where the first, or a host of it, says that it has it not (`NOT_FOUND`): other failures would
 * be the second one's, too. So the last host of the first is asked as the last one is. Errors as those of `firstOf`.
 */
export const orElse = (first: Source, second: Source): Source => inTurn([first, second], lacksIt, false);

const lacksIt = ({ code, attempts }: RegistryError): boolean =>
  code === 'NOT_FOUND' || attempts.some(({ outcome }) => outcome === 'NOT_FOUND');

/** Asks one after the other, as long as `movesOn` says so of the error; each knows of those after it if `tellsMore`. */
function inTurn(sources: readonly Source[], movesOn: (error: RegistryError) => boolean, tellsMore: boolean): Source {
  const ask = async <T>(
    doing: string,
    order: readonly Source[],
    options: CallOptions,
    one: (source: Source, options: CallOptions) => Promise<T>,
  ): Promise<{ readonly answer: T; readonly failed: readonly Failed[] }> => {
    if (options.signal?.aborted) throw failureOf(undefined, doing, options.signal);
    const failed: Failed[] = [];
    for (const [index, source] of order.entries()) {
      try {
        const more = options.more || (tellsMore && index + 1 < order.length);
        return { answer: await one(source, { ...options, more }), failed };
      } catch (thrown) {
        const error = failureOf(thrown, doing, options.signal);
        const errors = [...failed.map((each) => each.error), error];
        if (error.code === 'ABORTED' || options.signal?.aborted) throw withAttemptsOf(error, errors);
        if (!movesOn(error)) throw combineErrors(doing, errors);
        failed.push({ from: source.name ?? error.attempts[0]?.url, error });
      }
    }
    throw combineErrors(
      doing,
      failed.map(({ error }) => error),
    );
  };
  return {
    resolve: async (reference, options = {}) => {
      const one = (source: Source, each: CallOptions) => source.resolve(reference, each);
      return (await ask(`Cannot resolve "${reference}"`, sources, options, one)).answer;
    },
    fetch: async (target, options = {}) => {
      const one = (source: Source, each: CallOptions) => source.fetch(target, { ...options, ...each });
      const order = inOrder(sources, options);
      const { answer, failed } = await ask(`Cannot fetch "${target.digest}"`, order, options, one);
      if (failed.length > 0) before.set(answer, [...failed, ...failedBefore(answer)]);
      return answer;
    },
  };
}

function failureOf(thrown: unknown, doing: string, signal: AbortSignal | undefined): RegistryError {
  const isAbort = signal?.aborted && !(thrown instanceof RegistryError);
  return isAbort
    ? asRegistryError(signal.reason, 'ABORTED', 'The operation was aborted')
    : asRegistryError(thrown, 'UNAVAILABLE', doing);
}

/** The sources that may be asked, those to be asked last at the end. */
function inOrder(sources: readonly Source[], { last = [], except = [] }: FetchOptions): readonly Source[] {
  const place = ({ name }: Source): number => (name === undefined ? -1 : last.indexOf(name));
  return sources.filter(({ name }) => name === undefined || !except.includes(name)).sort((a, b) => place(a) - place(b));
}

/** Most characters of a message that tells of several errors. */
const longestMessage = 2_000;

/** One error for all that was tried; `leftOut` tells of those that are not listed. */
export function combineErrors(doing: string, errors: readonly RegistryError[], leftOut = ''): RegistryError {
  const main = furthestOf(errors);
  if (!main) return new RegistryError('NO_HOSTS', `${doing}: no host is left to ask`);
  if (errors.length === 1) return main;
  const attempts: Attempt[] = errors.flatMap((error) => error.attempts);
  const again = `${doing}: `;
  const told = errors.map(({ message }) => (message.startsWith(again) ? message.slice(again.length) : message));
  const message = again + [...new Set(told)].join('; ');
  const { code, status, registryErrors, host } = main;
  const most = longestMessage - leftOut.length;
  const bounded = message.length > most ? `${message.slice(0, most - 1)}…` : message;
  return new RegistryError(code, bounded + leftOut, { status, registryErrors, host, attempts, cause: main });
}

/** The error that ends the asking (an abort, a time limit), with every attempt until then and the host of the last one. */
export function withAttemptsOf(end: RegistryError, thrown: readonly unknown[]): RegistryError {
  const told = thrown.flatMap((error) => (error instanceof RegistryError ? error.attempts : []));
  const attempts = [...new Set(told)];
  const { code, message, status, registryErrors, host = attempts.at(-1)?.host, cause } = end;
  if (attempts.length === 0) return end;
  return new RegistryError(code, message, { status, registryErrors, host, attempts, cause: cause ?? thrown.at(-1) });
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
