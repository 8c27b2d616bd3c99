import { bytesBody, readAll } from '../body.ts';
import { printable } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { kindOf, manifestAccept } from '../oci/manifest.ts';
import { quote } from '../oci/quote.ts';
import { formatRange } from '../oci/range.ts';
import type { Route } from '../oci/route.ts';
import type { Fetched, FetchOptions, Source } from '../source.ts';
import { decode } from './decode.ts';
import { contentLengthOf, mediaTypeOf } from './describe.ts';
import { ask, type Context, type Place, questionOf } from './exchange.ts';
import { type ClosedRange, openAnswer } from './open.ts';
import { resolveAt } from './resolve.ts';

/** Where a repository keeps what is asked for. */
export type Kind = 'manifests' | 'blobs';

/** One endpoint, seen as a source. `kind` says where to look for content; without it, its media type does. */
export function endpointSource(place: Place, kind?: Kind): Source {
  return {
    name: place.endpoint.url,
    resolve: (reference, options = {}) => resolveAt(place, reference, options),
    fetch: (target, options = {}) => fetchAt(place, target, kind ?? kindOf(target.mediaType), options),
  };
}

function fetchAt(
  { endpoint, context }: Place,
  target: Descriptor,
  kind: Kind,
  { range, ...call }: FetchOptions,
): Promise<Fetched> {
  const { digest, mediaType, size } = target;
  const name = endpoint.repository;
  const route: Route =
    kind === 'manifests' ? { kind: 'manifest', name, reference: digest } : { kind: 'blob', name, digest };
  const accept = mediaType === '' ? manifestAccept : `${mediaType}, */*`;
  const closed = range && { start: range.start, end: Math.min(range.end ?? size, size) };
  const asked = questionOf(endpoint, 'GET', route, fetchHeaders(accept, closed, target, context));
  return ask(asked, context, call, async ({ response, warnings }) => {
    const opened =
      size < 0
        ? await openUnknown(response, target, context)
        : { descriptor: target, body: await openAnswer(response, target, closed, context) };
    return { ...opened, from: endpoint.url, warnings, endpoint: printable(endpoint), request: asked.url };
  });
}

/** Content of which only the digest is known. Its size is told by the answer, or else counted, of what is no longer than a manifest. */
async function openUnknown(
  response: HttpResponse,
  { digest, mediaType: asked }: Descriptor,
  context: Context,
): Promise<Pick<Fetched, 'descriptor' | 'body'>> {
  const { headers, status } = response;
  const mediaType = asked === '' ? mediaTypeOf(headers) : asked;
  const told = contentLengthOf(headers);
  if (told !== undefined || status !== 200) {
    const descriptor = { mediaType, digest, size: told ?? 0 };
    return { descriptor, body: await openAnswer(response, descriptor, undefined, context) };
  }
  const { encodings, manifestBytes } = context;
  const decoded = await decode(response.body, headers['content-encoding'], encodings, manifestBytes);
  const bytes = await readAll(decoded, manifestBytes, `${quote(digest)}, whose size is not told`);
  const found = digestOf(bytes, algorithmOf(digest));
  if (found !== digest) {
    throw new RegistryError('DIGEST_MISMATCH', `Cannot use ${quote(digest)}: the answer's digest is ${found}`);
  }
  return { descriptor: { mediaType, digest, size: bytes.length }, body: bytesBody(bytes) };
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
