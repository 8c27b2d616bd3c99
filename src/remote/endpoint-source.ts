import { printable } from '../endpoint.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { kindOf, manifestAccept } from '../oci/manifest.ts';
import { type ClosedRange, closeRange, formatRange } from '../oci/range.ts';
import type { Route } from '../oci/route.ts';
import type { Fetched, FetchOptions, Lister, Referrers, Source } from '../source.ts';
import { ask, type Context, type Place, questionOf } from './exchange.ts';
import { discardLimit, openAnswer } from './open.ts';
import { referrersAt } from './referrers.ts';
import { resolveAt } from './resolve.ts';
import { tagsAt } from './tags.ts';
import { learnSize, openUnsized } from './unsized.ts';

/** Where a repository keeps what is asked for. */
export type Kind = 'manifests' | 'blobs';

/** What one endpoint can be asked. */
export type EndpointSource = Source & Lister & Referrers;

/**
 * One endpoint, seen as a source. `kind` says where to look for content; without it, its media type does. `referrers` is
 * `NOT_FOUND` where it keeps no list of them.
 */
export function endpointSource(place: Place, kind?: Kind): EndpointSource {
  return {
    name: place.endpoint.url,
    resolve: (reference, options = {}) => resolveAt(place, reference, options),
    fetch: (target, options = {}) => fetchAt(place, target, kind ?? kindOf(target.mediaType), options),
    tags: (options = {}) => tagsAt(place, options),
    referrers: (digest, options = {}) => referrersAt(place, digest, options),
  };
}

async function fetchAt(place: Place, target: Descriptor, kind: Kind, options: FetchOptions): Promise<Fetched> {
  const { endpoint, context } = place;
  const { range, ...call } = options;
  const opening = { ...context, discardBytes: discardLimit(options, context.discardBytes) };
  const { digest, mediaType, size } = target;
  const name = endpoint.repository;
  const route: Route =
    kind === 'manifests' ? { kind: 'manifest', name, reference: digest } : { kind: 'blob', name, digest };
  const accept = mediaType === '' ? manifestAccept : `${mediaType}, */*`;
  const closed = closeRange(range, size);
  const asked = questionOf(endpoint, 'GET', route, fetchHeaders(accept, closed, target, context));
  const fetching = ask(asked, context, call, async ({ response, warnings }) => {
    const opened =
      size < 0
        ? await openUnsized(response, target, context)
        : { descriptor: target, body: await openAnswer(response, target, closed, opening) };
    return { ...opened, from: endpoint.url, warnings, endpoint: printable(endpoint), request: asked.url };
  });
  if (size >= 0 || kind === 'manifests') return fetching;
  return fetching.catch(async (error: unknown) => {
    const found = await learnSize(place, target, { error, call });
    return fetchAt(place, found, kind, options);
  });
}

/** A part is asked for as identity: a decoder cannot start in the middle. So is content of unknown size, to learn it. */
export function fetchHeaders(
  accept: string,
  range: ClosedRange | undefined,
  { size }: Descriptor,
  { encodings }: Pick<Context, 'encodings'>,
): Record<string, string> {
  if (range) return { accept, 'accept-encoding': 'identity', range: formatRange(range) };
  return { accept, 'accept-encoding': size < 0 ? 'identity' : encodings.accepted };
}
