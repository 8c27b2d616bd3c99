import { expect, test } from 'vitest';
import { nextLink } from '../../../src/http/header-fields.ts';
import { only, under } from '../../../src/registry/names.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import type { Lister, Source } from '../../../src/source.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { ask, problemOf } from '../support.ts';

const store = memoryStore();
await fill(store);
for (const tag of ['v1', 'v2', 'v10', 'Z', '_a']) await store.tag(samples.manifest.descriptor, tag);
const all = ['Z', '_a', 'latest', 'v1', 'v10', 'v2'];
const handler = serve(() => store);
const list = '/v2/team/app/tags/list';

test.each([
  ['', all, null],
  ['?n=6', all, null],
  ['?n=1000000000000000000000', all, null],
  ['?n=2', ['Z', '_a'], `<${list}?n=2&last=_a>; rel="next"`],
  ['?n=2&last=_a', ['latest', 'v1'], `<${list}?n=2&last=v1>; rel="next"`],
  ['?n=2&last=v1', ['v10', 'v2'], null],
  ['?last=b', ['latest', 'v1', 'v10', 'v2'], null],
  ['?last=v2', [], null],
  ['?n=0', [], null],
  ['?n=1&ns=docker.io&last=v1', ['v10'], `<${list}?n=1&last=v10&ns=docker.io>; rel="next"`],
])('the tags asked for with "%s"', async (query, tags, link) => {
  const response = await handler(ask(`GET ${list}${query}`));
  expect([response.status, response.headers.get('content-type')]).toEqual([200, 'application/json']);
  expect(response.headers.get('link')).toBe(link);
  const text = await response.text();
  expect(JSON.parse(text)).toEqual({ name: 'team/app', tags });
  const head = await handler(ask(`HEAD ${list}${query}`));
  expect([head.status, await head.text(), head.headers.get('link')]).toEqual([200, '', link]);
  expect(head.headers.get('content-length')).toBe(String(text.length));
});

test('following the links gives every tag once', async () => {
  for (const size of [1, 2, 3, 4, 5, 6, 7]) {
    const seen: string[] = [];
    let next: string | undefined = `${list}?n=${size}`;
    while (next !== undefined) {
      const response: Response = await handler(ask(`GET ${next}`));
      seen.push(...((await response.json()) as { tags: string[] }).tags);
      next = nextLink(response.headers.get('link') ?? undefined);
    }
    expect(seen).toEqual(all);
  }
});

test.each(['-1', '1.5', 'x', '', '+1', '1e3'])('"%s" is no number of tags', async (count) => {
  const response = await handler(ask(`GET ${list}?n=${encodeURIComponent(count)}`));
  expect(await problemOf(response)).toBe('400 UNSUPPORTED');
});

test('other methods are refused with those that are there', async () => {
  const response = await handler(ask(`POST ${list}`));
  expect(response.headers.get('allow')).toBe('GET, HEAD');
  expect(await problemOf(response)).toBe('405 UNSUPPORTED');
});

test('a source that lists nothing is 404, for tags and referrers', async () => {
  const { name, resolve, fetch } = store;
  const plain: Source = { name, resolve, fetch };
  for (const path of [list, `/v2/team/app/referrers/${samples.manifest.descriptor.digest}`]) {
    expect(await problemOf(await serve(() => plain)(ask(`GET ${path}`)))).toBe('404 UNSUPPORTED');
  }
});

test('a registry below a prefix lists as that one does; a hidden repository is not there', async () => {
  const registry = only(
    under(({ name }) => (name === 'deep/team/app' ? store : memoryStore()), 'deep'),
    ({ name }) => name === 'team/app',
  );
  const behind = serve(registry);
  expect(await (await behind(ask(`GET ${list}`))).json()).toEqual({ name: 'team/app', tags: all });
  expect(await problemOf(await behind(ask('GET /v2/team/other/tags/list')))).toBe('404 NAME_UNKNOWN');
  const response = await behind(ask(`GET /v2/team/other/referrers/${samples.manifest.descriptor.digest}`));
  expect(await response.json()).toMatchObject({ manifests: [] });
});

test('the pages of what is not a store come from one list; a first page is always a new one', async () => {
  const { name, resolve, fetch, tags } = store;
  let lists = 0;
  const upstream: Source & Lister = {
    ...{ name, resolve, fetch },
    tags: async (options) => {
      lists += 1;
      return tags(options);
    },
  };
  const mirror = serve(() => upstream);
  const page = async (query: string): Promise<unknown> =>
    ((await (await mirror(ask(`GET ${list}${query}`))).json()) as { tags: unknown }).tags;
  for (const time of [1, 2]) {
    expect(await page('?n=2')).toEqual(['Z', '_a']);
    expect(await page('?n=2&last=_a')).toEqual(['latest', 'v1']);
    expect(await page('?n=2&last=v1')).toEqual(['v10', 'v2']);
    expect(lists).toBe(time);
  }
  expect(await (await mirror(ask('GET /v2/other/app/tags/list?last=v10'))).json()).toEqual({
    name: 'other/app',
    tags: ['v2'],
  });
  expect(lists).toBe(3);
});
