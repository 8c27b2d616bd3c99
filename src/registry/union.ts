import { abortError } from '../abort.ts';
import { askInTurn, combineErrors, firstOf } from '../combine.ts';
import { asRegistryError, cannot, type RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { defaultManifestBytes } from '../oci/manifest.ts';
import {
  type CallOptions,
  canLocate,
  type Fetched,
  isCatalog,
  isStore,
  type Registry,
  type Source,
} from '../source.ts';
import { checkPlain } from '../text/problems.ts';
import { type AbleSource, ableSource, type MadeRegistry, madeOf, withRepositories, writing } from './changed.ts';
import { writesToBoth } from './writes-to-both.ts';

/** How two registries are one. */
export interface UnionOptions {
  /**
   * Which of the two is written to: uploads, tags and deletes. Default: the first that is a store, repository by repository.
   * `both`: each write goes to the first one and then to the second; the union can be written only if both are stores.
   */
  readonly writes?: 'first' | 'second' | 'both';
  /** True: a tag that stands for different contents in the two is `BAD_RESPONSE`. Default: it is that of the first one. */
  readonly tagsAgree?: boolean;
  /**
   * How content is read by its digest. `fastest`: both are requested at once, and the one that is slower is cancelled. Default:
   * the second only if the first fails.
   */
  readonly reads?: 'in-order' | 'fastest';
}

/**
 * Two registries as one. What is read comes from the first one that has it, also if the other one fails; `NOT_FOUND` only if
 * neither has it. Lists have what either has, sorted; a registry that does not have the repository adds nothing, and one that
 * fails makes the list fail. Content that is deleted from one of them can still be read if the other one has it.
 */
export function union(first: Registry, second: Registry, options: UnionOptions = {}): MadeRegistry {
  checkPlain('make a union', options);
  const catalogs = [first, second].filter(isCatalog);
  return withRepositories(
    (repository) => unionOf(first(repository), second(repository), options),
    [first, second],
    catalogs.length > 0 &&
      ((each) =>
        merged(
          'list repositories',
          catalogs.map((catalog) => catalog.repositories(each)),
          (name) => name,
        )),
  );
}

function unionOf(first: Source, second: Source, { writes, tagsAgree, reads }: UnionOptions): Source {
  const sides = [first, second];
  const able = sides.map(ableSource);
  const inOrder = firstOf(first, second);
  const byDigest = reads === 'fastest' ? fastestOf(sides) : inOrder;
  const lists = able.flatMap(({ tags }) => tags ?? []);
  const referrers = able.flatMap((side) => side.referrers ?? []);
  const made: AbleSource = {
    verifies: able.every(({ verifies }) => verifies),
    manifestBytes: Math.max(...able.map(({ manifestBytes = defaultManifestBytes }) => manifestBytes)),
    resolve: (reference, options) => {
      if (isDigest(reference)) return byDigest.resolve(reference, options);
      return tagsAgree ? agreed(sides, reference, options) : inOrder.resolve(reference, options);
    },
    fetch: (target, options) => byDigest.fetch(target, options),
    ...(able.some(({ open }) => open) && { open: (digest, options) => openedBy(able, digest, options) }),
    ...(lists.length > 0 && {
      tags: (options) =>
        merged(
          'list tags',
          lists.map((list) => list(options)),
          (tag) => tag,
        ),
    }),
    ...(referrers.length > 0 && {
      referrers: (digest, options) =>
        merged(
          `list the referrers of "${digest}"`,
          referrers.map((list) => list(digest, options)),
          (descriptor) => descriptor.digest,
        ),
    }),
    ...(sides.some(canLocate) && { locate: (target, options) => locatedBy(able, target, options) }),
    ...writesOf(able, writes),
  };
  return madeOf(made, first, second);
}

/** Both at once: what the first one that succeeds gives. Errors as those of `firstOf`. */
const fastestOf = (sides: readonly Source[]): Source => ({
  resolve: (reference, options = {}) =>
    race(`resolve "${reference}"`, sides, options.signal, (side, signal) =>
      side.resolve(reference, { ...options, signal }),
    ),
  fetch: (target, options = {}) =>
    race(
      `fetch "${target.digest}"`,
      sides,
      options.signal,
      (side, signal) => side.fetch(target, { ...options, signal }),
      ({ body }) => body.cancel('the other one was faster'),
    ),
});

async function race<Result>(
  attempted: string,
  sides: readonly Source[],
  signal: AbortSignal | undefined,
  ask: (side: Source, signal: AbortSignal) => Promise<Result>,
  discard: (late: Result) => Promise<void> = async () => {},
): Promise<Result> {
  const runs = sides.map((side) => {
    const own = new AbortController();
    const either = signal ? AbortSignal.any([signal, own.signal]) : own.signal;
    return { own, result: ask(side, either) };
  });
  const outcomes = runs.map(async (run) => ({ run, result: await run.result }));
  const settled = Promise.allSettled(outcomes);
  const winner = await Promise.any(outcomes).catch(() => undefined);
  if (!winner && signal?.aborted) throw abortError(signal.reason);
  if (!winner) throw combineErrors(attempted, errorsOf(await settled, attempted));
  for (const { own, result } of runs.filter((run) => run !== winner.run)) {
    own.abort(abortError('the other one was faster'));
    result.then(discard).catch(() => {});
  }
  return winner.result;
}

/** What the side that is written to can do. */
function writesOf(able: readonly AbleSource[], writes: UnionOptions['writes']): Partial<AbleSource> {
  const [first, second] = able;
  if (writes === 'both') return first && second ? writesToBoth(first, second) : {};
  const side =
    writes === 'second' ? second : writes === 'first' ? first : able.find((one) => isStore(one) && !one.isDenied);
  if (!side || !isStore(side)) return {};
  const methods = writing.filter((name) => name in side).map((name) => [name, side[name as keyof typeof side]]);
  return Object.fromEntries(methods) as Partial<AbleSource>;
}

/** What a tag stands for in both, or in the only one that has it. */
async function agreed(sides: readonly Source[], tag: string, options: CallOptions | undefined): Promise<Descriptor> {
  const results = await Promise.allSettled(sides.map((side) => side.resolve(tag, options)));
  const found = results.flatMap((result) => (result.status === 'fulfilled' ? result.value : []));
  const [descriptor, other] = found;
  const attempted = `resolve "${tag}"`;
  if (descriptor && other && descriptor.digest !== other.digest) {
    const differs = `the two registries differ: "${descriptor.digest}", "${other.digest}"`;
    throw cannot('BAD_RESPONSE', attempted, differs, { value: tag });
  }
  if (descriptor) return descriptor;
  throw combineErrors(attempted, errorsOf(results, attempted), { value: tag });
}

/** The content of the first side that has it, in one request if that side can do so. */
async function openedBy(able: readonly AbleSource[], digest: Digest, options: CallOptions = {}): Promise<Fetched> {
  const ask = async (side: AbleSource, each: CallOptions): Promise<Fetched> => {
    const call = { ...options, ...each };
    return side.open ? side.open(digest, call) : side.fetch(await side.resolve(digest, call), call);
  };
  return (await askInTurn({ attempted: `fetch "${digest}"`, value: digest, sources: able, ask }, options)).result;
}

/** A URL that a side which has the content knows. */
async function locatedBy(
  able: readonly AbleSource[],
  target: Descriptor,
  options: CallOptions | undefined,
): Promise<string | undefined> {
  const ask = async (side: AbleSource): Promise<string | undefined> => {
    await side.resolve(target.digest, options);
    return side.locate?.(target, options);
  };
  const attempted = `locate "${target.digest}"`;
  return (await askInTurn({ attempted, value: target.digest, sources: able, ask }, options)).result;
}

/** One list of several, each entry once and sorted by its key. A list that does not exist adds nothing, unless none exists. */
async function merged<Entry>(
  attempted: string,
  lists: readonly Promise<readonly Entry[]>[],
  keyOf: (entry: Entry) => string,
): Promise<readonly Entry[]> {
  const results = await Promise.allSettled(lists);
  const errors = errorsOf(results, attempted);
  const failed = errors.find(({ code }) => code !== 'NOT_FOUND');
  if (failed) throw failed;
  if (errors.length === lists.length) throw combineErrors(attempted, errors);
  const entries = new Map<string, Entry>();
  for (const result of results) {
    for (const entry of result.status === 'fulfilled' ? result.value : []) {
      if (!entries.has(keyOf(entry))) entries.set(keyOf(entry), entry);
    }
  }
  return [...entries].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, entry]) => entry);
}

const errorsOf = (results: readonly PromiseSettledResult<unknown>[], attempted: string): readonly RegistryError[] =>
  results.flatMap((result) =>
    result.status === 'rejected' ? asRegistryError(result.reason, 'UNAVAILABLE', attempted) : [],
  );
