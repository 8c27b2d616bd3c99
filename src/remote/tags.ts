import { cannot, type RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import { isTag } from '../oci/reference.ts';
import type { CallOptions } from '../source.ts';
import type { Place } from './exchange.ts';
import { listAt } from './pages.ts';

/**
 * The tags of a repository at one endpoint, each once, sorted by code point. No page size is asked for: registries differ
 * in what they allow. What is no tag (Artifactory lists digests, Nexus null) is left out, and told in a warning.
 */
export async function tagsAt(place: Place, call: CallOptions): Promise<string[]> {
  const { endpoint, context } = place;
  const dropped: unknown[] = [];
  const tags = await listAt<string>(
    place,
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
