import { createHash } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../src/errors.ts';
import type { Config } from '../../src/index.ts';
import { manifestAccept, mediaTypes } from '../../src/oci/manifest.ts';
import { createClient } from '../../src/remote/client.ts';
import type { CallOptions } from '../../src/source.ts';
import { absent, sampleOf, samples } from '../contract/source.ts';
import { type Answer, chunked, createHosts, errorOf, refusal, sampleHost, text } from '../support/hosts.ts';

const { manifest, config } = samples;
const { digest, mediaType, size } = manifest.descriptor;
const base = 'https://origin.test/v2/app';
const mirrored: Config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };

const head = (headers: Record<string, string>): Response => new Response(null, { headers });
const good = { 'content-type': mediaType, 'docker-content-digest': digest, 'content-length': String(size) };

/** HEAD as given, GET the manifest with the given headers or body. */
const host =
  (onHead: () => Response, headers: Record<string, string> = { 'content-type': mediaType }, body?: BodyInit): Answer =>
  ({ method }) =>
    method === 'HEAD' ? onHead() : new Response(body ?? manifest.bytes.slice(), { headers });

async function resolving(answer: Answer, reference = 'origin.test/app', options = {}) {
  const hosts = createHosts({ 'origin.test': answer });
  const client = createClient({ transport: hosts.transport, retries: { tries: 1 }, ...options });
  return { ...hosts, client, resolved: await client.resolve(reference) };
}

test('a tag is resolved by one HEAD that names what it accepts, and asks for the plain length', async () => {
  const { resolved, log, requests } = await resolving(() =>
    head({ ...good, 'content-type': `${mediaType}; charset=utf-8` }),
  );
  expect(resolved.descriptor).toEqual({ mediaType, digest, size });
  expect(resolved.reference).toEqual({ registry: 'origin.test', name: 'app', tag: 'latest' });
  expect(log()).toEqual([`HEAD ${base}/manifests/latest`]);
  expect(requests[0]?.headers.get('accept')).toBe(manifestAccept);
  expect(manifestAccept.endsWith(', */*')).toBe(true);
  expect(requests[0]?.headers.get('accept-encoding')).toBe('identity');
});

const other = `sha512:${createHash('sha512').update(manifest.bytes).digest('hex')}`;
const without = (name: keyof typeof good) => Object.fromEntries(Object.entries(good).filter(([key]) => key !== name));
const fallbacks: readonly [title: string, onHead: () => Response][] = [
  ['405', () => new Response(null, { status: 405 })],
  ['403', () => new Response(null, { status: 403 })],
  ['501', () => new Response(null, { status: 501 })],
  ['no length', () => head(without('content-length'))],
  ['a length of nothing', () => head({ ...good, 'content-length': '0' })],
  ['no digest', () => head(without('docker-content-digest'))],
  ['a malformed digest', () => head({ ...good, 'docker-content-digest': 'sha256:abc' })],
  ['an unknown algorithm', () => head({ ...good, 'docker-content-digest': `md5:${'0'.repeat(32)}` })],
  ['another algorithm', () => head({ ...good, 'docker-content-digest': other })],
  ['no type', () => head(without('content-type'))],
  ['the type of HTML', () => head({ ...good, 'content-type': 'text/html' })],
  ['the length of an encoded answer', () => head({ ...good, 'content-encoding': 'gzip' })],
];
test.each(fallbacks)('HEAD with %s is followed by one GET, which is read and hashed', async (_, onHead) => {
  const { resolved, log } = await resolving(host(onHead));
  expect(resolved.descriptor).toEqual({ mediaType, digest, size });
  expect(log()).toEqual([`HEAD ${base}/manifests/latest`, `GET ${base}/manifests/latest`]);
});

test('what GET was read for is not downloaded again by the fetch that follows', async () => {
  const { client, resolved, log } = await resolving(host(() => new Response(null, { status: 405 })));
  const content = await client.fetcher('origin.test/app').fetch(resolved.descriptor);
  expect(Buffer.compare(await content.bytes(), manifest.bytes)).toBe(0);
  expect(content.verified).toBe(true);
  expect(log()).toHaveLength(2);
});

test('with content: true the document is read at once, and kept', async () => {
  const hosts = createHosts({ 'origin.test': await sampleHost() });
  const client = createClient({ transport: hosts.transport });
  const { descriptor } = await client.resolve('origin.test/app', { content: true });
  expect(descriptor).toMatchObject(manifest.descriptor);
  const content = await client.fetcher('origin.test/app').fetch(descriptor);
  const bytes = await content.bytes();
  expect([Buffer.compare(bytes, manifest.bytes), content.source]).toEqual([0, 'https://origin.test/v2']);
  // The bytes are the reader's own.
  bytes.fill(0);
  const again = await client.fetcher('origin.test/app').fetch(descriptor);
  expect(await again.json()).toMatchObject({ schemaVersion: 2 });
  const { from, request, endpoint } = await client.fetcher('origin.test/app').source.fetch(descriptor);
  expect([from, request, endpoint?.url]).toEqual([
    'https://origin.test/v2',
    `${base}/manifests/latest`,
    'https://origin.test/v2',
  ]);
  expect(hosts.log()).toEqual([`GET ${base}/manifests/latest`]);
});

test('a digest header that contradicts the body is DIGEST_MISMATCH', async () => {
  const answer = host(() => new Response(null, { status: 405 }), { ...good, 'docker-content-digest': absent });
  const error = await errorOf(resolving(answer));
  expect(error).toMatchObject({ code: 'DIGEST_MISMATCH', host: 'origin.test' });
  expect(error.message).toContain(absent);
});

test('a body that has not the digest asked for is DIGEST_MISMATCH, as is a HEAD that says so', async () => {
  for (const onHead of [() => new Response(null, { status: 405 }), () => head(good)]) {
    const error = await errorOf(resolving(host(onHead), `origin.test/app@${absent}`));
    expect(error.code).toBe('DIGEST_MISMATCH');
  }
});

test('what is wrong with a HEAD is an attempt of its host, also in the events', async () => {
  const events: { type: string; outcome?: string }[] = [];
  const onEvent = (event: { type: string }) => event.type === 'attempt' && events.push(event);
  const error = await errorOf(
    resolving(
      host(() => head(good)),
      `origin.test/app@${absent}`,
      { onEvent },
    ),
  );
  const expected = [{ host: 'origin.test', method: 'HEAD', outcome: 'DIGEST_MISMATCH' }];
  expect(error).toMatchObject({ code: 'DIGEST_MISMATCH', host: 'origin.test', attempts: expected });
  expect(events).toMatchObject(expected);
  const unsized: Answer = ({ url }) => new Response(null, { status: url.includes('/blobs/') ? 200 : 404 });
  const blob = await errorOf(resolving(unsized, `origin.test/app@${absent}`));
  expect(blob).toMatchObject({ code: 'BAD_RESPONSE', host: 'origin.test' });
  expect(blob.attempts.at(-1)).toMatchObject({ method: 'HEAD', outcome: 'BAD_RESPONSE' });
});

test('a tag that is not there is told with the hosts that have it not', async () => {
  const missing: Answer = (request) =>
    request.method === 'HEAD'
      ? new Response(null, { status: 404 })
      : refusal(404, 'MANIFEST_UNKNOWN', 'no such tag')(request);
  const answers = { 'mirror.test': missing, 'origin.test': missing };
  const hosts = createHosts(answers);
  const only = await errorOf(createClient({ transport: hosts.transport }).resolve('origin.test/app:1.9'));
  expect(only.message).toBe('Cannot resolve "origin.test/app:1.9": tag "1.9" is not at origin.test (status 404)');
  const client = createClient({ transport: hosts.transport, config: mirrored });
  expect((await errorOf(client.resolve('origin.test/app:1.9'))).message).toBe(
    'Cannot resolve "origin.test/app:1.9": tag "1.9" is not at mirror.test (status 404); tag "1.9" is not at origin.test (status 404)',
  );
  expect((await errorOf(client.resolve('origin.test/app:1.9', { content: true }))).message).toContain(
    'is not at origin.test (status 404, MANIFEST_UNKNOWN "no such tag")',
  );
});

test('what ends a resolving that waits tells what was tried', async () => {
  for (const [timeouts, code] of [
    [{ operation: 60 }, 'TIMEOUT'],
    [{}, 'ABORTED'],
  ] as const) {
    const { transport } = createHosts({ 'mirror.test': refusal(503), 'origin.test': () => new Promise(() => {}) });
    const client = createClient({ transport, config: mirrored, timeouts });
    const controller = new AbortController();
    const reason = new Error('enough');
    if (code === 'ABORTED') setTimeout(() => controller.abort(reason), 60);
    const error = await errorOf(client.resolve('origin.test/app', { signal: controller.signal }));
    expect([error.code, error.host]).toEqual([code, 'origin.test']);
    expect(error.attempts.map(({ host, outcome }) => `${host} ${outcome}`)).toEqual([
      'mirror.test UNAVAILABLE',
      `origin.test ${code}`,
    ]);
    if (code === 'ABORTED') expect(error.cause).toBe(reason);
  }
});

test.each([
  ['HEAD', host(() => head({ ...good, 'content-length': '101' }))],
  ['GET', host(() => head(without('content-length')), good, new Uint8Array(101))],
  [
    'GET in chunks',
    host(() => head({}), { 'content-type': mediaType }, chunked(new Uint8Array(60), new Uint8Array(60), 'stall')),
  ],
] as const)('a manifest over the limit is TOO_LARGE by %s, and the rest is not read', async (_, answer) => {
  const error = await errorOf(resolving(answer, 'origin.test/app', { limits: { manifestBytes: 100 } }));
  expect(error.code).toBe('TOO_LARGE');
  expect(error.message).toContain('100');
});

test('without an option the limit is 4 MiB', async () => {
  const length = (bytes: number) => host(() => head({ ...good, 'content-length': String(bytes) }));
  expect((await resolving(length(4_194_304))).resolved.descriptor.size).toBe(4_194_304);
  expect((await errorOf(resolving(length(4_194_305)))).code).toBe('TOO_LARGE');
});

const layer = config.descriptor;
const document = (fields: object): Uint8Array => text(JSON.stringify({ schemaVersion: 2, ...fields }));
const bad: readonly [title: string, type: string, body: Uint8Array, code: ErrorCode, told: string][] = [
  ['HTML', 'text/html; charset=utf-8', text('<html>log in</html>'), 'BAD_RESPONSE', 'HTML'],
  ['HTML that says it is a manifest', mediaType, text('<!DOCTYPE html>'), 'BAD_RESPONSE', 'HTML'],
  ['an empty body', mediaType, text(''), 'BAD_RESPONSE', 'empty'],
  ['no JSON', mediaType, text('{'), 'BAD_RESPONSE', 'JSON'],
  ['manifests and layers', mediaTypes.ociIndex, document({ manifests: [], layers: [] }), 'BAD_RESPONSE', 'both'],
  ['manifests and config', mediaTypes.ociIndex, document({ manifests: [], config: layer }), 'BAD_RESPONSE', 'both'],
  [
    'a type that contradicts its header',
    mediaType,
    document({ mediaType: mediaTypes.ociIndex, manifests: [] }),
    'BAD_RESPONSE',
    'mediaType',
  ],
  ['an index under the header of a manifest', mediaType, document({ manifests: [] }), 'BAD_RESPONSE', 'manifests'],
  [
    'schema 1',
    'application/vnd.docker.distribution.manifest.v1+prettyjws',
    text('{"schemaVersion":1}'),
    'UNSUPPORTED',
    'schema 1',
  ],
  [
    'schema 1 without its type',
    'application/json',
    text('{"schemaVersion":1,"fsLayers":[]}'),
    'UNSUPPORTED',
    'schema 1',
  ],
];
test.each(bad)('%s is refused, and the next host is asked', async (_, type, body, code, told) => {
  const refusing = host(
    () => new Response(null, { status: 405 }),
    { 'content-type': type },
    body as Uint8Array<ArrayBuffer>,
  );
  const error = await errorOf(resolving(refusing));
  expect(error.code).toBe(code);
  expect(error.message).toContain(told);
  const { transport } = createHosts({ 'mirror.test': refusing, 'origin.test': () => head(good) });
  const client = createClient({ transport, config: mirrored });
  expect((await client.resolve('origin.test/app')).descriptor.digest).toBe(digest);
});

test('tag and digest: the digest decides, and any host that may pull is asked', async () => {
  const hosts = createHosts({ 'mirror.test': await sampleHost(), 'origin.test': refusal(500) });
  const mirrors = [{ url: 'https://mirror.test', capabilities: ['pull' as const] }];
  const client = createClient({ transport: hosts.transport, config: { registries: { 'origin.test': { mirrors } } } });
  const { descriptor } = await client.resolve(`origin.test/app:other@${digest}`);
  expect(descriptor).toEqual(manifest.descriptor);
  expect(hosts.log()).toEqual([`HEAD https://mirror.test/v2/app/manifests/${digest}?ns=origin.test`]);
});

test('a tag is resolved only by hosts that are trusted to', async () => {
  const hosts = createHosts({ 'mirror.test': await sampleHost(), 'origin.test': refusal(404) });
  const mirrors = [{ url: 'https://mirror.test', capabilities: ['pull' as const] }];
  const client = createClient({ transport: hosts.transport, config: { registries: { 'origin.test': { mirrors } } } });
  expect((await errorOf(client.resolve('origin.test/app'))).code).toBe('NOT_FOUND');
  expect(hosts.log()).toEqual([`HEAD ${base}/manifests/latest`]);
  const mirrorOnly = { registries: { 'origin.test': { mirrors, origin: 'never' as const } } };
  const error = await errorOf(
    createClient({ transport: hosts.transport, config: mirrorOnly }).resolve('origin.test/app'),
  );
  expect(error.code).toBe('NO_HOSTS');
  expect(error.message).toContain('resolve');
});

test('a digest that is no manifest is looked for among the blobs', async () => {
  const { resolved, log } = await resolving(await sampleHost(), `origin.test/app@${config.descriptor.digest}`);
  expect(resolved.descriptor).toEqual({ ...config.descriptor, mediaType: 'application/octet-stream' });
  expect(log().map((line) => line.replace(/sha256.*/, ''))).toEqual([`HEAD ${base}/manifests/`, `HEAD ${base}/blobs/`]);
});

test('a 404 to a tag is not asked again by GET; the message of a 403 is', async () => {
  const missing = createHosts({ 'origin.test': refusal(404, 'MANIFEST_UNKNOWN') });
  const gone = await errorOf(createClient({ transport: missing.transport }).resolve('origin.test/app'));
  expect([gone.code, missing.log().length]).toEqual(['NOT_FOUND', 1]);
  const denying = createHosts({ 'origin.test': refusal(403, 'DENIED', 'pay first') });
  const error = await errorOf(createClient({ transport: denying.transport }).resolve('origin.test/app'));
  expect(error).toMatchObject({ code: 'DENIED', status: 403, registryErrors: ['DENIED'] });
  expect(error.message).toContain('pay first');
});

test.each([
  ['120', 'status 429, asks to wait 120 s'],
  [new Date(Date.now() + 90_500).toUTCString(), /status 429, asks to wait (?:8\d|9[01]) s/],
  ['soon', /status 429$/],
])('a host that says when to come again (Retry-After: %s) is quoted', async (field, told) => {
  const answer = () => new Response(null, { status: 429, headers: { 'retry-after': field } });
  const error = await errorOf(resolving(answer, 'origin.test/app', { timeouts: { retryAfter: 1 } }));
  expect(error.code).toBe('RATE_LIMITED');
  expect(error.message).toMatch(told);
});

test('warnings are told once each, in the result and as events', async () => {
  const warning = '299 - "end of \\"life\\"", 299 - "second"';
  const texts: string[] = [];
  const answer: Answer = ({ method }) =>
    method === 'HEAD'
      ? new Response(null, { status: 405, headers: { warning } })
      : new Response(manifest.bytes.slice(), { headers: { 'content-type': mediaType, warning } });
  const onEvent = (event: { type: string; text?: string }) => event.type === 'warning' && texts.push(event.text ?? '');
  const { resolved } = await resolving(answer, 'origin.test/app', { onEvent });
  expect(resolved.warnings).toEqual(['end of "life"', 'second']);
  expect(texts).toEqual(['end of "life"', 'second']);
});

test('manifests of Docker and indexes of both kinds are resolved as what they are', async () => {
  for (const type of [mediaTypes.dockerManifest, mediaTypes.dockerList, mediaTypes.ociIndex]) {
    const fields = type === mediaTypes.dockerManifest ? { config: layer, layers: [layer] } : { manifests: [layer] };
    const sample = { ...sampleOf(document({ mediaType: type, ...fields }), type), tag: 'latest' };
    const hosts = createHosts({ 'origin.test': await sampleHost([sample]) });
    const client = createClient({ transport: hosts.transport });
    for (const content of [false, true]) {
      expect((await client.resolve('origin.test/app', { content })).descriptor).toEqual(sample.descriptor);
    }
  }
});

const untyped = sampleOf(
  text(JSON.stringify({ schemaVersion: 2, config: config.descriptor, layers: null })),
  mediaTypes.ociManifest,
);
test.each(['application/json', 'text/plain; charset=utf-8', 'application/octet-stream', ''])(
  'a manifest without a mediaType that is served as "%s" is known by what it holds',
  async (type) => {
    const headers: Record<string, string> = type === '' ? {} : { 'content-type': type };
    const body = new Blob([untyped.bytes.slice()]);
    const answer: Answer = ({ method }) => new Response(method === 'HEAD' ? null : body.stream(), { headers });
    expect((await resolving(answer)).resolved.descriptor).toEqual(untyped.descriptor);
  },
);

test('the manifest of another artifact has its own type, and is fetched as it was read', async () => {
  const type = 'application/vnd.oci.artifact.manifest.v1+json';
  const artifact = sampleOf(text(JSON.stringify({ mediaType: type, blobs: [] })), type);
  const { client, resolved, log } = await resolving(
    host(() => head({ 'content-type': type }), { 'content-type': type }, artifact.bytes.slice()),
  );
  expect(resolved.descriptor).toEqual(artifact.descriptor);
  await using content = await client.fetcher('origin.test/app').fetch(resolved.descriptor);
  expect(await content.bytes()).toEqual(artifact.bytes);
  expect(log()).toEqual([`HEAD ${base}/manifests/latest`, `GET ${base}/manifests/latest`]);
  const { memoryStore } = await import('../../src/store/memory.ts');
  const refused = await errorOf(client.pull('origin.test/app', { to: memoryStore() }));
  expect(refused).toMatchObject({ code: 'UNSUPPORTED', found: expect.stringContaining(type) });
});

describe('a tag that was resolved before', () => {
  const etag = '"one"';
  const from = 'https://origin.test/v2';
  const known = { descriptor: { mediaType, digest, size }, validator: { etag, from } };
  const answer: Answer = ({ method, headers }) => {
    if (headers.get('if-none-match') === etag) return new Response(null, { status: 304 });
    return new Response(method === 'HEAD' ? null : manifest.bytes.slice(), { headers: { ...good, etag } });
  };
  const asking = (options: CallOptions = {}, given = answer) => {
    const hosts = createHosts({ 'origin.test': given });
    const client = createClient({ transport: hosts.transport, retries: { tries: 1 } });
    const validators: unknown[] = [];
    const onValidator: CallOptions['onValidator'] = (validator) => validators.push(validator);
    const resolved = client.fetcher('origin.test/app').source.resolve('latest', { onValidator, ...options });
    return { ...hosts, resolved, validators };
  };

  test.each([true, false])('has the validator that its host gave (content: %s)', async (content) => {
    const { resolved, validators } = asking({ content });
    expect(await resolved).toEqual(known.descriptor);
    expect(validators).toEqual([known.validator]);
  });

  test.each([true, false])(
    'is what it was if its host says that nothing has changed (content: %s)',
    async (content) => {
      const { resolved, requests, validators } = asking({ content, known });
      expect(await resolved).toEqual(known.descriptor);
      expect(requests.map(({ headers }) => headers.get('if-none-match'))).toEqual([etag]);
      expect(validators).toEqual([known.validator]);
    },
  );

  test('is asked for without the validator of another host', async () => {
    const elsewhere = { ...known, validator: { etag, from: 'https://mirror.test/v2' } };
    const { resolved, requests } = asking({ known: elsewhere });
    await resolved;
    expect(requests.map(({ headers }) => headers.get('if-none-match'))).toEqual([null]);
  });

  test('is not what it was if its host says so without having been asked', async () => {
    const { resolved } = asking({}, () => new Response(null, { status: 304 }));
    await expect(resolved).rejects.toMatchObject({ code: 'BAD_RESPONSE' });
  });
});

test('what is probably a blob is looked for there first, and may be a manifest', async () => {
  const hosts = createHosts({ 'origin.test': await sampleHost() });
  const { source } = createClient({ transport: hosts.transport }).fetcher('origin.test/app');
  expect(await source.resolve(config.descriptor.digest, { kind: 'blobs' })).toMatchObject({ size: 2 });
  expect(hosts.log()).toEqual([`HEAD ${base}/blobs/${config.descriptor.digest}`]);
  expect(await source.resolve(digest, { kind: 'blobs' })).toMatchObject({ size });
});
