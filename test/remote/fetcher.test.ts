import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import { absent, samples } from '../contract/source.ts';
import { type Answer, chunked, createHosts, errorOf, refusal, sampleHost } from '../support/hosts.ts';

const { large, manifest, config, empty } = samples;
const root = 'https://origin.test/v2/app';

function fetcherOver(answers: Record<string, Answer>, options: ClientOptions = {}) {
  const hosts = createHosts(answers);
  const client = createClient({ transport: hosts.transport, retries: { tries: 1 }, ...options });
  return { ...hosts, client, fetcher: client.fetcher('origin.test/app') };
}

test('a digest alone is looked for among the blobs, then among the manifests; its size and type are learnt', async () => {
  const { fetcher, log, requests } = fetcherOver({
    'origin.test': async (request) =>
      request.url.includes('/blobs/') && request.url.includes(manifest.descriptor.digest)
        ? new Response(null, { status: 404 })
        : (await sampleHost())(request),
  });
  const blob = await fetcher.fetchByDigest(large.descriptor.digest);
  expect(blob.descriptor).toEqual(large.descriptor);
  expect(Buffer.compare(await blob.bytes(), large.bytes)).toBe(0);
  const document = await fetcher.fetchByDigest(manifest.descriptor.digest);
  expect(document.descriptor).toEqual(manifest.descriptor);
  expect(await document.json()).toMatchObject({ schemaVersion: 2 });
  expect([blob.verified, document.verified]).toEqual([true, true]);
  expect(log()).toEqual([
    `GET ${root}/blobs/${large.descriptor.digest}`,
    `GET ${root}/blobs/${manifest.descriptor.digest}`,
    `GET ${root}/manifests/${manifest.descriptor.digest}`,
  ]);
  expect(requests[1]?.headers.get('accept')).toContain('application/vnd.oci.image.index.v1+json');
});

test('a media type says where to look, and is the type of what is found', async () => {
  const { fetcher, log } = fetcherOver({ 'origin.test': await sampleHost() });
  const { mediaType, digest } = manifest.descriptor;
  expect((await fetcher.fetchByDigest(digest, { mediaType })).descriptor).toEqual(manifest.descriptor);
  const layer = 'application/vnd.oci.image.layer.v1.tar';
  const content = await fetcher.fetchByDigest(large.descriptor.digest, { mediaType: layer });
  expect(content.descriptor).toEqual({ ...large.descriptor, mediaType: layer });
  expect(log()).toEqual([`GET ${root}/manifests/${digest}`, `GET ${root}/blobs/${large.descriptor.digest}`]);
});

test('all hosts are asked for a blob before any is asked for a manifest; NOT_FOUND is what all say', async () => {
  const registries = { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } };
  const { fetcher, log } = fetcherOver(
    { 'mirror.test': refusal(404), 'origin.test': refusal(404) },
    { config: { registries } },
  );
  const error = await errorOf(fetcher.fetchByDigest(absent));
  expect(error).toMatchObject({ code: 'NOT_FOUND', attempts: { length: 4 } });
  expect(log().map((line) => line.replace(/\/sha256.*/, ''))).toEqual([
    'GET https://mirror.test/v2/app/blobs',
    `GET ${root}/blobs`,
    'GET https://mirror.test/v2/app/manifests',
    `GET ${root}/manifests`,
  ]);
});

const unsized: readonly [title: string, answer: Answer][] = [
  ['in chunks without a length', () => new Response(chunked(config.bytes.slice(0, 1), config.bytes.slice(1)))],
  [
    'encoded all the same, with the length of that',
    () => {
      const bytes = gzipSync(config.bytes);
      return new Response(bytes, { headers: { 'content-encoding': 'gzip', 'content-length': String(bytes.length) } });
    },
  ],
];
test.each(unsized)('an answer %s is counted', async (_, answer) => {
  const { fetcher, log } = fetcherOver({ 'origin.test': answer });
  const content = await fetcher.fetchByDigest(config.descriptor.digest);
  expect([content.size, content.descriptor.mediaType]).toEqual([2, 'application/octet-stream']);
  expect(await content.json()).toEqual({});
  expect([content.verified, log().length]).toEqual([true, 1]);
});

test('what is counted is bounded, and checked before its size is believed', async () => {
  const over = fetcherOver(
    { 'origin.test': () => new Response(chunked(new Uint8Array(60), new Uint8Array(60), 'stall')) },
    { limits: { manifestBytes: 100 } },
  );
  expect((await errorOf(over.fetcher.fetchByDigest(absent))).code).toBe('TOO_LARGE');
  const cut = fetcherOver({ 'origin.test': () => new Response(chunked(config.bytes.slice(0, 1))) });
  expect((await errorOf(cut.fetcher.fetchByDigest(config.descriptor.digest))).code).toBe('DIGEST_MISMATCH');
});

const page: Answer = () => new Response('<html>pay</html>', { headers: { 'content-type': 'text/html' } });
const plainPage: Answer = () =>
  new Response('please log in', { headers: { 'content-type': 'text/plain', 'content-length': '13' } });
test.each([
  ['HTML', page, 'BAD_RESPONSE'],
  ['text', plainPage, 'DIGEST_MISMATCH'],
])('a page of %s of a portal is not believed in its size: the next host is asked', async (_, answer, code) => {
  const registries = { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } };
  const answers = { 'mirror.test': answer, 'origin.test': await sampleHost() };
  const { fetcher, log } = fetcherOver(answers, { config: { registries } });
  const content = await fetcher.fetchByDigest(config.descriptor.digest);
  expect([content.size, await content.text(), content.verified]).toEqual([2, '{}', true]);
  expect([content.source, log().length]).toEqual(['https://origin.test/v2', 2]);
  const { fetcher: only } = fetcherOver({ 'origin.test': answer });
  const error = await errorOf(only.fetchByDigest(config.descriptor.digest));
  expect([error.code, error.host, error.attempts.length]).toEqual([code, 'origin.test', 1]);
  // A manifest behind the portal is found at the host that has it.
  expect((await fetcher.fetchByDigest(manifest.descriptor.digest)).size).toBe(manifest.descriptor.size);
});

test('a large blob of unknown length is requested again with the size from HEAD', async () => {
  const good = await sampleHost();
  const answer: Answer = async (request) =>
    request.method === 'GET' ? new Response((await good(request)).body) : good(request);
  const { fetcher, log } = fetcherOver({ 'origin.test': answer }, { limits: { manifestBytes: 1_000 } });
  const content = await fetcher.fetchByDigest(large.descriptor.digest);
  expect(content.descriptor).toEqual(large.descriptor);
  expect(Buffer.compare(await content.bytes(), large.bytes)).toBe(0);
  expect(log().map((line) => line.split(' ')[0])).toEqual(['GET', 'HEAD', 'GET']);
  const blind: Answer = (request) => (request.method === 'GET' ? answer(request) : new Response(null, { status: 405 }));
  const error = await errorOf(
    fetcherOver({ 'origin.test': blind }, { limits: { manifestBytes: 1_000 } }).fetcher.fetchByDigest(
      large.descriptor.digest,
    ),
  );
  expect([error.code, error.attempts.map(({ method }) => method)]).toEqual(['TOO_LARGE', ['GET', 'HEAD']]);
});

test('a single host that says "later" is asked for the blob again, and not for a manifest', async () => {
  const good = await sampleHost();
  let count = 0;
  const answer: Answer = (request) => {
    count += 1;
    return count === 1 ? new Response(null, { status: 503 }) : good(request);
  };
  const { fetcher, log } = fetcherOver({ 'origin.test': answer }, { retries: { tries: 3, backoff: 1 } });
  expect((await fetcher.fetchByDigest(large.descriptor.digest)).descriptor).toEqual(large.descriptor);
  expect(log().map((line) => line.split('/').at(-2))).toEqual(['blobs', 'blobs']);
  const down = fetcherOver({ 'origin.test': refusal(503) }, { retries: { tries: 3, backoff: 1 } });
  expect((await errorOf(down.fetcher.fetchByDigest(large.descriptor.digest))).code).toBe('UNAVAILABLE');
  expect(down.log().map((line) => line.split('/').at(-2))).toEqual(['blobs', 'blobs', 'blobs']);
});

test('a manifest is found by its digest behind a mirror that is down', async () => {
  const registries = { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } };
  const good = await sampleHost();
  const origin: Answer = (request) =>
    request.url.includes('/blobs/') ? new Response(null, { status: 404 }) : good(request);
  const answers = { 'mirror.test': refusal(503), 'origin.test': origin };
  const { fetcher } = fetcherOver(answers, { config: { registries } });
  expect((await fetcher.fetchByDigest(manifest.descriptor.digest)).descriptor).toEqual(manifest.descriptor);
});

test('what is no reference, digest or descriptor at all is refused by name, and nothing is sent', async () => {
  const { fetcher, log } = fetcherOver({ 'origin.test': await sampleHost() });
  for (const value of [undefined, null, 5, {}, []] as never[]) {
    expect((await errorOf(fetcher.resolve(value))).code).toBe('INVALID_REFERENCE');
    expect((await errorOf(fetcher.fetchByDigest(value))).code).toBe('INVALID_DIGEST');
    expect((await errorOf(fetcher.fetch(value))).code).toMatch(/^INVALID_/);
  }
  expect((await errorOf((fetcher.resolve as () => Promise<unknown>)())).message).toContain('"undefined"');
  expect(log()).toEqual([]);
});

test('the response is open when fetchByDigest returns: reading the whole needs no further request, reading a part does', async () => {
  const { fetcher, log } = fetcherOver({ 'origin.test': await sampleHost() });
  const whole = await fetcher.fetchByDigest(large.descriptor.digest);
  expect(whole.source).toBe('https://origin.test/v2');
  await whole.bytes();
  expect(log()).toHaveLength(1);
  const part = await fetcher.fetchByDigest(large.descriptor.digest);
  await part.seek(7);
  expect(Buffer.compare(await part.read(5), large.bytes.subarray(7, 12))).toBe(0);
  expect(log().at(-1)).toContain(`bytes=7-${large.bytes.length - 1}`);
});

/** A host whose body never ends, and whether it was told to stop. */
function endless() {
  const state = { cancelled: 0 };
  const answer: Answer = () => {
    const cancel = (): void => {
      state.cancelled += 1;
    };
    const pull = (controller: ReadableStreamDefaultController): void => controller.enqueue(new Uint8Array(10));
    const body = new ReadableStream({ pull, cancel }, { highWaterMark: 0 });
    return new Response(body, { headers: { 'content-length': '10000000' } });
  };
  return { state, answer };
}

test('an open response that nobody read ends with its signal, with the content, with the client, and with a stream of it', async () => {
  const { state, answer } = endless();
  const { fetcher, client } = fetcherOver({ 'origin.test': answer });
  const controller = new AbortController();
  await fetcher.fetchByDigest(absent, { signal: controller.signal });
  controller.abort(new Error('enough'));
  await expect.poll(() => state.cancelled).toBe(1);
  await (await fetcher.fetchByDigest(absent)).close();
  await expect.poll(() => state.cancelled).toBe(2);
  const streamed = await fetcher.fetchByDigest(absent);
  const stream = streamed.stream();
  await streamed.close();
  await expect.poll(() => state.cancelled).toBe(3);
  expect((await errorOf(new Response(stream).arrayBuffer())).code).toBe('CLOSED');
  await fetcher.fetchByDigest(absent);
  await client.close();
  await expect.poll(() => state.cancelled).toBe(4);
});

test('an open answer that breaks, or lies, is mended from another host', async () => {
  const registries = { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } };
  const length = { 'content-length': String(large.bytes.length) };
  const broken = () => new Response(chunked(large.bytes.slice(0, 1_000), 'break'), { headers: length });
  const lying = () =>
    new Response(
      large.bytes.map((byte) => byte ^ 1),
      { headers: length },
    );
  for (const answer of [broken, lying]) {
    const { fetcher } = fetcherOver(
      { 'mirror.test': answer, 'origin.test': await sampleHost() },
      { config: { registries } },
    );
    const content = await fetcher.fetchByDigest(large.descriptor.digest);
    expect(Buffer.compare(await content.bytes(), large.bytes)).toBe(0);
    expect([content.verified, content.source]).toEqual([true, 'https://origin.test/v2']);
  }
});

test('warnings come with the content that they came with, each once', async () => {
  const warning = '299 - "no longer free"';
  const texts: string[] = [];
  const onEvent = (event: { type: string; text?: string }) => event.type === 'warning' && texts.push(event.text ?? '');
  const answer: Answer = async (request) => {
    const response = await (await sampleHost())(request);
    response.headers.set('warning', warning);
    return response;
  };
  const { fetcher } = fetcherOver({ 'origin.test': answer }, { onEvent });
  const content = await fetcher.fetch(large.descriptor);
  expect(content.warnings).toEqual([]);
  await content.bytes();
  await content.bytes();
  expect([content.warnings, texts]).toEqual([['no longer free'], ['no longer free']]);
  expect((await fetcher.fetchByDigest(large.descriptor.digest)).warnings).toEqual(['no longer free']);
});

test('Docker schema 1 is refused by name, and nothing is sent', async () => {
  const { fetcher, log } = fetcherOver({ 'origin.test': await sampleHost() });
  const mediaType = 'application/vnd.docker.distribution.manifest.v1+prettyjws';
  for (const call of [
    fetcher.fetch({ ...large.descriptor, mediaType }),
    fetcher.fetchByDigest(absent, { mediaType }),
  ]) {
    const error = await errorOf(call);
    expect(error.code).toBe('UNSUPPORTED');
    expect(error.message).toContain('schema 1');
  }
  expect(log()).toEqual([]);
});

test('empty content is there where its host says so', async () => {
  const { fetcher, log } = fetcherOver({ 'origin.test': await sampleHost() });
  const content = await fetcher.fetchByDigest(empty.descriptor.digest);
  expect([content.size, await content.text(), content.verified]).toEqual([0, '', true]);
  expect(log()).toHaveLength(1);
});
