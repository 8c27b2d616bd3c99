import { askInTurn, firstOf, orElse } from '../combine.ts';
import type { Capability } from '../endpoint.ts';
import { type ErrorCode, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { formatReference, type Repository } from '../oci/reference.ts';
import type { CallOptions, Lister, Referrers, Source } from '../source.ts';
import { dataSource, keptSource } from './at-hand.ts';
import { type EndpointSource, endpointSource, type Kind } from './endpoint-source.ts';
import type { Context, Place } from './exchange.ts';
import { type ExternalUrls, externalSources } from './external.ts';
import type { Hosts } from './plan.ts';

export interface RemoteOptions {
  readonly context: Context;
  readonly externalUrls: ExternalUrls;
}

/** One repository of the network. */
export interface RemoteRepository {
  /** Its content, wherever a host has it: the descriptor's own data, its URLs, then the endpoints; and its lists. */
  readonly source: Source & Lister & Referrers;
  /** The endpoints, asked for content of a known kind, or first for a blob and then for a manifest. */
  byDigest(kind?: Kind): Source;
}

/** The network, seen as a repository: the hosts that were planned, each a source, and the first that answers. */
export function remoteRepository(
  repository: Repository,
  { endpoints, skipped }: Hosts,
  options: RemoteOptions,
): RemoteRepository {
  const { context, externalUrls } = options;
  const able = (capability: Capability): Place[] =>
    endpoints
      .filter(({ capabilities }) => capabilities.includes(capability))
      .map((endpoint) => ({ endpoint, repository, context }));
  const sources = (capability: Capability, kind?: Kind): EndpointSource[] => {
    const places = able(capability);
    return places.length > 0
      ? places.map((place) => endpointSource(place, kind))
      : [nowhere(repository, capability, { endpoints, skipped })];
  };
  const atHand = (target: Descriptor): Source[] => [
    ...(target.data === undefined ? [] : [dataSource()]),
    ...(context.kept.get(repository, target.digest) ? [keptSource(context.kept, repository)] : []),
  ];
  /** Tells of the hosts that planning left out, each time that hosts are asked. */
  const tellSkipped = (): void => {
    for (const left of skipped) context.emit({ type: 'skip', ...left });
  };
  const telling = (source: Source): Source => tellingSource(source, tellSkipped);
  return {
    source: {
      ...listsOf(repository, sources, tellSkipped),
      resolve: (reference, call) =>
        telling(firstOf(...sources(isDigest(reference) ? 'pull' : 'resolve'))).resolve(reference, call),
      fetch: (target, call) => {
        const here = atHand(target);
        const places = [...here, ...externalSources(target, externalUrls, context), ...sources('pull')];
        const source = firstOf(...places);
        return (here.length > 0 ? source : telling(source)).fetch(target, call);
      },
    },
    byDigest: (kind) =>
      telling(
        kind
          ? firstOf(...sources('pull', kind))
          : orElse(firstOf(...sources('pull', 'blobs')), firstOf(...sources('pull', 'manifests'))),
      ),
  };
}

/** The lists of a repository: the first answer of the endpoints that are trusted with them. */
function listsOf(
  repository: Repository,
  sources: (capability: Capability) => EndpointSource[],
  tellSkipped: () => void,
): Lister & Referrers {
  return {
    tags: async (call = {}) => {
      tellSkipped();
      const attempted = `list the tags of "${formatReference(repository)}"`;
      const places = sources('resolve');
      const ask = (place: EndpointSource, each: CallOptions) => place.tags(each);
      return (await askInTurn({ attempted, places, ask }, call)).answer;
    },
    referrers: async (digest, { artifactType, ...call } = {}) => {
      tellSkipped();
      const attempted = `list the referrers of "${formatReference({ ...repository, digest })}"`;
      const places = sources('referrers');
      const ask = (place: EndpointSource, each: CallOptions) => place.referrers(digest, { ...each, artifactType });
      return askInTurn({ attempted, places, ask }, call).then(
        ({ answer }) => answer,
        (error: unknown) => {
          // No host has a list of them: nobody refers to it.
          if (error instanceof RegistryError && error.code === 'NOT_FOUND') return [];
          throw error;
        },
      );
    },
  };
}

function tellingSource(source: Source, tell: () => void): Source {
  return {
    resolve: (reference, call) => {
      tell();
      return source.resolve(reference, call);
    },
    fetch: (target, call) => {
      tell();
      return source.fetch(target, call);
    },
  };
}

/** What is left where no host may be asked: an answer that says why. */
function nowhere(repository: Repository, capability: Capability, { endpoints, skipped }: Hosts): EndpointSource {
  // What is left out because the configuration says so has no code.
  const codes = new Set(skipped.flatMap((host) => host.code ?? []));
  const [only] = codes;
  const code = codes.size === 1 && only !== undefined ? (only as ErrorCode) : 'NO_HOSTS';
  const left = skipped.map(({ url, reason }) => `${url} (${reason})`);
  const found = [
    ...(endpoints.length > 0 ? [`none has the capability "${capability}"`] : []),
    ...(left.length > 0 ? [`left out: ${left.join(', ')}`] : []),
  ];
  const told = found.length > 0 ? found.join('; ') : 'no host is configured';
  const message = `No host to ask for "${formatReference(repository)}": ${told}`;
  const refuse = (): Promise<never> => Promise.reject(new RegistryError(code, message));
  return { resolve: refuse, fetch: refuse, tags: refuse, referrers: refuse };
}
