import { RegistryError } from '../errors.ts';
import { type Descriptor, isReadable, problemOf } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { type Index, isDocumentType, type Manifest, mediaTypes, parseDocument, parseIndex } from '../oci/manifest.ts';
import { artifactTypeOf, isOfType, referrersTag } from '../oci/referrer.ts';
import type { CallOptions, ReferrersOptions } from '../source.ts';

import { type BoundEndpoint, readDocumentAt } from './exchange.ts';
import { listAt } from './lists.ts';

/** Statuses of registries without the API: 404 is the specification's, some registries send the others. */
const statusesWithoutApi = new Set([400, 404, 405, 406, 410, 501]);

/** A referrer, and whether the host has filtered by type. */
interface ListedReferrer {
  readonly descriptor: Descriptor;
  readonly isFiltered: boolean;
}

/**
 * What refers to a digest at one endpoint: by the referrers API or, without it, by the tag that stands for it. That tag is
 * a list and not a name, so it is requested even if the endpoint has no capability `resolve`. A response of the API is
 * believed, even if it is empty; without the API and the tag it is `NOT_FOUND`.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export async function referrersAt(
  bound: BoundEndpoint,
  digest: Digest,
  options: ReferrersOptions,
): Promise<Descriptor[]> {
  const { artifactType, ...call } = options;
  const listed = await listAt<ListedReferrer>(
    bound,
    {
      what: 'the referrers',
      route: { kind: 'referrers', name: bound.endpoint.repository, digest },
      ...(artifactType && { query: `artifactType=${encodeURIComponent(artifactType)}` }),
      accept: mediaTypes.ociIndex,
      keyOf: ({ descriptor }) => descriptor.digest,
      read: (bytes, headers) => {
        const isFiltered = /(?:^|[\s,])artifactType(?:$|[\s,])/i.test(headers['oci-filters-applied'] ?? '');
        const { manifests } = parseIndex(bytes, headers['content-type']);
        return readable(bound, manifests).map((descriptor) => ({ descriptor, isFiltered }));
      },
      instead: (error) => taggedReferrers(bound, digest, call, error),
    },
    call,
  );
  if (!artifactType) return listed.map(({ descriptor }) => descriptor);
  return ofType(bound, listed, artifactType, call);
}

/** How many documents are read at a time to learn their types. */
const readAtOnce = 8;

/** The referrers of one type. A host that filters is believed; a type that it does not report is read from the document. */
async function ofType(
  bound: BoundEndpoint,
  listed: readonly ListedReferrer[],
  artifactType: string,
  call: CallOptions,
): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  for (let at = 0; at < listed.length; at += readAtOnce) {
    const typed = listed.slice(at, at + readAtOnce).map(async ({ descriptor, isFiltered }) => {
      const known = isFiltered || descriptor.artifactType ? descriptor : await typedAt(bound, descriptor, call);
      return isFiltered || isOfType(known.artifactType, artifactType) ? [known] : [];
    });
    found.push(...(await Promise.all(typed)).flat());
  }
  return found;
}

/** The list that clients push under a tag when the API is missing. A tag that is not an index lists nothing. */
async function taggedReferrers(
  bound: BoundEndpoint,
  digest: Digest,
  call: CallOptions,
  error: unknown,
): Promise<ListedReferrer[]> {
  const { code = '', status = 0 } = error instanceof RegistryError ? error : {};
  const isMissing = statusesWithoutApi.has(status);
  // Some refuse what they do not know (401, 403, a page for people): the tag can only help.
  const mayHelp = isMissing || ['UNAUTHORIZED', 'DENIED', 'BAD_RESPONSE'].includes(code);
  if (!mayHelp) throw error;
  const tag = referrersTag(digest);
  try {
    const document = await readDocument(bound, tag, call);
    const manifests = document && 'manifests' in document ? document.manifests : [];
    return readable(bound, manifests).map((descriptor) => ({ descriptor, isFiltered: false }));
  } catch (thrown) {
    const isUntagged = thrown instanceof RegistryError && thrown.code === 'NOT_FOUND';
    throw isUntagged && !isMissing ? error : thrown;
  }
}

/** A referrer with the type of its document, for lists that do not report it; unchanged if the document does not exist. */
async function typedAt(bound: BoundEndpoint, descriptor: Descriptor, call: CallOptions): Promise<Descriptor> {
  try {
    const document = await readDocument(bound, descriptor.digest, call);
    const artifactType = document && artifactTypeOf(document);
    return artifactType === undefined ? descriptor : { ...descriptor, artifactType };
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'NOT_FOUND') return descriptor;
    throw error;
  }
}

/** Undefined for the manifest of another artifact. */
async function readDocument(
  bound: BoundEndpoint,
  reference: string,
  call: CallOptions,
): Promise<Index | Manifest | undefined> {
  const { descriptor, bytes } = await readDocumentAt(bound, reference, call);
  return isDocumentType(descriptor.mediaType) ? parseDocument(bytes, descriptor.mediaType) : undefined;
}

/** The entries that can be used; the others are left out with a warning. */
function readable({ endpoint, context }: BoundEndpoint, entries: readonly Descriptor[]): readonly Descriptor[] {
  const [first, ...others] = entries.flatMap((entry) => problemOf(entry) ?? []);
  if (first) {
    const text = `Left out ${others.length + 1} listed referrers that cannot be read, the first as ${first.found}`;
    context.emit({ type: 'warning', host: new URL(endpoint.url).host, text });
  }
  return entries.filter(isReadable);
}
