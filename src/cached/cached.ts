import { asRegistryError, type ErrorCode, type RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { kindOf } from '../oci/manifest.ts';
import {
  type CallOptions,
  type Fetched,
  type FetchOptions,
  isLister,
  isReferrers,
  type Lister,
  type Opener,
  type Referrers,
  type Source,
  type Store,
} from '../source.ts';
import { checkPlain } from '../text/problems.ts';
import { type Download, openedInTime, startDownload } from './download.ts';
import { cachedTags } from './tags.ts';

/** What to do when the store fails. */
export interface CachedOptions {
  /** Called with each failure of the store; the reader gets the bytes of the origin all the same. Default: ignored. */
  readonly onError?: ((error: RegistryError) => void) | undefined;
}

/** Errors about the bytes of the origin, not about the store. */
const originErrors: ReadonlySet<ErrorCode> = new Set(['DIGEST_MISMATCH', 'TOO_LARGE', 'UNEXPECTED_END', 'ABORTED']);

/**
 * A source in front of another one, which keeps what passes through it.
 *
 * `fetch` and `open` read from the store if that has the content and its bytes are right: they are hashed once in a process.
 * Otherwise the whole is read from the origin, at the pace of its reader, resumed if it breaks, and kept once it is verified.
 * The reader's body fails before its last chunk if it is not. Others who want it meanwhile wait, and then read from the store
 * (if that takes longer than five seconds, their body is open before it has bytes, so that nobody takes it for dead); a
 * reader who leaves ends the download, unless others wait. A part of what is not in the store comes from the origin and is
 * not kept.
 *
 * `resolve` of a tag goes to the origin, and to the store if the origin cannot be reached (`UNAVAILABLE`, `TIMEOUT`,
 * `RATE_LIMITED`), which `onWarning` reports; of a digest it goes to the store first. The tags of what is kept are kept,
 * too. Tags and referrers are listed by the origin, if it can.
 */
export function cached(origin: Source, store: Store, options?: CachedOptions): Source & Opener {
  checkPlain('cache', options);
  const { onError } = options ?? {};
  const { downloads, names } = sharedOf(store);
  const { name = '' } = store;

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

  const tags = cachedTags(origin, store, { waiting: names, fromStore });

  const begin = (target: Descriptor, options: FetchOptions): Download => {
    const { digest } = target;
    const forget = (): void => {
      if (downloads.get(digest) === download) downloads.delete(digest);
    };
    const download = startDownload({
      ...{ origin, store, target, options },
      onDone: (isStored, kept, storeError) => {
        forget();
        if (storeError !== undefined) report(storeError);
        if (isStored) tags.give(kept).catch(report);
      },
      onLeft: forget,
    });
    downloads.set(digest, download);
    return download;
  };

  /** What the store has, if its bytes are right. */
  const kept = ({ target, options }: Wanted): Promise<Fetched | undefined> =>
    fromStore(options.signal, async () => {
      const { signal, links } = options;
      await store.resolve(target.digest, { signal, links, verify: true });
      return store.fetch(target, options);
    });

  const follow = (download: Download, target: Descriptor, options: FetchOptions): Promise<Fetched> => {
    const afterwards = async (): Promise<Fetched> => {
      const isStored = await outcomeOf(download, origin, options.signal);
      const stored = isStored && (await kept({ target, options }));
      return stored || (isStored === undefined ? fetch(target, options) : origin.fetch(target, options));
    };
    return openedInTime(afterwards(), () => ({ descriptor: download.target, from: name }));
  };

  const fetch = async (target: Descriptor, options: FetchOptions = {}): Promise<Fetched> => {
    const { range, last = [], except = [] } = options;
    // A reader who had wrong bytes from the store does not want them again.
    const isTrusted = ![...last, ...except].includes(name);
    const isWhole = range === undefined || (range.start === 0 && (range.end ?? target.size) >= target.size);
    const isKept = isTrusted && isWhole;
    // Before the look into the store, as the download may end meanwhile.
    const earlier = isKept ? comingOf(downloads, target) : undefined;
    if (earlier) return follow(earlier, target, options);
    const stored = isTrusted ? await kept({ target, options }) : undefined;
    if (stored) return stored;
    const later = isKept ? comingOf(downloads, target) : undefined;
    if (later) return follow(later, target, options);
    return isKept && !downloads.has(target.digest) ? begin(target, options).opened : origin.fetch(target, options);
  };

  return {
    verifies: true,
    repository: origin.repository,
    manifestBytes: origin.manifestBytes,
    fetch,
    open: (digest, options) => fetch({ mediaType: '', digest, size: -1 }, options),
    resolve: async (reference, options = {}) => {
      if (!isDigest(reference)) return tags.resolve(reference, options);
      const { signal, links, kind } = options;
      const known = await fromStore(signal, () => store.resolve(reference, { signal, links, kind }));
      return known ?? describedBy(downloads.get(reference), kind) ?? origin.resolve(reference, options);
    },
    ...listing(origin),
  };
}

/**
 * Whether the store has it in the end; undefined if the download failed and was that of another repository, whose origin says
 * nothing of this one.
 */
const outcomeOf = (download: Download, origin: Source, signal: AbortSignal | undefined): Promise<boolean | undefined> =>
  download.wait(signal).catch((error: unknown) => {
    if (signal?.aborted || download.origin === origin) throw error;
    return undefined;
  });

/** The download of a content that is under way, unless it is of another size. */
function comingOf(downloads: ReadonlyMap<string, Download>, { digest, size }: Descriptor): Download | undefined {
  const found = downloads.get(digest);
  return found && (size < 0 || found.target.size < 0 || found.target.size === size) ? found : undefined;
}

/** What a download says of its content, unless that is wanted as a manifest and is on its way as a blob. */
function describedBy(download: Download | undefined, kind: CallOptions['kind']): Descriptor | undefined {
  const isKnown = download && download.target.size >= 0;
  return isKnown && (kind !== 'manifests' || kindOf(download.target.mediaType) === kind) ? download.target : undefined;
}

/** What a reader wants, and how. */
interface Wanted {
  readonly target: Descriptor;
  readonly options: FetchOptions;
}

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
  /** Downloads under way, by digest. */
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
