import { abortError } from './abort.ts';
import type { Attempt } from './endpoint.ts';
import { asRegistryError, cannot, furthestOf, messageOf, RegistryError, restate, withAttemptsOf } from './errors.ts';
import type { Repository } from './oci/reference.ts';
import type { CallOptions, Fetched, FetchOptions, Lister, Referrers, Registry, Source } from './source.ts';

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
export const firstOf = (...sources: readonly Source[]): Source => inTurn(sources, {});

/**
 * The second source only where the first, or a host of it, says that it has it not (`NOT_FOUND`): other failures would
 * be the second one's, too. So the last host of the first is asked as the last one is. Errors as those of `firstOf`.
 */
export const orElse = (first: Source, second: Source): Source =>
  inTurn([first, second], { movesOn: lacksIt, tellsNothing: true });

const lacksIt = ({ code, attempts }: RegistryError): boolean =>
  code === 'NOT_FOUND' || attempts.some(({ outcome }) => outcome === 'NOT_FOUND');

/** The source; each response is also handed to `note`, with the time (`performance.now()`) at which it was requested. */
export const observed = (source: Source, note: (fetched: Fetched, started: number) => void): Source => ({
  resolve: (reference, options) => source.resolve(reference, options),
  fetch: async (target, options) => {
    const started = performance.now();
    const fetched = await source.fetch(target, options);
    note(fetched, started);
    return fetched;
  },
});

/** A question that any of several places can answer. */
export interface Question<Place, Answer> {
  /** What is attempted, for messages: `resolve "latest"`. */
  readonly attempted: string;
  /** The reference or digest, for errors. */
  readonly value?: string | undefined;
  readonly places: readonly Place[];
  ask(place: Place, options: CallOptions): Promise<Answer>;
  /** Whether the next place is asked after this error; left out: after every one. `ABORTED` always ends it. */
  readonly movesOn?: ((error: RegistryError) => boolean) | undefined;
  /** Places are not told that others are left after them. */
  readonly tellsNothing?: boolean | undefined;
}

/**
 * Asks one place after the other until one answers: the loop under `firstOf`, for questions of any kind. Each is told
 * whether another is left. Gives the answer, and what was asked in vain before it; errors as those of `firstOf`.
 */
export async function askInTurn<Place extends Pick<Source, 'name'>, Answer>(
  { attempted, value, places, ask, movesOn = () => true, tellsNothing = false }: Question<Place, Answer>,
  options: CallOptions = {},
): Promise<{ readonly answer: Answer; readonly failed: readonly Failed[] }> {
  if (options.signal?.aborted) throw failureOf(undefined, attempted, options.signal);
  const failed: Failed[] = [];
  for (const [index, place] of places.entries()) {
    try {
      const more = options.more || (!tellsNothing && index + 1 < places.length);
      return { answer: await ask(place, { ...options, more }), failed };
    } catch (thrown) {
      const error = failureOf(thrown, attempted, options.signal);
      const errors = [...failed.map((each) => each.error), error];
      if (error.code === 'ABORTED' || options.signal?.aborted) throw withAttemptsOf(error, errors);
      if (!movesOn(error)) throw combineErrors(attempted, errors, { value });
      failed.push({ from: place.name ?? error.attempts[0]?.url, error });
    }
  }
  const errors = failed.map(({ error }) => error);
  throw combineErrors(attempted, errors, { value });
}

function inTurn(sources: readonly Source[], how: Pick<Question<Source, unknown>, 'movesOn' | 'tellsNothing'>): Source {
  return {
    resolve: async (reference, options = {}) => {
      const ask = (source: Source, each: CallOptions) => source.resolve(reference, each);
      const attempted = `resolve "${reference}"`;
      return (await askInTurn({ ...how, attempted, value: reference, places: sources, ask }, options)).answer;
    },
    fetch: async (target, options = {}) => {
      const ask = (source: Source, each: CallOptions) => source.fetch(target, { ...options, ...each });
      const { digest } = target;
      const places = inOrder(sources, options);
      const question = { ...how, attempted: `fetch "${digest}"`, value: digest, places, ask };
      const { answer, failed } = await askInTurn(question, options);
      if (failed.length > 0) before.set(answer, [...failed, ...failedBefore(answer)]);
      return answer;
    },
  };
}

function failureOf(thrown: unknown, attempted: string, signal: AbortSignal | undefined): RegistryError {
  const isAbort = signal?.aborted && !(thrown instanceof RegistryError);
  return isAbort ? abortError(signal.reason) : asRegistryError(thrown, 'UNAVAILABLE', attempted);
}

/** The sources that may be asked, those to be asked last at the end. */
function inOrder(sources: readonly Source[], { last = [], except = [] }: FetchOptions): readonly Source[] {
  const place = ({ name }: Source): number => (name === undefined ? -1 : last.indexOf(name));
  return sources.filter(({ name }) => name === undefined || !except.includes(name)).sort((a, b) => place(a) - place(b));
}

/** Most characters of a message that tells of several errors. */
const longestMessage = 2_000;

interface Combined {
  readonly value?: string | undefined;
  /** Says how many are not listed. */
  readonly leftOut?: string;
}

/** One error for all that was tried. */
export function combineErrors(
  attempted: string,
  errors: readonly RegistryError[],
  { value, leftOut = '' }: Combined = {},
): RegistryError {
  const main = furthestOf(errors);
  if (!main) return cannot('NO_HOSTS', attempted, 'no host is left to ask', { value });
  if (errors.length === 1) return main;
  const attempts: Attempt[] = errors.flatMap((error) => error.attempts);
  const told = errors.map((error) => (error.attempted === attempted ? (error.found ?? '') : messageOf(error)));
  const all = [...new Set(told)].join('; ');
  const most = longestMessage - `Cannot ${attempted}: `.length - leftOut.length;
  const bounded = all.length > most ? `${all.slice(0, most - 1)}…` : all;
  return restate(main, { attempted, found: bounded + leftOut, value, attempts, cause: main });
}

/** A registry below a prefix of another one's repositories. */
export const under =
  (registry: Registry, prefix: string): Registry =>
  (repository) =>
    registry({ ...repository, name: `${prefix}/${repository.name}` });

/** A registry of only those repositories that `allowed` says yes to; the others are `NOT_FOUND`, and nobody refers to their content. */
export const only =
  (registry: Registry, allowed: (repository: Repository) => boolean): Registry =>
  (repository) => {
    if (allowed(repository)) return registry(repository);
    const refuse = (): Promise<never> =>
      Promise.reject(new RegistryError('NOT_FOUND', `No repository "${repository.registry}/${repository.name}" here`));
    const none: Source & Lister & Referrers = {
      resolve: refuse,
      fetch: refuse,
      tags: refuse,
      referrers: async () => [],
    };
    return none;
  };
