import { expect, test } from 'vitest';
import { memoryRegistry } from '../../../src/registry/memory-registry.ts';
import { basicAccess } from '../../../src/server/access/basic.ts';
import type { Handler } from '../../../src/server/registry/exchange.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import type { ServeOptions, ServerEvent } from '../../../src/server/registry/serve-options.ts';
import type { Source } from '../../../src/source.ts';
import { absent, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { ask, bytesOf, problemOf } from '../support.ts';

const { large, manifest, config } = samples;
const { digest } = large.descriptor;

async function server(options: ServeOptions = {}): Promise<Handler> {
  const registry = memoryRegistry();
  for (const name of ['a/app', 'b/app', 'c/app'])
    await fill(registry({ registry: 'localhost', name }), [large, config, manifest]);
  const store = registry({ registry: 'localhost', name: 'a/app' });
  for (const tag of ['v1', 'v2', 'v3']) await store.tag(manifest.descriptor, tag);
  return serve(registry, options);
}

const json = async (response: Response) => (await response.json()) as Record<string, unknown>;
const line = async (handler: Handler, request: string): Promise<unknown> => {
  const response = await handler(ask(request));
  return [response.status, response.headers.get('link'), await json(response)];
};

test('repositories are listed in pages, like tags', async () => {
  const handler = await server();
  expect(await line(handler, 'GET /v2/_catalog')).toEqual([200, null, { repositories: ['a/app', 'b/app', 'c/app'] }]);
  expect(await line(handler, 'GET /v2/_catalog?n=2')).toEqual([
    200,
    '</v2/_catalog?n=2&last=b%2Fapp>; rel="next"',
    { repositories: ['a/app', 'b/app'] },
  ]);
  expect(await line(handler, 'GET /v2/_catalog?n=2&last=b/app')).toEqual([200, null, { repositories: ['c/app'] }]);
  expect(await line(handler, 'GET /v2/_catalog?n=0')).toEqual([200, null, { repositories: [] }]);
  expect(await problemOf(await handler(ask('GET /v2/_catalog?n=many')))).toBe('400 UNSUPPORTED');
  expect(await problemOf(await handler(ask('DELETE /v2/_catalog')))).toBe('405 UNSUPPORTED');
});

test('a registry that cannot list its repositories has no catalog', async () => {
  const registry = memoryRegistry();
  expect(await problemOf(await serve((one) => registry(one))(ask('GET /v2/_catalog')))).toBe('404 UNSUPPORTED');
});

test('mostListed bounds a page, and a request for more is UNSUPPORTED', async () => {
  const handler = await server({ mostListed: 2 });
  const page = [200, '</v2/a/app/tags/list?n=2&last=v1>; rel="next"', { name: 'a/app', tags: ['latest', 'v1'] }];
  expect(await line(handler, 'GET /v2/a/app/tags/list')).toEqual(page);
  expect(await problemOf(await handler(ask('GET /v2/a/app/tags/list?n=3')))).toBe('400 UNSUPPORTED');
});

test('without pages, lists come whole whatever is requested; without nextLinks no page leads on', async () => {
  const all = { name: 'a/app', tags: ['latest', 'v1', 'v2', 'v3'] };
  expect(await line(await server({ pages: false }), 'GET /v2/a/app/tags/list?n=1&last=v1')).toEqual([200, null, all]);
  const first = { name: 'a/app', tags: ['latest'] };
  expect(await line(await server({ nextLinks: false }), 'GET /v2/a/app/tags/list?n=1')).toEqual([200, null, first]);
});

test('without referrers the API does not exist, and without referrersFilter it gives all', async () => {
  const path = `GET /v2/a/app/referrers/${manifest.descriptor.digest}?artifactType=x`;
  expect(await problemOf(await (await server({ referrers: false }))(ask(path)))).toBe('404 UNSUPPORTED');
  const response = await (await server({ referrersFilter: false }))(ask(path));
  expect([response.status, response.headers.get('oci-filters-applied')]).toEqual([200, null]);
});

test('without tagDigests the response to GET by tag has no digest, that to HEAD has', async () => {
  const handler = await server({ tagDigests: false });
  const digestIn = async (request: string) => (await handler(ask(request))).headers.get('docker-content-digest');
  const path = '/v2/a/app/manifests/';
  expect(await digestIn(`GET ${path}v1`)).toBe(null);
  expect(await digestIn(`HEAD ${path}v1`)).toBe(manifest.descriptor.digest);
  expect(await digestIn(`GET ${path}${manifest.descriptor.digest}`)).toBe(manifest.descriptor.digest);
});

test('without singlePost, a POST with a digest begins an upload', async () => {
  const handler = await server({ singlePost: false });
  const body = Buffer.from(large.bytes);
  expect((await handler(ask(`POST /v2/a/app/blobs/uploads/?digest=${digest}`, { body }))).status).toBe(202);
});

test('a mount without a repository finds the blob anywhere if mountsFromAny says so', async () => {
  const request = `POST /v2/new/app/blobs/uploads/?mount=${digest}`;
  expect((await (await server())(ask(request))).status).toBe(202);
  const handler = await server({ mountsFromAny: true });
  expect((await handler(ask(request))).status).toBe(201);
  expect(Buffer.compare(await bytesOf(await handler(ask(`GET /v2/new/app/blobs/${digest}`))), large.bytes)).toBe(0);
  expect((await handler(ask(`POST /v2/new/app/blobs/uploads/?mount=${absent}`))).status).toBe(202);
});

test('locate redirects GET of a blob and says where pushed content is; an unknown blob is still 404', async () => {
  const handler = await server({ locate: ({ digest: of }) => [`https://cdn.example/${of}`, 'https://b.example/'] });
  const blob = `/v2/a/app/blobs/${digest}`;
  const found = await handler(ask(`GET ${blob}`));
  expect([found.status, found.headers.get('location')]).toEqual([307, `https://cdn.example/${digest}`]);
  expect((await handler(ask(`HEAD ${blob}`))).status).toBe(200);
  expect((await handler(ask(`GET /v2/a/app/blobs/${absent}`))).status).toBe(404);
  const pushed = await handler(
    ask(`POST /v2/n/app/blobs/uploads/?digest=${digest}`, { body: Buffer.from(large.bytes) }),
  );
  expect([pushed.status, pushed.headers.get('location')]).toEqual([201, `https://cdn.example/${digest}`]);
  expect((await handler(ask('GET /v2/a/app/manifests/v1'))).status).toBe(200);
});

test('a repository may itself know where its content is; a failure to find out is an error of the request', async () => {
  const registry = memoryRegistry();
  await fill(registry({ registry: 'localhost', name: 'a/app' }), [large]);
  const located = (locate: () => Promise<string>) =>
    serve((one) => Object.assign(registry(one), { locate }) as Source)(ask(`GET /v2/a/app/blobs/${digest}`));
  expect((await located(async () => 'https://cdn.example/x')).headers.get('location')).toBe('https://cdn.example/x');
  expect(await problemOf(await located(() => Promise.reject(new Error('no bucket'))))).toBe('500 UNKNOWN');
});

test('uploadUrl says where an upload continues', async () => {
  const uploadUrl = (id: string) => `https://uploads.example/${id}`;
  const response = await (await server({ uploadUrl }))(ask('POST /v2/a/app/blobs/uploads/'));
  expect(response.headers.get('location')).toMatch(/^https:\/\/uploads\.example\/[0-9a-f-]{36}$/);
});

const unknownBlob = {
  schemaVersion: 2,
  mediaType: manifest.descriptor.mediaType,
  config: { ...config.descriptor, digest: absent },
  layers: [],
};
test.each([
  [undefined, 405, 404],
  ['ociserver', 400, 404],
  ['distribution', 405, 400],
] as const)(
  'with the statuses of %s, UNSUPPORTED is %i and MANIFEST_BLOB_UNKNOWN %i',
  async (statuses, first, second) => {
    const handler = await server({ ...(statuses && { statuses }) });
    expect(await problemOf(await handler(ask('PUT /v2/_catalog')))).toBe(`${first} UNSUPPORTED`);
    const headers = { 'content-type': manifest.descriptor.mediaType };
    const put = ask('PUT /v2/a/app/manifests/x', { body: JSON.stringify(unknownBlob), headers });
    expect(await problemOf(await handler(put))).toBe(`${second} MANIFEST_BLOB_UNKNOWN`);
  },
);

test('writeError writes errors in a form of its own', async () => {
  const handler = await server({
    writeError: ({ status, code }, { method }) => new Response(`${method} ${code}`, { status }),
  });
  const response = await handler(ask('GET /v2/a/app/manifests/none'));
  expect([response.status, response.headers.get('content-length')]).toEqual([404, '20']);
  expect(await response.text()).toBe('GET MANIFEST_UNKNOWN');
});

test('a manifest that is put by digest gets the tags of its query', async () => {
  const handler = await server();
  const headers = { 'content-type': manifest.descriptor.mediaType };
  const path = `/v2/b/app/manifests/${manifest.descriptor.digest}`;
  const put = (query: string) => handler(ask(`PUT ${path}?${query}`, { body: Buffer.from(manifest.bytes), headers }));
  const response = await put('tag=one&tag=two&tag=one');
  expect([response.status, response.headers.get('oci-tag')]).toEqual([201, 'one, two']);
  expect(await line(handler, 'GET /v2/b/app/tags/list')).toEqual([
    200,
    null,
    { name: 'b/app', tags: ['latest', 'one', 'two'] },
  ]);
  expect(await problemOf(await put('tag=one&tag=.two'))).toBe('400 MANIFEST_INVALID');
});

test('every response is reported once, with what it was about and how many bytes were sent', async () => {
  const events: ServerEvent[] = [];
  const access = basicAccess({ realm: 'r', users: { ann: 'secret' } });
  const handler = access(await server({ onEvent: (event) => events.push(event) }));
  const authorization = `Basic ${btoa('ann:secret')}`;
  const send = async (request: string, init: RequestInit = {}) => {
    const headers = { ...(init.headers as Record<string, string>), authorization };
    const response = await handler(ask(request, { ...init, headers }));
    return response.arrayBuffer();
  };
  await send(`GET /v2/a/app/blobs/${digest}`, { headers: { range: 'bytes=0-99' } });
  await send('GET /v2/a/app/manifests/v1');
  await send('HEAD /v2/a/app/manifests/v1');
  const problemBytes = (await send('GET /v2/a/app/manifests/none')).byteLength;
  await send(`POST /v2/n/app/blobs/uploads/?mount=${digest}&from=a/app`);
  await send(`POST /v2/m/app/blobs/uploads/?digest=${digest}`, { body: Buffer.from(large.bytes) });
  await send('DELETE /v2/a/app/manifests/v1');
  await send('GET /v2/a/app/tags/list');
  const size = manifest.bytes.length;
  await expect.poll(() => events.length).toBe(8);
  expect(events.map(({ action, tag, from, status, bytes }) => [action, tag, from, status, bytes])).toEqual([
    ['pull', undefined, undefined, 206, 100],
    ['pull', 'v1', undefined, 200, size],
    ['pull', 'v1', undefined, 200, 0],
    ['none', undefined, undefined, 404, problemBytes],
    ['mount', undefined, 'a/app', 201, 0],
    ['push', undefined, undefined, 201, 0],
    ['delete', 'v1', undefined, 202, 0],
    ['list', undefined, undefined, 200, expect.any(Number)],
  ]);
  expect(events.map(({ actor }) => actor)).toEqual(Array(8).fill('ann'));
  expect(events[0]?.descriptor?.digest).toBe(digest);
  expect(events[3]?.error).toMatchObject({ code: 'NOT_FOUND' });
  for (const { duration } of events) expect(duration).toBeGreaterThanOrEqual(0);
});

test('a listener that fails does no harm', async () => {
  for (const onEvent of [
    () => Promise.reject(new Error('late')),
    () => {
      throw new Error('at once');
    },
  ]) {
    expect((await (await server({ onEvent }))(ask('GET /v2/'))).status).toBe(200);
  }
});

test('wrong bytes of a source that does not verify never come to their end', async () => {
  const wrong = Uint8Array.from(large.bytes, (byte) => byte ^ 1);
  const source = (verifies: boolean): Source => ({
    verifies,
    resolve: async () => large.descriptor,
    fetch: async (target) => ({ descriptor: target, from: 'x', body: chunksOf(wrong) }),
  });
  const response = await serve(() => source(false))(ask(`GET /v2/a/app/blobs/${digest}`));
  await expect(response.arrayBuffer()).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
});

const chunksOf = (bytes: Uint8Array) => ({
  async *[Symbol.asyncIterator]() {
    yield bytes.subarray(0, 1_000);
    yield bytes.subarray(1_000);
  },
  cancel: async () => {},
});
