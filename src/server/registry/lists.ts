import { RegistryError } from '../../errors.ts';
import { formatNext } from '../../http/header-fields.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest } from '../../oci/digest.ts';
import { mediaTypes } from '../../oci/manifest.ts';
import { isLister, isReferrers } from '../../source.ts';
import { invalidDigest } from './content.ts';
import type { RouteHandler } from './exchange.ts';
import { notOffered, problem } from './problem.ts';

/**
 * GET and HEAD of a repository's tags: at most `n`, after `last`, with a `Link` to the next page if more are left. No tags
 * and no `Link` for an `n` of 0. Not offered if the source cannot list.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export const listTags: RouteHandler<'tags'> = async ({ request, query, source, links }, { name }) => {
  if (!isLister(source)) return notOffered(request);
  const [count, last, namespace] = [query.get('n'), query.get('last'), query.get('ns')];
  if (count !== null && !/^\d+$/.test(count)) {
    return problem(400, 'UNSUPPORTED', `Cannot list ${JSON.stringify(count)} tags: "n" is not a whole number`);
  }
  const all = await source.tags({ signal: request.signal, links });
  const from = last === null ? all : all.filter((tag) => tag > last);
  const tags = count === null ? from : from.slice(0, Number(count));
  const body = new TextEncoder().encode(JSON.stringify({ name, tags }));
  const headers = new Headers({ 'content-type': 'application/json', 'content-length': String(body.length) });
  const end = tags.at(-1);
  if (count !== null && end !== undefined && tags.length < from.length) {
    const next = new URLSearchParams({ n: count, last: end, ...(namespace !== null && { ns: namespace }) });
    headers.set('link', formatNext(`/v2/${name}/tags/list?${next}`));
  }
  return new Response(body, { headers });
};

/**
 * GET and HEAD of the referrers of a digest, as an index in one page, empty for a digest without referrers or an unknown
 * one. Several values of `artifactType` are alternatives. Not offered if the source cannot list.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export const listReferrers: RouteHandler<'referrers'> = async ({ request, query, source, links }, { digest }) => {
  if (!isReferrers(source)) return notOffered(request);
  if (!isDigest(digest)) return invalidDigest(digest);
  const types = query.getAll('artifactType').filter((type) => type !== '');
  const [artifactType] = types.length === 1 ? types : [];
  const all = await source
    .referrers(digest, { signal: request.signal, links, ...(artifactType !== undefined && { artifactType }) })
    .catch(noneIfMissing);
  const manifests = types.length > 1 ? all.filter(({ artifactType = '' }) => types.includes(artifactType)) : all;
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
  const body = new TextEncoder().encode(JSON.stringify(index));
  const headers = new Headers({ 'content-type': mediaTypes.ociIndex, 'content-length': String(body.length) });
  if (types.length > 0) headers.set('oci-filters-applied', 'artifactType');
  return new Response(body, { headers });
};

/** A registry with this API must not respond with 404. */
function noneIfMissing(error: unknown): readonly Descriptor[] {
  if (error instanceof RegistryError && error.code === 'NOT_FOUND') return [];
  throw error;
}
