import { remember } from '../bounded-map.ts';
import { asRegistryError, type ErrorCode, messageOf, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
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
} from '../source.ts';
import { checkPlain } from '../text/problems.ts';
import { type Download, startDownload } from './download.ts';

/** What to do when the store fails. */
export interface CachedOptions {
  /** Called with each failure of the store; the reader gets the bytes of the origin all the same. Default: ignored. */
  readonly onError?: ((error: RegistryError) => void) | undefined;
}

/** The code of a warning that a response is stale. https://www.rfc-editor.org/rfc/rfc7234#section-5.5.1 */
const stale = 110;
/** Errors of an origin that cannot be reached for now. */
const unreachable: ReadonlySet<ErrorCode> = new Set(['UNAVAILABLE', 'TIMEOUT', 'RATE_LIMITED']);
/** Errors about the bytes of the origin, not about the store. */
const originErrors: ReadonlySet<ErrorCode> = new Set(['DIGEST_MISMATCH', 'TOO_LARGE', 'UNEXPECTED_END', 'ABORTED']);

/**
 * A source in front of another one, which keeps what passes through it.
 *
 * `fetch` reads from the store if that has the content. Otherwise it reads the whole from the origin, at the pace of its
 * reader, resumes it if it breaks, and keeps it once it is verified. The reader's body fails before its last chunk if it is
 * not. Others who want it meanwhile wait, and then read from
 * the store; a reader who leaves ends the download, unless others wait. A part of what is not in the store comes from the
 * origin and is not kept.
 *
 * `resolve` of a tag goes to the origin, and to the store if the origin cannot be reached (`UNAVAILABLE`, `TIMEOUT`,
 * `RATE_LIMITED`), which `onWarning` reports; of a digest it goes to the store first. The tags of what is kept are kept,
 * too. Tags and referrers are listed by the origin, if it can.
 */
export function cached(origin: Source, store: Store, options?: CachedOptions): Source {
  checkPlain('cache', options);
  const { onError } = options ?? {};
  const { downloads, names } = sharedOf(store);
  const tags = createTags(store, names);

  const report = (thrown: unknown): void => {
    const error = asRegistryError(thrown, 'STORE_ERROR', 'use the store');
    if (!originErrors.has(error.code) && error.code !== 'NOT_FOUND') onError?.(error);
  };
  /** What the store has; undefined if it has nothing, or fails. */
  const fromStore = async <T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T | undefined> => {
    try {
      return await work();
    } catch (error) {
      if (signal?.aborted) throw error;
      report(error);
      return undefined;
    }
  };

  const begin = (target: Descriptor, options: FetchOptions): Download => {
    const key = keyOf(target);
    const forget = (): void => {
      if (downloads.get(key) === download) downloads.delete(key);
    };
    const download = startDownload({
      ...{ origin, store, target, options },
      onDone: (isStored, storeError) => {
        forget();
        if (storeError !== undefined) report(storeError);
        if (isStored) tags.give(target).catch(report);
      },
      onLeft: forget,
    });
    downloads.set(key, download);
    return download;
  };

  const follow = async (download: Download, target: Descriptor, options: FetchOptions): Promise<Fetched> => {
    const isStored = await download.wait(options.signal);
    const stored = isStored ? await fromStore(options.signal, () => store.fetch(target, options)) : undefined;
    return stored ?? origin.fetch(target, options);
  };

  const resolveTag = async (reference: string, options: CallOptions): Promise<Descriptor> => {
    try {
      const descriptor = await origin.resolve(reference, options);
      await fromStore(options.signal, () => tags.note(descriptor, reference));
      return descriptor;
    } catch (error) {
      if (!(error instanceof RegistryError) || !unreachable.has(error.code)) throw error;
      const { signal, links } = options;
      const known = await fromStore(signal, () => store.resolve(reference, { signal, links }));
      if (!known) throw error;
      const text = `"${reference}" is as it was when it was kept: ${messageOf(error)}`;
      options.onWarning?.(text, store.name ?? 'store', stale);
      return known;
    }
  };

  return {
    verifies: true,
    manifestBytes: origin.manifestBytes,
    resolve: async (reference, options = {}) => {
      if (!isDigest(reference)) return resolveTag(reference, options);
      const { signal, links } = options;
      const known = await fromStore(signal, () => store.resolve(reference, { signal, links }));
      const coming = [...downloads.values()].find(({ target }) => target.digest === reference);
      return known ?? coming?.target ?? origin.resolve(reference, options);
    },
    fetch: async (target, options = {}) => {
      const { range, signal, last = [], except = [] } = options;
      const name = store.name ?? '';
      // A reader who had wrong bytes from the store does not want them again.
      const isTrusted = ![...last, ...except].includes(name);
      const isWhole = range === undefined || (range.start === 0 && (range.end ?? target.size) >= target.size);
      const isKept = isTrusted && isWhole && target.size >= 0;
      // Before the look into the store, as the download may end meanwhile.
      const earlier = isKept ? downloads.get(keyOf(target)) : undefined;
      if (earlier) return follow(earlier, target, options);
      const stored = isTrusted ? await fromStore(signal, () => store.fetch(target, options)) : undefined;
      if (stored) return stored;
      if (!isKept) return origin.fetch(target, options);
      const download = downloads.get(keyOf(target));
      return download ? follow(download, target, options) : begin(target, options).opened;
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

/** What all users of one store share. */
interface SharedDownloads {
  /** Downloads under way, by content. */
  readonly downloads: Map<string, Download>;
  /** Names that wait until their content is in the store. */
  readonly names: Map<string, Descriptor>;
}

/** Most directories that are remembered. */
const mostDirectories = 1_000;
const byStore = new WeakMap<Store, SharedDownloads>();
const byDirectory = new Map<string, SharedDownloads>();

/**
 * What is shared over a store: two stores over one directory count as one, as a server makes its stores anew for each
 * request.
 */
function sharedOf(store: Store): SharedDownloads {
  const directory = 'directory' in store && typeof store.directory === 'string' ? store.directory : undefined;
  const known = directory === undefined ? byStore.get(store) : byDirectory.get(directory);
  const shared = known ?? { downloads: new Map(), names: new Map() };
  if (directory === undefined) {
    byStore.set(store, shared);
    return shared;
  }
  byDirectory.delete(directory);
  byDirectory.set(directory, shared);
  for (const [oldest, { downloads }] of byDirectory) {
    if (byDirectory.size <= mostDirectories) break;
    if (downloads.size === 0) byDirectory.delete(oldest);
  }
  return shared;
}

/** Tags that are remembered until their content is in the store. */
const mostTags = 1_000;

/** Names of content, given to it as soon as the store has it; until then they are in `waiting`. */
function createTags(store: Store, waiting: Map<string, Descriptor>) {
  const give = async (target: Descriptor, name: string): Promise<void> => {
    const known = await store.resolve(name).catch(() => undefined);
    if (known?.digest !== target.digest) await store.tag(target, name);
  };
  return {
    /** Gives the name at once if the store has the content; otherwise remembers it. */
    note: async (target: Descriptor, name: string): Promise<void> => {
      remember(waiting, name, target, mostTags);
      await give(target, name);
      waiting.delete(name);
    },
    /** Gives the names that waited for this content. */
    give: async (target: Descriptor): Promise<void> => {
      for (const [name, descriptor] of [...waiting]) {
        if (descriptor.digest !== target.digest) continue;
        await give(descriptor, name);
        waiting.delete(name);
      }
    },
  };
}
