import { derivedBody } from '../body.ts';
import type { Codecs, Decoder } from '../codec/codec.ts';
import { loadCodecs, standardEncodings } from '../codec/codecs.ts';
import { cannot, type RegistryError } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, digestOf, isDigest } from '../oci/digest.ts';
import { bareMediaType, isIndexType, isManifestType, parseDocument } from '../oci/manifest.ts';
import { type ClosedRange, parseContentRange } from '../oci/range.ts';
import type { Body, FetchOptions } from '../source.ts';
import { quote } from '../text/quote.ts';

/** How many bytes may be dropped to reach a range: more than the client's limit where the caller says so and nobody else is left. */
export const discardLimit = ({ discard, more }: FetchOptions, discardBytes: number): number =>
  more ? discardBytes : (discard ?? discardBytes);

export interface OpenOptions {
  readonly encodings: Encodings;
  /** Most bytes read and thrown away before the range begins, where a host answers with the whole. */
  readonly discardBytes: number;
}

const bad = (found: string): RegistryError => cannot('BAD_RESPONSE', 'use the answer', found);

/**
 * The bytes of a good answer, decoded and cut to the range that was asked for, or an error that says why this host's
 * answer cannot be them. https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7
 */
export async function openAnswer(
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
  // Offsets of an encoded answer count encoded bytes: not those that were asked for.
  if (parseEncodings(encoding).length > 0) throw bad(`a range with content encoding ${quote(encoding)}`);
  const field = headers['content-range'] ?? '';
  const found = parseContentRange(field);
  const asked = `${range.start}-${range.end - 1}`;
  if (found?.start !== range.start || found.end > range.end) throw bad(`range ${quote(field)} to bytes ${asked}`);
  if (found.size !== undefined && found.size !== size) throw bad(`range ${quote(field)} of content of ${size} bytes`);
  const length = lengthOf(headers);
  if (length !== undefined && length !== found.end - found.start)
    throw bad(`${length} bytes for range ${quote(field)}`);
  return body;
}

async function openWhole({ headers, body }: HttpResponse, size: number, { encodings }: OpenOptions): Promise<Body> {
  const encoding = headers['content-encoding'];
  const length = lengthOf(headers);
  if (parseEncodings(encoding).length === 0 && length !== undefined && length !== size) {
    const code = length > size ? 'TOO_LARGE' : 'UNEXPECTED_END';
    throw cannot(code, 'use the answer', `${length} bytes for content of ${size}`);
  }
  return decode(body, encoding, encodings, size);
}

/** A host that does not know ranges sends the whole; what comes before is dropped, if it is not too much. */
async function openCut(response: HttpResponse, size: number, range: ClosedRange, options: OpenOptions): Promise<Body> {
  if (range.start > options.discardBytes) {
    throw bad(`the whole content to a range from ${range.start}, over the limit of ${options.discardBytes} to discard`);
  }
  const whole = await openWhole(response, size, options);
  return derivedBody(whole, (body) => cut(body, range));
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

/** Content-Length, where there is a whole number. */
function lengthOf(headers: HttpResponse['headers']): number | undefined {
  const field = headers['content-length'] ?? '';
  return /^\d{1,15}$/.test(field) ? Number(field) : undefined;
}

/** The content encodings a client takes off. */
export interface Encodings {
  /** Value of Accept-Encoding. */
  readonly accepted: string;
  decoderFor(name: string): Promise<Decoder | undefined>;
}

/** The standard encodings, loaded when the first encoded body comes, and those given, which come first. */
export function createEncodings(own: Codecs = {}): Encodings {
  const names = new Set([...Object.keys(own), ...standardEncodings]);
  return {
    accepted: [...names].join(', '),
    decoderFor: async (name) => {
      if (Object.hasOwn(own, name)) return own[name];
      return standardEncodings.some((known) => known === name) ? (await loadCodecs())[name] : undefined;
    },
  };
}

/** Most encodings laid over each other that are taken off. */
const longestChain = 3;

/** The encodings of a Content-Encoding field, in the order in which they were put on. RFC 9110 section 8.4 */
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
 * The body with its content encodings taken off, the last one first. At most `limit` bytes come out: one more is
 * `TOO_LARGE` before it is made. `UNSUPPORTED_ENCODING` for an unknown encoding or more than three.
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
      // What is still encoded is no longer than the content, give or take what an encoder adds.
      const most = index === decoders.length - 1 ? limit : 2 * limit + 1_048_576;
      return decoder(inner, { limit: most });
    }, encoded),
  );
}

function unsupported(field: string | undefined, found: string): RegistryError {
  return cannot('UNSUPPORTED_ENCODING', `decode content encoding ${quote(field)}`, found);
}

type Headers = HttpResponse['headers'];

const isDocumentType = (type: string): boolean => isManifestType(type) || isIndexType(type);

/** The manifest that a HEAD tells of; undefined where it leaves something out, and the document must be read. */
export function describeHead(headers: Headers, reference: string, limit: number): Descriptor | undefined {
  const mediaType = bareMediaType(headers['content-type'] ?? '');
  const size = contentLengthOf(headers) ?? 0;
  const told = headers['docker-content-digest'] ?? '';
  if (!isDocumentType(mediaType) || size === 0) return undefined;
  if (size > limit) {
    const details = { value: reference, reason: 'limit', limit: 'limits.manifestBytes' } as const;
    throw cannot('TOO_LARGE', `use manifest ${quote(reference)}`, `${size} bytes, at most ${limit}`, details);
  }
  // sha256 is what every registry names manifests by; another algorithm is checked against the document.
  if (isDigest(reference)) {
    if (isDigest(told) && algorithmOf(told) === algorithmOf(reference)) checkDigest(told, reference);
    return { mediaType, digest: reference, size };
  }
  return isDigest(told) && algorithmOf(told) === 'sha256' ? { mediaType, digest: told, size } : undefined;
}

/** The manifest that was read: its digest over the bytes, checked against the one asked for and the one told. */
export function describeDocument(bytes: Uint8Array, headers: Headers, reference: string): Descriptor {
  if (bytes.length === 0) throw cannot('BAD_RESPONSE', `use manifest ${quote(reference)}`, 'it is empty');
  const type = bareMediaType(headers['content-type'] ?? '');
  const document = parseDocument(bytes, type);
  const mediaType = isDocumentType(type) ? type : bareMediaType(document.mediaType ?? '');
  if (!isDocumentType(mediaType)) {
    throw cannot('BAD_RESPONSE', `use manifest ${quote(reference)}`, `its type is ${quote(type)}`);
  }
  const told = headers['docker-content-digest'] ?? '';
  const expected = isDigest(reference) ? reference : isDigest(told) ? told : undefined;
  const digest = digestOf(bytes, expected ? algorithmOf(expected) : 'sha256');
  if (expected) checkDigest(digest, expected);
  return { mediaType, digest, size: bytes.length };
}

/** Content of which only the head was read, under the digest that was asked for. */
export function describeBlob(headers: Headers, digest: Digest): Descriptor {
  const size = contentLengthOf(headers);
  if (size === undefined) throw cannot('BAD_RESPONSE', `use ${quote(digest)}`, 'its size is not told');
  return { mediaType: mediaTypeOf(headers), digest, size };
}

/** The media type that a head tells; what is none is just bytes. */
export function mediaTypeOf(headers: Headers): string {
  const type = bareMediaType(headers['content-type'] ?? '');
  return /^[^\s/]+\/[^\s/]+$/.test(type) ? type : 'application/octet-stream';
}

/** Bytes of the content, where the head tells them: of an encoded answer it tells others. */
export const contentLengthOf = (headers: Headers): number | undefined =>
  parseEncodings(headers['content-encoding']).length > 0 ? undefined : lengthOf(headers);

function checkDigest(found: Digest, expected: Digest): void {
  if (found !== expected) {
    throw cannot('DIGEST_MISMATCH', `use ${quote(expected)}`, `the answer's digest is ${found}`);
  }
}
