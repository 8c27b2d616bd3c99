import { readAll } from '../../body.ts';
import { messageOf, RegistryError, restate } from '../../errors.ts';
import { type Descriptor, usable } from '../../oci/descriptor.ts';
import { algorithmOf, type Digest, digestOf, isDigest } from '../../oci/digest.ts';
import { bareMediaType, isIndexType, isManifestType, parseDocument } from '../../oci/manifest.ts';
import { isTag } from '../../oci/reference.ts';
import { referrerOf } from '../../oci/referrer.ts';
import { isReferrers, type Store } from '../../source.ts';
import { quote } from '../../text/quote.ts';
import { invalidDigest } from './content.ts';
import { bodyOf, type RouteHandler, storeOf } from './exchange.ts';
import { problem } from './problem.ts';
import { find } from './uploads.ts';

/**
 * PUT of a manifest of at most `limit` bytes. It is stored byte for byte under its digest and, if it was put by tag, under
 * that tag, or under those of the `tag` parameters if it was put by digest; `OCI-Tag` says which. Its config and layers must exist, as the specification allows to require; the manifests of an index, and a
 * subject, may come later or never. `OCI-Subject` says that it is listed as a referrer of that subject.
 */
export const writeManifest =
  (limit: number): RouteHandler<'manifest'> =>
  async (exchange, { reference }) => {
    const store = storeOf(exchange);
    const { request, query, repository, record, locate } = exchange;
    if (reference.includes(':') && !isDigest(reference)) return invalidDigest(reference);
    const tags = isDigest(reference) ? [...new Set(query.getAll('tag'))] : [reference];
    const wrong = tags.length > mostTags ? `${tags.length} tags` : tags.find((tag) => !isTag(tag));
    if (wrong !== undefined)
      return problem(400, 'MANIFEST_INVALID', `Cannot put manifest "${reference}" by tag ${quote(wrong)}: not a tag`);
    const { signal } = request;
    const mediaType = bareMediaType(request.headers.get('content-type') ?? '');
    const bytes = await readAll(bodyOf(request), limit, `manifest "${reference}"`).catch((error: unknown) => {
      if (!(error instanceof RegistryError && error.code === 'TOO_LARGE')) throw error;
      throw restate(error, { limit: 'manifestBytes' });
    });
    const blobs = blobsOf(bytes, mediaType);
    if (blobs instanceof Response) return blobs;
    const missing = await firstMissing(store, blobs, signal);
    if (missing)
      return problem(404, 'MANIFEST_BLOB_UNKNOWN', `The manifest names a blob that does not exist: "${missing}"`);
    const digest = digestOf(bytes, isDigest(reference) ? algorithmOf(reference) : 'sha256');
    if (isDigest(reference) && digest !== reference) {
      return problem(400, 'DIGEST_INVALID', `Cannot put manifest "${reference}": its bytes are "${digest}"`);
    }
    const descriptor = { mediaType, digest, size: bytes.length };
    await store.push(descriptor, once(bytes), { signal, isExpected: true });
    for (const tag of tags) await store.tag(descriptor, tag, { signal });
    record.action = 'push';
    record.descriptor = descriptor;
    if (tags[0] !== undefined) [record.tag] = tags;
    const location = (await locate(descriptor, repository, signal)) ?? `/v2/${repository.name}/manifests/${digest}`;
    const headers = new Headers({ location, 'docker-content-digest': digest });
    if (isDigest(reference)) for (const tag of tags) headers.append('oci-tag', tag);
    const referrer = isReferrers(store) ? referrerOf(bytes, descriptor) : undefined;
    if (referrer) headers.set('oci-subject', referrer.subject);
    return new Response(null, { status: 201, headers });
  };

/** Most tags that one request gives. */
const mostTags = 100;

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The blobs of a manifest, or the response that says what is wrong with it. */
function blobsOf(bytes: Uint8Array, mediaType: string): readonly Descriptor[] | Response {
  if (!isManifestType(mediaType) && !isIndexType(mediaType)) {
    return problem(400, 'MANIFEST_INVALID', `Cannot put a manifest of type "${mediaType}": not a manifest type`);
  }
  try {
    const document = parseDocument(bytes, mediaType);
    // Entries of an index and a subject need not exist, so one that cannot be read is nobody's loss.
    if ('manifests' in document) return [];
    const [config, ...layers] = [document.config, ...document.layers].map(usable);
    return [...(config ? [config] : []), ...layers.filter((layer) => !isForeign(layer))];
  } catch (error) {
    if (error instanceof RegistryError) return problem(400, 'MANIFEST_INVALID', messageOf(error));
    throw error;
  }
}

/** Whether a layer is stored elsewhere: it has `urls`, or a type that must not be distributed. */
const isForeign = ({ mediaType, urls }: Descriptor): boolean =>
  (urls?.length ?? 0) > 0 || /\.(?:foreign|nondistributable)\./.test(mediaType);

async function firstMissing(
  store: Store,
  blobs: readonly Descriptor[],
  signal: AbortSignal,
): Promise<Digest | undefined> {
  for (const { digest } of blobs) {
    if (!(await find(store, digest, signal))) return digest;
  }
  return undefined;
}
