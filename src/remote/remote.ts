import { firstOf, orElse } from '../combine.ts';
import type { Capability } from '../endpoint.ts';
import { type ErrorCode, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { formatReference, type Repository } from '../oci/reference.ts';
import type { Source } from '../source.ts';
import { endpointSource, type Kind } from './endpoint-source.ts';
import type { Context, Place } from './exchange.ts';
import { type ExternalUrls, externalSources } from './external.ts';
import { dataSource, keptSource } from './kept.ts';
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
      : [nowhere(repository, capability, { endpoints, skipped })];
  };
  const atHand = (target: Descriptor): Source[] => [
    ...(target.data === undefined ? [] : [dataSource()]),
    ...(context.kept.get(repository, target.digest) ? [keptSource(context.kept, repository)] : []),
  ];
  const telling = (source: Source): Source => tellingSkipped(source, skipped, context);
  return {
    source: {
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

/** Tells of the hosts that planning left out, each time that hosts are asked. */
function tellingSkipped(source: Source, skipped: Hosts['skipped'], { emit }: Context): Source {
  const tell = (): void => {
    for (const left of skipped) emit({ type: 'skip', ...left });
  };
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
function nowhere(repository: Repository, capability: Capability, { endpoints, skipped }: Hosts): Source {
  const codes = new Set(skipped.map(({ code }) => code));
  const [only] = codes;
  const code = codes.size === 1 && only !== undefined ? (only as ErrorCode) : 'NO_HOSTS';
  const left = skipped.map(({ url, reason }) => `${url} (${reason})`).join(', ');
  const none = endpoints.length > 0 ? `none has the capability "${capability}"` : 'no host is configured';
  const found = skipped.length > 0 ? `left out: ${left}` : none;
  const message = `No host to ask for "${formatReference(repository)}": ${found}`;
  const refuse = (): Promise<never> => Promise.reject(new RegistryError(code, message));
  return { resolve: refuse, fetch: refuse };
}
