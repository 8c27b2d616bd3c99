import { remember } from '../../bounded-map.ts';
import { RegistryError } from '../../errors.ts';
import { formatNext } from '../../http/header-fields.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { isDigest } from '../../oci/digest.ts';
import { mediaTypes } from '../../oci/manifest.ts';
import { formatReference } from '../../oci/reference.ts';
import { isCatalog, isLister, isReferrers, isStore } from '../../source.ts';
import { quote } from '../../text/quote.ts';
import { invalidDigest } from './content.ts';
import type { Exchange, RouteHandler } from './exchange.ts';
import { notOffered, problem } from './problem.ts';

/** How lists are given out. */
export interface ListRules {
  /** A larger `n` is 400 `UNSUPPORTED`; Infinity for no limit. */
  readonly mostListed: number;
  /** False: `n` and `last` are ignored, and every list comes as a whole. */
  readonly pages: boolean;
  /** False: a page has no `Link` to the next one. */
  readonly nextLinks: boolean;
  /** False: there is no referrers API. */
  readonly referrers: boolean;
  /** False: `artifactType` is ignored. */
  readonly referrersFilter: boolean;
}

/**
 * GET and HEAD of a repository's tags: at most `n`, after `last`, with a `Link` to the next page if more are left. No tags
 * and no `Link` for an `n` of 0. Not offered if the source cannot list. What is not a store lists all its tags for each page, perhaps
 * with many requests upstream: further pages are of the list that the first one is of, for a while.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export const listTags = (rules: ListRules): RouteHandler<'tags'> => {
  const earlier = createKeptLists();
  return async (exchange, { name }) => {
    const { request, query, repository, source, links, record } = exchange;
    if (!isLister(source)) return notOffered(request);
    record.action = 'list';
    const key = formatReference(repository);
    const known = query.get('last') === null ? undefined : earlier.find(key);
    const all = known ?? (await source.tags({ signal: request.signal, links, onWarning: record.warn }));
    if (!known && !isStore(source)) earlier.keep(key, all);
    return pageOf(exchange, rules, all, (tags) => ({ name, tags }));
  };
};

/** Milliseconds for which the pages of one list are requested, most such lists, and most names in all of them. */
const pagesTime = 30_000;
const mostLists = 16;
const mostNames = 500_000;

/** Lists of which further pages may be requested. */
function createKeptLists() {
  const lists = new Map<string, { readonly names: readonly string[]; readonly until: number }>();
  return {
    find: (key: string): readonly string[] | undefined => {
      const found = lists.get(key);
      return found && found.until > performance.now() ? found.names : undefined;
    },
    keep: (key: string, names: readonly string[]): void => {
      remember(lists, key, { names, until: performance.now() + pagesTime }, mostLists);
      let count = [...lists.values()].reduce((sum, list) => sum + list.names.length, 0);
      for (const [oldest, list] of lists) {
        if (count <= mostNames) break;
        lists.delete(oldest);
        count -= list.names.length;
      }
    },
  };
}

/** The names of all repositories, in pages like tags. Not offered if the registry cannot list them. */
export async function listRepositories(
  exchange: Pick<Exchange, 'request' | 'query' | 'registry' | 'record'>,
  rules: ListRules,
): Promise<Response> {
  const { request, registry, record } = exchange;
  if (!isCatalog(registry)) return notOffered(request);
  record.action = 'list';
  const all = await registry.repositories({ signal: request.signal });
  return pageOf(exchange, rules, all, (repositories) => ({ repositories }));
}

/** One page of a list that is sorted by code point. */
function pageOf(
  { request, query }: Pick<Exchange, 'request' | 'query'>,
  { mostListed, pages, nextLinks }: ListRules,
  all: readonly string[],
  bodyOf: (page: readonly string[]) => object,
): Response {
  const [count, last, namespace] = pages ? [query.get('n'), query.get('last'), query.get('ns')] : [null, null, null];
  if (count !== null && !/^\d+$/.test(count))
    return problem(400, 'UNSUPPORTED', `Cannot list ${quote(count)} names: "n" is not a whole number`);
  if (Number(count) > mostListed)
    return problem(400, 'UNSUPPORTED', `Cannot list ${count} names at once: "n" is at most ${mostListed}`);
  const most = count === null ? mostListed : Number(count);
  const from = last === null ? all : all.filter((name) => name > last);
  const page = pages ? from.slice(0, most) : all;
  const response = jsonResponse(bodyOf(page), 'application/json');
  const end = page.at(-1);
  if (nextLinks && end !== undefined && page.length < from.length) {
    const next = new URLSearchParams({ n: String(most), last: end, ...(namespace !== null && { ns: namespace }) });
    response.headers.set('link', formatNext(`${new URL(request.url).pathname}?${next}`));
  }
  return response;
}

function jsonResponse(value: object, mediaType: string): Response {
  const body = new TextEncoder().encode(JSON.stringify(value));
  return new Response(body, { headers: { 'content-type': mediaType, 'content-length': String(body.length) } });
}

/**
 * GET and HEAD of the referrers of a digest, as an index in one page, empty for a digest without referrers or an unknown
 * one. Several values of `artifactType` are alternatives. Not offered if the source cannot list.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export const listReferrers =
  ({ referrers, referrersFilter }: ListRules): RouteHandler<'referrers'> =>
  async ({ request, query, source, links, record }, { digest }) => {
    if (!referrers || !isReferrers(source)) return notOffered(request);
    if (!isDigest(digest)) return invalidDigest(digest);
    record.action = 'list';
    const types = referrersFilter ? query.getAll('artifactType').filter((type) => type !== '') : [];
    const [artifactType] = types.length === 1 ? types : [];
    const all = await source
      .referrers(digest, {
        ...{ signal: request.signal, links, onWarning: record.warn },
        ...(artifactType !== undefined && { artifactType }),
      })
      .catch(noneIfMissing);
    const manifests = types.length > 1 ? all.filter(({ artifactType = '' }) => types.includes(artifactType)) : all;
    const response = jsonResponse({ schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests }, mediaTypes.ociIndex);
    if (types.length > 0) response.headers.set('oci-filters-applied', 'artifactType');
    return response;
  };

/** A registry with this API must not respond with 404. */
function noneIfMissing(error: unknown): readonly Descriptor[] {
  if (error instanceof RegistryError && error.code === 'NOT_FOUND') return [];
  throw error;
}
