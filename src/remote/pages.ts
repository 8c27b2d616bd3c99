import { readAll } from '../body.ts';
import { cannot, messageOf, RegistryError } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Route } from '../oci/route.ts';
import type { CallOptions } from '../source.ts';
import { decode } from './decode.ts';
import { ask, type Place, type Question, questionOf } from './exchange.ts';
import { nextQuestion, withQuery } from './next-page.ts';

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
  readonly next?: Question | undefined;
}

/** What is asked next. */
interface Turn {
  readonly question: Question;
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
export async function listAt<Item>(place: Place, listing: Listing<Item>, call: CallOptions): Promise<Item[]> {
  const found = new Map<string, Item>();
  const asked = new Set<string>();
  let left = listBytes;
  let turn: Turn | undefined = { question: firstQuestion(place, listing), isFirst: true };
  while (turn) {
    if (asked.size >= place.context.pages) throw tooManyPages(place, listing);
    const page: Page<Item> = await readPage(place, listing, { ...turn, left }, call);
    asked.add(turn.question.url);
    left -= page.size;
    const before = found.size;
    for (const item of page.items) {
      const key = listing.keyOf(item);
      if (!found.has(key)) found.set(key, item);
    }
    turn = turnAfter(turn, page, { place, listing, asked, isNew: found.size > before });
  }
  return [...found.values()];
}

interface Standing<Item> {
  readonly place: Place;
  readonly listing: Listing<Item>;
  readonly asked: ReadonlySet<string>;
  readonly isNew: boolean;
}

function turnAfter<Item>(turn: Turn, { items, next }: Page<Item>, standing: Standing<Item>): Turn | undefined {
  const { place, listing, asked, isNew } = standing;
  if (!next) {
    const mayGuess = isNew && (turn.isFirst || turn.isGuess) && asked.size < place.context.pages;
    const query = mayGuess ? listing.after?.(items) : undefined;
    return query === undefined
      ? undefined
      : { question: withQuery(firstQuestion(place, listing), query), isGuess: true };
  }
  // One page may be empty and the list go on, where a host filters after it has counted.
  const isAfterEmpty = items.length === 0;
  if (!asked.has(next.url) && (isNew || (isAfterEmpty && !turn.isAfterEmpty))) return { question: next, isAfterEmpty };
  const text = `Listing ${listing.what} was ended after ${asked.size} pages: the next ones bring nothing new`;
  place.context.emit({ type: 'warning', host: new URL(place.endpoint.url).host, text });
  return undefined;
}

function firstQuestion<Item>({ endpoint, context }: Place, { route, query, accept }: Listing<Item>): Question {
  const headers = { accept, 'accept-encoding': context.encodings.accepted };
  const question = questionOf(endpoint, 'GET', route, headers);
  return query === undefined ? question : withQuery(question, query);
}

async function readPage<Item>(
  { context }: Place,
  listing: Listing<Item>,
  turn: Turn & { readonly left: number },
  call: CallOptions,
): Promise<Page<Item>> {
  const { question, left } = turn;
  try {
    return await ask(question, context, call, async ({ response }) => {
      const { headers } = response;
      const body = await decode(response.body, headers['content-encoding'], context.encodings, left);
      const bytes = await readAll(body, left, `${listing.what}, of which all pages may have ${listBytes} bytes`);
      return {
        items: listing.read(bytes, headers),
        size: bytes.length,
        next: nextQuestion(response, question),
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

function tooManyPages<Item>({ endpoint, context }: Place, { what }: Listing<Item>): RegistryError {
  const { host } = new URL(endpoint.url);
  const found = `more than ${context.pages} pages, the limit "limits.pages"`;
  return cannot('TOO_LARGE', `list ${what} of "${endpoint.repository}" at ${host}`, found, {
    host,
  });
}
