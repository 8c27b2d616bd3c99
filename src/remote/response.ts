import { derivedBody } from '../body.ts';
import type { Codecs, Decoder } from '../codec/codec.ts';
import { loadCodecs, standardEncodings } from '../codec/codecs.ts';
import { cannot, type ErrorReason, type RegistryError } from '../errors.ts';
import type { DecodeBody } from '../http/error-body.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, digestOf, isDigest } from '../oci/digest.ts';
import { bareMediaType, isDocumentType, manifestTooLarge, typeOfDocument } from '../oci/manifest.ts';
import { type ClosedRange, parseContentRange } from '../oci/range.ts';
import type { Body, FetchOptions } from '../source.ts';
import { quote } from '../text/quote.ts';

/** Most bytes that are dropped to reach a range; the caller's own limit counts only if no other host is left. */
export function discardLimit({ discard, more, isPart }: FetchOptions, discardBytes: number): number {
  if (isPart) return 0;
  return more ? discardBytes : (discard ?? discardBytes);
}

/** Milliseconds: hosts that support ranges are tried before. */
const discardExpected = 60_000;

interface OpenOptions {
  readonly encodings: Encodings;
  /** Most bytes that are dropped before the range, if the host sends the whole content. */
  readonly discardBytes: number;
  /** The same if no other host is left. */
  readonly finalDiscardBytes?: number | undefined;
}

const bad = (found: string, reason?: ErrorReason): RegistryError =>
  cannot('BAD_RESPONSE', 'use the response', found, { reason });

/**
 * The bytes of a response, decoded and cut to the requested range, or an error that says why the response cannot have them.
 * https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7
 */
export async function openResponse(
  response: HttpResponse,
  { size }: Pick<Descriptor, 'size'>,
  range: ClosedRange | undefined,
  options: OpenOptions,
): Promise<Body> {
  if (range && response.status === 206) return openPart(response, size, range);
  if (response.status !== 200) throw bad(`status ${response.status}`);
  return range ? openCut(response, size, range, options) : openWhole(response, size, options);
}

function openPart({ headers, body }: HttpResponse, size: number, range: ClosedRange): Body {
  const encoding = headers['content-encoding'];
  // Offsets in an encoded response count encoded bytes, so this is another range.
  if (parseEncodings(encoding).length > 0) throw bad(`a range with content encoding ${quote(encoding)}`, 'range');
  const field = headers['content-range'] ?? '';
  const found = parseContentRange(field);
  if (found?.start !== range.start || found.end > range.end) {
    throw bad(`range ${quote(field)} instead of bytes ${range.start}-${range.end - 1}`, 'range');
  }
  if (found.size !== undefined && found.size !== size)
    throw bad(`range ${quote(field)} of a content of ${size} bytes`, 'range');
  const length = lengthOf(headers);
  if (length !== undefined && length !== found.end - found.start)
    throw bad(`${length} bytes for range ${quote(field)}`, 'range');
  return body;
}

async function openWhole({ headers, body }: HttpResponse, size: number, { encodings }: OpenOptions): Promise<Body> {
  const encoding = headers['content-encoding'];
  const length = lengthOf(headers);
  if (parseEncodings(encoding).length === 0 && length !== undefined && length !== size) {
    const code = length > size ? 'TOO_LARGE' : 'UNEXPECTED_END';
    throw cannot(code, 'use the response', `${length} bytes instead of ${size}`);
  }
  return decode(body, encoding, encodings, size);
}

/** The range of a host without range support, which sends the whole content: the bytes before it are dropped. */
async function openCut(response: HttpResponse, size: number, range: ClosedRange, options: OpenOptions): Promise<Body> {
  const problem = discardProblem(range, options);
  if (problem) throw problem;
  const whole = await openWhole(response, size, options);
  return derivedBody(whole, (body) => cut(body, range));
}

/** Why the whole content must not be read for a range; it may be if this host is the last one, then the error says that it is owed. */
export function discardProblem(
  { start }: ClosedRange,
  { discardBytes, finalDiscardBytes = discardBytes }: Omit<OpenOptions, 'encodings'>,
): RegistryError | undefined {
  if (start <= discardBytes) return undefined;
  const found = `the whole content for a range from ${start}, but at most ${discardBytes} bytes are discarded`;
  const owed = start > finalDiscardBytes ? undefined : { tried: 0, expected: discardExpected };
  return cannot('BAD_RESPONSE', 'use the response', found, { limit: 'limits.discardBytes', owed });
}

async function* cut(body: Body, { start, end }: ClosedRange): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const chunk of body) {
    const from = Math.max(start - at, 0);
    const to = end - at;
    at += chunk.length;
    if (from < Math.min(to, chunk.length)) yield chunk.subarray(from, to);
    if (at >= end) return;
  }
}

/** Content-Length, if it is a whole number. */
function lengthOf(headers: HttpResponse['headers']): number | undefined {
  const field = headers['content-length'] ?? '';
  return /^\d{1,15}$/.test(field) ? Number(field) : undefined;
}

/** The content encodings that a client decodes. */
export interface Encodings {
  /** Value of Accept-Encoding. */
  readonly accepted: string;
  decoderFor(name: string): Promise<Decoder | undefined>;
}

/** The user's own encodings, then the standard ones, which are loaded when the first encoded body comes. */
export function createEncodings(given: Codecs = {}): Encodings {
  const own = Object.fromEntries(Object.entries(given).filter(([, decoder]) => decoder !== undefined));
  const names = new Set([...Object.keys(own), ...standardEncodings]);
  return {
    accepted: [...names].join(', '),
    decoderFor: async (name) => {
      if (Object.hasOwn(own, name)) return own[name];
      return standardEncodings.some((known) => known === name) ? (await loadCodecs())[name] : undefined;
    },
  };
}

/** Most encodings of one body. */
const longestChain = 3;

/** The encodings of a Content-Encoding field, in the order in which they were applied. RFC 9110 section 8.4 */
export function parseEncodings(field = ''): string[] {
  const names = field.split(',').map((name) =>
    name
      .trim()
      .toLowerCase()
      .replace(/^x-gzip$/, 'gzip'),
  );
  return names.filter((name) => name !== '' && name !== 'identity');
}

/**
 * The decoded body: the encoding that was applied last is removed first. More than `limit` decoded bytes are `TOO_LARGE`
 * before they are made. `UNSUPPORTED_ENCODING` for an unknown encoding or more than three.
 */
export async function decode(
  body: Body,
  field: string | undefined,
  { decoderFor }: Encodings,
  limit: number,
): Promise<Body> {
  const names = parseEncodings(field);
  if (names.length === 0) return body;
  if (names.length > longestChain) throw unsupported(field, `${names.length} encodings, at most ${longestChain}`);
  const decoders: Decoder[] = [];
  for (const name of names.reverse()) {
    const decoder = await decoderFor(name);
    if (!decoder) throw unsupported(field, `no decoder for ${quote(name)}`);
    decoders.push(decoder);
  }
  return derivedBody(body, (encoded) =>
    decoders.reduce<AsyncIterable<Uint8Array>>((inner, decoder, index) => {
      // Between two decoders, bytes are no longer than the content and what an encoder adds.
      const most = index === decoders.length - 1 ? limit : 2 * limit + 1_048_576;
      return decoder(inner, { limit: most });
    }, encoded),
  );
}

/** `decode`, with these encodings. */
export const decoderOf =
  (encodings: Encodings): DecodeBody =>
  (body, field, limit) =>
    decode(body, field, encodings, limit);

function unsupported(field: string | undefined, found: string): RegistryError {
  return cannot('UNSUPPORTED_ENCODING', `decode content encoding ${quote(field)}`, found);
}

type Headers = HttpResponse['headers'];

/** The manifest that a HEAD describes; undefined if it leaves something out, so that the document must be read. */
export function describeHead(headers: Headers, reference: string, limit: number): Descriptor | undefined {
  const mediaType = bareMediaType(headers['content-type'] ?? '');
  const size = contentLengthOf(headers) ?? 0;
  const reported = headers['docker-content-digest'] ?? '';
  if (!isDocumentType(mediaType) || size === 0) return undefined;
  if (size > limit) throw manifestTooLarge(reference, limit, size);
  // Registries name manifests by sha256; a digest of another algorithm is checked against the document.
  if (isDigest(reference)) {
    if (isDigest(reported) && algorithmOf(reported) === algorithmOf(reference)) checkDigest(reported, reference);
    return { mediaType, digest: reference, size };
  }
  return isDigest(reported) && algorithmOf(reported) === 'sha256' ? { mediaType, digest: reported, size } : undefined;
}

/** The manifest that was read, its digest checked against the requested and the reported one. */
export function describeDocument(bytes: Uint8Array, headers: Headers, reference: string): Descriptor {
  if (bytes.length === 0)
    throw cannot('BAD_RESPONSE', `use manifest ${quote(reference)}`, 'it is empty', { value: reference });
  const mediaType = typeOfDocument(bytes, headers['content-type']);
  const reported = headers['docker-content-digest'] ?? '';
  const expected = isDigest(reference) ? reference : isDigest(reported) ? reported : undefined;
  const digest = digestOf(bytes, expected ? algorithmOf(expected) : 'sha256');
  if (expected) checkDigest(digest, expected);
  return { mediaType, digest, size: bytes.length };
}

/** The content that a HEAD describes, under the requested digest. */
export function describeBlob(headers: Headers, digest: Digest): Descriptor {
  const size = contentLengthOf(headers);
  if (size === undefined)
    throw cannot('BAD_RESPONSE', `use ${quote(digest)}`, 'its size is missing', { value: digest });
  return { mediaType: mediaTypeOf(headers), digest, size };
}

/** The media type in `Content-Type`; without a valid one it is just bytes. */
export function mediaTypeOf(headers: Headers): string {
  const type = bareMediaType(headers['content-type'] ?? '');
  return /^[^\s/]+\/[^\s/]+$/.test(type) ? type : 'application/octet-stream';
}

/** Size of the content; undefined for an encoded response, whose `Content-Length` counts encoded bytes. */
export const contentLengthOf = (headers: Headers): number | undefined =>
  parseEncodings(headers['content-encoding']).length > 0 ? undefined : lengthOf(headers);

/** Refuses content with another digest than requested: `DIGEST_MISMATCH`. */
export function checkDigest(found: Digest, expected: Digest): void {
  if (found !== expected) {
    throw cannot('DIGEST_MISMATCH', `use ${quote(expected)}`, `the response has digest ${found}`, { value: expected });
  }
}
