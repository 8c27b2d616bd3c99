import { singleFlight } from '../../abort.ts';
import { remember } from '../../bounded-map.ts';
import { cached } from '../../cached/cached.ts';
import { stale } from '../../cached/tags.ts';
import { asRegistryError, type ConfigProblem, configError, messageOf, RegistryError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import { formatReference, type Repository } from '../../oci/reference.ts';
import { type Client, createClient } from '../../remote/client.ts';
import { asyncDispose, builtin } from '../../runtime.ts';
import {
  type CallOptions,
  canLocate,
  type Fetched,
  isDeleter,
  isReferrers,
  type Lister,
  type Locates,
  type Namespaces,
  type Opener,
  type Referrers,
  type Registry,
  type Source,
  type Store,
} from '../../source.ts';
import { layoutStore } from '../../store/layout.ts';
import { anything, checkOptions, listener, wholeNumber } from '../../text/problems.ts';
import {
  type Activity,
  countedBody,
  createActivity,
  type MirrorDownload,
  type MirrorEvent,
  type UpstreamStatus,
} from './activity.ts';
import { boundedStore } from './bounded-store.ts';
import { contentsOf } from './contents.ts';
import { final, freshTags } from './fresh-tags.ts';
import { createTagRecords, type RepositoryTags } from './tag-records.ts';
import { type UpstreamOptions, upstreamOf, upstreamProblems } from './upstreams.ts';

/** How a mirror works. */
export interface PullThroughOptions extends UpstreamOptions {
  /**
   * Where content is kept: a directory, which becomes an image layout of the mirror's own, or any store. All repositories share
   * it, so a content that several of them have is kept once, and whoever may read one of them and knows a digest can read it.
   */
  readonly store: string | URL | Store;
  /** Gets the content: its configuration has the logins, certificates and further mirrors. Default: a client of its own. */
  readonly client?: Client | undefined;
  /** Most bytes of content that are kept: the least recently used goes. Needs a store that can remove. Default: no bound. */
  readonly bytes?: number | undefined;
  /** Milliseconds for which a tag is not asked for again; 0 to ask each time. Default 300,000, five minutes. */
  readonly fresh?: number | undefined;
  /** Called with each event. What it throws or rejects with is ignored. */
  readonly onEvent?: ((event: MirrorEvent) => unknown) | undefined;
}

/** What a mirror has and does, for a page or metrics. */
export interface MirrorStatus {
  /** The registries that were requested since the mirror was made. */
  readonly upstreams: readonly UpstreamStatus[];
  readonly downloads: readonly MirrorDownload[];
  /** What is kept: contents, their bytes, and most bytes; undefined for no bound. */
  readonly kept: { readonly contents: number; readonly bytes: number; readonly bound: number | undefined };
  /** Contents that were removed for others since the mirror was made. */
  readonly evictions: number;
}

/** The content of other registries, kept on its way. */
export interface PullThrough extends Namespaces, AsyncDisposable {
  (...repository: Parameters<Registry>): Source & Opener & Lister & Referrers;
  status(): MirrorStatus;
  /** Closes its own client; returns when what it knows is on the disk. A client that was given stays open. */
  close(): Promise<void>;
}

/** Most repositories whose sources are kept between two requests. */
const mostRepositories = 1_000;
/** Concurrent downloads from one registry; that of a slow reader takes as long as it wants. */
const concurrency = 64;

/**
 * A pull-through mirror, to be given to `serve`: content comes from the registries upstream once, is kept when it is verified,
 * and is served from then on without any request, also while they or their token servers are down.
 *
 * Content by digest stays until `bytes` are reached. A tag is asked for again after `fresh` milliseconds, with the ETag of the
 * last time; if upstream cannot be reached, it is what it was, with `Warning: 110`. Concurrent requests for one content, also
 * in several repositories, are one upstream. Lists come from upstream each time. A part of what is not kept comes from
 * upstream, and is not kept.
 *
 * `NOT_FOUND` if upstream says so; what it refuses is refused (`UNAUTHORIZED`, `DENIED`), other errors are `UNAVAILABLE`,
 * `TIMEOUT` or `RATE_LIMITED`. Wrong options are `INVALID_CONFIG`. One process at a time may use a directory.
 */
export function pullThrough(options: PullThroughOptions): PullThrough {
  checkOptions('make a mirror', options, {
    store: anything,
    client: anything,
    bytes: wholeNumber(1),
    fresh: wholeNumber(0),
    onEvent: listener,
    upstream: anything,
    upstreams: anything,
  });
  const {
    bytes = Number.POSITIVE_INFINITY,
    fresh = 300_000,
    onEvent,
    client = createClient({ limits: { concurrency } }),
  } = options;
  const problems = [...upstreamProblems(options), ...storeProblems(options)];
  if (problems.length > 0) throw configError('make a mirror', problems);
  const store = isPath(options.store) ? layoutStore(options.store) : options.store;
  const directory = 'directory' in store && typeof store.directory === 'string' ? store.directory : undefined;
  const folder = directory === undefined ? undefined : builtin('node:path')?.join(directory, '.ocifetch-mirror');
  const activity = createActivity(onEvent);
  const contents = contentsOf(directory, folder);
  const onEviction = (digest: Digest, size: number): void => activity.note({ type: 'eviction', digest, bytes: size });
  const parts: MirrorParts = {
    client,
    activity,
    fresh,
    store,
    kept: boundedStore(store, { bytes, contents, onEviction }),
  };
  const records = createTagRecords(folder);
  const find = upstreamOf(options);
  const sources = new Map<string, ReturnType<PullThrough>>();
  const close = async (): Promise<void> => {
    if (client !== options.client) await client.close();
    await contents.close();
  };
  const registry = (given: Repository): ReturnType<PullThrough> => {
    const repository = find(given);
    const key = formatReference(repository);
    const source = sources.get(key) ?? mirrored(repository, records(repository), parts);
    remember(sources, key, source, mostRepositories);
    return source;
  };
  const status = (): MirrorStatus => ({
    upstreams: activity.upstreams(),
    downloads: activity.downloads(),
    kept: { contents: contents.count, bytes: contents.bytes, bound: Number.isFinite(bytes) ? bytes : undefined },
    evictions: activity.evictions,
  });
  return Object.assign(registry, { hasNamespaces: true as const, status, close, [asyncDispose]: close });
}

function storeProblems({ store, bytes }: PullThroughOptions): ConfigProblem[] {
  const isObject = typeof store === 'object' && store !== null;
  if (!isObject && (typeof store !== 'string' || store === ''))
    return [{ key: 'store', found: 'expected a directory or a store' }];
  if (bytes === undefined || isPath(store) || isDeleter(store)) return [];
  return [{ key: 'bytes', found: 'the store cannot remove content, as a bound needs' }];
}

const isPath = (store: PullThroughOptions['store']): store is string | URL =>
  typeof store === 'string' || !('push' in store);

/** What all repositories of a mirror share. */
interface MirrorParts {
  readonly client: Client;
  readonly activity: Activity;
  readonly fresh: number;
  readonly store: Store;
  /** The same store with its bound. */
  readonly kept: Store;
}

/** One repository of a mirror. */
function mirrored(
  repository: Repository,
  records: RepositoryTags,
  { client, activity, fresh, store, kept }: MirrorParts,
): ReturnType<PullThrough> {
  const upstream = watched(client.fetcher(repository).source, repository, activity);
  const onError = (error: RegistryError): void => activity.note({ type: 'store-failure', error });
  const contents = cached(upstream, kept, { onError });
  const flights = singleFlight<Descriptor>();
  const resolveTag = freshTags({
    ...{ upstream, records, fresh },
    isKept: (digest) =>
      kept.resolve(digest).then(
        () => true,
        () => false,
      ),
    onResolved: (tag, outcome, error) => activity.note({ type: 'tag', repository, tag, outcome, error }),
    onFailure: (error) => onError(asRegistryError(error, 'STORE_ERROR', 'keep tags')),
  });
  const counted = async (opening: Promise<Fetched>): Promise<Fetched> => {
    const fetched = await opening;
    let bytes = 0;
    const onChunk = (length: number): void => {
      bytes += length;
    };
    const { digest } = fetched.descriptor;
    const onEnd = (thrown: unknown): void => {
      const error = thrown === undefined ? undefined : asRegistryError(thrown, 'UNAVAILABLE', `fetch "${digest}"`);
      // Only a registry has an endpoint.
      activity.note({ type: fetched.endpoint ? 'miss' : 'hit', repository, digest, bytes, error });
    };
    return { ...fetched, body: countedBody(fetched.body, onChunk, onEnd) };
  };
  const listed = <T>(list: Promise<readonly T[]>, call: CallOptions, instead: () => Promise<readonly T[]>) =>
    list.catch(async (error: unknown) => {
      if (!(error instanceof RegistryError) || final.has(error.code)) throw error;
      const known = await instead().catch(() => []);
      if (known.length === 0) throw error;
      call.onWarning?.(`this is what is kept of the list: ${messageOf(error)}`, 'mirror', stale);
      return known;
    });
  const source: ReturnType<PullThrough> & Partial<Locates> = {
    verifies: true,
    manifestBytes: upstream.manifestBytes,
    resolve: (reference, call = {}) => {
      if (!isDigest(reference)) return resolveTag(reference, call);
      const { content = false, kind, signal } = call;
      const work = (ended: AbortSignal) => contents.resolve(reference, { ...call, signal: ended });
      return flights(`${content} ${kind} ${reference}`, signal, work);
    },
    fetch: (target, call) => counted(contents.fetch(target, call)),
    open: (digest, call) => counted(contents.open(digest, call)),
    tags: (call = {}) => listed(upstream.tags(call), call, records.tags),
    referrers: (digest, call = {}) =>
      listed(upstream.referrers(digest, call), call, async () =>
        isReferrers(store) ? store.referrers(digest, call) : [],
      ),
    ...(canLocate(store) && { locate: (target, call) => store.locate(target, call) }),
  };
  return source;
}

/** Errors that say nothing of how a registry works. */
const isOrdinary = ({ code }: RegistryError): boolean => code === 'NOT_FOUND' || code === 'ABORTED';

/** A repository upstream whose requests are reported. */
function watched<From extends Source & Lister & Referrers>(
  source: From,
  repository: Repository,
  activity: Activity,
): Source & Lister & Referrers {
  const reported = <T>(work: Promise<T>): Promise<T> =>
    work.catch((thrown: unknown) => {
      const error = asRegistryError(thrown, 'UNAVAILABLE', `use "${formatReference(repository)}"`);
      if (!isOrdinary(error)) activity.note({ type: 'failure', repository, error });
      throw thrown;
    });
  return {
    manifestBytes: source.manifestBytes,
    resolve: (reference, call) => reported(source.resolve(reference, call)),
    tags: (call) => reported(source.tags(call)),
    referrers: (digest, call) => reported(source.referrers(digest, call)),
    fetch: async (target, call) => {
      const record = activity.download(repository, target);
      try {
        const fetched = await reported(source.fetch(target, call));
        return { ...fetched, body: record.counting(fetched.body, fetched.descriptor.size) };
      } catch (error) {
        record.failed(error);
        throw error;
      }
    },
  };
}
