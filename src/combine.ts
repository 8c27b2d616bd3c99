import { abortError } from './abort.ts';
import { type Contestant, type Contests, contend } from './contest.ts';
import type { Attempt, Contest, Owed } from './endpoint.ts';
import { asRegistryError, cannot, furthestOf, messageOf, RegistryError, restate, withAttemptsOf } from './errors.ts';
import { isDigest } from './oci/digest.ts';
import type { CallOptions, Fetched, FetchOptions, Source } from './source.ts';

/** A source that failed before another one succeeded. */
export interface FailedSource {
  /** Its name, if it has one. */
  readonly from: string | undefined;
  readonly error: RegistryError;
}

const before = new WeakMap<Fetched, readonly FailedSource[]>();

/** The sources that `firstOf` and `orElse` tried before this result, in order. */
export const failedBefore = (fetched: Fetched): readonly FailedSource[] => before.get(fetched) ?? [];

/**
 * The first source that succeeds, in order: the only loop over hosts. Any failure except `ABORTED` moves on; `more` says
 * whether another source is left. When all have failed, the error has the code that got furthest (`NOT_FOUND` only if
 * every source says so) and every attempt. Without sources: `NO_HOSTS`.
 */
export const firstOf = (...sources: readonly Source[]): Source => inTurn(sources, {});

/**
 * The second source only if the first one, or a host of it, says `NOT_FOUND`: other failures would happen to the second
 * one, too. So the last host of the first source waits and retries as the last host of all. Errors as those of `firstOf`.
 */
export const orElse = (first: Source, second: Source): Source =>
  inTurn([first, second], { movesOn: isNotFound, ignoresRest: true });

const isNotFound = ({ code, attempts }: RegistryError): boolean =>
  code === 'NOT_FOUND' || attempts.some(({ outcome }) => outcome === 'NOT_FOUND');

/** What any of several sources can do. */
export interface SourceQuery<From, Result> {
  /** What is attempted, for messages: `resolve "latest"`. */
  readonly attempted: string;
  /** The reference or digest, for errors. */
  readonly value?: string | undefined;
  readonly sources: readonly From[];
  ask(source: From, options: CallOptions): Promise<Result>;
  /** Whether the next source is tried after this error. Default: after each, except `ABORTED`, which always ends it. */
  readonly movesOn?: ((error: RegistryError) => boolean) | undefined;
  /** `more` does not count the sources that are left here. */
  readonly ignoresRest?: boolean | undefined;
  /** Default: none, the sources are only asked one after the other. */
  readonly contests?: Contests | undefined;
  /** An earlier source knows better, as with tags. */
  readonly isRanked?: boolean | undefined;
  /** Ends what is not wanted, as another source was faster. */
  drop?(result: Result): void;
}

/**
 * Tries one source after the other until one succeeds: the loop under `firstOf`, for calls of any kind. What was cut short
 * because another source was left is done in full when none is: those that may still respond are tried again, the one
 * that is expected soonest first. Returns its result and the sources that failed before it; errors as those of `firstOf`.
 */
export async function askInTurn<From extends Pick<Source, 'name'>, Result>(
  query: SourceQuery<From, Result>,
  options: CallOptions = {},
): Promise<{ readonly result: Result; readonly failed: readonly FailedSource[] }> {
  const { attempted, value, sources, ignoresRest = false, contests, isRanked } = query;
  if (options.signal?.aborted) throw failureOf(undefined, attempted, options.signal);
  const { run, fail, failed, owed } = createTurn(query, options);
  const contestants = sources.map((source, index) => ({
    name: source.name,
    ask: (contest: Contest | undefined, isExtra: boolean) => {
      const isLast = index + 1 === sources.length && owed.length === 0 && !isExtra;
      const more = options.more || (!ignoresRest && !isLast);
      return run(source, { ...options, more, ...(contest && { contest }) });
    },
    giveUp: (error: RegistryError) => fail(source, error, true),
  }));
  const isContest = contests?.isHedged && sources.length > 1;
  const answered = await (isContest ? contend(contestants, contests, isRanked) : oneByOne(contestants));
  if (answered) return { ...answered, failed };
  for (const {
    source,
    owed: { tried },
  } of owed.sort((a, b) => a.owed.expected - b.owed.expected)) {
    const late = await run(source, { ...options, more: false, tried });
    if (late) return { ...late, failed };
  }
  const errors = failed.map(({ error }) => error);
  throw combineErrors(attempted, errors, { value });
}

/** Asks single sources, and remembers which failed and what they are owed. */
function createTurn<From extends Pick<Source, 'name'>, Result>(
  { attempted, value, ask, drop, contests, movesOn = () => true }: SourceQuery<From, Result>,
  options: CallOptions,
) {
  const failed: { readonly source: From; readonly from: string | undefined; error: RegistryError }[] = [];
  const owed: { readonly source: From; readonly owed: Owed }[] = [];
  const responded = ({ name }: From): void => {
    if (name !== undefined) contests?.standing.restore(name);
  };
  const fail = (source: From, error: RegistryError, more: boolean | undefined): void => {
    failed.push({ source, from: source.name ?? error.attempts[0]?.url, error });
    if (more && !options.more && error.owed) owed.push({ source, owed: error.owed });
  };
  const run = async (source: From, call: CallOptions): Promise<{ readonly result: Result } | undefined> => {
    const isEnded = (): boolean => call.contest !== options.contest && call.contest?.signal.aborted === true;
    try {
      const result = await ask(source, call);
      if (isEnded()) drop?.(result);
      else responded(source);
      return { result };
    } catch (thrown) {
      const error = failureOf(thrown, attempted, options.signal);
      if (isEnded()) {
        // If it was given up it is listed already, without its attempt.
        const listed = failed.find((each) => each.source === source);
        if (listed) listed.error = error;
        return undefined;
      }
      const errors = [...failed.map((each) => each.error), error];
      if (error.code === 'ABORTED' || options.signal?.aborted) throw withAttemptsOf(error, errors);
      if (!movesOn(error)) throw combineErrors(attempted, errors, { value });
      if (error.status !== undefined) responded(source);
      fail(source, error, call.more);
      return undefined;
    }
  };
  return { run, fail, failed, owed };
}

async function oneByOne<Answer>(contestants: readonly Contestant<Answer>[]): Promise<Answer | undefined> {
  for (const { ask } of contestants) {
    const answer = await ask(undefined, false);
    if (answer !== undefined) return answer;
  }
  return undefined;
}

/** As `firstOf`; `contests`: the next source is also asked if one is silent, and one that was silent is asked last for a while. */
export function inTurn(
  sources: readonly Source[],
  how: Pick<SourceQuery<Source, unknown>, 'movesOn' | 'ignoresRest' | 'contests'>,
): Source {
  const standing = how.contests?.standing;
  const inOrder = (): readonly Source[] => standing?.inOrder(sources, ({ name }) => name) ?? sources;
  return {
    resolve: async (reference, options = {}) => {
      const ask = (source: Source, each: CallOptions) => source.resolve(reference, each);
      const query = { ...how, attempted: `resolve "${reference}"`, value: reference, sources: inOrder(), ask };
      return (await askInTurn({ ...query, isRanked: !isDigest(reference) }, options)).result;
    },
    fetch: async (target, options = {}) => {
      const { digest } = target;
      const ordered = byFailures(inOrder(), options);
      const isBad = ({ name }: Source): boolean =>
        name !== undefined && (options.last?.includes(name) || standing?.isLow(name)) === true;
      const ask = (source: Source, each: CallOptions) => {
        const rivals = how.ignoresRest ? [] : rivalsOf(source, ordered, isBad);
        const canLeave = options.canLeave || rivals.length > 0;
        return source.fetch(target, { ...options, ...each, ...(canLeave && { canLeave, rivals }) });
      };
      const drop = ({ body }: Fetched): void => void body.cancel().catch(() => {});
      const query = { ...how, attempted: `fetch "${digest}"`, value: digest, sources: ordered, ask, drop };
      const { result, failed } = await askInTurn(query, options);
      if (failed.length > 0) before.set(result, [...failed, ...failedBefore(result)]);
      return result;
    },
  };
}

function failureOf(thrown: unknown, attempted: string, signal: AbortSignal | undefined): RegistryError {
  const isAbort = signal?.aborted && !(thrown instanceof RegistryError);
  return isAbort ? abortError(signal.reason) : asRegistryError(thrown, 'UNAVAILABLE', attempted);
}

/** The sources that may be tried, with those of `last` at the end. */
function byFailures(sources: readonly Source[], { last = [], except = [] }: FetchOptions): readonly Source[] {
  const rank = ({ name }: Source): number => (name === undefined ? -1 : last.indexOf(name));
  return sources.filter(({ name }) => name === undefined || !except.includes(name)).sort((a, b) => rank(a) - rank(b));
}

/** Sources after this one that have not failed yet, unlike this one: those to use if it is slow. */
function rivalsOf(source: Source, ordered: readonly Source[], isBad: (source: Source) => boolean): readonly string[] {
  if (isBad(source)) return [];
  const others = ordered.slice(ordered.indexOf(source) + 1).filter((other) => !isBad(other));
  return others.map(({ name = '' }) => name);
}

/** Most characters of a message that reports several errors. */
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
  // One that was given up for another host decides nothing.
  const final = errors.filter(({ code }) => code !== 'ABORTED');
  const main = furthestOf(final) ?? errors[0];
  if (!main) return cannot('NO_HOSTS', attempted, 'no host is left', { value });
  if (errors.length === 1) return main;
  const attempts: Attempt[] = errors.flatMap((error) => error.attempts);
  const messages = errors.map((error) => (error.attempted === attempted ? error.found : undefined) ?? messageOf(error));
  const all = [...new Set(messages)].join('; ');
  const most = longestMessage - `Cannot ${attempted}: `.length - leftOut.length;
  const bounded = all.length > most ? `${all.slice(0, most - 1)}…` : all;
  const owed = errors.find((error) => error.owed)?.owed;
  // The repository is missing only if it is missing everywhere.
  const isMissing = final.every(({ reason }) => reason === 'no-repository');
  const reason = main.reason === 'no-repository' && !isMissing ? undefined : main.reason;
  const facts = { value: value ?? main.value, owed, attempts, cause: main, reason };
  return restate(main, { attempted, found: bounded + leftOut, ...facts });
}

/** The source; each response is also handed to `note`, with the time (`performance.now()`) at which it was requested. */
export const observed = (source: Source, note: (fetched: Fetched, started: number) => void): Source => ({
  divisible: source.divisible,
  resolve: (reference, options) => source.resolve(reference, options),
  fetch: async (target, options) => {
    const started = performance.now();
    const fetched = await source.fetch(target, options);
    note(fetched, started);
    return fetched;
  },
});
