import { cannot } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest, digestOf, isDigest } from '../oci/digest.ts';
import { isIndexType, isManifestType, parseDocument } from '../oci/manifest.ts';
import { bareMediaType } from '../oci/media-type.ts';
import { quote } from '../oci/quote.ts';
import { parseEncodings } from './decode.ts';
import { lengthOf } from './open.ts';

type Headers = HttpResponse['headers'];

const isDocumentType = (type: string): boolean => isManifestType(type) || isIndexType(type);

/** The manifest that a HEAD tells of; undefined where it leaves something out, and the document must be read. */
export function describeHead(headers: Headers, reference: string, limit: number): Descriptor | undefined {
  const mediaType = bareMediaType(headers['content-type'] ?? '');
  const size = contentLengthOf(headers) ?? 0;
  const told = headers['docker-content-digest'] ?? '';
  if (!isDocumentType(mediaType) || size === 0) return undefined;
  if (size > limit) {
    throw cannot('TOO_LARGE', `use manifest ${quote(reference)}`, `${size} bytes, at most ${limit}`);
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
