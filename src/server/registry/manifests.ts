import { readAll } from '../../body.ts';
import { RegistryError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { algorithmOf, type Digest, digestOf, isDigest } from '../../oci/digest.ts';
import { bareMediaType, isIndexType, isManifestType, isNonDistributable, parseDocument } from '../../oci/manifest.ts';

import { isTag } from '../../oci/reference.ts';
import { referrerOf } from '../../oci/referrer.ts';
import { isReferrers, type Store } from '../../source.ts';
import { invalidDigest } from './content.ts';
import { bodyOf, type RouteHandler, storeOf } from './exchange.ts';
import { problem } from './problem.ts';
import { has } from './uploads.ts';

/**
 * PUT of a manifest of at most `limit` bytes: kept byte for byte, under its digest and, where it was put by tag, that
 * name. Its config and layers must be here, as the specification allows to demand; the parts of an index may come later
 * or never, as may a subject. `OCI-Subject` says that it is listed as a referrer of that.
 */
export const writeManifest =
  (limit: number): RouteHandler<'manifest'> =>
  async (exchange, { reference }) => {
    const store = storeOf(exchange);
    const { request, repository } = exchange;
    if (reference.includes(':') && !isDigest(reference)) return invalidDigest(reference);
    if (!isDigest(reference) && !isTag(reference)) {
      return problem(400, 'MANIFEST_INVALID', `Cannot put manifest "${reference}": not a tag`);
    }
    const { signal } = request;
    const mediaType = bareMediaType(request.headers.get('content-type') ?? '');
    const bytes = await readAll(bodyOf(request), limit, `manifest "${reference}"`);
    const blobs = blobsOf(bytes, mediaType);
    if (blobs instanceof Response) return blobs;
    const missing = await firstMissing(store, blobs, signal);
    if (missing) return problem(404, 'MANIFEST_BLOB_UNKNOWN', `Manifest names a blob that is not here: "${missing}"`);
    const digest = digestOf(bytes, isDigest(reference) ? algorithmOf(reference) : 'sha256');
    if (isDigest(reference) && digest !== reference) {
      return problem(400, 'DIGEST_INVALID', `Cannot put manifest "${reference}": its bytes are "${digest}"`);
    }
    const descriptor = { mediaType, digest, size: bytes.length };
    await store.push(descriptor, once(bytes), { signal });
    if (!isDigest(reference)) await store.tag(descriptor, reference, { signal });
    const location = `/v2/${repository.name}/manifests/${digest}`;
    const headers = new Headers({ location, 'docker-content-digest': digest });
    const referrer = isReferrers(store) ? referrerOf(bytes, descriptor) : undefined;
    if (referrer) headers.set('oci-subject', referrer.subject);
    return new Response(null, { status: 201, headers });
  };

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

/** The blobs that a manifest is made of, or what is wrong with it. */
function blobsOf(bytes: Uint8Array, mediaType: string): readonly Descriptor[] | Response {
  if (!isManifestType(mediaType) && !isIndexType(mediaType)) {
    return problem(400, 'MANIFEST_INVALID', `Cannot put a manifest of type "${mediaType}": not a manifest type`);
  }
  try {
    const document = parseDocument(bytes, mediaType);
    return 'layers' in document ? [document.config, ...document.layers.filter((layer) => !isForeign(layer))] : [];
  } catch (error) {
    if (error instanceof RegistryError) return problem(400, 'MANIFEST_INVALID', error.message);
    throw error;
  }
}

/** Layers that are kept elsewhere: they have `urls`, or a type that forbids to distribute them. */
const isForeign = ({ mediaType, urls }: Descriptor): boolean =>
  (urls?.length ?? 0) > 0 || isNonDistributable(mediaType);

async function firstMissing(
  store: Store,
  blobs: readonly Descriptor[],
  signal: AbortSignal,
): Promise<Digest | undefined> {
  for (const { digest } of blobs) {
    if (!(await has(store, digest, signal))) return digest;
  }
  return undefined;
}
