import { firstOf } from '../combine.ts';
import type { Capability } from '../endpoint.ts';
import { type ErrorCode, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { formatReference, type Repository } from '../oci/reference.ts';
import type { Source } from '../source.ts';
import { endpointSource, type Kind } from './endpoint-source.ts';
import type { Context, Place } from './exchange.ts';
import { type ExternalUrls, externalSources } from './external.ts';
import { bytesSource, dataSource } from './kept.ts';
import type { Hosts } from './resolver.ts';

export interface RemoteOptions {
  readonly context: Context;
  readonly externalUrls: ExternalUrls;
}

/** One repository of the network. */
export interface RemoteRepository {
  /** Its content, wherever a host has it: the descriptor's own data, its URLs, then the endpoints. */
  readonly source: Source;
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
  const sources = (capability: Capability, kind?: Kind): Source[] => {
    const places = able(capability);
    return places.length > 0
      ? places.map((place) => endpointSource(place, kind))
      : [nowhere(repository, capability, skipped)];
  };
  const atHand = (target: Descriptor): Source[] => [
    ...(target.data === undefined ? [] : [dataSource()]),
    ...(context.kept.get(repository, target.digest)
      ? [bytesSource('kept', ({ digest }) => context.kept.get(repository, digest))]
      : []),
  ];
  return {
    source: {
      resolve: (reference, call) =>
        firstOf(...sources(isDigest(reference) ? 'pull' : 'resolve')).resolve(reference, call),
      fetch: (target, call) =>
        firstOf(...atHand(target), ...externalSources(target, externalUrls, context), ...sources('pull')).fetch(
          target,
          call,
        ),
    },
    byDigest: (kind) =>
      firstOf(...(kind ? sources('pull', kind) : [...sources('pull', 'blobs'), ...sources('pull', 'manifests')])),
  };
}

/** What is left where no host may be asked: an answer that says why. */
function nowhere(repository: Repository, capability: Capability, skipped: Hosts['skipped']): Source {
  const codes = new Set(skipped.map(({ code }) => code));
  const [only] = codes;
  const code = codes.size === 1 && only !== undefined ? (only as ErrorCode) : 'NO_HOSTS';
  const left = skipped.map(({ url, reason }) => `${url} (${reason})`).join(', ');
  const found = skipped.length > 0 ? `left out: ${left}` : `none has the capability "${capability}"`;
  const message = `No host to ask for "${formatReference(repository)}": ${found}`;
  const refuse = (): Promise<never> => Promise.reject(new RegistryError(code, message));
  return { resolve: refuse, fetch: refuse };
}
