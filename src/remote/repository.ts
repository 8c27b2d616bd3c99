import { remember } from '../bounded-map.ts';
import { askInTurn, inTurn, orElse } from '../combine.ts';
import type { Contests } from '../contest.ts';
import type { Capability } from '../endpoint.ts';
import { type ErrorCode, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { formatReference, type Repository, sameRegistry } from '../oci/reference.ts';
import type { CallOptions, Divisible, Lister, Referrers, Source, SplitSharing } from '../source.ts';
import { dataSource, documentSource } from './at-hand.ts';
import { type ContentKind, type EndpointSource, endpointSource } from './endpoint-source.ts';
import type { BoundEndpoint, RequestContext } from './exchange.ts';
import { type ExternalUrls, externalSources } from './external.ts';
import type { Hosts } from './plan.ts';

export interface RemoteOptions {
  readonly context: RequestContext;
  readonly externalUrls: ExternalUrls;
  readonly sharing: SplitSharing;
}

/** A repository of the network. */
export interface RemoteRepository {
  /** Its content, wherever it is: in the descriptor's own data, at its URLs, then at the endpoints; and its lists. */
  readonly source: Source & Lister & Referrers;
  /** The endpoints, for content of one kind; by default first for a blob, then for a manifest. */
  byDigest(kind?: ContentKind): Source;
}

/** The network, seen as a repository: each planned host is a source, and the first that succeeds wins. */
export function remoteRepository(
  repository: Repository,
  { endpoints, skipped }: Hosts,
  options: RemoteOptions,
): RemoteRepository {
  const { context, externalUrls, sharing } = options;
  const { contests } = context;
  const first = (...sources: readonly Source[]): Source => inTurn(sources, { contests });
  const withCapability = (capability: Capability): BoundEndpoint[] =>
    endpoints
      .filter(({ capabilities }) => capabilities.includes(capability))
      .map((endpoint) => ({ endpoint, repository, context }));
  const sources = (capability: Capability, kind?: ContentKind): EndpointSource[] => {
    const able = withCapability(capability);
    if (able.length === 0) return [noSource(repository, capability, { endpoints, skipped })];
    if (able.length === 1) return able.map((bound) => endpointSource(bound, kind));
    // Which tags a host has says nothing about another host's tags.
    const ordered = capability === 'pull' ? context.contests.standing.inOrder(able, keyOf) : able;
    return ordered.map((bound) => noting(bound, endpointSource(bound, kind)));
  };
  const atHand = (target: Descriptor): Source[] => [
    ...(target.data === undefined ? [] : [dataSource()]),
    ...(context.documents.get(repository, target.digest) ? [documentSource(context.documents, repository)] : []),
  ];
  const reportSkipped = (): void => {
    for (const host of skipped) context.emit({ type: 'skip', ...host });
  };
  const isOrigin = ({ endpoint }: BoundEndpoint): boolean =>
    sameRegistry(new URL(endpoint.url).host, repository.registry);
  const able = withCapability('pull');
  const divisible: Divisible = {
    mirrors: able.filter((bound) => !isOrigin(bound)).map((bound) => endpointSource(bound, 'blobs')),
    origins: able.filter(isOrigin).map((bound) => endpointSource(bound, 'blobs')),
    sharing,
  };
  const reporting = (source: Source): Source => before(source, reportSkipped);
  return {
    source: {
      ...listsOf({ repository, sources, contests, reportSkipped }),
      repository: formatReference(repository),
      divisible,
      manifestBytes: context.manifestBytes,
      resolve: (reference, call) =>
        reporting(first(...sources(isDigest(reference) ? 'pull' : 'resolve'))).resolve(reference, call),
      fetch: (target, call) => {
        const local = atHand(target);
        const source = first(...local, ...externalSources(target, externalUrls, context), ...sources('pull'));
        return (local.length > 0 ? source : reporting(source)).fetch(target, call);
      },
    },
    byDigest: (kind) => ({
      ...reporting(
        kind
          ? first(...sources('pull', kind))
          : orElse(first(...sources('pull', 'blobs')), first(...sources('pull', 'manifests'))),
      ),
      divisible,
    }),
  };
}

/** An endpoint and the repository that it stands for. */
const keyOf = ({ endpoint: { url, repository } }: BoundEndpoint): string => `${url} ${repository}`;

/**
 * The source, which is requested last for a while if the first that it says of the repository is that it does not have something: it
 * probably has none of it. Once it has given something, it is requested in its order, whatever it lacks.
 */
function noting(bound: BoundEndpoint, source: EndpointSource): EndpointSource {
  const { contests, useful } = bound.context;
  const key = keyOf(bound);
  const noted = async <T>(asked: Promise<T>): Promise<T> => {
    try {
      const result = await asked;
      remember(useful, key, true);
      contests.standing.restore(key);
      return result;
    } catch (error) {
      const isLacking = error instanceof RegistryError && error.code === 'NOT_FOUND';
      if (isLacking && !useful.has(key)) contests.standing.lower(key);
      throw error;
    }
  };
  return {
    ...source,
    resolve: (reference, call) => noted(source.resolve(reference, call)),
    fetch: (target, call) => noted(source.fetch(target, call)),
  };
}

interface ListedRepository {
  readonly repository: Repository;
  readonly contests: Contests;
  sources(capability: Capability): EndpointSource[];
  reportSkipped(): void;
}

/** The lists of a repository: those of the first endpoint with the capability that has them. */
function listsOf({ repository, sources, contests, reportSkipped }: ListedRepository): Lister & Referrers {
  const inOrder = (capability: Capability) => contests.standing.inOrder(sources(capability), ({ name }) => name);
  const shared = { contests, isRanked: true };
  return {
    tags: async (call = {}) => {
      reportSkipped();
      const attempted = `list the tags of "${formatReference(repository)}"`;
      const ask = (source: EndpointSource, each: CallOptions) => source.tags(each);
      return (await askInTurn({ attempted, sources: inOrder('resolve'), ask, ...shared }, call)).result;
    },
    referrers: async (digest, { artifactType, ...call } = {}) => {
      reportSkipped();
      const attempted = `list the referrers of "${formatReference({ ...repository, digest })}"`;
      const ask = (source: EndpointSource, each: CallOptions) => source.referrers(digest, { ...each, artifactType });
      return askInTurn({ attempted, sources: inOrder('referrers'), ask, ...shared }, call).then(
        ({ result }) => result,
        (error: unknown) => {
          // No host has a list, so there are no referrers.
          if (error instanceof RegistryError && error.code === 'NOT_FOUND') return [];
          throw error;
        },
      );
    },
  };
}

/** The source, with `report` called before each of its calls. */
function before(source: Source, report: () => void): Source {
  return {
    resolve: (reference, call) => {
      report();
      return source.resolve(reference, call);
    },
    fetch: (target, call) => {
      report();
      return source.fetch(target, call);
    },
  };
}

/** Stands in for the endpoints if there are none: an error that says why. */
function noSource(repository: Repository, capability: Capability, { endpoints, skipped }: Hosts): EndpointSource {
  // A host that the configuration leaves out has no code.
  const codes = new Set(skipped.flatMap((host) => host.code ?? []));
  const [only] = codes;
  const code = codes.size === 1 && only !== undefined ? (only as ErrorCode) : 'NO_HOSTS';
  const left = skipped.map(({ url, reason }) => `${url} (${reason})`);
  const found = [
    ...(endpoints.length > 0 ? [`none has the capability "${capability}"`] : []),
    ...(left.length > 0 ? [`left out: ${left.join(', ')}`] : []),
  ];
  const name = formatReference(repository);
  const reason = found.length > 0 ? found.join('; ') : 'no host is configured';
  const refuse = (): Promise<never> =>
    Promise.reject(new RegistryError(code, `No host for "${name}": ${reason}`, { found: reason, value: name }));
  return { resolve: refuse, fetch: refuse, tags: refuse, referrers: refuse };
}
