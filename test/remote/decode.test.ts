import { createHash } from 'node:crypto';
import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import type { Codecs } from '../../src/codec/codec.ts';
import { portableCodecs } from '../../src/codec/portable.ts';
import { createClient } from '../../src/remote/client.ts';
import { parseEncodings } from '../../src/remote/response.ts';
import { sampleOf } from '../contract/source.ts';
import { type Answer, chunked, createHosts, errorOf, sampleHost } from '../support/hosts.ts';
import { raw, rle, zstdFrame } from '../support/zstd-frames.ts';

const content = sampleOf(Uint8Array.from({ length: 100_003 }, (_, index) => (index >> 6) & 255));
const { bytes } = content;
const zstd = (input: Uint8Array): Uint8Array => {
  const blocks = [];
  for (let at = 0; at < input.length; at += 100_000) blocks.push(raw(input.subarray(at, at + 100_000)));
  return zstdFrame({ blocks, checksumOf: input });
};
const encoders: Readonly<Record<string, (input: Uint8Array) => Uint8Array>> = {
  gzip: (input) => gzipSync(input),
  'x-gzip': (input) => gzipSync(input),
  deflate: (input) => deflateSync(input),
  'deflate, raw': (input) => deflateRawSync(input),
  zstd,
};
const encoded =
  (field: string, body: BodyInit): Answer =>
  ({ headers }) =>
    headers.get('accept-encoding') === 'identity'
      ? new Response(null, { status: 500 })
      : new Response(body, { headers: { 'content-encoding': field } });

async function reading(answers: Record<string, Answer>, { descriptor } = content, codecs?: Codecs) {
  const hosts = createHosts(answers);
  const config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };
  const client = createClient({ transport: hosts.transport, config, codecs, retries: { tries: 1 } });
  return { ...hosts, content: await client.fetcher('origin.test/app').fetch(descriptor) };
}

const body = (input: Uint8Array): BodyInit => input as Uint8Array<ArrayBuffer>;
const chains: readonly [field: string, body: Uint8Array][] = [
  ...Object.entries(encoders).map(([name, encode]): [string, Uint8Array] => [name.replace(', raw', ''), encode(bytes)]),
  ['GZip', gzipSync(bytes)],
  ['identity', bytes],
  [' , identity,, gzip ,', gzipSync(bytes)],
  ['gzip, zstd', zstd(gzipSync(bytes))],
  ['zstd, gzip', gzipSync(zstd(bytes))],
  ['deflate,gzip,zstd', zstd(gzipSync(deflateSync(bytes)))],
  ['gzip, gzip, gzip', gzipSync(gzipSync(gzipSync(bytes)))],
  ['gzip', Buffer.concat([gzipSync(bytes.subarray(0, 10)), gzipSync(bytes.subarray(10))])],
  ['zstd', Buffer.concat([zstd(bytes.subarray(0, 10)), zstd(bytes.subarray(10))])],
];
test.each(chains)('content encoding "%s" is decoded, and the result is verified', async (field, sent) => {
  const { content: read, log } = await reading({ 'mirror.test': encoded(field, body(sent)) });
  expect(Buffer.compare(await read.bytes(), bytes)).toBe(0);
  expect([read.verified, log().length]).toEqual([true, 1]);
});

test.each([
  ['br', 'no decoder'],
  ['gzip, unheard-of', 'unheard-of'],
  ['gzip, gzip, gzip, gzip', 'at most 3'],
  ['constructor', 'constructor'],
])('content encoding "%s" is UNSUPPORTED_ENCODING for that host, and the next is tried', async (field, told) => {
  const refusing = encoded(field, 'x');
  const { content: alone } = await reading({ 'mirror.test': refusing });
  const error = await errorOf(alone.bytes());
  expect(error.code).toBe('UNSUPPORTED_ENCODING');
  expect(error.message).toContain(told);
  const { content: read } = await reading({ 'mirror.test': refusing, 'origin.test': await sampleHost([content]) });
  expect(Buffer.compare(await read.bytes(), bytes)).toBe(0);
});

test('a list of encodings is read in the order in which they were applied', () => {
  expect(parseEncodings('GZIP ,x-gzip, identity,, zstd')).toEqual(['gzip', 'gzip', 'zstd']);
  expect(parseEncodings(undefined)).toEqual([]);
});

test.each([
  ['cut', gzipSync(bytes).subarray(0, -20)],
  ['damaged', gzipSync(bytes).map((byte, index, all) => (index === all.length - 8 ? byte ^ 1 : byte))],
  ['of no gzip at all', bytes],
])('an encoded body that is %s is resumed as identity, from where it broke', async (_, sent) => {
  const { content: read, requests } = await reading({
    'mirror.test': encoded('gzip', chunked(sent.subarray(0, 100), sent.subarray(100))),
    'origin.test': await sampleHost([content]),
  });
  expect(Buffer.compare(await read.bytes(), bytes)).toBe(0);
  expect(read.verified).toBe(true);
  for (const { headers } of requests.slice(1)) {
    expect(headers.get('accept-encoding')).toBe('identity');
    expect(headers.get('range')).toMatch(/^bytes=\d+-100002$/);
  }
});

const gibibyte = 1_073_741_824;
/** A frame of a few kilobytes that is a gibibyte of zeros. */
const zstdBomb = (): Uint8Array =>
  zstdFrame({ blocks: Array.from({ length: gibibyte / 131_072 }, () => rle(0, 131_072)) });
/** Members that are each a mebibyte of zeros, without an end. */
const gzipBomb = (): ReadableStream<Uint8Array> => {
  const member = gzipSync(new Uint8Array(1_048_576));
  return new ReadableStream({ pull: (controller) => controller.enqueue(member.slice()) }, { highWaterMark: 0 });
};
test.each([
  ['zstd', () => body(zstdBomb())],
  ['gzip', gzipBomb],
  ['gzip, zstd', () => body(zstdBomb())],
])('a bomb of "%s" is stopped at the size that was claimed, and takes no memory', async (field, sent) => {
  const before = process.memoryUsage();
  let most = 0;
  const timer = setInterval(() => {
    const { rss } = process.memoryUsage();
    most = Math.max(most, rss - before.rss);
  }, 1);
  const { content: read } = await reading(
    { 'mirror.test': encoded(field, sent()) },
    sampleOf(new Uint8Array(5_000_000)),
  );
  const error = await errorOf(read.bytes());
  clearInterval(timer);
  // What a zstd bomb is below a gzip coding is no gzip at all.
  expect(error.code).toBe(field === 'gzip, zstd' ? 'DECODE_ERROR' : 'TOO_LARGE');
  expect(most).toBeLessThan(150_000_000);
});

test('codecs of the user come first, and are offered', async () => {
  const own: Codecs = {
    reversed: async function* (input) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of input) chunks.push(chunk);
      yield Buffer.concat(chunks).reverse();
    },
  };
  const { content: read, requests } = await reading(
    { 'mirror.test': encoded('Reversed, gzip', body(gzipSync(bytes.slice().reverse()))) },
    content,
    own,
  );
  expect(Buffer.compare(await read.bytes(), bytes)).toBe(0);
  expect(requests[0]?.headers.get('accept-encoding')).toBe('reversed, zstd, gzip, deflate');
  const portable = await reading({ 'mirror.test': encoded('zstd', body(zstd(bytes))) }, content, portableCodecs);
  expect(Buffer.compare(await portable.content.bytes(), bytes)).toBe(0);
  expect(portable.requests[0]?.headers.get('accept-encoding')).toBe('zstd, gzip, deflate');
});

test('a manifest that comes encoded is hashed decoded, and bounded decoded', async () => {
  const manifest = new TextEncoder().encode(JSON.stringify({ schemaVersion: 2, manifests: [] }));
  const type = 'application/vnd.oci.image.index.v1+json';
  const answer: Answer = ({ method }) =>
    method === 'HEAD'
      ? new Response(null, { status: 405 })
      : new Response(gzipSync(manifest), { headers: { 'content-encoding': 'gzip', 'content-type': type } });
  const hosts = createHosts({ 'origin.test': answer });
  const over = (limits: { manifestBytes?: number }) =>
    createClient({ transport: hosts.transport, limits }).resolve('origin.test/app');
  const digest = `sha256:${createHash('sha256').update(manifest).digest('hex')}`;
  expect((await over({})).descriptor).toEqual({ mediaType: type, digest, size: manifest.length });
  expect((await errorOf(over({ manifestBytes: manifest.length - 1 }))).code).toBe('TOO_LARGE');
});
