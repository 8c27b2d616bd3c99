import { testRegistry } from 'ocifetch/testing';
import { expect, test } from 'vitest';
import { fetchTransport } from '../../src/http/fetch-transport.ts';
import type { Descriptor, Transport } from '../../src/index.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { tokenAccess } from '../../src/server/access/tokens.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { absent, type Sample, sampleOf, samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { createHosts, errorOf, sampleHost, text } from '../support/hosts.ts';

const types = {
  index: 'application/vnd.oci.image.index.v1+json',
  manifest: 'application/vnd.oci.image.manifest.v1+json',
  layer: 'application/vnd.oci.image.layer.v1.tar',
};
const layers = Array.from({ length: 5 }, (_, index) => sampleOf(text(`layer ${index}`), types.layer));
const document = (type: string, fields: object): Sample =>
  sampleOf(text(JSON.stringify({ schemaVersion: 2, mediaType: type, ...fields })), type);
const config = sampleOf(text('{}'), 'application/vnd.oci.image.config.v1+json');
const manifest = document(types.manifest, {
  config: config.descriptor,
  layers: layers.map(({ descriptor }) => descriptor),
});
const index: Sample = { ...document(types.index, { manifests: [manifest.descriptor] }), tag: 'latest' };

/** A registry that counts, behind tokens if it is `guarded`. */
async function registry(guarded: boolean) {
  const store = memoryStore();
  await fill(store, [...layers, config, manifest, index]);
  const handler = serve(() => store);
  const access = tokenAccess({ realm: '/token', service: 'registry.test' });
  const seen: string[] = [];
  const answer = async (request: Request): Promise<Response> => {
    const { pathname } = new URL(request.url);
    seen.push(pathname === '/token' ? 'token' : `${request.method} ${pathname.split('/').at(-2)}`);
    if (!guarded) return handler(request);
    return pathname === '/token' ? access.token(request) : access.protect(handler)(request);
  };
  return { seen, transport: fetchTransport(answer, { asSent: true }) };
}

/** What a pull does: the index, the manifest, the config, the layers. */
async function pull(client: ReturnType<typeof createClient>, name = 'https.test/app'): Promise<void> {
  const { descriptor } = await client.resolve(name, { content: true });
  const fetcher = client.fetcher(name.replace(/:latest$/, ''));
  const read = async (target: Descriptor): Promise<unknown> => (await fetcher.fetch(target)).json();
  const { manifests } = (await read(descriptor)) as { manifests: Descriptor[] };
  const image = (await read(manifests[0] as Descriptor)) as { config: Descriptor; layers: Descriptor[] };
  await read(image.config);
  await Promise.all(image.layers.map(async (layer) => (await fetcher.fetch(layer)).bytes()));
}

const blobs = ['GET manifests', 'GET manifests', ...Array(1 + layers.length).fill('GET blobs')];

test('a cold pull of N layers takes N+3 requests, and a further one as many', async () => {
  const { seen, transport } = await registry(false);
  const client = createClient({ transport });
  await pull(client);
  expect(seen).toEqual(blobs);
  seen.length = 0;
  await pull(client);
  expect(seen).toEqual(blobs);
});

test('with a token it takes N+5, and with the token known N+3', async () => {
  const { seen, transport } = await registry(true);
  const client = createClient({ transport });
  await pull(client);
  expect(seen).toEqual(['GET manifests', 'token', ...blobs]);
  seen.length = 0;
  await pull(client);
  expect(seen).toEqual(blobs);
});

test('with the index resolved first, a cold pull with config and layers at once takes at most N+5, over sockets', async () => {
  const many = Array.from({ length: 20 }, (_, each) => ({ files: { [`file ${each}`]: '' } }));
  const images = { app: { layers: many, platforms: ['linux/amd64'] } };
  await using server = await testRegistry({ images, access: 'token' });
  const { reference, manifests, layers: all, bytes } = server.images.app;
  await using client = createClient();
  const { descriptor } = await client.resolve(reference, { content: true });
  const fetcher = client.fetcher(`${server.host}/app`);
  const read = async (target: Descriptor): Promise<unknown> => (await fetcher.fetch(target)).bytes();
  expect(await read(descriptor)).toHaveLength(bytes.length);
  for (const { descriptor: image } of manifests) await read(image);
  const parts = [...manifests.map(({ config: one }) => one), ...all];
  await Promise.all(parts.map((part) => read(part.descriptor)));
  expect(server.requests.length).toBeLessThanOrEqual(many.length + 5);
  expect(server.requests.filter(({ kind }) => kind === 'token')).toHaveLength(1);
});

test('a hundred fetches at once make one token request', async () => {
  const { seen, transport } = await registry(true);
  const client = createClient({ transport, limits: { concurrency: 100 } });
  const fetcher = client.fetcher('https.test/app');
  const target = (layers[0] as Sample).descriptor;
  await Promise.all(Array.from({ length: 100 }, async () => (await fetcher.fetch(target)).bytes()));
  expect(seen.filter((line) => line === 'token')).toHaveLength(1);
});

test('a mirror that does not answer costs one request for the whole client, over sockets', async () => {
  await using silent = await testRegistry({ faults: [{ stall: 'head' }] });
  await using server = await testRegistry({ images: { app: { files: {}, platforms: ['linux/amd64'] } } });
  const registries = { [server.host]: { mirrors: [{ url: silent.url }] } };
  await using client = createClient({ config: { registries }, timeouts: { headers: 400 } });
  await pull(client, server.images.app.reference);
  expect(silent.requests.map(({ method }) => method)).toEqual(['GET']);
});

test('a dead mirror that refuses is contacted once', async () => {
  const hosts = createHosts({ 'origin.test': await sampleHost() });
  const registries = { 'origin.test': { mirrors: [{ url: 'https://dead.test' }] } };
  const client = createClient({ transport: hosts.transport, config: { registries } });
  await client.resolve('origin.test/app');
  const fetcher = client.fetcher('origin.test/app');
  for (let count = 0; count < 5; count += 1) await (await fetcher.fetch(samples.large.descriptor)).bytes();
  expect(hosts.log().filter((line) => line.includes('dead.test'))).toHaveLength(1);
});

/** A client that must not send. */
function silentClient(options: ClientOptions = {}) {
  const sent: string[] = [];
  const transport: Transport = ({ url }) => {
    sent.push(url);
    return Promise.reject(new Error('nothing should be sent'));
  };
  return { sent, client: createClient({ transport, ...options }) };
}

test.each([
  'http://a.test/x',
  'a.test//b',
  'a.test/../b',
  'a.test/b/..',
  'a.test/UPPER',
  'docker.io/a:t:u',
  'localhost:5000',
  'a.test/b@sha256:abc',
  'a.test/b@md5:d41d8cd98f00b204e9800998ecf8427e',
  'a.test/b:',
  'a.test/b@',
  'a.test/b\n',
  'a.test/b c',
  'a.test/b?x=1',
  `a.test/b:${'t'.repeat(129)}`,
  '',
  '/',
  'a.test:99999/b',
  '[::1/b',
])('the reference %j is INVALID_REFERENCE, named, and nothing is sent', async (reference) => {
  const { client, sent } = silentClient();
  const error = await errorOf(client.resolve(reference));
  expect(error.code).toBe('INVALID_REFERENCE');
  expect(error.message).toContain(JSON.stringify(reference).slice(0, 100));
  expect(() => client.plan(reference)).toThrow(error.message);
  expect(() => client.fetcher(reference)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
  expect(sent).toEqual([]);
});

test.each(['a.test/b:tag', `a.test/b@${absent}`])(
  'the repository %s has a part too many: INVALID_REFERENCE',
  (repository) => {
    const { client } = silentClient();
    expect(() => client.fetcher(repository)).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
  },
);

test.each([
  ['', 'INVALID_REFERENCE'],
  ['a/b', 'INVALID_REFERENCE'],
  ['..', 'INVALID_REFERENCE'],
  ['-x', 'INVALID_REFERENCE'],
  ['x y', 'INVALID_REFERENCE'],
  ['t'.repeat(129), 'INVALID_REFERENCE'],
  ['sha256:abc', 'INVALID_DIGEST'],
  [`md5:${'0'.repeat(32)}`, 'INVALID_DIGEST'],
  [absent.toUpperCase(), 'INVALID_DIGEST'],
])('the tag or digest %j is %s, named, and nothing is sent', async (reference, code) => {
  const { client, sent } = silentClient();
  const error = await errorOf(client.fetcher('a.test/b').resolve(reference));
  expect(error.code).toBe(code);
  expect(error.message).toContain(JSON.stringify(reference));
  if (code === 'INVALID_DIGEST')
    expect((await errorOf(client.fetcher('a.test/b').fetchByDigest(reference))).code).toBe(code);
  expect(sent).toEqual([]);
});

const good = samples.large.descriptor;
test.each<[change: object, code: string, told: string]>([
  [{ digest: 'sha256:abc' }, 'INVALID_DIGEST', '"sha256:abc"'],
  [{ digest: 'md5:0' }, 'INVALID_DIGEST', '"md5:0"'],
  [{ digest: undefined }, 'INVALID_DIGEST', 'undefined'],
  [{ digest: `${good.digest}/../..` }, 'INVALID_DIGEST', '..'],
  [{ size: -1 }, 'INVALID_REFERENCE', '"size" is "-1"'],
  [{ size: 1.5 }, 'INVALID_REFERENCE', '"size" is "1.5"'],
  [{ size: '12' }, 'INVALID_REFERENCE', '"size" is "12"'],
  [{ size: Number.NaN }, 'INVALID_REFERENCE', '"size"'],
  [{ size: 2 ** 53 }, 'INVALID_REFERENCE', '"size"'],
  [{ mediaType: 'nothing' }, 'INVALID_REFERENCE', '"mediaType" is "nothing"'],
  [{ mediaType: 'a/b\r\nx: y' }, 'INVALID_REFERENCE', '"mediaType"'],
  [{ urls: 'https://x.test' }, 'INVALID_REFERENCE', '"urls"'],
  [{ data: '!' }, 'INVALID_REFERENCE', '"data"'],
])('a descriptor with %j is %s, named, and nothing is sent', async (change, code, told) => {
  const { client, sent } = silentClient();
  const error = await errorOf(client.fetcher('a.test/b').fetch({ ...good, ...change } as Descriptor));
  expect(error.code).toBe(code);
  expect(error.message).toContain(told);
  expect(sent).toEqual([]);
});

test('what is no descriptor at all is refused', async () => {
  const { client } = silentClient();
  for (const value of [undefined, null, 'sha256:x', []]) {
    expect((await errorOf(client.fetcher('a.test/b').fetch(value as never))).code).toMatch(/^INVALID_/);
  }
});

test('what is no text at all is INVALID_REFERENCE', async () => {
  const { client } = silentClient();
  for (const value of [undefined, null, 5, [], {}] as never[]) {
    const invalid = expect.objectContaining({ code: 'INVALID_REFERENCE' });
    expect(() => client.plan(value)).toThrow(invalid);
    expect(() => client.fetcher(value)).toThrow(invalid);
    await expect(client.resolve(value)).rejects.toEqual(invalid);
  }
});

test('options that are left undefined are left out', () => {
  const { client } = silentClient({
    config: undefined,
    timeouts: { connect: undefined },
    limits: undefined,
    codecs: undefined,
  });
  expect(client.plan('a.test/b').endpoints).toHaveLength(1);
});

test.each<[config: object, told: string]>([
  [{ registry: {} }, 'registry'],
  [{ registries: { 'a.test': { mirrors: [{ url: 'mirror.test' }] } } }, 'mirror.test'],
  [
    {
      registries: { 'a.test': { mirrors: [{ url: 'https://m.test', rewrites: [{ pattern: '(', replacement: '' }] }] } },
    },
    'registries["a.test"].mirrors[0].rewrites[0].pattern',
  ],
  [
    {
      registries: {
        'a.test': { mirrors: [{ url: 'https://m.test', rewrites: [{ pattern: '(?=x)', replacement: '' }] }] },
      },
    },
    '(?=x)',
  ],
  [{ registries: { 'a.test': { origin: 'sometimes' } } }, 'registries["a.test"].origin'],
  [{ credentials: { 'a.test': { username: 'joe' } } }, 'credentials["a.test"]'],
])('the configuration %j is INVALID_CONFIG at once, with its key path', (config, told) => {
  const create = () => createClient({ config });
  expect(create).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  expect(create).toThrow(told);
});

test('whatever a transport of the user throws, also when it is to stop, comes out as a RegistryError', async () => {
  const body = {
    cancel: () => Promise.reject(new TypeError('cannot stop')),
    [Symbol.asyncIterator]: () => ({ next: () => Promise.reject(new TypeError('cannot read')) }),
  };
  const transports: Transport[] = [
    () => Promise.reject(new TypeError('cannot send')),
    async ({ url }) => ({ status: 200, headers: {}, body, url }),
    async ({ url }) => ({ status: 206, headers: {}, body, url }),
    async ({ url }) => ({ status: 503, headers: { 'content-type': 'application/json' }, body, url }),
  ];
  for (const transport of transports) {
    const client = createClient({ transport, retries: { tries: 1, backoff: 0 } });
    const content = await client.fetcher('a.test/b').fetch(good);
    const calls = [content.bytes(), content.read(1), client.resolve('a.test/b')];
    const errors = await Promise.all(calls.map((call) => errorOf(call)));
    expect(errors.map(({ name }) => name)).toEqual(Array(3).fill('RegistryError'));
  }
});

test('a resolver of the user takes the place of the registries', async () => {
  const hosts = createHosts({ 'own.test': await sampleHost() });
  const endpoint = { url: 'https://own.test/v2', repository: 'x/y', scopes: [], capabilities: ['pull' as const] };
  const client = createClient({
    transport: hosts.transport,
    resolver: ({ name }) => [{ ...endpoint, repository: `x/${name}` }],
  });
  expect(client.plan('a.test/b').endpoints).toEqual([{ ...endpoint, repository: 'x/b' }]);
  await (await client.fetcher('a.test/b').fetch(good)).bytes();
  expect(hosts.log()).toEqual([`GET https://own.test/v2/x/b/blobs/${good.digest}`]);
  expect((await errorOf(client.resolve('a.test/b'))).code).toBe('NO_HOSTS');
});

test('the user agent is the option, or the name of this package', async () => {
  for (const [userAgent, expected] of [
    [undefined, 'ocifetch'],
    ['tool/1.0', 'tool/1.0'],
  ] as const) {
    const hosts = createHosts({ 'a.test': await sampleHost() });
    await createClient({ transport: hosts.transport, userAgent }).resolve('a.test/b');
    expect(hosts.requests.map(({ headers }) => headers.get('user-agent'))).toEqual([expected]);
  }
});

test('a plan needs no request, works after close, and is plain data', async () => {
  const { client, sent } = silentClient();
  await client.close();
  await client[Symbol.asyncDispose]();
  const plan = client.plan('alpine');
  expect(JSON.parse(JSON.stringify(plan))).toEqual(plan);
  expect(sent).toEqual([]);
});

test('one signal may end any number of fetches without a warning of leaks', async () => {
  const warnings: Error[] = [];
  const listen = (warning: Error): void => void warnings.push(warning);
  process.on('warning', listen);
  const hosts = createHosts({ 'a.test': await sampleHost() });
  const client = createClient({ transport: hosts.transport });
  const { signal } = new AbortController();
  const fetcher = client.fetcher('a.test/b');
  await Promise.all(Array.from({ length: 50 }, async () => (await fetcher.fetch(good, { signal })).bytes()));
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listen);
  expect(warnings).toEqual([]);
});
