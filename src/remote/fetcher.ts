import { abortError, runOperation } from '../abort.ts';
import { collectWarnings } from '../content/attempts.ts';
import { Content } from '../content/content.ts';
import { reportSwitch } from '../content/resume.ts';
import { cannot, naming, type Subject } from '../errors.ts';
import { type Descriptor, parseDescriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest, parseDigest } from '../oci/digest.ts';
import { isSchema1, kindOf } from '../oci/manifest.ts';
import { formatReference, isTag, type Reference, type Repository } from '../oci/reference.ts';
import type { CallOptions, Lister, Referrers, Source } from '../source.ts';
import { checkPlain } from '../text/problems.ts';
import { quote } from '../text/quote.ts';
import type { RemoteRepository } from './repository.ts';
import { type ResolveContext, type Resolved, type ResolveOptions, resolveReference } from './resolve-reference.ts';

export type { Resolved, ResolveOptions } from './resolve-reference.ts';

/** How to fetch. */
export interface FetcherOptions {
  /** Also ends reading the content. */
  readonly signal?: AbortSignal | undefined;
  /**
   * The digest of the manifest that lists the content; default: the ones of the repository that were read last. A host that lacks
   * the content is asked for it once, since some mirrors fill by manifest, and then again for the content.
   */
  readonly manifest?: Digest | undefined;
  /**
   * Most bytes to drop to reach an offset if the last host that is left does not support ranges. Default: the client's
   * `limits.discardBytes`.
   */
  readonly discard?: number | undefined;
  /** The reference that the content belongs to, for messages. Default: the repository and the digest. */
  readonly reference?: string | undefined;
}

/** How to fetch content by its digest. */
export interface FetchByDigestOptions extends Omit<FetcherOptions, 'manifest' | 'reference'> {
  /** Says where to look; by default blobs first, then manifests. */
  readonly mediaType?: string | undefined;
}

/** The operations of one repository. Errors are RegistryErrors. */
export interface Fetcher extends RepositoryLists {
  readonly repository: Repository;
  /** The source below it, for `copy`, `cached` and `serve`. */
  readonly source: Source & Lister & Referrers;
  /**
   * What a tag or digest names, or its image for `platform`. `INVALID_REFERENCE`, `INVALID_DIGEST`; `NOT_FOUND` also if an
   * index has no image for the platform, `BAD_RESPONSE` for indexes nested more than 16 deep.
   */
  resolve(reference: string, options?: ResolveOptions): Promise<Resolved>;
  /** The content of a descriptor, requested when it is read. `INVALID_DIGEST` or `INVALID_REFERENCE` for a bad descriptor. */
  fetch(descriptor: Descriptor, options?: FetcherOptions): Promise<Content>;
  /** The content of a digest, with size and type from the response, which is open when this returns: read or close it. */
  fetchByDigest(digest: string, options?: FetchByDigestOptions): Promise<Content>;
}

/** What the fetchers of one client share. */
export type FetcherContext = ResolveContext;

export function createFetcher(
  repository: Repository,
  { source, byDigest }: RemoteRepository,
  context: FetcherContext,
): Fetcher {
  const { registry, name } = repository;
  const { closing, operation, backoff, emit, liars } = context;
  const contentOf = (from: Source, signal: AbortSignal | undefined) => ({
    source: from,
    emit,
    liars,
    operation,
    backoff,
    signals: [signal, closing],
  });
  const subjectOf = (digest: Digest, reference?: string): Subject =>
    reference === undefined
      ? { verb: 'fetch', reference: formatReference({ registry, name, digest }), part: digest }
      : { verb: 'fetch', reference };
  return {
    repository,
    source,
    ...repositoryLists(repository, source, context),
    resolve: async (text, options) =>
      resolveReference({ registry, name, ...tagOrDigest(text) }, options, {
        ...context,
        fetcherOf: () => ({ source }),
      }),
    fetch: async (target, options) => {
      checkPlain('fetch', options);
      const { signal, manifest, discard, reference } = options ?? {};
      for (const ended of [signal, closing]) if (ended?.aborted) throw abortError(ended.reason);
      const descriptor = parseDescriptor(target);
      refuseSchema1(descriptor.digest, descriptor.mediaType);
      return new Content({
        ...contentOf(source, signal),
        descriptor,
        subject: subjectOf(descriptor.digest, reference),
        manifest,
        discard,
        warned: collectWarnings(emit),
      });
    },
    fetchByDigest: async (text, options) => {
      checkPlain('fetch by digest', options);
      const { signal, mediaType, discard } = options ?? {};
      const digest = parseDigest(text);
      refuseSchema1(digest, mediaType);
      const subject = subjectOf(digest);
      const unknown = { mediaType: mediaType ?? '', digest, size: -1 };
      const from = byDigest(mediaType === undefined ? undefined : kindOf(mediaType));
      const warned = collectWarnings(emit);
      const opened = await runOperation(`fetch "${digest}"`, { signals: [signal, closing], operation }, (call) =>
        from.fetch(unknown, { ...call, onWarning: warned.add }),
      ).catch((thrown: unknown) => {
        throw naming(thrown, subject);
      });
      const { descriptor } = opened;
      reportSwitch(emit, opened);
      return new Content({ ...contentOf(from, signal), descriptor, subject, discard, opened, warned });
    },
  };
}

function refuseSchema1(digest: string, mediaType = ''): void {
  if (!isSchema1(mediaType)) return;
  const found = `Docker schema 1 (${quote(mediaType)}) is not supported`;
  throw cannot('UNSUPPORTED', `fetch ${quote(digest)}`, found, { value: digest });
}

function tagOrDigest(text: unknown): Pick<Reference, 'tag' | 'digest'> {
  if (typeof text === 'string' && text.includes(':')) return { digest: parseDigest(text) };
  if (typeof text === 'string' && isTag(text)) return { tag: text };
  throw cannot('INVALID_REFERENCE', `resolve ${quote(text)}`, 'neither a tag nor a digest', {
    reason: 'invalid-name',
    value: typeof text === 'string' ? text : undefined,
  });
}

/** How to list tags. */
export interface TagsOptions {
  readonly signal?: AbortSignal | undefined;
}

/** How to list referrers. */
export interface FetcherReferrersOptions {
  readonly signal?: AbortSignal | undefined;
  /** Only those of this type; for manifests without a type, the type of their config. */
  readonly artifactType?: string | undefined;
}

/** The lists of a repository. */
export interface RepositoryLists {
  /**
   * All tags without duplicates, sorted by code point, of the first host with the capability `resolve` that lists them.
   * `NOT_FOUND` if no host has the repository, `TOO_LARGE` over `limits.pages`.
   */
  tags(options?: TagsOptions): Promise<readonly string[]>;
  /**
   * What refers to a digest, such as signatures: of the first host with the capability `referrers` that has a list, by its
   * API or under the tag that stands for it; empty if no host has one. `INVALID_DIGEST`. What cosign attaches under tags of its
   * own (`sha256-<hex>.sig`, `.att`, `.sbom`) refers to nothing and is not listed: `resolve` those tags.
   */
  referrers(digest: string, options?: FetcherReferrersOptions): Promise<readonly Descriptor[]>;
}

/** The lists of a repository, each within the time limit of an operation. */
function repositoryLists(
  repository: Repository,
  source: Lister & Referrers,
  { closing, operation, emit }: FetcherContext,
): RepositoryLists {
  /** The `work` on what `reference` names, within the limits of an operation. */
  const list = <T>(
    { verb, reference }: Subject,
    signal: AbortSignal | undefined,
    work: (call: CallOptions) => Promise<T>,
  ): Promise<T> => {
    const limits = { signals: [signal, closing], operation };
    const onWarning = collectWarnings(emit).add;
    const run = (call: CallOptions) => work({ ...call, onWarning });
    return runOperation(`${verb} ${quote(reference)}`, limits, run).catch((thrown: unknown) => {
      throw naming(thrown, { verb, reference });
    });
  };
  return {
    tags: async (options) => {
      checkPlain('list tags', options);
      const subject = { verb: 'list the tags of', reference: formatReference(repository) };
      return list(subject, options?.signal, (call) => source.tags(call));
    },
    referrers: async (text, options) => {
      checkPlain('list referrers', options);
      const { signal, artifactType } = options ?? {};
      const digest = parseDigest(text);
      const subject = { verb: 'list the referrers of', reference: formatReference({ ...repository, digest }) };
      return list(subject, signal, (call) => source.referrers(digest, { ...call, artifactType }));
    },
  };
}

/** A fetcher whose source names the whole reference in its errors, as its other operations do. */
export function withNamedSource(fetcher: Fetcher): Fetcher {
  const { repository, source } = fetcher;
  const named = async <T>(verb: string, name: Partial<Pick<Reference, 'tag' | 'digest'>>, asked: Promise<T>) => {
    const subject = { verb, reference: formatReference({ ...repository, ...name }), part: name.digest ?? name.tag };
    return asked.catch((thrown: unknown) => {
      throw naming(thrown, subject);
    });
  };
  return {
    ...fetcher,
    source: {
      ...source,
      resolve: (text, call) =>
        named('resolve', isDigest(text) ? { digest: text } : { tag: text }, source.resolve(text, call)),
      fetch: (target, call) => named('fetch', { digest: target.digest }, source.fetch(target, call)),
      tags: (call) => named('list the tags of', {}, source.tags(call)),
      referrers: (digest, call) => named('list the referrers of', { digest }, source.referrers(digest, call)),
    },
  };
}
