import { expect, test } from 'vitest';
import { fetchTransport } from '../../src/http/fetch-transport.ts';
import { createClient } from '../../src/remote/client.ts';
import { listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { listsContract } from '../contract/lists.ts';
import { absent, samples } from '../contract/source.ts';
import { createHosts, errorOf, refusal } from '../support/hosts.ts';

listsContract('remote, in process', async (prepare) => {
  const store = memoryStore();
  await prepare(store);
  const client = createClient({
    transport: fetchTransport(
      serve(() => store),
      { asSent: true },
    ),
  });
  return { source: client.fetcher('localhost:5000/app').source, close: () => client.close() };
});

listsContract('remote, in pages of seven', async (prepare) => {
  const store = memoryStore();
  await prepare(store);
  const paging = async ({ url, headers, signal }: Request): Promise<Response> => {
    const asked = new URL(url);
    asked.searchParams.set('n', '7');
    return serve(() => store)(new Request(asked, { headers, signal }));
  };
  const client = createClient({ transport: fetchTransport(paging, { asSent: true }) });
  return { source: client.fetcher('localhost:5000/app').source, close: () => client.close() };
});

listsContract('remote, over sockets', async (prepare) => {
  const store = memoryStore();
  await prepare(store);
  const server = await listen(serve(() => store));
  const client = createClient();
  return {
    source: client.fetcher(`${new URL(server.url).host}/app`).source,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
});

listsContract('remote, through a server over a remote', async (prepare) => {
  const store = memoryStore();
  await prepare(store);
  const upstream = createClient({
    transport: fetchTransport(
      serve(() => store),
      { asSent: true },
    ),
  });
  const through = serve(({ name }) => upstream.fetcher(`localhost:5000/${name}`).source);
  const client = createClient({ transport: fetchTransport(through, { asSent: true }) });
  return {
    source: client.fetcher('localhost:5001/app').source,
    close: async () => {
      await client.close();
      await upstream.close();
    },
  };
});

test('a bad digest is INVALID_DIGEST before any request', async () => {
  const { transport, log } = createHosts({});
  const fetcher = createClient({ transport }).fetcher('origin.test/app');
  for (const digest of ['latest', 'sha256:abc', `md5:${'0'.repeat(32)}`, absent.toUpperCase()]) {
    const error = await errorOf(fetcher.referrers(digest));
    expect([error.code, error.message.includes(digest)]).toEqual(['INVALID_DIGEST', true]);
  }
  expect(log()).toEqual([]);
});

const stalling = { 'origin.test': () => new Promise<never>(() => undefined) };

test.each([
  ['ABORTED', (signal: AbortSignal) => ({ signal })],
  ['CLOSED', () => ({})],
] as const)('a list under way ends with %s at once', async (code, optionsOf) => {
  const controller = new AbortController();
  const client = createClient({ transport: createHosts(stalling).transport });
  const fetcher = client.fetcher('origin.test/app');
  const lists = [fetcher.tags(optionsOf(controller.signal)), fetcher.referrers(absent, optionsOf(controller.signal))];
  const errors = lists.map((list) => errorOf(list));
  await new Promise((next) => setTimeout(next, 10));
  if (code === 'ABORTED') controller.abort(new Error('enough'));
  else await client.close();
  expect((await Promise.all(errors)).map((error) => error.code)).toEqual([code, code]);
  const later = [fetcher.tags(optionsOf(controller.signal)), fetcher.referrers(absent, optionsOf(controller.signal))];
  expect((await Promise.all(later.map(errorOf))).map((error) => error.code)).toEqual([code, code]);
});

test('a list takes no longer than an operation may', async () => {
  const client = createClient({ transport: createHosts(stalling).transport, timeouts: { operation: 30 } });
  const fetcher = client.fetcher('origin.test/app');
  const errors = await Promise.all([errorOf(fetcher.tags()), errorOf(fetcher.referrers(absent))]);
  expect(errors.map(({ code }) => code)).toEqual(['TIMEOUT', 'TIMEOUT']);
  expect(errors[0]?.message).toContain('Cannot list the tags of "origin.test/app"');
  await client.close();
});

test('what a host wishes its users to be told is an event, once in each list', async () => {
  const events: unknown[] = [];
  const store = memoryStore();
  const warned = async (request: Request): Promise<Response> => {
    const response = await serve(() => store)(request);
    response.headers.set('warning', '299 - "move on"');
    return response;
  };
  const client = createClient({
    transport: createHosts({ 'origin.test': warned }).transport,
    onEvent: (event) => event.type === 'warning' && events.push(event),
  });
  const fetcher = client.fetcher('origin.test/app');
  await fetcher.tags();
  await fetcher.referrers(samples.manifest.descriptor.digest);
  expect(events).toEqual(Array(2).fill({ type: 'warning', host: 'origin.test', text: 'move on' }));
});

test('hosts are asked for what they are trusted with', async () => {
  const { transport, log } = createHosts({
    'a.test': refusal(404),
    'b.test': refusal(404),
    'origin.test': refusal(404),
  });
  const mirrors = [
    { url: 'https://a.test', capabilities: ['pull', 'resolve'] as const },
    { url: 'https://b.test', capabilities: ['pull', 'referrers'] as const },
  ];
  const config = { registries: { 'origin.test': { mirrors, origin: 'never' as const } } };
  const fetcher = createClient({ transport, config }).fetcher('origin.test/app');
  expect((await errorOf(fetcher.tags())).code).toBe('NOT_FOUND');
  expect(await fetcher.referrers(absent)).toEqual([]);
  expect(log()).toEqual([
    'GET https://a.test/v2/app/tags/list?ns=origin.test',
    `GET https://b.test/v2/app/referrers/${absent}?ns=origin.test`,
    `GET https://b.test/v2/app/manifests/${absent.replace(':', '-')}?ns=origin.test`,
  ]);
});

test('where no host is trusted with a list, the error says so', async () => {
  const mirrors = [{ url: 'https://a.test', capabilities: ['pull'] as const }];
  const config = { registries: { 'origin.test': { mirrors, origin: 'never' as const } } };
  const fetcher = createClient({ transport: createHosts({}).transport, config }).fetcher('origin.test/app');
  for (const [list, capability] of [
    [fetcher.tags(), 'resolve'],
    [fetcher.referrers(absent), 'referrers'],
  ] as const) {
    const { code, message } = await errorOf(list);
    expect([code, message]).toEqual(['NO_HOSTS', expect.stringContaining(`"${capability}"`)]);
  }
});

test('a private host may redirect to another with pages of its own', async () => {
  const pages = await listen(async ({ url }) => {
    const isFirst = !url.includes('last');
    const headers: Record<string, string> = isFirst ? { link: '<?last=a>; rel="next"' } : {};
    return Response.json({ tags: isFirst ? ['a'] : ['b'] }, { headers });
  });
  const front = await listen(
    async () => new Response(null, { status: 307, headers: { location: `${pages.url}/tags` } }),
  );
  const client = createClient();
  expect(await client.fetcher(`${new URL(front.url).host}/app`).tags()).toEqual(['a', 'b']);
  await Promise.all([client.close(), front.close(), pages.close()]);
});
