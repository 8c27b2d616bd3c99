import { askInTurn, firstOf, orElse } from '../combine.ts';
import type { Capability } from '../endpoint.ts';
import { type ErrorCode, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { formatReference, type Repository } from '../oci/reference.ts';
import type { CallOptions, Lister, Referrers, Source } from '../source.ts';
import { dataSource, documentSource } from './at-hand.ts';
import { type ContentKind, type EndpointSource, endpointSource } from './endpoint-source.ts';
import type { BoundEndpoint, RequestContext } from './exchange.ts';
import { type ExternalUrls, externalSources } from './external.ts';
import type { Hosts } from './plan.ts';

export interface RemoteOptions {
  readonly context: RequestContext;
  readonly externalUrls: ExternalUrls;
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
  const { context, externalUrls } = options;
  const withCapability = (capability: Capability): BoundEndpoint[] =>
    endpoints
      .filter(({ capabilities }) => capabilities.includes(capability))
      .map((endpoint) => ({ endpoint, repository, context }));
  const sources = (capability: Capability, kind?: ContentKind): EndpointSource[] => {
    const able = withCapability(capability);
    return able.length > 0
      ? able.map((bound) => endpointSource(bound, kind))
      : [noSource(repository, capability, { endpoints, skipped })];
  };
  const atHand = (target: Descriptor): Source[] => [
    ...(target.data === undefined ? [] : [dataSource()]),
    ...(context.documents.get(repository, target.digest) ? [documentSource(context.documents, repository)] : []),
  ];
  const reportSkipped = (): void => {
    for (const host of skipped) context.emit({ type: 'skip', ...host });
  };
  const reporting = (source: Source): Source => before(source, reportSkipped);
  return {
    source: {
      ...listsOf(repository, sources, reportSkipped),
      repository: formatReference(repository),
      manifestBytes: context.manifestBytes,
      resolve: (reference, call) =>
        reporting(firstOf(...sources(isDigest(reference) ? 'pull' : 'resolve'))).resolve(reference, call),
      fetch: (target, call) => {
        const local = atHand(target);
        const source = firstOf(...local, ...externalSources(target, externalUrls, context), ...sources('pull'));
        return (local.length > 0 ? source : reporting(source)).fetch(target, call);
      },
    },
    byDigest: (kind) =>
      reporting(
        kind
          ? firstOf(...sources('pull', kind))
          : orElse(firstOf(...sources('pull', 'blobs')), firstOf(...sources('pull', 'manifests'))),
      ),
  };
}

/** The lists of a repository: those of the first endpoint with the capability that has them. */
function listsOf(
  repository: Repository,
  sources: (capability: Capability) => EndpointSource[],
  reportSkipped: () => void,
): Lister & Referrers {
  return {
    tags: async (call = {}) => {
      reportSkipped();
      const attempted = `list the tags of "${formatReference(repository)}"`;
      const ask = (source: EndpointSource, each: CallOptions) => source.tags(each);
      return (await askInTurn({ attempted, sources: sources('resolve'), ask }, call)).result;
    },
    referrers: async (digest, { artifactType, ...call } = {}) => {
      reportSkipped();
      const attempted = `list the referrers of "${formatReference({ ...repository, digest })}"`;
      const ask = (source: EndpointSource, each: CallOptions) => source.referrers(digest, { ...each, artifactType });
      return askInTurn({ attempted, sources: sources('referrers'), ask }, call).then(
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
