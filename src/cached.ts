import { type Flight, startFlight } from './cached/flight.ts';
import { sharedOf } from './cached/shared.ts';
import { createTags } from './cached/tags.ts';
import { asRegistryError, type ErrorCode, messageOf, RegistryError } from './errors.ts';
import type { Descriptor } from './oci/descriptor.ts';
import { isDigest } from './oci/digest.ts';
import {
  type CallOptions,
  type Fetched,
  type FetchOptions,
  isLister,
  isReferrers,
  type Lister,
  type Referrers,
  type Source,
  type Store,
} from './source.ts';

/** What becomes of a store that fails. */
export interface CachedOptions {
  /** Called with each failure of the store; whoever reads gets the bytes of the origin all the same. Default: passed over. */
  readonly onError?: ((error: RegistryError) => void) | undefined;
}

/** Errors of an origin that cannot be reached for now. */
const unreachable: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'TIMEOUT', 'RATE_LIMITED']);
/** Errors that tell of the bytes of the origin, not of the store. */
const bytesFaults: ReadonlySet<ErrorCode> = new Set(['DIGEST_MISMATCH', 'TOO_LARGE', 'UNEXPECTED_END', 'ABORTED']);

/**
 * A source in front of another one, which keeps what goes through.
 *
 * `fetch` is answered by the store where that has the content. Else the whole is read from the origin, at the pace of its
 * reader, and kept once it is verified; breaks are mended on the way. Others who want it meanwhile wait, and then read
 * from the store; a reader who leaves ends the download, unless others wait. A part of what is not in the store goes to
 * the origin and is not kept.
 *
 * `resolve` of a tag asks the origin, and the store where the origin cannot be reached (`UNAVAILABLE`, `TIMEOUT`,
 * `RATE_LIMITED`), which `onWarning` tells; of a digest it asks the store first. The tags of what is kept are kept, too.
 * Tags and referrers are listed by the origin, where it can.
 */
export function cached(origin: Source, store: Store, { onError }: CachedOptions = {}): Source {
  const { flights, names } = sharedOf(store);
  const tags = createTags(store, names);

  const tell = (thrown: unknown): void => {
    const error = asRegistryError(thrown, 'STORE_ERROR', 'use the store');
    if (!bytesFaults.has(error.code) && error.code !== 'NOT_FOUND') onError?.(error);
  };
  /** What the store answers; undefined where it has nothing, or fails. */
  const ask = async <T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted) throw error;
      tell(error);
      return undefined;
    }
  };

  const begin = (target: Descriptor, options: FetchOptions): Flight => {
    const key = keyOf(target);
    const flight = startFlight({
      origin,
      store,
      target,
      options,
      onDone: (isStored, storeError) => {
        if (flights.get(key) === flight) flights.delete(key);
        if (storeError !== undefined) tell(storeError);
        if (isStored) tags.give(target).catch(tell);
      },
      onLeft: () => {
        if (flights.get(key) === flight) flights.delete(key);
      },
    });
    flights.set(key, flight);
    return flight;
  };

  const follow = async (flight: Flight, target: Descriptor, options: FetchOptions): Promise<Fetched> => {
    const isStored = await flight.wait(options.signal);
    const stored = isStored ? await ask(options.signal, () => store.fetch(target, options)) : undefined;
    return stored ?? origin.fetch(target, options);
  };

  const resolveTag = async (reference: string, options: CallOptions): Promise<Descriptor> => {
    try {
      const descriptor = await origin.resolve(reference, options);
      await ask(options.signal, () => tags.note(descriptor, reference));
      return descriptor;
    } catch (error) {
      if (!(error instanceof RegistryError) || !unreachable.has(error.code)) throw error;
      const known = await ask(options.signal, () => store.resolve(reference, { signal: options.signal }));
      if (!known) throw error;
      options.onWarning?.(`"${reference}" is as it was when it was kept: ${messageOf(error)}`, store.name ?? 'store');
      return known;
    }
  };

  return {
    resolve: async (reference, options = {}) => {
      if (!isDigest(reference)) return resolveTag(reference, options);
      const known = await ask(options.signal, () => store.resolve(reference, { signal: options.signal }));
      const coming = [...flights.values()].find(({ target }) => target.digest === reference);
      return known ?? coming?.target ?? origin.resolve(reference, options);
    },
    fetch: async (target, options = {}) => {
      const { range, signal, last = [], except = [] } = options;
      const name = store.name ?? '';
      // Whoever had wrong bytes of the store does not want them again.
      const isTrusted = !last.includes(name) && !except.includes(name);
      const isWhole = range === undefined || (range.start === 0 && (range.end ?? target.size) >= target.size);
      const isKept = isTrusted && isWhole && target.size >= 0;
      // Looked for before the store is, as it may end while the store is asked.
      const earlier = isKept ? flights.get(keyOf(target)) : undefined;
      if (earlier) return follow(earlier, target, options);
      const stored = isTrusted ? await ask(signal, () => store.fetch(target, options)) : undefined;
      if (stored) return stored;
      if (!isKept) return origin.fetch(target, options);
      const flight = flights.get(keyOf(target));
      return flight ? follow(flight, target, options) : begin(target, options).opened;
    },
    ...listing(origin),
  };
}

const keyOf = ({ digest, size }: Descriptor): string => `${digest} ${size}`;

/** What the origin can list. */
function listing(origin: Source): Partial<Lister & Referrers> {
  const tags: Lister['tags'] | undefined = isLister(origin) ? (options) => origin.tags(options) : undefined;
  const referrers: Referrers['referrers'] | undefined = isReferrers(origin)
    ? (digest, options) => origin.referrers(digest, options)
    : undefined;
  return { ...(tags && { tags }), ...(referrers && { referrers }) };
}
