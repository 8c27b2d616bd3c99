import { expect, test } from 'vitest';
import { RegistryError } from '../../../src/errors.ts';
import { mediaTypes } from '../../../src/oci/manifest.ts';
import { cached } from '../../../src/registry/cached-registry.ts';
import { described } from '../../../src/registry/described.ts';
import { memoryRegistry } from '../../../src/registry/memory-registry.ts';
import { only, under } from '../../../src/registry/names.ts';
import { observed } from '../../../src/registry/observed.ts';
import { immutable, readOnly } from '../../../src/registry/restricted.ts';
import { union } from '../../../src/registry/union.ts';
import { createClient } from '../../../src/remote/client.ts';
import { listen } from '../../../src/server/listen.ts';
import type { Handler } from '../../../src/server/registry/exchange.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import type { ServeOptions } from '../../../src/server/registry/serve-options.ts';
import type { Registry, Source } from '../../../src/source.ts';
import { documentOf } from '../../contract/lists.ts';
import { ableStore } from '../../contract/registry.ts';
import { absent, sampleOf, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { ask, bytesOf, problemOf } from '../support.ts';

/**
 * How ociserver of cuelabs behaves, row by row, and what this server does there. Where it differs, the name says so: a code of
 * the specification instead of `UNKNOWN`, and what RFC 9110 or the specification asks for.
 */
const { large, manifest, config } = samples;
const { digest } = large.descriptor;
const at = { registry: 'localhost', name: 'foo' };
const image = { 'content-type': mediaTypes.ociManifest };

/** A repository `foo` with a blob and a tagged manifest. */
async function server(options: ServeOptions = {}, tags: readonly string[] = []) {
  const registry = memoryRegistry();
  const store = registry(at);
  await fill(store, [large, config, manifest]);
  for (const tag of tags) await store.tag(manifest.descriptor, tag);
  return { registry, store, handler: serve(registry, options) };
}

/** Status, or status and code of the error. */
async function outcome(handler: Handler, line: string, init?: RequestInit): Promise<number | string> {
  const response = await handler(ask(line, init));
  if (response.status < 400) return response.status;
  return line.startsWith('HEAD ') ? `${response.status} ${await response.text()}` : problemOf(response);
}

const body = (bytes: Uint8Array) => Buffer.from(bytes);

test('O1: any method of /v2 or /v2/ is 200 with the version of the API (and {} as distribution says it)', async () => {
  const { handler } = await server();
  for (const path of ['/v2', '/v2/']) {
    for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']) {
      const response = await handler(ask(`${method} ${path}`));
      expect([response.status, await response.text()]).toEqual([200, method === 'HEAD' ? '' : '{}']);
      expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
    }
  }
});

test('O2: a path outside /v2/, or none of the API, is 404, with codes of the specification', async () => {
  const { handler } = await server();
  for (const path of [
    '/',
    '/v1/',
    '/v3/foo',
    '/v2/bad',
    `/v2/blobs/${digest}`,
    '/v2/foo/other/x',
    '/v2/foo/tags/other',
  ])
    expect([path, await outcome(handler, `GET ${path}`)]).toEqual([path, '404 NAME_UNKNOWN']);
  expect(await outcome(handler, 'GET /v2/a/b/manifests/.bad')).toBe('404 MANIFEST_UNKNOWN');
});

test('O3: an error is one entry of a JSON body, with the status of its code; codes of other registries stay theirs', async () => {
  const { handler } = await server();
  const response = await handler(ask(`GET /v2/foo/blobs/${absent}`));
  expect(response.headers.get('content-type')).toBe('application/json');
  const text = expect.any(String);
  expect(await response.json()).toEqual({ errors: [{ code: 'BLOB_UNKNOWN', message: text }] });
  const failing = (error: Error): Source => ({
    resolve: () => Promise.reject(error),
    fetch: () => Promise.reject(error),
  });
  const errors: readonly [error: Error, expected: string][] = [
    [new RegistryError('UNAUTHORIZED', 'no', { status: 401, registryErrors: ['NAME_UNKNOWN'] }), '401 UNAUTHORIZED'],
    [new RegistryError('BAD_RESPONSE', 'teapot', { status: 418, registryErrors: ['SOMECODE'] }), '502 UNKNOWN'],
    [new RegistryError('DENIED', 'no'), '403 DENIED'],
    [new RegistryError('RATE_LIMITED', 'slow'), '429 TOOMANYREQUESTS'],
    [new Error('secret detail'), '500 UNKNOWN'],
  ];
  for (const [error, expected] of errors)
    expect(
      await outcome(
        serve(() => failing(error)),
        'GET /v2/foo/manifests/latest',
      ),
    ).toBe(expected);
});

test('O4: a blob of an unknown repository is NAME_UNKNOWN, an unknown blob BLOB_UNKNOWN, and HEAD has no body', async () => {
  const { handler } = await server();
  expect(await outcome(handler, `GET /v2/nowhere/blobs/${absent}`)).toBe('404 NAME_UNKNOWN');
  expect(await outcome(handler, `GET /v2/foo/blobs/${absent}`)).toBe('404 BLOB_UNKNOWN');
  expect(await outcome(handler, `HEAD /v2/foo/blobs/${absent}`)).toBe('404 ');
  expect(await outcome(handler, `HEAD /v2/nowhere/blobs/${absent}`)).toBe('404 ');
});

test('O5: a bad digest is DIGEST_INVALID, also before a bad name, which is NAME_INVALID; an unknown method is 405 (with Allow, as RFC 9110 asks)', async () => {
  const { handler } = await server();
  expect(await outcome(handler, 'GET /v2/foo/blobs/sha256:asd')).toBe('400 DIGEST_INVALID');
  expect(await outcome(handler, 'GET /v2/Foo/blobs/sha256:asd')).toBe('400 DIGEST_INVALID');
  expect(await outcome(handler, `GET /v2/Foo/blobs/${digest}`)).toBe('400 NAME_INVALID');
  expect(await outcome(handler, 'GET /v2/Foo/manifests/latest')).toBe('400 NAME_INVALID');
  for (const method of ['PATCH', 'POST', 'PROPFIND']) {
    const response = await handler(ask(`${method} /v2/foo/blobs/${digest}`));
    expect([response.headers.get('allow'), await problemOf(response)]).toEqual([
      'GET, HEAD, DELETE',
      '405 UNSUPPORTED',
    ]);
  }
});

test('O6: HEAD of a blob has its length, digest and Accept-Ranges (and its type, as distribution says it)', async () => {
  const { handler } = await server();
  const { status, headers } = await handler(ask(`HEAD /v2/foo/blobs/${digest}`));
  expect([status, headers.get('content-length'), headers.get('docker-content-digest')]).toEqual([
    200,
    String(large.bytes.length),
    digest,
  ]);
  expect([headers.get('accept-ranges'), headers.get('content-type')]).toEqual(['bytes', 'application/octet-stream']);
});

test('O7: GET of a blob has its type, length and digest (and Accept-Ranges, as to HEAD)', async () => {
  const { handler } = await server();
  const response = await handler(ask(`GET /v2/foo/blobs/${digest}`));
  expect(response.status).toBe(200);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-length': String(large.bytes.length),
    'docker-content-digest': digest,
    'accept-ranges': 'bytes',
  });
  expect(Buffer.compare(await bytesOf(response), large.bytes)).toBe(0);
});

test('O8: a range is 206 with its Content-Range and exactly its bytes; one beyond the end is 416 (not the wart of a wrong length)', async () => {
  const { handler } = await server();
  const get = (range: string) => handler(ask(`GET /v2/foo/blobs/${digest}`, { headers: { range } }));
  const size = large.bytes.length;
  const ranges: readonly [range: string, start: number, end: number][] = [
    ['bytes=0-9', 0, 10],
    ['bytes=5-', 5, size],
    [`bytes=10-${size + 100}`, 10, size],
  ];
  for (const [range, start, end] of ranges) {
    const response = await get(range);
    expect([response.status, response.headers.get('content-range'), response.headers.get('content-length')]).toEqual([
      206,
      `bytes ${start}-${end - 1}/${size}`,
      String(end - start),
    ]);
    expect(Buffer.compare(await bytesOf(response), large.bytes.subarray(start, end))).toBe(0);
  }
  const beyond = await get(`bytes=${size}-`);
  expect([beyond.headers.get('content-range'), await problemOf(beyond)]).toEqual([
    `bytes */${size}`,
    '416 RANGE_INVALID',
  ]);
});

test('O9: ociserver refuses suffixes, several ranges and malformed ones; here a suffix is served and the others are ignored, as RFC 9110 says', async () => {
  const { handler } = await server();
  const status = async (range: string) => {
    const response = await handler(ask(`GET /v2/foo/blobs/${digest}`, { headers: { range } }));
    return [response.status, (await bytesOf(response)).length];
  };
  expect(await status('bytes=-1')).toEqual([206, 1]);
  for (const range of ['bytes=0-1,3-4', 'bytes=x', 'pages=1-2'])
    expect(await status(range)).toEqual([200, large.bytes.length]);
});

test('O10: with locations, GET of a blob is 307 there, HEAD is answered here, an unknown blob is 404, and a finished upload says it', async () => {
  const { handler } = await server({ locate: ({ digest: of }) => [`https://cdn.test/${of}`, 'https://other.test/'] });
  const response = await handler(ask(`GET /v2/foo/blobs/${digest}`));
  expect([response.status, response.headers.get('location')]).toEqual([307, `https://cdn.test/${digest}`]);
  expect(await outcome(handler, `HEAD /v2/foo/blobs/${digest}`)).toBe(200);
  expect(await outcome(handler, `GET /v2/foo/blobs/${absent}`)).toBe('404 BLOB_UNKNOWN');
  expect(await outcome(handler, 'GET /v2/foo/manifests/latest')).toBe(200);
  const pushed = await handler(
    ask(`POST /v2/bar/blobs/uploads/?digest=${digest}`, { body: body(large.bytes), duplex: 'half' } as RequestInit),
  );
  expect([pushed.status, pushed.headers.get('location')]).toEqual([201, `https://cdn.test/${digest}`]);
});

/** Begins an upload; its path. */
async function begin(handler: Handler, path = '/v2/foo/blobs/uploads/'): Promise<string> {
  const response = await handler(ask(`POST ${path}`));
  expect(response.status).toBe(202);
  return response.headers.get('location') ?? '';
}

test('O11: POST of uploads, with and without a slash, is 202 with a relative Location of a base64url id, Range 0-0, and the least chunk of the store', async () => {
  const { handler, store } = await server();
  for (const path of ['/v2/foo/blobs/uploads/', '/v2/foo/blobs/uploads']) {
    const response = await handler(ask(`POST ${path}`));
    expect(response.status).toBe(202);
    expect(response.headers.get('location')).toMatch(/^\/v2\/foo\/blobs\/uploads\/[A-Za-z0-9_-]+$/);
    expect([response.headers.get('range'), response.headers.get('oci-chunk-min-length')]).toEqual(['0-0', null]);
  }
  const beginUpload: typeof store.beginUpload = async (limits) =>
    Object.assign(await store.beginUpload(limits), { minimumChunk: 8192 });
  const response = await serve(() => ({ ...store, beginUpload }))(ask('POST /v2/foo/blobs/uploads/'));
  expect(response.headers.get('oci-chunk-min-length')).toBe('8192');
});

const post = (handler: Handler, of: string, bytes: Uint8Array) =>
  handler(ask(`POST /v2/foo/blobs/uploads/?digest=${of}`, { body: body(bytes) }));

test('O12: a POST with digest and body is 201 with Location and digest; a bad digest is DIGEST_INVALID; without singlePost it is 202', async () => {
  const { handler, registry } = await server();
  const response = await post(handler, digest, large.bytes);
  const { headers } = response;
  expect([response.status, headers.get('location'), headers.get('docker-content-digest')]).toEqual([
    201,
    `/v2/foo/blobs/${digest}`,
    digest,
  ]);
  expect(await problemOf(await post(handler, 'sha256:fake', large.bytes))).toBe('400 DIGEST_INVALID');
  expect(await problemOf(await post(handler, absent, large.bytes))).toBe('400 DIGEST_INVALID');
  expect((await post(serve(registry, { singlePost: false }), digest, large.bytes)).status).toBe(202);
});

test('O14: an upload says how far it is, and PUT with the digest ends it, with or without last bytes; without a digest or with another one it is DIGEST_INVALID', async () => {
  const { handler } = await server();
  for (const cut of [large.bytes.length, 1_000]) {
    const path = await begin(handler, '/v2/new/blobs/uploads/');
    const empty = await handler(ask(`GET ${path}`));
    expect([empty.status, empty.headers.get('location'), empty.headers.get('range')]).toEqual([204, path, '0-0']);
    expect(await outcome(handler, `PATCH ${path}`, { body: body(large.bytes.subarray(0, cut)) })).toBe(202);
    const status = await handler(ask(`GET ${path}`));
    expect([status.status, status.headers.get('range')]).toEqual([204, `0-${cut - 1}`]);
    expect(await outcome(handler, `PUT ${path}`)).toBe('400 DIGEST_INVALID');
    const ended = await handler(ask(`PUT ${path}?digest=${digest}`, { body: body(large.bytes.subarray(cut)) }));
    expect([ended.status, ended.headers.get('location'), ended.headers.get('docker-content-digest')]).toEqual([
      201,
      `/v2/new/blobs/${digest}`,
      digest,
    ]);
  }
  const wrong = await begin(handler);
  expect(await outcome(handler, `PUT ${wrong}?digest=${absent}`, { body: 'x' })).toBe('400 DIGEST_INVALID');
});

test('O15: GET, PUT, PATCH and DELETE of uploads are 405; an id that is none is 404, as any that is not known; an upload can be cancelled', async () => {
  const { handler } = await server();
  for (const method of ['GET', 'PUT', 'PATCH', 'DELETE'])
    expect(await outcome(handler, `${method} /v2/foo/blobs/uploads/`)).toBe('405 UNSUPPORTED');
  for (const id of ['!!', '%00', 'x'.repeat(5_000), 'AAAA'])
    expect(await outcome(handler, `GET /v2/foo/blobs/uploads/${id}`)).toBe('404 BLOB_UPLOAD_UNKNOWN');
  const path = await begin(handler);
  expect(await outcome(handler, `DELETE ${path}`)).toBe(204);
  expect(await outcome(handler, `GET ${path}`)).toBe('404 BLOB_UPLOAD_UNKNOWN');
});

test('O17: a manifest by tag or digest has the type that it was pushed with, length and digest, whatever Accept says; a missing one is MANIFEST_UNKNOWN', async () => {
  const { handler } = await server();
  for (const method of ['GET', 'HEAD']) {
    for (const reference of ['latest', manifest.descriptor.digest]) {
      const headers = { accept: 'text/html' };
      const response = await handler(ask(`${method} /v2/foo/manifests/${reference}`, { headers }));
      expect(response.status).toBe(200);
      expect(Object.fromEntries(response.headers)).toMatchObject({
        'content-type': manifest.descriptor.mediaType,
        'content-length': String(manifest.bytes.length),
        'docker-content-digest': manifest.descriptor.digest,
      });
    }
  }
  expect(await outcome(handler, 'GET /v2/foo/manifests/other')).toBe('404 MANIFEST_UNKNOWN');
  expect(await outcome(handler, 'GET /v2/nowhere/manifests/latest')).toBe('404 NAME_UNKNOWN');
});

test('O18: PUT of a manifest is 201 with its Location, digest and OCI-Subject; other bytes are DIGEST_INVALID; a missing child is MANIFEST_BLOB_UNKNOWN (ociserver: 500), no type MANIFEST_INVALID', async () => {
  const { handler } = await server();
  const subject = { mediaType: mediaTypes.ociManifest, digest: absent, size: 7 };
  const sent = documentOf(mediaTypes.ociManifest, { config: config.descriptor, layers: [], subject });
  const put = (reference: string, bytes: Uint8Array, headers: Record<string, string> = image) =>
    handler(ask(`PUT /v2/foo/manifests/${reference}`, { body: body(bytes), headers }));
  const response = await put('v2', sent.bytes);
  expect(response.status).toBe(201);
  expect(Object.fromEntries(response.headers)).toMatchObject({
    location: `/v2/foo/manifests/${sent.descriptor.digest}`,
    'docker-content-digest': sent.descriptor.digest,
    'oci-subject': absent,
  });
  expect(await problemOf(await put(absent, sent.bytes))).toBe('400 DIGEST_INVALID');
  const missing = documentOf(mediaTypes.ociManifest, { config: { ...config.descriptor, digest: absent }, layers: [] });
  expect(await problemOf(await put('v3', missing.bytes))).toBe('404 MANIFEST_BLOB_UNKNOWN');
  expect(await problemOf(await put('v4', sent.bytes, {}))).toBe('400 MANIFEST_INVALID');
});

test('O19: DELETE is 202; an unknown tag is MANIFEST_UNKNOWN; the manifest of a deleted tag stays; the tags of a deleted manifest go, too', async () => {
  const { handler } = await server({}, ['v1', 'v2']);
  expect(await outcome(handler, 'DELETE /v2/foo/manifests/v1')).toBe(202);
  expect(await outcome(handler, 'DELETE /v2/foo/manifests/v1')).toBe('404 MANIFEST_UNKNOWN');
  expect(await outcome(handler, `GET /v2/foo/manifests/${manifest.descriptor.digest}`)).toBe(200);
  expect(await outcome(handler, `DELETE /v2/foo/blobs/${digest}`)).toBe(202);
  expect(await outcome(handler, `DELETE /v2/foo/manifests/${manifest.descriptor.digest}`)).toBe(202);
  expect(await outcome(handler, 'GET /v2/foo/manifests/v2')).toBe('404 MANIFEST_UNKNOWN');
});

test('O20: tags are a JSON list in byte order with a relative Link to the next page (and application/json, which ociserver leaves out); n that is no number is 400; n=0 gives none', async () => {
  const { handler } = await server({}, ['v1', 'V1', '_x']);
  const list = async (query: string) => {
    const response = await handler(ask(`GET /v2/foo/tags/list${query}`));
    expect(response.headers.get('content-type')).toBe('application/json');
    const { name, tags } = (await response.json()) as { name: string; tags: string[] };
    expect(name).toBe('foo');
    return [tags, response.headers.get('link')];
  };
  expect(await list('')).toEqual([['V1', '_x', 'latest', 'v1'], null]);
  expect(await list('?n=1')).toEqual([['V1'], '</v2/foo/tags/list?n=1&last=V1>; rel="next"']);
  expect(await list('?last=_x')).toEqual([['latest', 'v1'], null]);
  expect(await list('?n=0')).toEqual([[], null]);
  expect(await outcome(handler, 'GET /v2/foo/tags/list?n=INVALID')).toBe('400 UNSUPPORTED');
  expect(await outcome(handler, 'GET /v2/nowhere/tags/list')).toBe('404 NAME_UNKNOWN');
});

test('O22: the catalog has the same pages, and only GET and HEAD', async () => {
  const { handler, registry } = await server();
  await fill(registry({ ...at, name: 'bar' }), [large]);
  const response = await handler(ask('GET /v2/_catalog?n=1'));
  expect([await response.json(), response.headers.get('link')]).toEqual([
    { repositories: ['bar'] },
    '</v2/_catalog?n=1&last=bar>; rel="next"',
  ]);
  for (const method of ['POST', 'PUT', 'DELETE', 'PATCH'])
    expect(await outcome(handler, `${method} /v2/_catalog`)).toBe('405 UNSUPPORTED');
});

const referrersOf = async (handler: Handler, query = '') => {
  const response = await handler(ask(`GET /v2/foo/referrers/${manifest.descriptor.digest}${query}`));
  const { manifests } = (await response.json()) as { manifests: unknown };
  return { status: response.status, manifests, headers: response.headers };
};

test('O23: referrers are an index; none are [] (ociserver: null) and those of an unknown repository, too; a tag is DIGEST_INVALID; without the API it is 404', async () => {
  const { handler, registry } = await server();
  const { status, manifests, headers } = await referrersOf(handler);
  expect([status, manifests, headers.get('content-type')]).toEqual([200, [], mediaTypes.ociIndex]);
  const unknown = await handler(ask(`GET /v2/nowhere/referrers/${absent}`));
  expect([unknown.status, await unknown.json()]).toMatchObject([200, { manifests: [] }]);
  expect(await outcome(handler, 'GET /v2/foo/referrers/latest')).toBe('400 DIGEST_INVALID');
  const without = serve(registry, { referrers: false });
  expect(await outcome(without, `GET /v2/foo/referrers/${absent}`)).toBe('404 UNSUPPORTED');
});

test('O24: artifactType filters and OCI-Filters-Applied says so; the type is that of the config if there is none, and annotations come along', async () => {
  const { handler, store, registry } = await server();
  const subject = manifest.descriptor;
  const annotations = { 'org.example.key': 'value' };
  const typed = documentOf(mediaTypes.ociManifest, {
    ...{ config: config.descriptor, layers: [], subject, annotations },
    artifactType: 'application/vnd.example',
  });
  const ofConfig = documentOf(mediaTypes.ociManifest, {
    config: { ...config.descriptor, mediaType: 'application/vnd.config' },
    ...{ layers: [], subject },
  });
  await fill(store, [typed, ofConfig]);
  const all = [
    { ...typed.descriptor, artifactType: 'application/vnd.example', annotations },
    { ...ofConfig.descriptor, artifactType: 'application/vnd.config' },
  ];
  expect((await referrersOf(handler)).manifests).toEqual(all);
  for (const [index, type] of ['application/vnd.example', 'application/vnd.config'].entries()) {
    const { manifests, headers } = await referrersOf(handler, `?artifactType=${encodeURIComponent(type)}`);
    expect([manifests, headers.get('oci-filters-applied')]).toEqual([[all[index]], 'artifactType']);
  }
  const unfiltered = await referrersOf(serve(registry, { referrersFilter: false }), '?artifactType=x');
  expect([unfiltered.manifests, unfiltered.headers.get('oci-filters-applied')]).toEqual([all, null]);
});

const other = sampleOf(Buffer.from(`${Buffer.from(manifest.bytes)}\n`), manifest.descriptor.mediaType);
const putTag = (handler: Handler, name: string, tag: string, bytes = manifest.bytes) =>
  outcome(handler, `PUT /v2/${name}/manifests/${tag}`, { body: body(bytes), headers: image });

test('O25: a read-only registry is UNSUPPORTED for writes, an immutable one DENIED for moved and deleted tags but takes the same bytes again', async () => {
  const { registry } = await server();
  for (const line of [
    'POST /v2/foo/blobs/uploads/',
    `DELETE /v2/foo/blobs/${digest}`,
    'DELETE /v2/foo/manifests/latest',
  ])
    expect(await outcome(serve(readOnly(registry)), line)).toBe('405 UNSUPPORTED');
  const fixed = serve(immutable(registry));
  expect(await putTag(fixed, 'foo', 'latest')).toBe(201);
  expect(await putTag(fixed, 'foo', 'latest', other.bytes)).toBe('403 DENIED');
  expect(await outcome(fixed, 'DELETE /v2/foo/manifests/latest')).toBe('403 DENIED');
});

test('O25: a repository that is not selected is NAME_UNKNOWN for reads, DENIED for writes, and not in the catalog', async () => {
  const { registry } = await server();
  await fill(registry({ ...at, name: 'hidden' }), [large, config, manifest]);
  const handler = serve(only(registry, ['foo']));
  expect(await outcome(handler, 'GET /v2/hidden/manifests/latest')).toBe('404 NAME_UNKNOWN');
  expect(await outcome(handler, 'POST /v2/hidden/blobs/uploads/')).toBe('403 DENIED');
  expect(await putTag(handler, 'hidden', 'v1')).toBe('403 DENIED');
  expect(await (await handler(ask('GET /v2/_catalog'))).json()).toEqual({ repositories: ['foo'] });
});

test('O25: below a prefix names get it, and two registries are one: tags must agree, blobs are read in order or by the fastest, writes go to both, lists are merged', async () => {
  const [one, two] = [memoryRegistry(), memoryRegistry()];
  await fill(one({ ...at, name: 'team/foo' }), [config, { ...manifest, tag: 'same' }, { ...manifest, tag: 'moved' }]);
  await fill(two(at), [config, { ...manifest, tag: 'same' }, { ...other, tag: 'moved' }, { ...other, tag: 'two' }]);
  const both = { writes: 'both', tagsAgree: true } as const;
  const handler = serve(union(under(one, 'team'), two, both));
  const fastest = serve(union(under(one, 'team'), two, { ...both, reads: 'fastest' }));
  for (const each of [handler, fastest])
    expect(await outcome(each, `GET /v2/foo/blobs/${config.descriptor.digest}`)).toBe(200);
  expect(await (await handler(ask('GET /v2/foo/tags/list'))).json()).toEqual({
    name: 'foo',
    tags: ['moved', 'same', 'two'],
  });
  expect(await outcome(handler, 'GET /v2/foo/manifests/same')).toBe(200);
  expect(await outcome(handler, 'GET /v2/foo/manifests/moved')).toBe('502 UNKNOWN');
  expect(await putTag(handler, 'foo', 'new')).toBe(201);
  for (const store of [one({ ...at, name: 'team/foo' }), two(at)])
    expect((await store.resolve('new')).digest).toBe(manifest.descriptor.digest);
  expect(await (await handler(ask('GET /v2/_catalog'))).json()).toEqual({ repositories: ['foo'] });
});

/** Registries that must serve what was pushed, each over an origin. */
const proxies: readonly [name: string, over: (origin: Registry) => Registry][] = [
  ['memory', (origin) => origin],
  ['a selection', (origin) => only(origin, ['foo'])],
  ['a union', (origin) => union(memoryRegistry(), origin, { writes: 'second' })],
  ['a cache of descriptors, observed', (origin) => observed(described(origin), () => {})],
];
/** Habits of other servers, with which the client must still get everything. */
const habits: readonly [name: string, options: ServeOptions][] = [
  ['no habit', {}],
  ['no referrers API', { referrers: false }],
  ['pages of at most 5', { mostListed: 5 }],
  ['pagination ignored', { pages: false }],
  ['no digest with tags', { tagDigests: false }],
  ['no Link', { nextLinks: false, mostListed: 1_000 }],
];

test.each(proxies)(
  'O26: 37 tags, a manifest of 256 KiB and a blob come through a client from %s, with each habit of a server',
  async (_name, over) => {
    const tags = Array.from({ length: 37 }, (_, index) => `tag-${String(index).padStart(2, '0')}`);
    const annotations = { long: 'x'.repeat(262_144) };
    const long = documentOf(mediaTypes.ociManifest, { config: config.descriptor, layers: [], annotations });
    const origin = over(memoryRegistry());
    const store = ableStore(origin, 'foo');
    await fill(store, [config, large, long]);
    for (const tag of tags) await store.tag(long.descriptor, tag);
    for (const [habit, options] of habits) {
      await using listening = await listenFor(serve(origin, options));
      await using client = createClient();
      const proxy = serve(cached(({ name }) => client.fetcher(`${listening.host}/${name}`).source, memoryRegistry()));
      const listed = (await (await proxy(ask('GET /v2/foo/tags/list'))).json()) as { tags: unknown };
      expect([habit, listed.tags]).toEqual([habit, tags]);
      const got = await proxy(ask('GET /v2/foo/manifests/tag-07'));
      expect([habit, got.status, Buffer.compare(await bytesOf(got), long.bytes)]).toEqual([habit, 200, 0]);
      const blob = await proxy(ask(`GET /v2/foo/blobs/${digest}`));
      expect([habit, blob.status, Buffer.compare(await bytesOf(blob), large.bytes)]).toEqual([habit, 200, 0]);
    }
  },
);

async function listenFor(handler: Handler) {
  const { url, close } = await listen(handler);
  return { host: new URL(url).host, [Symbol.asyncDispose]: close };
}

const options: readonly [title: string, options: ServeOptions, line: string, expected: unknown][] = [
  [
    'referrers: false (DisableReferrersAPI) makes referrers 404',
    { referrers: false },
    `GET /v2/foo/referrers/${absent}`,
    '404 UNSUPPORTED',
  ],
  [
    'singlePost: false (DisableSinglePostUpload) makes a POST with digest a plain start',
    { singlePost: false },
    `POST /v2/foo/blobs/uploads/?digest=${digest}`,
    202,
  ],
  [
    'mostListed (MaxListPageSize) makes a larger n 400',
    { mostListed: 2 },
    'GET /v2/foo/tags/list?n=3',
    '400 UNSUPPORTED',
  ],
  ['mostListed (MaxListPageSize) allows n up to it', { mostListed: 2 }, 'GET /v2/foo/tags/list?n=2', 200],
  [
    'mostListed (MaxListPageSize) holds for the catalog, too',
    { mostListed: 2 },
    'GET /v2/_catalog?n=3',
    '400 UNSUPPORTED',
  ],
];
test.each(options)('option %s', async (_title, given, line, expected) => {
  const { handler } = await server(given);
  expect(await outcome(handler, line)).toBe(expected);
});

test('option pages: false (IgnorePagination) ignores n and last; nextLinks: false (OmitLinkHeaderFromResponses) gives no Link', async () => {
  const { registry } = await server({}, ['v1', 'v2']);
  const all = { name: 'foo', tags: ['latest', 'v1', 'v2'] };
  const whole = await serve(registry, { pages: false })(ask('GET /v2/foo/tags/list?n=1&last=v1'));
  expect(await whole.json()).toEqual(all);
  const page = await serve(registry, { nextLinks: false })(ask('GET /v2/foo/tags/list?n=1'));
  expect([page.headers.get('link'), await page.json()]).toEqual([null, { ...all, tags: ['latest'] }]);
});

test('option tagDigests: false (OmitDigestFromTagGetResponse) leaves the digest out of GET by tag, not of HEAD', async () => {
  const { handler } = await server({ tagDigests: false });
  const digestOf = async (line: string) => (await handler(ask(line))).headers.get('docker-content-digest');
  expect(await digestOf('GET /v2/foo/manifests/latest')).toBeNull();
  expect(await digestOf('HEAD /v2/foo/manifests/latest')).toBe(manifest.descriptor.digest);
});

test('option uploadUrl (LocationForUploadID) says where an upload continues, undefined for here', async () => {
  const { handler } = await server({ uploadUrl: (id) => `https://upload.test/${id.length}` });
  expect(await begin(handler)).toMatch(/^https:\/\/upload\.test\/\d+$/);
  const { handler: here } = await server({ uploadUrl: () => undefined });
  expect(await begin(here)).toMatch(/^\/v2\/foo\/blobs\/uploads\//);
});

test('option locate (LocationsForDescriptor) that fails is an error of the request', async () => {
  const { handler } = await server({ locate: () => Promise.reject(new Error('storage is down')) });
  expect(await outcome(handler, `GET /v2/foo/blobs/${digest}`)).toBe('500 UNKNOWN');
});

test('option writeError (WriteError) replaces the form of errors', async () => {
  const { handler } = await server({ writeError: ({ status, code }) => new Response(`!${code}`, { status }) });
  const response = await handler(ask(`GET /v2/foo/blobs/${absent}`));
  expect([response.status, await response.text()]).toEqual([404, '!BLOB_UNKNOWN']);
});
