import { bytesBody, readAll } from '../body.ts';
import { combineErrors } from '../combine.ts';
import { asRegistryError, cannot, RegistryError } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf, digestOf } from '../oci/digest.ts';
import { quote } from '../oci/quote.ts';
import type { CallOptions, Fetched } from '../source.ts';
import { decode } from './decode.ts';
import { contentLengthOf, mediaTypeOf } from './describe.ts';
import type { Context, Place } from './exchange.ts';
import { openAnswer } from './open.ts';
import { headBlob } from './resolve.ts';

/** Milliseconds in which what is read at once must be here. */
const readWithin = 600_000;

/**
 * Content of which only the digest is known. What is no longer than a manifest may be is read at once and checked, so
 * that a stranger's page is not believed in its length; of what is longer the answer tells the size. HTML that nobody
 * asked for is `BAD_RESPONSE`. `TOO_LARGE` where it is longer and its size is not told.
 */
export async function openUnsized(
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
export async function learnSize(
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
