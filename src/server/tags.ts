import { formatNext } from '../oci/link.ts';
import { isLister } from '../source.ts';
import type { Answer } from './exchange.ts';
import { notOffered, problem } from './problem.ts';

/**
 * GET and HEAD of a repository's tags: `n` of them, those after `last`, with a `Link` to the next where there are more.
 * No tags at all for an `n` of 0, without a `Link`. Not offered where the source lists none.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-tags
 */
export const listTags: Answer<'tags'> = async ({ request, query, source }, { name }) => {
  if (!isLister(source)) return notOffered(request);
  const [count, last, namespace] = [query.get('n'), query.get('last'), query.get('ns')];
  if (count !== null && !/^\d+$/.test(count)) {
    return problem(400, 'UNSUPPORTED', `Cannot list ${JSON.stringify(count)} tags: "n" is not a whole number`);
  }
  const all = await source.tags({ signal: request.signal });
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
