import { bytesBody, readAll } from '../body.ts';
import { combineErrors } from '../combine.ts';
import { printable } from '../endpoint.ts';
import { asRegistryError, cannot, RegistryError, restate } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { kindOf, manifestAccept } from '../oci/manifest.ts';
import { type ClosedRange, closeRange, formatRange } from '../oci/range.ts';
import type { Route } from '../oci/route.ts';
import type { CallOptions, Fetched, FetchOptions, Lister, Referrers, Source } from '../source.ts';
import { quote } from '../text/quote.ts';
import {
  type BoundEndpoint,
  type EndpointRequest,
  endpointRequest,
  exchange,
  noteManifest,
  type RequestContext,
} from './exchange.ts';
import { tagsAt } from './lists.ts';
import { referrersAt } from './referrers.ts';
import { fill, headBlob, resolveAt } from './resolution.ts';
import {
  checkDigest,
  contentLengthOf,
  decode,
  discardLimit,
  discardProblem,
  mediaTypeOf,
  openResponse,
} from './response.ts';

/** The two kinds of content that a repository has. */
export type ContentKind = 'manifests' | 'blobs';

/** An endpoint as a source. */
export type EndpointSource = Source & Lister & Referrers;

/**
 * One endpoint as a source. `kind` says where to look for content; by default the media type does. `referrers` is
 * `NOT_FOUND` if the endpoint has no list of them.
 */
export function endpointSource(bound: BoundEndpoint, kind?: ContentKind): EndpointSource {
  return {
    name: bound.endpoint.url,
    resolve: (reference, options = {}) => resolveAt(bound, reference, options),
    fetch: (target, options = {}) => fetchAt(bound, target, kind ?? kindOf(target.mediaType), options),
    tags: (options = {}) => tagsAt(bound, options),
    referrers: (digest, options = {}) => referrersAt(bound, digest, options),
  };
}

async function fetchAt(
  bound: BoundEndpoint,
  target: Descriptor,
  kind: ContentKind,
  options: FetchOptions,
): Promise<Fetched> {
  const { endpoint, context } = bound;
  const { range, ...call } = options;
  const opening = {
    ...context,
    discardBytes: discardLimit(options, context.discardBytes),
    finalDiscardBytes: discardLimit({ ...options, more: false }, context.discardBytes),
  };
  const { digest, mediaType, size } = target;
  const name = endpoint.repository;
  const route: Route =
    kind === 'manifests' ? { kind: 'manifest', name, reference: digest } : { kind: 'blob', name, digest };
  const accept = mediaType === '' ? manifestAccept : `${mediaType}, */*`;
  const closed = closeRange(range, size);
  const send = (given: EndpointRequest['headers']): Promise<Fetched> => {
    const headers = { accept, ...given };
    const request = endpointRequest(endpoint, 'GET', route, headers);
    return exchange(request, context, call, async ({ response, warnings }) => {
      const opened =
        size < 0
          ? await openUnsized(response, target, context)
          : { descriptor: target, body: await openResponse(response, target, closed, opening) };
      return { ...opened, from: endpoint.url, warnings, endpoint: printable(endpoint), request: request.url };
    });
  };
  const ranged = closed && ((error: unknown) => insteadOfRange(error, target, discardProblem(closed, opening), send));
  const sent = send(fetchHeaders(accept, closed, target, context));
  const fetching = ranged ? sent.catch(ranged) : sent;
  if (kind === 'manifests') {
    return fetching.then((fetched) => {
      noteManifest(bound, fetched.descriptor);
      return fetched;
    });
  }
  return fetching.catch(async (error: unknown) => {
    if (!options.isPart && (await fill(bound, error, options)))
      return send(fetchHeaders(accept, closed, target, context));
    if (size >= 0) throw error;
    const found = await learnSize(bound, target, { error, call });
    return fetchAt(bound, found, kind, options);
  });
}

/** Statuses that have nothing to do with a range: a login is missing, the content is, or it is too early. */
const unranged = new Set([401, 402, 403, 404, 407, 408, 410, 425, 429, 451]);

/** Whether a host refused a range because it is one: 400, 416 or 501, say, or another range than the requested one. */
const isRangeRefused = ({ reason, status = 0 }: RegistryError): boolean =>
  reason === 'range' || status === 501 || (status >= 400 && status < 500 && !unranged.has(status));

/** The whole content from a host that refused a range of it, unless too much would have to be dropped (`problem`). */
async function insteadOfRange(
  error: unknown,
  { digest }: Descriptor,
  problem: RegistryError | undefined,
  send: (headers: EndpointRequest['headers']) => Promise<Fetched>,
): Promise<Fetched> {
  if (!(error instanceof RegistryError) || !isRangeRefused(error)) throw error;
  if (problem) throw restate(error, { owed: problem.owed });
  const attempted = `fetch "${digest}"`;
  return send({ 'accept-encoding': 'identity' }).catch((thrown: unknown) => {
    const errors = [error, asRegistryError(thrown, 'UNAVAILABLE', attempted)];
    throw combineErrors(attempted, errors, { value: digest });
  });
}

/** A range is requested as identity, because a decoder cannot start in the middle; so is content of unknown size, to learn it. */
export function fetchHeaders(
  accept: string,
  range: ClosedRange | undefined,
  { size }: Descriptor,
  { encodings }: Pick<RequestContext, 'encodings'>,
): Record<string, string> {
  if (range) return { accept, 'accept-encoding': 'identity', range: formatRange(range) };
  return { accept, 'accept-encoding': size < 0 ? 'identity' : encodings.accepted };
}

/** Milliseconds for content of unknown size to arrive. */
const unsizedWithin = 600_000;

/**
 * Content of which only the digest is known. Up to the size of a manifest it is read at once and checked, so that the
 * length of an error page is not believed; above that, the response must report its size: otherwise `TOO_LARGE`. HTML
 * that was not requested is `BAD_RESPONSE`.
 */
async function openUnsized(
  response: HttpResponse,
  { digest, mediaType: requested }: Descriptor,
  context: RequestContext,
): Promise<Pick<Fetched, 'descriptor' | 'body'>> {
  const { headers, status } = response;
  const received = mediaTypeOf(headers);
  const mediaType = requested === '' ? received : requested;
  if (received === 'text/html' && requested !== received) {
    throw cannot('BAD_RESPONSE', 'use the response', `HTML instead of ${quote(digest)}`, { value: digest });
  }
  const { encodings, manifestBytes } = context;
  const length = contentLengthOf(headers);
  if (status !== 200 || (length !== undefined && length > manifestBytes)) {
    const descriptor = { mediaType, digest, size: length ?? 0 };
    return { descriptor, body: await openResponse(response, descriptor, undefined, context) };
  }
  const most = length ?? manifestBytes;
  const decoded = await decode(response.body, headers['content-encoding'], encodings, most);
  const what = `${quote(digest)}, whose size ${length === undefined ? 'is not known' : `should be ${length}`}`;
  const bytes = await readAll(decoded, most, what, unsizedWithin);
  checkDigest(digestOf(bytes, algorithmOf(digest)), digest);
  return { descriptor: { mediaType, digest, size: bytes.length }, body: bytesBody(bytes) };
}

/**
 * A blob that was too large to be read at once, with its size from HEAD, for another request. If that does not help, or
 * something else was wrong, the error of the first response is thrown.
 */
async function learnSize(
  bound: BoundEndpoint,
  target: Descriptor,
  { error, call }: { readonly error: unknown; readonly call: CallOptions },
): Promise<Descriptor> {
  if (!(error instanceof RegistryError) || error.code !== 'TOO_LARGE') throw error;
  const attempted = `fetch "${target.digest}"`;
  const found = await headBlob(bound, target.digest, call).catch((thrown: unknown) => {
    throw combineErrors(attempted, [error, asRegistryError(thrown, 'UNAVAILABLE', attempted)], {
      value: target.digest,
    });
  });
  if (found.size <= bound.context.manifestBytes) throw error;
  return { ...found, mediaType: target.mediaType === '' ? found.mediaType : target.mediaType };
}
