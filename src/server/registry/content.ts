import { bytesBody, lenderOf } from '../../body.ts';
import { verifiedBody } from '../../content/verified-body.ts';
import { cannot } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest } from '../../oci/digest.ts';
import { kindOf } from '../../oci/manifest.ts';
import { formatContentRange, formatUnsatisfied, parseRange } from '../../oci/range.ts';
import { isTag } from '../../oci/reference.ts';
import { type Body, type Fetched, isOpener, isStore } from '../../source.ts';
import { smallOf } from '../../store/reading/small.ts';
import { responseWith, type Sending } from '../direct.ts';
import { type Exchange, type ExchangeRecord, octets, type RouteHandler } from './exchange.ts';
import { problem } from './problem.ts';

/** How content is given out. */
export interface ContentRules {
  /** False: the response to GET of a manifest by tag does not have its digest; that to HEAD has. */
  readonly tagDigests: boolean;
}

/** GET and HEAD of a manifest, by tag or digest. `Accept` is ignored, because content has one form. */
export const readManifest =
  ({ tagDigests }: ContentRules): RouteHandler<'manifest'> =>
  async (exchange, { reference }) => {
    const { request, source, links, record } = exchange;
    if (reference.includes(':') && !isDigest(reference)) return invalidDigest(reference);
    if (!reference.includes(':') && !isTag(reference)) {
      return problem(404, 'MANIFEST_UNKNOWN', `No manifest "${reference}": not a tag`);
    }
    const content = request.method === 'GET';
    const opened = await openSmall(exchange, reference, 'manifests');
    const descriptor =
      opened?.descriptor ??
      (await source.resolve(reference, {
        signal: request.signal,
        kind: 'manifests',
        content,
        links,
        onWarning: record.warn,
      }));
    if (isDigest(reference) && kindOf(descriptor.mediaType) !== 'manifests') {
      return problem(404, 'MANIFEST_UNKNOWN', `No manifest "${reference}": it is a blob`);
    }
    record.action = 'pull';
    if (!isDigest(reference)) record.tag = reference;
    const response = await contentOf(exchange, descriptor, descriptor.mediaType, opened);
    if (!tagDigests && content && !isDigest(reference)) response.headers.delete('docker-content-digest');
    return response;
  };

/**
 * GET and HEAD of a blob. Also of manifests: some clients request everything that they know by digest in this way. GET is
 * redirected if the blob can be read elsewhere.
 */
export const readBlob: RouteHandler<'blob'> = async (exchange, { digest }) => {
  if (!isDigest(digest)) return invalidDigest(digest);
  const { request, source, repository, links, record, locate, isElsewhere } = exchange;
  const how = { signal: request.signal, links, onWarning: record.warn };
  if (!isElsewhere && isOpener(source) && isPlain(request)) {
    const opened = (await openSmall(exchange, digest, 'blobs')) ?? (await source.open(digest, how));
    record.action = 'pull';
    return contentOf(exchange, opened.descriptor, octets, opened);
  }
  const descriptor = await source.resolve(digest, { ...how, kind: 'blobs' });
  record.action = 'pull';
  record.descriptor = descriptor;
  const elsewhere = request.method === 'GET' ? await locate(descriptor, repository, request.signal) : undefined;
  if (elsewhere === undefined) return contentOf(exchange, descriptor, octets);
  return new Response(null, { status: 307, headers: { location: elsewhere } });
};

/** A small content that the store can give at once, if the request is for the whole of it. */
async function openSmall(
  { request, source, links }: Exchange,
  reference: string,
  kind: 'manifests' | 'blobs',
): Promise<Pick<Fetched, 'descriptor' | 'body'> | undefined> {
  if (!isPlain(request)) return undefined;
  try {
    const small = await smallOf(source)?.(reference, { links, kind });
    return small && { descriptor: small.descriptor, body: bytesBody(small.bytes.slice()) };
  } catch {
    // The store says what is wrong, too.
    return undefined;
  }
}

/** Whether a request is for the whole of a content, so that nothing has to be known of it before it is opened. */
const isPlain = ({ method, headers }: Request): boolean =>
  method === 'GET' && !headers.has('range') && !headers.has('if-none-match');

export const invalidDigest = (text: string | null): Response =>
  problem(400, 'DIGEST_INVALID', text === null ? 'No digest given' : `"${text}" is not a digest`);

/**
 * The response with the content of a descriptor: 200, 206 for a range, 304 if the client has it, or 416. Only the response
 * to GET has a body or a range. https://www.rfc-editor.org/rfc/rfc9110#section-14
 */
async function contentOf(
  exchange: Exchange,
  descriptor: Descriptor,
  mediaType: string,
  opened?: Pick<Fetched, 'body'>,
): Promise<Response> {
  const { request, source, links, record } = exchange;
  record.descriptor = descriptor;
  const tag = `"${descriptor.digest}"`;
  const headers = contentHeaders(descriptor, mediaType);
  if (isKnown(request.headers.get('if-none-match'), descriptor.digest)) {
    const { 'content-type': _, ...others } = headers;
    return new Response(null, { status: 304, headers: others });
  }
  const range = request.method === 'GET' ? rangeOf(request, descriptor.size, tag) : undefined;
  if (range === 'unsatisfiable') {
    const { size, digest } = descriptor;
    const message = `No bytes "${request.headers.get('range')}" in "${digest}": it has ${size}`;
    return problem(416, 'RANGE_INVALID', message, { 'content-range': formatUnsatisfied(size) });
  }
  const size = range ? range.end - range.start : descriptor.size;
  headers['content-length'] = String(size);
  if (range) headers['content-range'] = formatContentRange({ ...range, size: descriptor.size });
  if (request.method === 'HEAD') return new Response(null, { headers });
  const { body } = opened ?? (await source.fetch(descriptor, { signal: request.signal, range, links }));
  const isSafe = range !== undefined || (source.verifies ?? isStore(source));
  const sent = isSafe ? body : verifiedBody(body, descriptor);
  const { digest } = descriptor;
  return responseWith(request, { status: range ? 206 : 200, headers }, (lends) =>
    exactly(sent, { size, digest, record }, lends),
  );
}

/** What a response says of a content, besides its length. */
export const contentHeaders = ({ digest }: Descriptor, mediaType: string): Record<string, string> => ({
  'content-type': mediaType,
  'docker-content-digest': digest,
  etag: `"${digest}"`,
  'accept-ranges': 'bytes',
});

function rangeOf(request: Request, size: number, tag: string): ReturnType<typeof parseRange> {
  const header = request.headers.get('range');
  const condition = request.headers.get('if-range');
  return header === null || (condition !== null && condition !== tag) ? undefined : parseRange(header, size);
}

/** Whether `If-None-Match` has the digest, quoted, or bare from some clients; or `*`, which is any. */
const isKnown = (header: string | null, digest: string): boolean =>
  header?.trim() === '*' ||
  (header?.split(',').some((entry) => /^(?:W\/)?"?([^"]*)"?$/.exec(entry.trim())?.[1] === digest) ?? false);

/**
 * Exactly `size` bytes of a body, as `Content-Length` promises: more is cut off, fewer is `UNEXPECTED_END`, so that no client
 * sees a wrong end. What happens after the last byte is no error of the response.
 */
function exactly(
  body: Body,
  { size, digest, record }: { readonly size: number; readonly digest: string; readonly record: ExchangeRecord },
  lends: boolean,
): Sending {
  const lend = lends ? lenderOf(body) : undefined;
  const chunks = body[Symbol.asyncIterator]();
  const read = lend ?? (async () => (await chunks.next()).value);
  let left = size;
  record.isStreaming = true;
  const end = async (): Promise<undefined> => {
    try {
      if (await read()) await body.cancel();
      record.onEnd?.();
    } catch (error) {
      record.onEnd?.(error);
    }
  };
  const next = async (): Promise<Uint8Array | undefined> => {
    if (left === 0) return end();
    const chunk = await read();
    if (!chunk) throw cannot('UNEXPECTED_END', `send "${digest}"`, `${left} bytes are missing`, { value: digest });
    if (chunk.length === 0) return next();
    const part = chunk.subarray(0, left);
    left -= part.length;
    record.bytes += part.length;
    return part;
  };
  return {
    size,
    isLent: lend !== undefined,
    next: () =>
      next().catch((error: unknown) => {
        record.onEnd?.(error);
        throw error;
      }),
    cancel: async (reason) => {
      await body.cancel(reason);
      record.onEnd?.(reason);
    },
  };
}
