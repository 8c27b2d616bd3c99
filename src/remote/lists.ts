import { readAll } from '../body.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot, messageOf, RegistryError, restate } from '../errors.ts';
import { parseTarget, reachAfter } from '../http/address.ts';
import { nextLink } from '../http/header-fields.ts';
import type { HttpResponse } from '../http/transport.ts';
import { isTag } from '../oci/reference.ts';
import type { Route } from '../oci/route.ts';
import type { CallOptions } from '../source.ts';
import { checkValueCount, readJson } from '../text/json.ts';
import { quote } from '../text/quote.ts';
import { type BoundEndpoint, type EndpointRequest, endpointRequest, exchangeWhole } from './exchange.ts';
import { decode } from './response.ts';

/** Most values of a page of tags. */
const mostTags = 1_000_000;

/** A list that a host sends page by page. */
export interface Listing<Item> {
  /** For messages: `the tags`. */
  readonly what: string;
  readonly route: Route;
  /** `artifactType=…`, without a question mark. */
  readonly query?: string | undefined;
  readonly accept: string;
  /** Reads one page; `BAD_RESPONSE` if it is not one. */
  read(bytes: Uint8Array, headers: HttpResponse['headers']): readonly Item[];
  /** Items with the same key are duplicates. */
  keyOf(item: Item): string;
  /** The query for the page after these items, when the host has not linked one; undefined if they seem to be the last. */
  after?(items: readonly Item[]): string | undefined;
  /** What to list instead if the first page fails. */
  instead?(error: unknown): Promise<readonly Item[]>;
}

/** A request for one page. */
interface PageRequest {
  readonly request: EndpointRequest;
  readonly isFirst?: boolean;
  /** The host has not linked this page. */
  readonly isGuess?: boolean;
  readonly isAfterEmpty?: boolean;
}

interface Page<Item> {
  readonly items: readonly Item[];
  /** Bytes. */
  readonly size: number;
  readonly next?: EndpointRequest | undefined;
}

/**
 * All items of a list without duplicates, in the order of the host. `Link` leads to the next page; if it leads to a page
 * that was requested before, or to nothing new, the list ends there with a warning. `TOO_LARGE` for more pages than the
 * client allows, or more bytes (`limits.listBytes`). A failure after the first page is
 * never `NOT_FOUND`: an incomplete list is not a result.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export async function listAt<Item>(bound: BoundEndpoint, listing: Listing<Item>, call: CallOptions): Promise<Item[]> {
  const found = new Map<string, Item>();
  const requested = new Set<string>();
  let left = bound.context.listBytes;
  let current: PageRequest | undefined = { request: firstRequest(bound, listing), isFirst: true };
  while (current) {
    if (requested.size >= bound.context.pages) throw tooManyPages(bound, listing);
    const page: Page<Item> = await readPage(bound, listing, { ...current, left }, call);
    requested.add(current.request.url);
    left -= page.size;
    const before = found.size;
    for (const item of page.items) {
      const key = listing.keyOf(item);
      if (!found.has(key)) found.set(key, item);
    }
    current = pageAfter(current, page, { bound, listing, requested, isNew: found.size > before });
  }
  return [...found.values()];
}

function firstRequest<Item>(
  { endpoint, context }: BoundEndpoint,
  { route, query, accept }: Listing<Item>,
): EndpointRequest {
  const headers = { accept, 'accept-encoding': context.encodings.accepted };
  const request = endpointRequest(endpoint, 'GET', route, headers);
  return query === undefined ? request : withQuery(request, query);
}

async function readPage<Item>(
  bound: BoundEndpoint,
  listing: Listing<Item>,
  { left, ...current }: PageRequest & { readonly left: number },
  call: CallOptions,
): Promise<Page<Item>> {
  const { request } = current;
  const { context } = bound;
  try {
    return await exchangeWhole(request, context, call, async ({ response }) => {
      const { headers } = response;
      const body = await decode(response.body, headers['content-encoding'], context.encodings, left);
      const what = `${listing.what}, of which all pages may have ${context.listBytes} bytes`;
      const bytes = await readAll(body, left, what).catch((error: unknown) => {
        throw error instanceof RegistryError && error.reason === 'limit'
          ? restate(error, { limit: 'limits.listBytes' })
          : error;
      });
      const next = linkedRequest(response, request, firstRequest(bound, listing));
      return { items: listing.read(bytes, headers), size: bytes.length, next };
    });
  } catch (error) {
    return { items: await insteadOf(error, current, listing), size: 0 };
  }
}

/** The items in place of a page that failed; throws the error if there are none. */
async function insteadOf<Item>(
  error: unknown,
  { isFirst, isGuess }: PageRequest,
  { what, instead }: Listing<Item>,
): Promise<readonly Item[]> {
  if (isFirst && instead) return instead(error);
  if (isFirst || !(error instanceof RegistryError)) throw error;
  const { code, status = 0, host, attempts } = error;
  // A page that was not linked need not exist.
  if (isGuess && [400, 404, 405, 410, 416, 422].includes(status)) return [];
  if (code !== 'NOT_FOUND') throw error;
  const found = `a linked page does not exist: ${messageOf(error)}`;
  throw cannot('BAD_RESPONSE', `list ${what}`, found, { status, host, attempts, cause: error });
}

interface ListState<Item> {
  readonly bound: BoundEndpoint;
  readonly listing: Listing<Item>;
  /** URLs of the pages until now. */
  readonly requested: ReadonlySet<string>;
  /** Whether the last page had new items. */
  readonly isNew: boolean;
}

function pageAfter<Item>(
  current: PageRequest,
  { items, next }: Page<Item>,
  { bound, listing, requested, isNew }: ListState<Item>,
): PageRequest | undefined {
  if (!next) {
    const mayGuess = isNew && (current.isFirst || current.isGuess) && requested.size < bound.context.pages;
    const query = mayGuess ? listing.after?.(items) : undefined;
    return query === undefined ? undefined : { request: withQuery(firstRequest(bound, listing), query), isGuess: true };
  }
  // One page may be empty before the last: some hosts filter after they have counted.
  const isAfterEmpty = items.length === 0;
  const mayFollow = isNew || (isAfterEmpty && !current.isAfterEmpty);
  if (mayFollow && !requested.has(next.url)) return { request: next, isAfterEmpty };
  const text = `Stopped listing ${listing.what} after ${requested.size} pages: the next page has nothing new`;
  bound.context.emit({ type: 'warning', host: new URL(bound.endpoint.url).host, text });
  return undefined;
}

function tooManyPages<Item>({ endpoint, context }: BoundEndpoint, { what }: Listing<Item>): RegistryError {
  const { host } = new URL(endpoint.url);
  const limit = 'limits.pages';
  const found = `more than ${context.pages} pages, the limit "${limit}"`;
  return cannot('TOO_LARGE', `list ${what} of "${endpoint.repository}" at ${host}`, found, {
    reason: 'limit',
    limit,
    host,
  });
}

const withQuery = (request: EndpointRequest, query: string): EndpointRequest => ({
  ...request,
  url: `${request.url}${request.url.includes('?') ? '&' : '?'}${query}`,
});

/**
 * The request for the page that the `Link` of a response names, if any; links are relative to the URL of the response. One
 * that leads elsewhere than to the list (Artifactory leaves out the key of its repository, Katello names a host of its own
 * network) is not followed: its query is sent to the path that was requested first. Without a query it must have the origin
 * of the response: otherwise `UNSAFE_URL`. After a redirect to another origin than the endpoint's, nothing of the endpoint is
 * sent to it, and it may have a private address only if the response came from one.
 */
function linkedRequest(
  response: HttpResponse,
  request: EndpointRequest,
  first: EndpointRequest,
): EndpointRequest | undefined {
  const link = nextLink(response.headers.link);
  if (link === undefined) return undefined;
  const named = URL.canParse(link, response.url) ? new URL(link, response.url) : undefined;
  const { origin, host, pathname } = new URL(response.url);
  const paths = [pathname, new URL(request.url).pathname];
  const isList = named?.origin === origin && paths.includes(named.pathname);
  if (named?.search && !isList) return withNamespace(first, new URL(named.search, first.url));
  const target = parseTarget(link, response.url, 'a Link');
  target.hash = '';
  if (target.origin !== origin) {
    const attempted = `follow a Link of "${redactUrl(response.url)}" to "${redactUrl(target)}"`;
    throw cannot('UNSAFE_URL', attempted, 'it is at another origin', { host });
  }
  const { endpoint } = request;
  if (request.stranger || target.origin !== new URL(endpoint.url).origin) {
    return { ...request, url: target.href, stranger: reachAfter({ allowPrivate: endpoint.allowPrivate }, response) };
  }
  return withNamespace(request, target);
}

/** The request for another URL of its endpoint. */
function withNamespace(request: EndpointRequest, url: URL): EndpointRequest {
  const { namespace } = request.endpoint;
  const next = { ...request, url: url.href };
  const lacksNamespace = namespace !== undefined && !url.searchParams.has('ns');
  return lacksNamespace ? withQuery(next, `ns=${encodeURIComponent(namespace)}`) : next;
}

/**
 * The tags of a repository at one endpoint, without duplicates, sorted by code point. No page size is requested, because
 * registries differ in what they allow. Entries that are not tags (Artifactory lists digests, Nexus null) are left out
 * with a warning.
 */
export async function tagsAt(bound: BoundEndpoint, call: CallOptions): Promise<string[]> {
  const { endpoint, context } = bound;
  let dropped = 0;
  let firstDropped: unknown;
  const listing: Listing<string> = {
    what: 'the tags',
    route: { kind: 'tags', name: endpoint.repository },
    accept: 'application/json',
    keyOf: (tag) => tag,
    read: (bytes) =>
      tagsOf(bytes).filter((tag): tag is string => {
        const isValid = typeof tag === 'string' && isTag(tag);
        if (!isValid && ++dropped === 1) firstDropped = tag;
        return isValid;
      }),
    after: queryAfter,
  };
  const tags = await listAt(bound, listing, call);
  if (dropped > 0) {
    const text = `Left out ${dropped} listed names that are not tags, the first is ${quote(firstDropped)}`;
    context.emit({ type: 'warning', host: new URL(endpoint.url).host, text });
  }
  return tags.sort();
}

/**
 * Some hosts cut a long list without a link. Pages have round sizes, so after a round number of tags the page after the
 * last tag is requested: one superfluous request if the list was complete.
 */
function queryAfter(tags: readonly string[]): string | undefined {
  const last = tags.at(-1);
  return last === undefined || tags.length % 50 !== 0 ? undefined : `last=${encodeURIComponent(last)}`;
}

const bad = (found: string): RegistryError => cannot('BAD_RESPONSE', 'read the tags', found);

/** Of `{"name":…,"tags":[…]}`; some servers write null for no tags, or leave them out. */
function tagsOf(bytes: Uint8Array): readonly unknown[] {
  checkValueCount(bytes, 'read the tags', mostTags);
  const text = new TextDecoder().decode(bytes);
  const read = readJson(text);
  if ('found' in read) throw bad(`${read.found}, ${quote(text, 40)}`);
  const { name, tags } = (read.value ?? {}) as { name?: unknown; tags?: unknown };
  if (Array.isArray(tags)) return tags;
  if (tags === null || (tags === undefined && typeof name === 'string')) return [];
  throw bad(`no list of tags in ${quote(text, 40)}`);
}
