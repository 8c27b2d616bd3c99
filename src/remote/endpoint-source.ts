import { bytesBody, discard, readAll } from '../body.ts';
import { combineErrors } from '../combine.ts';
import { printable } from '../endpoint.ts';
import { asRegistryError, cannot, RegistryError } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, digestOf, isDigest } from '../oci/digest.ts';
import { kindOf, manifestAccept } from '../oci/manifest.ts';
import { type ClosedRange, closeRange, formatRange } from '../oci/range.ts';
import type { Route } from '../oci/route.ts';
import type { CallOptions, Fetched, FetchOptions, Lister, Referrers, Source } from '../source.ts';
import { quote } from '../text/quote.ts';
import {
  contentLengthOf,
  decode,
  describeBlob,
  describeDocument,
  describeHead,
  discardLimit,
  mediaTypeOf,
  openAnswer,
} from './answer.ts';
import { type Answer, ask, type Context, type Place, questionOf } from './exchange.ts';
import { tagsAt } from './lists.ts';
import { referrersAt } from './referrers.ts';

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

/** Statuses by which a host says that it does not take HEAD, or (403) keeps its reason for a GET. */
const headless = new Set([400, 403, 405, 501]);

/**
 * What a tag or digest names at one endpoint. HEAD, which Docker Hub does not count against its callers; the document
 * itself where HEAD leaves something out, or where the content is wanted next. A digest that is no manifest may be a blob.
 */
async function resolveAt(place: Place, reference: string, call: CallOptions): Promise<Descriptor> {
  try {
    const found = call.content ? undefined : await headManifest(place, reference, call);
    return found ?? (await readManifest(place, reference, call));
  } catch (error) {
    const missing = error instanceof RegistryError && error.code === 'NOT_FOUND';
    if (!missing || !isDigest(reference)) throw error;
    return headBlob(place, reference, call);
  }
}

async function headManifest(place: Place, reference: string, call: CallOptions): Promise<Descriptor | undefined> {
  try {
    const question = { kind: 'manifest', reference, accept: manifestAccept } as const;
    return await head(place, question, call, (headers) =>
      describeHead(headers, reference, place.context.manifestBytes),
    );
  } catch (error) {
    if (error instanceof RegistryError && headless.has(error.status ?? 0)) return undefined;
    throw error;
  }
}

function readManifest(place: Place, reference: string, call: CallOptions): Promise<Descriptor> {
  const { endpoint, repository, context } = place;
  const { encodings, manifestBytes, kept } = context;
  const route: Route = { kind: 'manifest', name: endpoint.repository, reference };
  const headers = { accept: manifestAccept, 'accept-encoding': encodings.accepted };
  const question = { ...questionOf(endpoint, 'GET', route, headers), reference };
  return ask(question, context, call, async ({ response }) => {
    const body = await decode(response.body, response.headers['content-encoding'], encodings, manifestBytes);
    const bytes = await readAll(body, manifestBytes, `the manifest ${quote(reference)}`);
    const descriptor = describeDocument(bytes, response.headers, reference);
    kept.put(repository, descriptor.digest, { bytes, endpoint, request: question.url });
    return descriptor;
  });
}

/** What a HEAD says of a blob, under the digest that was asked for: `BAD_RESPONSE` where it does not tell the size. */
function headBlob(place: Place, digest: Digest, call: CallOptions): Promise<Descriptor> {
  const question = { kind: 'blob', reference: digest, accept: '*/*' } as const;
  return head(place, question, call, (headers) => describeBlob(headers, digest));
}

/** What is wrong with the head, too, is told as what is wrong with the answer: with its host and the attempt. */
function head<T>(
  { endpoint, context }: Place,
  asked: { readonly kind: Route['kind'] & ('manifest' | 'blob'); readonly reference: string; readonly accept: string },
  call: CallOptions,
  describe: (headers: Answer['response']['headers']) => T,
): Promise<T> {
  const { kind, reference, accept } = asked;
  const name = endpoint.repository;
  const route: Route = kind === 'blob' ? { kind, name, digest: reference } : { kind, name, reference };
  // The length of an encoded answer is not that of the content.
  const headers = { accept, 'accept-encoding': 'identity' };
  const question = { ...questionOf(endpoint, 'HEAD', route, headers), reference };
  return ask(question, context, call, async ({ response }) => {
    await discard(response.body);
    return describe(response.headers);
  });
}

/** Milliseconds in which what is read at once must be here. */
const readWithin = 600_000;

/**
 * Content of which only the digest is known. What is no longer than a manifest may be is read at once and checked, so
 * that a stranger's page is not believed in its length; of what is longer the answer tells the size. HTML that nobody
 * asked for is `BAD_RESPONSE`. `TOO_LARGE` where it is longer and its size is not told.
 */
async function openUnsized(
  response: HttpResponse,
  { digest, mediaType: asked }: Descriptor,
  context: Context,
): Promise<Pick<Fetched, 'descriptor' | 'body'>> {
  const { headers, status } = response;
  const told = mediaTypeOf(headers);
  const mediaType = asked === '' ? told : asked;
  if (told === 'text/html' && asked !== told) {
    throw cannot('BAD_RESPONSE', 'use the answer', `HTML where ${quote(digest)} was asked for`);
  }
  const { encodings, manifestBytes } = context;
  const length = contentLengthOf(headers);
  if (status !== 200 || (length !== undefined && length > manifestBytes)) {
    const descriptor = { mediaType, digest, size: length ?? 0 };
    return { descriptor, body: await openAnswer(response, descriptor, undefined, context) };
  }
  const most = length ?? manifestBytes;
  const decoded = await decode(response.body, headers['content-encoding'], encodings, most);
  const what = `${quote(digest)}, whose size ${length === undefined ? 'is not told' : `should be ${length}`}`;
  const bytes = await readAll(decoded, most, what, readWithin);
  const found = digestOf(bytes, algorithmOf(digest));
  if (found !== digest) {
    throw cannot('DIGEST_MISMATCH', `use ${quote(digest)}`, `the answer's digest is ${found}`);
  }
  return { descriptor: { mediaType, digest, size: bytes.length }, body: bytesBody(bytes) };
}

/**
 * The blob that was too large to be counted, with its size as HEAD tells it, for another request. Where that does not
 * help, or something else was wrong, the error of the first answer.
 */
async function learnSize(
  place: Place,
  target: Descriptor,
  { error, call }: { readonly error: unknown; readonly call: CallOptions },
): Promise<Descriptor> {
  if (!(error instanceof RegistryError) || error.code !== 'TOO_LARGE') throw error;
  const attempted = `fetch "${target.digest}"`;
  const found = await headBlob(place, target.digest, call).catch((thrown: unknown) => {
    throw combineErrors(attempted, [error, asRegistryError(thrown, 'UNAVAILABLE', attempted)], {
      value: target.digest,
    });
  });
  if (found.size <= place.context.manifestBytes) throw error;
  return { ...found, mediaType: target.mediaType === '' ? found.mediaType : target.mediaType };
}
