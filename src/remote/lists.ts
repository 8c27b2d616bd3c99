import { readAll } from '../body.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot, messageOf, RegistryError } from '../errors.ts';
import { parseTarget, policyAfter } from '../http/address.ts';
import { nextLink } from '../http/header-fields.ts';
import type { HttpResponse } from '../http/transport.ts';
import { isTag } from '../oci/reference.ts';
import type { Route } from '../oci/route.ts';
import type { CallOptions } from '../source.ts';
import { quote } from '../text/quote.ts';
import { decode } from './answer.ts';
import { type BoundEndpoint, type EndpointRequest, endpointRequest, exchange } from './exchange.ts';

/** Most bytes of one list, all pages together: some millions of tags. */
const listBytes = 67_108_864;

/** A list that a host gives page by page. */
export interface Listing<Item> {
  /** For messages: `the tags`. */
  readonly what: string;
  readonly route: Route;
  /** `artifactType=…`, without a question mark. */
  readonly query?: string | undefined;
  readonly accept: string;
  /** Reads one page; `BAD_RESPONSE` for what is none. */
  read(bytes: Uint8Array, headers: HttpResponse['headers']): readonly Item[];
  /** What makes two items one. */
  keyOf(item: Item): string;
  /** The query of the page after these items, for a host that has told of no next page; undefined where they seem to be the last. */
  after?(items: readonly Item[]): string | undefined;
  /** What is listed otherwise, where the first page fails. */
  instead?(error: unknown): Promise<readonly Item[]>;
}

interface Page<Item> {
  readonly items: readonly Item[];
  readonly size: number;
  readonly next?: EndpointRequest | undefined;
}

/** What is asked next. */
interface Turn {
  readonly request: EndpointRequest;
  readonly isFirst?: boolean;
  /** The host has not told of this page. */
  readonly isGuess?: boolean;
  readonly isAfterEmpty?: boolean;
}

/**
 * All items of a list, each once, in the order in which they came. Pages are followed by their `Link`; a host that goes
 * round in circles (the same URL again, or a page that brings nothing new) is left with what it gave, and a warning.
 * `TOO_LARGE` for more pages than the client allows, or more than 64 MiB; `UNSAFE_URL` for a page at another origin than
 * the one that named it. What fails after the first page is never `NOT_FOUND`: half a list is no list.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export async function listAt<Item>(bound: BoundEndpoint, listing: Listing<Item>, call: CallOptions): Promise<Item[]> {
  const found = new Map<string, Item>();
  const asked = new Set<string>();
  let left = listBytes;
  let turn: Turn | undefined = { request: firstRequest(bound, listing), isFirst: true };
  while (turn) {
    if (asked.size >= bound.context.pages) throw tooManyPages(bound, listing);
    const page: Page<Item> = await readPage(bound, listing, { ...turn, left }, call);
    asked.add(turn.request.url);
    left -= page.size;
    const before = found.size;
    for (const item of page.items) {
      const key = listing.keyOf(item);
      if (!found.has(key)) found.set(key, item);
    }
    turn = turnAfter(turn, page, { bound, listing, asked, isNew: found.size > before });
  }
  return [...found.values()];
}

interface Standing<Item> {
  readonly bound: BoundEndpoint;
  readonly listing: Listing<Item>;
  readonly asked: ReadonlySet<string>;
  readonly isNew: boolean;
}

function turnAfter<Item>(turn: Turn, { items, next }: Page<Item>, standing: Standing<Item>): Turn | undefined {
  const { bound, listing, asked, isNew } = standing;
  if (!next) {
    const mayGuess = isNew && (turn.isFirst || turn.isGuess) && asked.size < bound.context.pages;
    const query = mayGuess ? listing.after?.(items) : undefined;
    return query === undefined ? undefined : { request: withQuery(firstRequest(bound, listing), query), isGuess: true };
  }
  // One page may be empty and the list go on, where a host filters after it has counted.
  const isAfterEmpty = items.length === 0;
  if (!asked.has(next.url) && (isNew || (isAfterEmpty && !turn.isAfterEmpty))) return { request: next, isAfterEmpty };
  const text = `Listing ${listing.what} was ended after ${asked.size} pages: the next ones bring nothing new`;
  bound.context.emit({ type: 'warning', host: new URL(bound.endpoint.url).host, text });
  return undefined;
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
  { context }: BoundEndpoint,
  listing: Listing<Item>,
  turn: Turn & { readonly left: number },
  call: CallOptions,
): Promise<Page<Item>> {
  const { request, left } = turn;
  try {
    return await exchange(request, context, call, async ({ response }) => {
      const { headers } = response;
      const body = await decode(response.body, headers['content-encoding'], context.encodings, left);
      const bytes = await readAll(body, left, `${listing.what}, of which all pages may have ${listBytes} bytes`);
      return {
        items: listing.read(bytes, headers),
        size: bytes.length,
        next: nextRequest(response, request),
      };
    });
  } catch (error) {
    const items = await insteadOf(error, turn, listing);
    return { items, size: 0 };
  }
}

/** What takes the place of a page that failed; the error, where nothing does. */
async function insteadOf<Item>(
  error: unknown,
  { isFirst, isGuess }: Turn,
  { what, instead }: Listing<Item>,
): Promise<readonly Item[]> {
  if (isFirst && instead) return instead(error);
  if (isFirst || !(error instanceof RegistryError)) throw error;
  const { code, status = 0, host, attempts } = error;
  // A page that nobody promised need not be there.
  if (isGuess && [400, 404, 405, 410, 416, 422].includes(status)) return [];
  if (code !== 'NOT_FOUND') throw error;
  const found = `a page that was told of is not there: ${messageOf(error)}`;
  throw cannot('BAD_RESPONSE', `list ${what}`, found, { status, host, attempts, cause: error });
}

function tooManyPages<Item>({ endpoint, context }: BoundEndpoint, { what }: Listing<Item>): RegistryError {
  const { host } = new URL(endpoint.url);
  const found = `more than ${context.pages} pages, the limit "limits.pages"`;
  return cannot('TOO_LARGE', `list ${what} of "${endpoint.repository}" at ${host}`, found, {
    host,
    reason: 'limit',
    limit: 'limits.pages',
  });
}

/** A question with more in its query. */
function withQuery(request: EndpointRequest, query: string): EndpointRequest {
  const { url } = request;
  return { ...request, url: `${url}${url.includes('?') ? '&' : '?'}${query}` };
}

/**
 * The page that the `Link` of an answer names, asked for as the answer's own was; undefined where it names none. It is
 * taken from the URL that answered, and must be at its origin: `UNSAFE_URL`. Where that is another one than the
 * endpoint's, after a redirect, the next page is asked for as a stranger's: nothing of the endpoint goes there, and it may
 * be at a private address only where this one was.
 */
function nextRequest(response: HttpResponse, request: EndpointRequest): EndpointRequest | undefined {
  const link = nextLink(response.headers.link);
  const answered = response.url;
  if (link === undefined) return undefined;
  const target = parseTarget(link, answered, 'a Link');
  target.hash = '';
  if (target.origin !== new URL(answered).origin) {
    const found = 'it is at another origin';
    const attempted = `follow a Link of "${redactUrl(answered)}" to "${redactUrl(target)}"`;
    throw cannot('UNSAFE_URL', attempted, found, { host: new URL(answered).host });
  }
  const { endpoint } = request;
  if (request.stranger || target.origin !== new URL(endpoint.url).origin) {
    return { ...request, url: target.href, stranger: { addresses: policyAfter('any', response) } };
  }
  // A proxy that takes a prefix off its paths seldom puts it back into what it hands on.
  const { pathname } = new URL(request.url);
  if (target.pathname.startsWith('/v2/') && pathname.endsWith(target.pathname)) target.pathname = pathname;
  const next = { ...request, url: target.href };
  const lacksNamespace = endpoint.namespace !== undefined && !target.searchParams.has('ns');
  return lacksNamespace ? withQuery(next, `ns=${encodeURIComponent(endpoint.namespace)}`) : next;
}

/**
 * The tags of a repository at one endpoint, each once, sorted by code point. No page size is asked for: registries differ
 * in what they allow. What is no tag (Artifactory lists digests, Nexus null) is left out, and told in a warning.
 */
export async function tagsAt(bound: BoundEndpoint, call: CallOptions): Promise<string[]> {
  const { endpoint, context } = bound;
  const dropped: unknown[] = [];
  const tags = await listAt<string>(
    bound,
    {
      what: 'the tags',
      route: { kind: 'tags', name: endpoint.repository },
      accept: 'application/json',
      keyOf: (tag) => tag,
      read: (bytes) =>
        tagsOf(bytes).filter((tag): tag is string => {
          const isOne = typeof tag === 'string' && isTag(tag);
          if (!isOne) dropped.push(tag);
          return isOne;
        }),
      after: pageAfter,
    },
    call,
  );
  if (dropped.length > 0) {
    const text = `Left out ${dropped.length} of the tags listed, which are none: the first is ${quote(dropped[0])}`;
    context.emit({ type: 'warning', host: new URL(endpoint.url).host, text });
  }
  return tags.sort();
}

/**
 * Some hosts cut a long list and tell of no next page. Pages have round sizes: after such a number of tags they are asked
 * for those after the last one, which costs a request that brings nothing where the list was whole.
 */
function pageAfter(tags: readonly string[]): string | undefined {
  const last = tags.at(-1);
  return last === undefined || tags.length % 50 !== 0 ? undefined : `last=${encodeURIComponent(last)}`;
}

const bad = (found: string): RegistryError => cannot('BAD_RESPONSE', 'read the tags', found);

/** Of `{"name":…,"tags":[…]}`; no tags are null, or left out, in what some servers write. */
function tagsOf(bytes: Uint8Array): readonly unknown[] {
  const text = new TextDecoder().decode(bytes);
  let page: unknown;
  try {
    page = JSON.parse(text);
  } catch {
    throw bad(`not JSON, ${quote(text.slice(0, 40))}`);
  }
  const { name, tags } = (page ?? {}) as { name?: unknown; tags?: unknown };
  if (Array.isArray(tags)) return tags;
  if (tags === null || (tags === undefined && typeof name === 'string')) return [];
  throw bad(`no list of tags in ${quote(text.slice(0, 40))}`);
}
