import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { ClientEvent } from '../../src/events.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { type Answer, chunked, createHosts, errorOf, refusal } from '../support/hosts.ts';
import { endpointOf, recording } from '../support/http.ts';

const list = 'https://origin.test/v2/team/app/tags/list';
const page = (tags: readonly unknown[] | null, link?: string): Response =>
  Response.json({ name: 'team/app', tags }, { headers: link === undefined ? {} : { link } });

/** Answers one after the other, the last one from then on. */
const inTurn = (...answers: (() => Response)[]): Answer => {
  const rest = [...answers];
  return () => (rest.length > 1 ? rest.shift() : rest[0])?.() ?? Response.error();
};

const mirrored = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };

function fetcherOver(answers: Record<string, Answer>, options: ClientOptions = {}) {
  const hosts = createHosts(answers);
  const warnings: string[] = [];
  const onEvent = (event: ClientEvent): void => {
    if (event.type === 'warning') warnings.push(event.text);
  };
  const client = createClient({ transport: hosts.transport, retries: { tries: 1 }, onEvent, ...options });
  return { ...hosts, client, warnings, fetcher: client.fetcher('origin.test/team/app') };
}

test('one page takes one request, without a page size', async () => {
  const { fetcher, log, requests } = fetcherOver({ 'origin.test': () => page(['b', 'a', 'b']) });
  expect(await fetcher.tags()).toEqual(['a', 'b']);
  expect(log()).toEqual([`GET ${list}`]);
  expect(requests[0]?.headers.get('accept')).toBe('application/json');
});

test.each([
  ['null', '{"name":"team/app","tags":null}'],
  ['left out', '{"name":"team/app"}'],
  ['an empty list', '{"tags":[]}'],
])('tags that are %s are none', async (_, body) => {
  const { fetcher } = fetcherOver({ 'origin.test': () => new Response(body) });
  expect(await fetcher.tags()).toEqual([]);
});

test.each([
  ['relative to the host', '</v2/team/app/tags/list?last=b&n=2>; rel="next"', `${list}?last=b&n=2`],
  ['relative to the list', '<list?last=b>;rel=next', `${list}?last=b`],
  ['the query alone', '<?last=b>; rel="next"', `${list}?last=b`],
  ['absolute', `<${list}?last=b>; rel="next"`, `${list}?last=b`],
  ['without a scheme', '<//origin.test/v2/team/app/tags/list?last=b>; rel="next"', `${list}?last=b`],
  ['at the default port', '<https://origin.test:443/v2/team/app/tags/list?last=b>; rel="next"', `${list}?last=b`],
  ['a token of the host', '<?next_page=gAAAA%2Bx%3D%3D&n=50>; rel="next"', `${list}?next_page=gAAAA%2Bx%3D%3D&n=50`],
  ['at another path', '</v2/other/pages/2>; rel="next"', 'https://origin.test/v2/other/pages/2'],
  ['at another path, with a query', '</v2/app/tags/list?last=b&n=2>; rel="next"', `${list}?last=b&n=2`],
  ['at another host', '<https://internal.test/v2/team/app/tags/list?last=b>; rel="next"', `${list}?last=b`],
  ['at another port', '<https://origin.test:8443/v2/x?last=b>; rel="next"', `${list}?last=b`],
  ['at http', '<http://origin.test/v2/team/app/tags/list?last=b>; rel="next"', `${list}?last=b`],
  ['one of several', '</x>; rel="first", <?last=b>; rel="last next"', `${list}?last=b`],
  ['with a fragment', '<?last=b#top>; rel="next"', `${list}?last=b`],
])('the next page is found where the Link is %s', async (_, link, url) => {
  const { fetcher, log } = fetcherOver({
    'origin.test': inTurn(
      () => page(['c', 'b'], link),
      () => page(['a']),
    ),
  });
  expect(await fetcher.tags()).toEqual(['a', 'b', 'c']);
  expect(log()).toEqual([`GET ${list}`, `GET ${url}`]);
});

test.each([
  ['</v2/team/app/tags/list?last=b>; rel="next"', 'last=b&ns=origin.test'],
  ['<?last=b&ns=other.test>; rel="next"', 'last=b&ns=other.test'],
  ['<list?ns=origin.test&last=b>; rel="next"', 'ns=origin.test&last=b'],
  ['<https://internal.test/v2/team/app/tags/list?last=b>; rel="next"', 'last=b&ns=origin.test'],
])('a mirror is told the registry on every page, and its prefix is kept: %s', async (link, query) => {
  const mirror = 'https://mirror.test/prefix/v2/team/app/tags/list';
  const config = {
    registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test/prefix/v2', overridePath: true }] } },
  };
  const answers = {
    'mirror.test': inTurn(
      () => page(['b'], link),
      () => page(['a']),
    ),
  };
  const { fetcher, log } = fetcherOver(answers, { config });
  expect(await fetcher.tags()).toEqual(['a', 'b']);
  expect(log()).toEqual([`GET ${mirror}?ns=origin.test`, `GET ${mirror}?${query}`]);
});

test.each([
  ['another host', '<https://evil.test/v2/team/app/tags/list>; rel="next"'],
  ['another port', '<https://origin.test:8443/v2/team/app/tags/list>; rel="next"'],
  ['http', '<http://origin.test/v2/team/app/tags/list>; rel="next"'],
  ['a file', '<file:///etc/passwd>; rel="next"'],
  ['no URL', '<https://[>; rel="next"'],
])('a Link to %s without a query is UNSAFE_URL, and nothing is sent there', async (_, link) => {
  const { fetcher, log } = fetcherOver({
    'origin.test': () => page(['b'], link),
    'evil.test': () => page(['a']),
  });
  const error = await errorOf(fetcher.tags());
  expect([error.code, error.host, error.attempts.map(({ outcome }) => outcome)]).toEqual([
    'UNSAFE_URL',
    'origin.test',
    ['UNSAFE_URL'],
  ]);
  expect(log()).toEqual([`GET ${list}`]);
});

test('credentials and headers go with every page of the endpoint, and after a redirect with none', async () => {
  const config = {
    credentials: { 'origin.test': { username: 'ann', password: 'secret' } },
    registries: { 'origin.test': { origin: { url: 'https://origin.test', headers: { 'x-key': 'secret' } } } },
  };
  const login = (request: Request, answer: () => Response): Response =>
    request.headers.has('authorization')
      ? answer()
      : new Response(null, { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } });
  const seen = ({ url, headers }: Request) =>
    `${url} ${headers.get('authorization') ?? '-'} ${headers.get('x-key') ?? '-'}`;
  const pages = inTurn(
    () => page(['b'], '<?last=b>; rel="next"'),
    () => page(['a']),
  );
  const kept = fetcherOver(
    { 'origin.test': (request) => login(request, () => pages(request) as Response) },
    { config },
  );
  expect(await kept.fetcher.tags()).toEqual(['a', 'b']);
  const basic = `Basic ${btoa('ann:secret')}`;
  expect(kept.requests.map(seen)).toEqual([
    `${list} - secret`,
    `${list} ${basic} secret`,
    `${list}?last=b ${basic} secret`,
  ]);
  const elsewhere = fetcherOver(
    {
      'origin.test': () => new Response(null, { status: 307, headers: { location: 'https://files.test/tags' } }),
      'files.test': inTurn(
        () => page(['b'], '</tags?last=b>; rel="next"'),
        () => page(['a']),
      ),
    },
    { config },
  );
  expect(await elsewhere.fetcher.tags()).toEqual(['a', 'b']);
  expect(elsewhere.requests.map(seen)).toEqual([
    `${list} - secret`,
    'https://files.test/tags - -',
    'https://files.test/tags?last=b - -',
  ]);
});

test('TLS settings of the endpoint stay behind on every page after a redirect', async () => {
  const { transport, requests } = recording(({ url }) => {
    if (url === list) return { status: 307, headers: { location: 'https://files.test/tags' } };
    const headers: Record<string, string> = url.includes('last') ? {} : { link: '<?last=a>; rel="next"' };
    return { headers, body: url.includes('last') ? '{"tags":["b"]}' : '{"tags":["a"]}' };
  });
  const endpoint = {
    ...endpointOf('https://origin.test/v2', { repository: 'team/app' }),
    tls: { insecureSkipVerify: true },
  };
  const client = createClient({ transport, resolver: () => [endpoint] });
  expect(await client.fetcher('origin.test/team/app').tags()).toEqual(['a', 'b']);
  expect(requests.map(({ url, tls, addresses }) => [new URL(url).host, tls, addresses])).toEqual([
    ['origin.test', endpoint.tls, undefined],
    ['files.test', undefined, 'public'],
    ['files.test', undefined, 'public'],
  ]);
});

test('who was redirected to may not send its asker to another host, nor back', async () => {
  for (const link of ['<https://origin.test/v2/>; rel="next"', '<https://third.test/>; rel="next"']) {
    const { fetcher, log } = fetcherOver({
      'origin.test': () => new Response(null, { status: 307, headers: { location: 'https://files.test/tags' } }),
      'files.test': () => page(['b'], link),
    });
    expect((await errorOf(fetcher.tags())).code).toBe('UNSAFE_URL');
    expect(log()).toHaveLength(2);
  }
});

const loops: readonly [title: string, answer: Answer, most: number][] = [
  ['the same page', () => page(['b', 'a'], '</v2/team/app/tags/list>; rel="next"'), 1],
  ['the same page with a query', () => page(['b', 'a'], '<?last=a>; rel="next"'), 2],
  [
    'ever new URLs and the same tags',
    (request) => page(['b', 'a'], `<?page=${Number(new URL(request.url).searchParams.get('page')) + 1}>; rel="next"`),
    2,
  ],
  [
    'ever new URLs and no tags',
    (request) => {
      const at = Number(new URL(request.url).searchParams.get('page'));
      return page(at === 0 ? ['b', 'a'] : [], `<?page=${at + 1}>; rel="next"`);
    },
    3,
  ],
];
test.each(loops)('a list that leads nowhere new, with %s, ends there', async (_, answer, most) => {
  const { fetcher, log, warnings } = fetcherOver({ 'origin.test': answer });
  expect(await fetcher.tags()).toEqual(['a', 'b']);
  expect(log()).toHaveLength(most);
  expect(warnings).toEqual([expect.stringContaining('the next page has nothing new')]);
});

test('an empty page may stand between others', async () => {
  const answers = inTurn(
    () => page([], '<?page=1>; rel="next"'),
    () => page(['a'], '<?page=2>; rel="next"'),
    () => page(null, '<?page=3>; rel="next"'),
    () => page(['b']),
  );
  const { fetcher, warnings } = fetcherOver({ 'origin.test': answers });
  expect(await fetcher.tags()).toEqual(['a', 'b']);
  expect(warnings).toEqual([]);
});

/** A host with pages of `size`. */
const paged =
  (tags: readonly string[], size: number, isTold: boolean): Answer =>
  (request) => {
    const last = new URL(request.url).searchParams.get('last');
    const start = last === null ? 0 : tags.indexOf(last) + 1;
    const part = tags.slice(start, start + size);
    return page(
      part,
      isTold && start + size < tags.length ? `<?last=${part.at(-1)}&n=${size}>; rel="next"` : undefined,
    );
  };

const sorted = Array.from({ length: 2_345 }, (_, index) => `v${String(index).padStart(6, '0')}`);

test('more pages than are allowed are TOO_LARGE, and the limit is named', async () => {
  const few = fetcherOver({ 'origin.test': paged(sorted, 100, true) }, { limits: { pages: 23 } });
  const error = await errorOf(few.fetcher.tags());
  expect([error.code, error.host, few.log().length]).toEqual(['TOO_LARGE', 'origin.test', 23]);
  expect(error.message).toMatch(/tags of "team\/app".*more than 23 pages.*"limits\.pages"/);
  const enough = fetcherOver({ 'origin.test': paged(sorted, 100, true) }, { limits: { pages: 24 } });
  expect(await enough.fetcher.tags()).toEqual(sorted);
  const one = fetcherOver({ 'origin.test': () => page(sorted.slice(0, 100)) }, { limits: { pages: 1 } });
  expect(await one.fetcher.tags()).toHaveLength(100);
});

test('a host that cuts its list and tells of no next page is asked for what comes after', async () => {
  const { fetcher, log } = fetcherOver({ 'origin.test': paged(sorted, 1_000, false) });
  expect(await fetcher.tags()).toEqual(sorted);
  expect(log()).toEqual([list, `${list}?last=v000999`, `${list}?last=v001999`].map((url) => `GET ${url}`));
});

test.each([
  ['ignores it', () => page(sorted.slice(0, 100))],
  ['refuses it', () => refusal(400, 'UNSUPPORTED')(new Request(list)) as Response],
  ['has nothing after', () => page([])],
])('a whole list of a round number is whole where the host %s', async (_, second) => {
  const { fetcher, log, warnings } = fetcherOver({ 'origin.test': inTurn(() => page(sorted.slice(0, 100)), second) });
  expect(await fetcher.tags()).toHaveLength(100);
  expect([log().length, warnings]).toEqual([2, []]);
});

test('70,000 tags come in one page or many, encoded or not', async () => {
  const all = Array.from({ length: 70_000 }, (_, index) => `sha-${String(index).padStart(60, '0')}`);
  const body = JSON.stringify({ name: 'team/app', tags: all });
  expect(body.length).toBeGreaterThan(4_194_304);
  for (const answer of [
    inTurn(
      () => new Response(body),
      () => page([]),
    ),
    inTurn(
      () => new Response(gzipSync(body), { headers: { 'content-encoding': 'gzip' } }),
      () => page([]),
    ),
    paged(all, 1_000, true),
  ]) {
    expect(await fetcherOver({ 'origin.test': answer }).fetcher.tags()).toHaveLength(70_000);
  }
});

test('a list without an end is TOO_LARGE', async () => {
  const part = new TextEncoder().encode(`"${'x'.repeat(1_048_574)}",`);
  let given = 0;
  const endless = (): Response =>
    new Response(
      new ReadableStream<Uint8Array>({
        pull: (controller) => {
          controller.enqueue(given === 0 ? new TextEncoder().encode('{"tags":[') : part.slice());
          given += 1;
        },
      }),
    );
  const { fetcher } = fetcherOver({ 'origin.test': endless });
  const error = await errorOf(fetcher.tags());
  expect([error.code, given < 100]).toEqual(['TOO_LARGE', true]);
});

test('pages that together are longer than a list may be are TOO_LARGE', async () => {
  const padding = ' '.repeat(4_194_304);
  let pages = 0;
  const answer = (): Response => {
    pages += 1;
    const headers = { link: `<?page=${pages}>; rel="next"` };
    return new Response(`{"tags":["v${pages}"]${padding}}`, { headers });
  };
  const error = await errorOf(fetcherOver({ 'origin.test': answer }).fetcher.tags());
  expect([error.code, pages]).toEqual(['TOO_LARGE', 4]);
  expect(error.message).toContain('16777216 bytes');
});

test('what is no tag is left out, with one warning', async () => {
  const digest = `sha256:${'0'.repeat(64)}`;
  const tags = ['b', null, digest, '', '../x', 5, 'a', '-x', 'x'.repeat(129)];
  const { fetcher, warnings } = fetcherOver({ 'origin.test': () => page(tags) });
  expect(await fetcher.tags()).toEqual(['a', 'b']);
  expect(warnings).toEqual([expect.stringMatching(/^Left out 7 listed names that are not tags.*"null"/)]);
});

const broken: readonly [title: string, answer: () => Response, code: string][] = [
  ['404', () => refusal(404, 'NAME_UNKNOWN')(new Request(list)) as Response, 'NOT_FOUND'],
  ['403', () => new Response(null, { status: 403 }), 'DENIED'],
  ['500', () => new Response(null, { status: 500 }), 'UNAVAILABLE'],
  [
    'HTML',
    () => new Response('<!doctype html><p>log in', { headers: { 'content-type': 'text/html' } }),
    'BAD_RESPONSE',
  ],
  ['no JSON', () => new Response('{"tags":['), 'BAD_RESPONSE'],
  ['nothing', () => new Response(''), 'BAD_RESPONSE'],
  ['null', () => new Response('null'), 'BAD_RESPONSE'],
  ['a list', () => new Response('["a"]'), 'BAD_RESPONSE'],
  ['tags that are no list', () => new Response('{"name":"x","tags":{"a":1}}'), 'BAD_RESPONSE'],
  ['errors with 200', () => new Response('{"errors":[{"code":"DENIED"}]}'), 'BAD_RESPONSE'],
  ['an unknown encoding', () => new Response('x', { headers: { 'content-encoding': 'br2' } }), 'UNSUPPORTED_ENCODING'],
  ['a broken body', () => new Response(chunked(new Uint8Array([123]), 'break')), 'UNEXPECTED_END'],
];
test.each(broken)('after a mirror that answers with %s the next host is asked', async (_, answer, code) => {
  const hosts = { 'mirror.test': answer, 'origin.test': () => page(['a']) };
  const { fetcher, log } = fetcherOver(hosts, { config: mirrored });
  expect(await fetcher.tags()).toEqual(['a']);
  expect(log()).toEqual([`GET ${list.replace('origin', 'mirror')}?ns=origin.test`, `GET ${list}`]);
  const alone = await errorOf(fetcherOver({ 'origin.test': answer }).fetcher.tags());
  expect([alone.code, alone.host]).toEqual([code, 'origin.test']);
});

test.each(broken)('a mirror whose second page is %s gives nothing: the next host starts anew', async (_, answer) => {
  const mirror = (): Answer => inTurn(() => page(['stale'], '<?last=stale>; rel="next"'), answer);
  const hosts = { 'mirror.test': mirror(), 'origin.test': () => page(['a']) };
  expect(await fetcherOver(hosts, { config: mirrored }).fetcher.tags()).toEqual(['a']);
  const alone = await errorOf(fetcherOver({ 'origin.test': mirror() }).fetcher.tags());
  expect(alone.code).not.toBe('NOT_FOUND');
});

test('it is NOT_FOUND only if no host has the repository, and every attempt is reported', async () => {
  const none = { 'mirror.test': refusal(404, 'NAME_UNKNOWN'), 'origin.test': refusal(404, 'NAME_UNKNOWN') };
  const error = await errorOf(fetcherOver(none, { config: mirrored }).fetcher.tags());
  expect([error.code, error.attempts.map(({ host, outcome }) => `${host} ${outcome}`)]).toEqual([
    'NOT_FOUND',
    ['mirror.test NOT_FOUND', 'origin.test NOT_FOUND'],
  ]);
  expect(error.message).toContain('Cannot list the tags of "origin.test/team/app"');
  const down = { ...none, 'mirror.test': refusal(503) };
  expect((await errorOf(fetcherOver(down, { config: mirrored }).fetcher.tags())).code).toBe('UNAVAILABLE');
});

test('the name that the answer tells is not looked at', async () => {
  const { fetcher } = fetcherOver({ 'origin.test': () => Response.json({ name: 'other', tags: ['a'] }) });
  expect(await fetcher.tags()).toEqual(['a']);
});

test('a Link after a redirect is followed there, or else its query goes to the registry again', async () => {
  const elsewhere = 'https://lists.test/app/tags';
  const redirected = (request: Request): Response => {
    const location = `${elsewhere}${new URL(request.url).search}`;
    return new Response(null, { status: 307, headers: { location } });
  };
  const { fetcher, log } = fetcherOver({
    'origin.test': redirected,
    'lists.test': inTurn(
      () => page(['c'], '<?last=c>; rel="next"'),
      () => page(['b'], `<${list}?last=b>; rel="next"`),
      () => page(['a']),
    ),
  });
  expect(await fetcher.tags()).toEqual(['a', 'b', 'c']);
  expect(log()).toEqual([
    `GET ${list}`,
    `GET ${elsewhere}`,
    `GET ${elsewhere}?last=c`,
    `GET ${list}?last=b`,
    `GET ${elsewhere}?last=b`,
  ]);
});
