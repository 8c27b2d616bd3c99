import { expect, test } from 'vitest';
import { codeOfStatus, type ErrorCode, RegistryError } from '../../../src/errors.ts';
import { parseIndex } from '../../../src/oci/manifest.ts';
import type { Repository } from '../../../src/oci/reference.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import type { Registry, Source } from '../../../src/source.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { absent, sampleOf, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { ask, bytesOf, filledRegistry, problemOf } from '../support.ts';

const { large, manifest, config, empty, wide } = samples;
const blob = `/v2/library/app/blobs/${large.descriptor.digest}`;
const handler = serve((await filledRegistry()).registry);

test('the API says that it is there, with and without a slash', async () => {
  for (const path of ['/v2/', '/v2']) {
    const response = await handler(ask(`GET ${path}`));
    expect([response.status, await response.text()]).toEqual([200, '{}']);
    expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
  }
});

test('a manifest comes as it was pushed, by tag and by digest; HEAD has the head alone', async () => {
  const { digest, mediaType, size } = manifest.descriptor;
  for (const line of ['GET latest', `GET ${digest}`, 'HEAD latest', `HEAD ${digest}`]) {
    const response = await handler(ask(line.replace(' ', ' /v2/library/app/manifests/')));
    expect(response.status).toBe(200);
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'content-type': mediaType,
      'docker-content-digest': digest,
      'content-length': String(size),
      etag: `"${digest}"`,
      'docker-distribution-api-version': 'registry/2.0',
    });
    expect(Buffer.from(await bytesOf(response))).toEqual(Buffer.from(line.startsWith('HEAD') ? [] : manifest.bytes));
  }
});

test('a blob comes whole, with its length and digest; an empty one and one by sha512 too', async () => {
  for (const { descriptor, bytes } of [large, empty, wide]) {
    const response = await handler(ask(`GET /v2/library/app/blobs/${descriptor.digest}`));
    expect(response.status).toBe(200);
    expect(response.headers.get('content-length')).toBe(String(bytes.length));
    expect(response.headers.get('content-type')).toBe('application/octet-stream');
    expect(response.headers.get('docker-content-digest')).toBe(descriptor.digest);
    expect(Buffer.compare(await bytesOf(response), bytes)).toBe(0);
  }
});

const ranges: readonly [header: string, status: number, contentRange: string | null, from: number, to: number][] = [
  ['bytes=0-0', 206, 'bytes 0-0/300007', 0, 1],
  ['bytes=10-19', 206, 'bytes 10-19/300007', 10, 20],
  ['bytes=65530-131080', 206, 'bytes 65530-131080/300007', 65_530, 131_081],
  ['bytes=300000-', 206, 'bytes 300000-300006/300007', 300_000, 300_007],
  ['bytes=300000-999999', 206, 'bytes 300000-300006/300007', 300_000, 300_007],
  ['bytes=-7', 206, 'bytes 300000-300006/300007', 300_000, 300_007],
  ['lines=0-1', 200, null, 0, 300_007],
];
test.each(ranges)('a blob asked for "%s" is a %i', async (range, status, contentRange, from, to) => {
  const response = await handler(ask(`GET ${blob}`, { headers: { range } }));
  expect(response.status).toBe(status);
  expect(response.headers.get('content-range')).toBe(contentRange);
  expect(response.headers.get('content-length')).toBe(String(to - from));
  expect(Buffer.compare(await bytesOf(response), large.bytes.subarray(from, to))).toBe(0);
});

test('a range beyond the end, or that ends before it begins, is 416 and gives the size; HEAD heeds no range', async () => {
  for (const range of ['bytes=300007-', 'bytes=5-4']) {
    const response = await handler(ask(`GET ${blob}`, { headers: { range } }));
    expect(response.headers.get('content-range')).toBe('bytes */300007');
    expect(await problemOf(response)).toBe('416 RANGE_INVALID');
  }
  const head = await handler(ask(`HEAD ${blob}`, { headers: { range: 'bytes=0-0' } }));
  expect([head.status, head.headers.get('content-length')]).toEqual([200, '300007']);
  expect(head.headers.get('accept-ranges')).toBe('bytes');
});

test('what the client has is 304, and a range of what it has not is the whole', async () => {
  const { digest } = large.descriptor;
  for (const known of [`"${digest}"`, `W/"${digest}"`, digest, `"other", "${digest}"`, '*']) {
    const response = await handler(ask(`GET ${blob}`, { headers: { 'if-none-match': known } }));
    expect([known, response.status, response.body]).toEqual([known, 304, null]);
  }
  const range = { range: 'bytes=0-9' };
  const same = await handler(ask(`GET ${blob}`, { headers: { ...range, 'if-range': `"${digest}"` } }));
  const other = await handler(ask(`GET ${blob}`, { headers: { ...range, 'if-range': '"other"' } }));
  expect([same.status, other.status]).toEqual([206, 200]);
  await Promise.all([same.body?.cancel(), other.body?.cancel()]);
});

const refusals: readonly [line: string, problem: string][] = [
  ['GET /v2/library/app/manifests/missing', '404 MANIFEST_UNKNOWN'],
  [`GET /v2/library/app/manifests/${absent}`, '404 MANIFEST_UNKNOWN'],
  [`GET /v2/library/app/manifests/${large.descriptor.digest}`, '404 MANIFEST_UNKNOWN'],
  ['GET /v2/library/app/manifests/.hidden', '404 MANIFEST_UNKNOWN'],
  ['GET /v2/library/app/manifests/sha256:baddigeststring', '400 DIGEST_INVALID'],
  [`GET /v2/library/app/blobs/${absent}`, '404 BLOB_UNKNOWN'],
  ['GET /v2/library/app/blobs/sha256:short', '400 DIGEST_INVALID'],
  ['GET /v2/library/app/blobs/md5:d41d8cd98f00b204e9800998ecf8427e', '400 DIGEST_INVALID'],
  ['GET /v2/Library/App/manifests/latest', '400 NAME_INVALID'],
  ['GET /v2/a//b/manifests/latest', '400 NAME_INVALID'],
  ['GET /v2/nowhere', '404 NAME_UNKNOWN'],
  ['GET /v1/library/app/manifests/latest', '404 NAME_UNKNOWN'],
  ['GET /v20/library/app/manifests/latest', '404 NAME_UNKNOWN'],
  ['GET /v2/library/app/blobs/uploads/nothing', '404 BLOB_UPLOAD_UNKNOWN'],
  ['GET /v2/library/app/referrers/latest', '400 DIGEST_INVALID'],
  ['POST /v2/library/app/manifests/latest', '405 UNSUPPORTED'],
  [`DELETE /v2/library/app/blobs/${absent}`, '404 BLOB_UNKNOWN'],
  [`PATCH ${blob}`, '405 UNSUPPORTED'],
];
test.each(refusals)('%s is %s', async (line, expected) => {
  const response = await handler(ask(line));
  expect(response.headers.get('content-type')).toBe('application/json');
  expect(response.headers.get('docker-distribution-api-version')).toBe('registry/2.0');
  expect(await problemOf(response)).toBe(expected);
});

test('a method that is not offered is told which are', async () => {
  expect((await handler(ask(`PUT ${blob}`))).headers.get('allow')).toBe('GET, HEAD, DELETE');
});

test('an error to HEAD has no body', async () => {
  const response = await handler(ask(`HEAD /v2/library/app/blobs/${absent}`));
  expect([response.status, response.body]).toEqual([404, null]);
});

/** A source that can be read only, and fails as it is told. */
const failing = (error: unknown): Source => ({
  resolve: () => Promise.reject(error),
  fetch: () => Promise.reject(error),
});

const answers: readonly [code: ErrorCode, problem: string][] = [
  ['NOT_FOUND', '404 MANIFEST_UNKNOWN'],
  ['UNAUTHORIZED', '401 UNAUTHORIZED'],
  ['DENIED', '403 DENIED'],
  ['RATE_LIMITED', '429 TOOMANYREQUESTS'],
  ['UNAVAILABLE', '503 UNAVAILABLE'],
  ['TIMEOUT', '504 UNAVAILABLE'],
  ['BAD_RESPONSE', '502 UNKNOWN'],
  ['DIGEST_MISMATCH', '502 DIGEST_INVALID'],
  ['NO_HOSTS', '503 UNAVAILABLE'],
];
test.each(answers)('a source that fails with %s is answered with %s', async (code, expected) => {
  const failed = serve(() => failing(new RegistryError(code, `Cannot resolve "latest": ${code}`)));
  const response = await failed(ask('GET /v2/library/app/manifests/latest'));
  expect(await response.clone().text()).toContain('Cannot resolve \\"latest\\"');
  expect(await problemOf(response)).toBe(expected);
});

test('what a client makes of the status is what the source said, for what hosts refuse', () => {
  const statuses = answers.map(([code, expected]) => [code, codeOfStatus(Number.parseInt(expected, 10))]);
  const refused = ['NOT_FOUND', 'UNAUTHORIZED', 'DENIED', 'RATE_LIMITED', 'UNAVAILABLE'];
  for (const [code, read] of statuses) if (refused.includes(code ?? '')) expect(read).toBe(code);
});

test('a fault of the server is a 500 that tells nothing of itself, and is reported', async () => {
  const seen: unknown[] = [];
  const fault = new TypeError('password is hunter2');
  const failed = serve(() => failing(fault), { onError: (error) => seen.push(error) });
  const response = await failed(ask('GET /v2/library/app/manifests/latest'));
  expect(await response.clone().text()).not.toContain('hunter2');
  expect(await problemOf(response)).toBe('500 UNKNOWN');
  expect(seen).toEqual([fault]);
});

test('a registry that does not know a repository says NAME_UNKNOWN', async () => {
  const closed = serve(({ name }) => {
    throw new RegistryError('NOT_FOUND', `No repository "${name}"`);
  });
  expect(await problemOf(await closed(ask('GET /v2/library/app/manifests/latest')))).toBe('404 NAME_UNKNOWN');
});

test('the registry is that of the option, or that of "ns" where it is one of those allowed, never the host asked', async () => {
  const asked: Repository[] = [];
  const registry = (repository: Repository) => {
    asked.push(repository);
    return memoryStore();
  };
  const path = '/v2/library/app/manifests/latest';
  await serve(registry)(ask(`GET ${path}?ns=ghcr.io`));
  await serve(registry, { registry: 'quay.io' })(ask(`GET ${path}`));
  const namespaces = ['ghcr.io:5000'];
  await serve(registry, { registry: 'quay.io', namespaces })(ask(`GET ${path}?ns=ghcr.io:5000`));
  await serve(registry, { registry: 'quay.io', namespaces })(ask(`GET ${path}?ns=10.0.0.1`));
  await serve(registry, { namespaces: () => true })(ask(`GET ${path}?ns=no/host`));
  await serve(registry, { namespaces: () => true })(ask(`GET ${path}?ns=ghcr.io`));
  expect(asked.map((repository) => repository.registry)).toEqual([
    'localhost',
    'quay.io',
    'ghcr.io:5000',
    'quay.io',
    'localhost',
    'ghcr.io',
  ]);
  expect(new Set(asked.map(({ name }) => name))).toEqual(new Set(['library/app']));
});

test('a read-only source is served, and writes are refused', async () => {
  const store = memoryStore();
  await fill(store);
  const readOnly = serve(() => ({ resolve: store.resolve, fetch: store.fetch }));
  expect(Buffer.compare(await bytesOf(await readOnly(ask(`GET ${blob}`))), large.bytes)).toBe(0);
  for (const line of ['POST /v2/a/blobs/uploads/', 'PUT /v2/a/manifests/latest']) {
    expect(await problemOf(await readOnly(ask(line)))).toBe('405 UNSUPPORTED');
  }
});

/** A source of one blob whose body is what `chunks` gives. */
function sourceOf(chunks: () => AsyncGenerator<Uint8Array>, size: number, onCancel: (reason: unknown) => void): Source {
  const descriptor = { ...large.descriptor, size };
  const cancel = async (reason?: unknown) => onCancel(reason);
  return {
    resolve: async () => descriptor,
    fetch: async () => ({ descriptor, from: 'here', body: { [Symbol.asyncIterator]: chunks, cancel } }),
  };
}

test('a body that ends too early is broken off, and one that goes on is cut at its length and cancelled', async () => {
  const two = async function* () {
    yield new Uint8Array(10);
    yield new Uint8Array(10);
  };
  const short = await serve(() => sourceOf(two, 21, () => undefined))(ask(`GET ${blob}`));
  await expect(short.arrayBuffer()).rejects.toMatchObject({ code: 'UNEXPECTED_END' });
  const endless = async function* () {
    for (;;) yield new Uint8Array(10);
  };
  for (const size of [5, 10, 15]) {
    let cancels = 0;
    const long = await serve(() => sourceOf(endless, size, () => cancels++))(ask(`GET ${blob}`));
    expect((await bytesOf(long)).length).toBe(size);
    expect(cancels).toBe(1);
  }
});

test('a body is read only when asked for, and cancelling the response cancels it, also unread', async () => {
  let reads = 0;
  const endless = async function* () {
    for (;;) yield new Uint8Array(++reads);
  };
  const reasons: unknown[] = [];
  const respond = serve(() => sourceOf(endless, 1_000_000, (reason) => reasons.push(reason)));
  const unread = await respond(ask(`GET ${blob}`));
  expect(reads).toBe(0);
  await unread.body?.cancel('not wanted');
  const reader = (await respond(ask(`GET ${blob}`))).body?.getReader();
  await reader?.read();
  // One chunk is held back, as it may be the last, and is not verified.
  expect(reads).toBe(2);
  await reader?.cancel('enough');
  expect(reasons).toEqual(['not wanted', 'enough']);
});

const put = (reference: string, body: Uint8Array, contentType = manifest.descriptor.mediaType) =>
  ask(`PUT /v2/new/app/manifests/${reference}`, { body: Buffer.from(body), headers: { 'content-type': contentType } });

test('a manifest is kept byte for byte, by tag and by digest', async () => {
  const { registry, store } = await filledRegistry();
  const push = serve(registry);
  await fill(store('new/app'), [config]);
  const { digest, mediaType } = manifest.descriptor;
  for (const reference of ['v1', digest]) {
    const response = await push(put(reference, manifest.bytes, `${mediaType}; charset=utf-8`));
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe(`/v2/new/app/manifests/${digest}`);
    expect(response.headers.get('docker-content-digest')).toBe(digest);
  }
  const back = await push(ask('GET /v2/new/app/manifests/v1'));
  expect(back.headers.get('content-type')).toBe(mediaType);
  expect(Buffer.from(await bytesOf(back))).toEqual(Buffer.from(manifest.bytes));
});

test('a manifest pushed by a sha512 digest is found by it', async () => {
  const { registry, store } = await filledRegistry();
  const push = serve(registry);
  await fill(store('new/app'), [config]);
  const { digest } = sampleOf(manifest.bytes, manifest.descriptor.mediaType, 'sha512').descriptor;
  expect((await push(put(digest, manifest.bytes))).headers.get('docker-content-digest')).toBe(digest);
  expect((await push(ask(`HEAD /v2/new/app/manifests/${digest}`))).status).toBe(200);
});

test('config and layers must be there, but not those that are kept elsewhere, a subject, or parts of an index', async () => {
  const { registry, store } = await filledRegistry();
  const push = serve(registry);
  const missing = { ...large.descriptor, digest: absent };
  const send = (document: object, mediaType = manifest.descriptor.mediaType) =>
    push(put('v1', new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, ...document })), mediaType));
  const foreign = 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip';
  expect(await problemOf(await send({ config: config.descriptor, layers: [] }))).toBe('404 MANIFEST_BLOB_UNKNOWN');
  await fill(store('new/app'), [config]);
  const layered = (layer: object) => send({ config: config.descriptor, layers: [{ ...missing, ...layer }] });
  expect(await problemOf(await layered({}))).toBe('404 MANIFEST_BLOB_UNKNOWN');
  expect((await layered({ urls: ['https://example.com/layer'] })).status).toBe(201);
  expect((await layered({ mediaType: foreign })).status).toBe(201);
  const subject = { ...missing, mediaType: manifest.descriptor.mediaType };
  expect((await send({ config: config.descriptor, layers: [], subject })).status).toBe(201);
  expect((await send({ manifests: [subject] }, 'application/vnd.oci.image.index.v1+json')).status).toBe(201);
});

test('a descriptor that is not needed may be one that nobody can read; one that is needed may not', async () => {
  const { registry, store } = await filledRegistry();
  await fill(store('new/app'), [config]);
  const push = serve(registry);
  const send = (document: object, mediaType = manifest.descriptor.mediaType) =>
    push(put('v1', new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, mediaType, ...document })), mediaType));
  const odd = { mediaType: 'text/plain', digest: 'md5:0', size: -1 };
  const entries = [odd, manifest.descriptor, {}, null, 7];
  const indexed = await send({ manifests: entries, subject: {} }, 'application/vnd.oci.image.index.v1+json');
  expect([indexed.status, indexed.headers.get('oci-subject')]).toEqual([201, null]);
  const back = await bytesOf(await push(ask('GET /v2/new/app/manifests/v1')));
  expect(parseIndex(back).manifests[1]).toEqual(manifest.descriptor);
  expect((await send({ config: config.descriptor, layers: [], subject: odd })).status).toBe(201);
  expect(await problemOf(await send({ config: config.descriptor, layers: [odd] }))).toBe('400 MANIFEST_INVALID');
  expect(await problemOf(await send({ config: odd, layers: [] }))).toBe('400 MANIFEST_INVALID');
});

const manifests: readonly [
  title: string,
  reference: string,
  bytes: Uint8Array,
  contentType: string,
  problem: string,
][] = [
  ['no JSON', 'v1', Buffer.from('{'), manifest.descriptor.mediaType, '400 MANIFEST_INVALID'],
  [
    'both forms',
    'v1',
    Buffer.from('{"schemaVersion":2,"manifests":[],"layers":[]}'),
    manifest.descriptor.mediaType,
    '400 MANIFEST_INVALID',
  ],
  [
    'another type',
    'v1',
    manifest.bytes,
    'application/vnd.docker.distribution.manifest.v2+json',
    '400 MANIFEST_INVALID',
  ],
  ['no manifest type', 'v1', manifest.bytes, 'application/json', '400 MANIFEST_INVALID'],
  ['no tag', '-v1', manifest.bytes, manifest.descriptor.mediaType, '400 MANIFEST_INVALID'],
  ['another digest', absent, manifest.bytes, manifest.descriptor.mediaType, '400 DIGEST_INVALID'],
  ['no digest', 'sha256:baddigeststring', manifest.bytes, manifest.descriptor.mediaType, '400 DIGEST_INVALID'],
  ['too many bytes', 'v1', new Uint8Array(2_000), manifest.descriptor.mediaType, '413 SIZE_INVALID'],
];
test.each(manifests)('a manifest of %s is refused, and nothing kept', async (_, reference, bytes, type, expected) => {
  const { registry, store } = await filledRegistry();
  await fill(store('new/app'), [config]);
  const errors: unknown[] = [];
  const onEvent = ({ error }: { readonly error?: unknown }): void => void errors.push(error);
  const push = serve(registry, { manifestBytes: 1_000, onEvent });
  expect(await problemOf(await push(put(reference, bytes, type)))).toBe(expected);
  if (expected.startsWith('413')) expect(errors).toMatchObject([{ code: 'TOO_LARGE', limit: 'manifestBytes' }]);
  await expect(store('new/app').resolve('v1')).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(store('new/app').resolve(manifest.descriptor.digest)).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('a warning that no header field can have is sent without what it cannot have', async () => {
  const { registry } = await filledRegistry();
  const warning = `服务不可用 ${'x'.repeat(400)}`;
  const warned: Registry = (repository) => {
    const source = registry(repository);
    return {
      fetch: (target, options) => source.fetch(target, options),
      resolve: (reference, options) => {
        options?.onWarning?.(warning, 'mirror', 110);
        return source.resolve(reference, options);
      },
    };
  };
  const response = await serve(warned)(ask('GET /v2/library/app/manifests/latest'));
  expect([response.status, response.headers.get('warning')]).toEqual([200, expect.stringMatching(/^110 - "\?+ x+/)]);
});

test('the response to an error of the store has no paths of this machine', async () => {
  const failing: Source = {
    resolve: async () => {
      throw new RegistryError('STORE_ERROR', 'Cannot read "/srv/secret/index.json": no permission');
    },
    fetch: async () => {
      throw new Error('never');
    },
  };
  const response = await serve(() => failing)(ask('GET /v2/library/app/manifests/latest'));
  expect(response.status).toBe(500);
  expect(await response.text()).not.toContain('secret');
});
