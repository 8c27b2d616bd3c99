import { expect, test } from 'vitest';
import { fetchTransport } from '../../src/http/fetch-transport.ts';
import type { Config } from '../../src/index.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { createClient } from '../../src/remote/client.ts';
import { listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { sampleOf, samples, sourceContract } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { type Answer, createHosts, errorOf, refusal, sampleHost, text } from '../support/hosts.ts';

const filled = async () => {
  const store = memoryStore();
  await fill(store);
  return serve(() => store);
};

sourceContract('remote, in process', async () => {
  const client = createClient({ transport: fetchTransport(await filled(), { asSent: true }) });
  return { source: client.fetcher('localhost:5000/app').source, close: () => client.close() };
});

sourceContract('remote, over sockets', async () => {
  const server = await listen(await filled());
  const client = createClient();
  return {
    source: client.fetcher(`${new URL(server.url).host}/app`).source,
    close: async () => {
      await client.close();
      await server.close();
    },
  };
});

sourceContract('remote, the second of two hosts', async () => {
  const hosts = createHosts({ 'mirror.test': refusal(404), 'origin.test': await filled() });
  const config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };
  const client = createClient({ transport: hosts.transport, config });
  return { source: client.fetcher('origin.test/app').source, close: () => client.close() };
});

sourceContract('remote, through a server over a remote', async () => {
  const upstream = createClient({ transport: fetchTransport(await filled(), { asSent: true }) });
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

const { large, manifest } = samples;
const twoHosts: Config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };

async function fetching(descriptor: Descriptor, answers: Record<string, Answer>, options = {}) {
  const hosts = createHosts(answers);
  const client = createClient({ transport: hosts.transport, config: twoHosts, retries: { tries: 1 }, ...options });
  const content = await client.fetcher('origin.test/team/app').fetch(descriptor);
  return { ...hosts, client, content };
}
const pathOf = (kind: string) => `v2/team/app/${kind}`;
const base64 = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64');
const small = sampleOf(text('hello'));

test('nothing is asked for before it is read', async () => {
  const { log, content } = await fetching(large.descriptor, { 'mirror.test': await sampleHost() });
  expect(log()).toEqual([]);
  expect([content.size, content.position, content.verified, content.source]).toEqual([300_007, 0, false, undefined]);
});

test('the data of a descriptor is used without a request, whole and in part, and verified', async () => {
  const descriptor = { ...small.descriptor, data: base64(small.bytes), urls: ['https://files.test/x'] };
  const { log, content } = await fetching(descriptor, {});
  expect(await content.text()).toBe('hello');
  expect([content.verified, content.source]).toEqual([true, 'data']);
  await content.seek(1);
  expect(Buffer.from(await content.read(3)).toString()).toBe('ell');
  expect(log()).toEqual([]);
});

test.each([
  ['other bytes', base64(text('HELLO'))],
  ['too few bytes', base64(text('hell'))],
  ['too many bytes', base64(text('hello!'))],
])('data of %s is not used: the hosts are tried', async (_, data) => {
  const { log, content } = await fetching({ ...small.descriptor, data }, { 'mirror.test': await sampleHost([small]) });
  expect(await content.text()).toBe('hello');
  expect(content.source).toBe('https://mirror.test/v2');
  expect(log()).toHaveLength(1);
});

test('the order is data, urls, hosts; a blob from blobs, a manifest from manifests, of the type it has', async () => {
  const refuse = { 'files.test': refusal(404), 'more.test': refusal(500), 'mirror.test': refusal(404) };
  for (const [sample, kind] of [
    [large, 'blobs'],
    [manifest, 'manifests'],
  ] as const) {
    const { mediaType, digest } = sample.descriptor;
    const urls = ['https://files.test/x?y=1', 'http://more.test/z'];
    const hosts = { ...refuse, 'origin.test': await sampleHost() };
    const { log, requests, content } = await fetching({ ...sample.descriptor, urls, data: base64(text('x')) }, hosts);
    expect(Buffer.compare(await content.bytes(), sample.bytes)).toBe(0);
    expect(log()).toEqual([
      'GET https://files.test/x?y=1',
      'GET http://more.test/z',
      `GET https://mirror.test/${pathOf(kind)}/${digest}?ns=origin.test`,
      `GET https://origin.test/${pathOf(kind)}/${digest}`,
    ]);
    expect(requests.at(-1)?.headers.get('accept')).toBe(`${mediaType}, */*`);
    expect(requests.at(-1)?.headers.get('accept-encoding')).toBe('zstd, gzip, deflate');
  }
});

test('every failed host is told: host, URL, status, codes of the body, duration', async () => {
  const events: { type: string }[] = [];
  const { content, client } = await fetching(
    { ...large.descriptor, urls: ['https://joe:s3cret-w0rd@files.test/x?token=s3cret-w0rd'] },
    {
      'files.test': refusal(503),
      'mirror.test': refusal(403, 'DENIED', 'pay first'),
      'origin.test': refusal(404, 'BLOB_UNKNOWN'),
    },
    { onEvent: (event: { type: string }) => events.push(event) },
  );
  const error = await errorOf(content.bytes());
  expect(error).toMatchObject({ code: 'DENIED', status: 403, host: 'mirror.test', registryErrors: ['DENIED'] });
  const { digest } = large.descriptor;
  expect(error.attempts).toMatchObject([
    { host: 'files.test', request: 'https://files.test/x?token=***', status: 503, outcome: 'UNAVAILABLE' },
    {
      host: 'mirror.test',
      request: `https://mirror.test/${pathOf('blobs')}/${digest}?ns=origin.test`,
      status: 403,
      outcome: 'DENIED',
      registryErrors: ['DENIED'],
    },
    {
      host: 'origin.test',
      request: `https://origin.test/${pathOf('blobs')}/${digest}`,
      status: 404,
      outcome: 'NOT_FOUND',
      registryErrors: ['BLOB_UNKNOWN'],
    },
  ]);
  for (const { duration, method, message } of error.attempts) {
    expect([typeof duration, method, typeof message]).toEqual(['number', 'GET', 'string']);
    expect(duration).toBeGreaterThanOrEqual(0);
  }
  expect(error.message).toContain(digest);
  expect(error.message).toContain('pay first');
  const told = JSON.stringify([events, error.message, error.attempts, error.stack, content.source]);
  expect(told).not.toContain('s3cret-w0rd');
  // What was done is what was planned, with its outcome.
  const planned = client.plan('origin.test/team/app').endpoints;
  expect(error.attempts.slice(1)).toMatchObject(planned);
  expect(events.filter(({ type }) => type === 'attempt')).toMatchObject(error.attempts);
});

test('NOT_FOUND is only what every host says', async () => {
  const { content } = await fetching(large.descriptor, { 'mirror.test': refusal(404), 'origin.test': refusal(404) });
  expect(await errorOf(content.bytes())).toMatchObject({
    code: 'NOT_FOUND',
    attempts: [{ status: 404 }, { status: 404 }],
  });
  const down = await fetching(large.descriptor, { 'mirror.test': refusal(404), 'origin.test': refusal(503) });
  expect((await errorOf(down.content.bytes())).code).toBe('UNAVAILABLE');
});

test('a blocked registry, one without hosts, and one whose rewrites all fail say so, and nothing is sent', async () => {
  const rewrites = [{ pattern: '.*', replacement: '..' }];
  const mirrors = [{ url: 'https://mirror.test', rewrites }];
  for (const [registry, code, told] of [
    [{ blocked: true }, 'NO_HOSTS', 'blocked'],
    [{ origin: 'never' }, 'NO_HOSTS', 'left out: https://origin.test/v2 (the registry itself is never contacted'],
    [{ mirrors: [], origin: 'never' }, 'NO_HOSTS', 'https://origin.test/v2 (the registry itself is never contacted'],
    [{ mirrors: [{ url: 'https://mirror.test', capabilities: ['resolve'] }], origin: 'never' }, 'NO_HOSTS', '"pull"'],
    [{ mirrors, origin: 'never' }, 'INVALID_REWRITE', '".."'],
  ] as const) {
    const { content, log } = await fetching(
      large.descriptor,
      {},
      { config: { registries: { 'origin.test': registry } } },
    );
    const error = await errorOf(content.bytes());
    expect([error.code, log()]).toEqual([code, []]);
    expect(error.message).toContain(told);
    expect(error.message).toContain('origin.test/team/app');
  }
});

test('hosts that planning left out are reported when others are contacted, once for each fetch', async () => {
  const rewrites = [{ pattern: '.*', replacement: '..' }];
  const skips: object[] = [];
  const onEvent = (event: { type: string }) => event.type === 'skip' && skips.push(event);
  const mirrors = [{ url: 'https://mirror.test', rewrites }];
  const config = { registries: { 'origin.test': { mirrors } } };
  const { content, client } = await fetching(
    large.descriptor,
    { 'origin.test': await sampleHost() },
    { config, onEvent },
  );
  client.plan('origin.test/team/app');
  expect(skips).toEqual([]);
  const skip = { type: 'skip', url: 'https://mirror.test/v2', reason: expect.stringContaining('".."') };
  await content.bytes();
  expect(skips.splice(0)).toEqual([{ ...skip, code: 'INVALID_REWRITE' }]);
  await client.resolve('origin.test/team/app', { content: true });
  expect(skips.splice(0)).toHaveLength(1);
  await (await client.fetcher('origin.test/team/app').fetch(manifest.descriptor)).bytes();
  expect(skips).toEqual([]);
  await client.fetcher('origin.test/team/app').fetchByDigest(large.descriptor.digest);
  expect(skips.splice(0)).toHaveLength(1);
  const blocked = { registries: { 'origin.test': { blocked: true } } };
  const other = await fetching(large.descriptor, {}, { config: blocked, onEvent });
  await errorOf(other.content.bytes());
  expect(skips).toEqual([{ type: 'skip', url: 'https://origin.test/v2', reason: 'the registry is blocked' }]);
});

test('no content is requested from an endpoint without the capability to pull', async () => {
  const mirrors = [{ url: 'https://mirror.test', capabilities: ['resolve' as const] }];
  const config = { registries: { 'origin.test': { mirrors } } };
  const { content, log } = await fetching(large.descriptor, { 'origin.test': await sampleHost() }, { config });
  await content.bytes();
  expect(log()).toEqual([`GET https://origin.test/${pathOf('blobs')}/${large.descriptor.digest}`]);
});

test('requests equal the plan: root, rewritten repository, namespace, headers for that host alone', async () => {
  const config: Config = {
    registries: {
      'docker.io': {
        mirrors: [
          {
            url: 'https://mirror.test/prefix',
            rewrites: [{ pattern: '^library/(.*)$', replacement: 'proxy/$1' }],
            headers: { 'X-Key': 'one' },
          },
          { url: 'http://root.test:81/v2/cache', overridePath: true, headers: { 'X-Key': 'two' } },
        ],
      },
    },
  };
  const hosts = createHosts({
    'mirror.test': refusal(404),
    'root.test:81': refusal(404),
    'registry-1.docker.io': refusal(404),
  });
  const client = createClient({ transport: hosts.transport, config });
  const { endpoints } = client.plan('alpine');
  await errorOf((await client.fetcher('alpine').fetch(large.descriptor)).bytes());
  const expected = endpoints.map(({ url, repository, namespace }) => {
    return `GET ${url}/${repository}/blobs/${large.descriptor.digest}${namespace ? `?ns=${namespace}` : ''}`;
  });
  expect(hosts.log()).toEqual(expected);
  expect(expected).toEqual([
    `GET https://mirror.test/prefix/v2/proxy/alpine/blobs/${large.descriptor.digest}?ns=docker.io`,
    `GET http://root.test:81/v2/cache/library/alpine/blobs/${large.descriptor.digest}?ns=docker.io`,
    `GET https://registry-1.docker.io/v2/library/alpine/blobs/${large.descriptor.digest}`,
  ]);
  expect(hosts.requests.map(({ headers }) => headers.get('x-key'))).toEqual(['one', 'two', null]);
});

test('bytes at hand under a wrong size are not trusted over the hosts', async () => {
  const hosts = createHosts({ 'origin.test': await sampleHost() });
  const client = createClient({ transport: hosts.transport, retries: { backoff: 1 } });
  const fetcher = client.fetcher('origin.test/app');
  await fetcher.resolve('latest', { content: true });
  for (const size of [manifest.descriptor.size - 1, manifest.descriptor.size + 7]) {
    const content = await fetcher.fetch({ ...manifest.descriptor, size });
    const code = size < manifest.descriptor.size ? 'TOO_LARGE' : 'UNEXPECTED_END';
    expect((await errorOf(content.bytes())).code).toBe(code);
    expect((await errorOf(new Response(content.stream({ start: size - 1 })).arrayBuffer())).name).not.toBe(
      'RangeError',
    );
  }
});
