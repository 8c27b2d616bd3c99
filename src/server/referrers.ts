import { RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { mediaTypes } from '../oci/manifest.ts';
import { isReferrers } from '../source.ts';
import { invalidDigest } from './content.ts';
import type { Answer } from './exchange.ts';
import { notOffered } from './problem.ts';

/**
 * GET and HEAD of what refers to a digest, as an index in one page; an empty one for a digest that nobody refers to or
 * that is not here. Of several values of `artifactType` any may fit. Not offered where the source does not know.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export const listReferrers: Answer<'referrers'> = async ({ request, query, source }, { digest }) => {
  if (!isReferrers(source)) return notOffered(request);
  if (!isDigest(digest)) return invalidDigest(digest);
  const types = query.getAll('artifactType').filter((type) => type !== '');
  const [artifactType] = types.length === 1 ? types : [];
  const all = await source
    .referrers(digest, { signal: request.signal, ...(artifactType !== undefined && { artifactType }) })
    .catch(noneIfMissing);
  const manifests = types.length > 1 ? all.filter(({ artifactType = '' }) => types.includes(artifactType)) : all;
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  const body = new TextEncoder().encode(JSON.stringify(index));
  const headers = new Headers({ 'content-type': mediaTypes.ociIndex, 'content-length': String(body.length) });
  if (types.length > 0) headers.set('oci-filters-applied', 'artifactType');
  return new Response(body, { headers });
};

/** A registry that has this API never answers 404. */
function noneIfMissing(error: unknown): readonly Descriptor[] {
  if (error instanceof RegistryError && error.code === 'NOT_FOUND') return [];
  throw error;
}
