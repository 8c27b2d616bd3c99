import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { layoutRegistry } from '../../../src/registry/layout-registry.ts';
import type { Handler } from '../../../src/server/registry/exchange.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import type { ServeOptions } from '../../../src/server/registry/serve-options.ts';
import type { Store, Uploads } from '../../../src/source.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { absent, samples } from '../../contract/source.ts';
import { ask, bytesOf, filledRegistry, problemOf } from '../support.ts';

const { large } = samples;
const uploads = '/v2/new/app/blobs/uploads/';
const digestOf = (bytes: Uint8Array) => `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const;
const octets = { 'content-type': 'application/octet-stream' };

async function server(options: ServeOptions = {}): Promise<Handler> {
  return serve((await filledRegistry()).registry, options);
}

async function begin(handler: Handler): Promise<string> {
  const response = await handler(ask(`POST ${uploads}`));
  expect([response.status, response.headers.get('range')]).toEqual([202, '0-0']);
  return response.headers.get('location') ?? '';
}

/** `told` bytes are what Content-Length says; nothing when left out. */
const send = (line: string, bytes: Uint8Array, headers: Record<string, string> = {}, told?: number): Request =>
  ask(line, {
    body: Buffer.from(bytes),
    headers: { ...octets, ...(told !== undefined && { 'content-length': String(told) }), ...headers },
  });

const blobOf = async (handler: Handler, digest: string) =>
  bytesOf(await handler(ask(`GET /v2/new/app/blobs/${digest}`)));

test('bytes cut anywhere, told or not where they belong, with or without a last piece, arrive as they are', async () => {
  const handler = await server();
  const piece = fc.record({
    bytes: fc.uint8Array({ maxLength: 300 }),
    isPlaced: fc.boolean(),
    isMeasured: fc.boolean(),
    asksFirst: fc.boolean(),
  });
  const run = async (pieces: Parameters<typeof transfer>[1], last: Uint8Array, isMeasured: boolean) => {
    const whole = Buffer.concat([...pieces.map(({ bytes }) => bytes), last]);
    const location = await transfer(handler, pieces);
    const digest = digestOf(whole);
    const told = isMeasured ? last.length : undefined;
    const response = await handler(send(`PUT ${location}?digest=${digest}`, last, {}, told));
    expect(response.status).toBe(201);
    expect(response.headers.get('location')).toBe(`/v2/new/app/blobs/${digest}`);
    expect(response.headers.get('docker-content-digest')).toBe(digest);
    expect(Buffer.from(await blobOf(handler, digest))).toEqual(whole);
    expect(await problemOf(await handler(ask(`GET ${location}`)))).toBe('404 BLOB_UPLOAD_UNKNOWN');
  };
  const property = fc.asyncProperty(
    fc.array(piece, { maxLength: 6 }),
    fc.uint8Array({ maxLength: 300 }),
    fc.boolean(),
    run,
  );
  await fc.assert(property, { numRuns: 60 });
});

/** Sends the pieces one by one, looking at what the server says of itself after each. */
async function transfer(
  handler: Handler,
  pieces: readonly { bytes: Uint8Array; isPlaced: boolean; isMeasured: boolean; asksFirst: boolean }[],
): Promise<string> {
  let location = await begin(handler);
  let size = 0;
  for (const { bytes, isPlaced, isMeasured, asksFirst } of pieces) {
    if (asksFirst) {
      const status = await handler(ask(`GET ${location}`));
      expect([status.status, status.headers.get('range')]).toEqual([204, `0-${Math.max(0, size - 1)}`]);
    }
    const place = isPlaced && bytes.length > 0 ? { 'content-range': `${size}-${size + bytes.length - 1}` } : {};
    const told = isMeasured ? bytes.length : undefined;
    const response = await handler(send(`PATCH ${location}`, bytes, place, told));
    size += bytes.length;
    expect([response.status, response.headers.get('range')]).toEqual([202, `0-${Math.max(0, size - 1)}`]);
    location = response.headers.get('location') ?? '';
  }
  return location;
}

const misplaced: readonly [contentRange: string, problem: string][] = [
  ['11-15', '416 RANGE_INVALID'],
  ['9-13', '416 RANGE_INVALID'],
  ['0-4', '416 RANGE_INVALID'],
  ['bytes 10-14/15', '416 RANGE_INVALID'],
  ['10-', '416 RANGE_INVALID'],
  ['10-15', '400 SIZE_INVALID'],
  ['10-9', '400 SIZE_INVALID'],
];
test.each(misplaced)('a chunk for "%s" after ten bytes is %s, and the upload is as it was', async (place, expected) => {
  const handler = await server();
  const location = await begin(handler);
  await handler(send(`PATCH ${location}`, large.bytes.subarray(0, 10)));
  const chunk = large.bytes.subarray(10, 15);
  const digest = digestOf(large.bytes.subarray(0, 15));
  for (const told of [undefined, 5]) {
    const response = await handler(send(`PATCH ${location}`, chunk, { 'content-range': place }, told));
    if (response.status === 416) {
      expect([response.headers.get('range'), response.headers.get('location')]).toEqual(['0-9', location]);
    }
    expect(await problemOf(response)).toBe(expected);
  }
  const put = await handler(send(`PUT ${location}?digest=${digest}`, chunk, { 'content-range': place }, 5));
  expect(await problemOf(put)).toBe(expected);
  expect((await handler(send(`PUT ${location}?digest=${digest}`, chunk, { 'content-range': '10-14' }))).status).toBe(
    201,
  );
});

test('a blob comes in one POST, and in one PUT, of told length or not', async () => {
  const { bytes, descriptor } = large;
  for (const told of [undefined, bytes.length]) {
    const handler = await server();
    const posted = await handler(send(`POST ${uploads}?digest=${descriptor.digest}`, bytes, {}, told));
    expect([posted.status, posted.headers.get('location')]).toEqual([201, `/v2/new/app/blobs/${descriptor.digest}`]);
    const location = await begin(handler);
    expect((await handler(send(`PUT ${location}?digest=${descriptor.digest}`, bytes, {}, told))).status).toBe(201);
    expect(Buffer.compare(await blobOf(handler, descriptor.digest), bytes)).toBe(0);
  }
});

test('an empty blob, and one by sha512, can be uploaded', async () => {
  const handler = await server();
  for (const { descriptor, bytes } of [samples.empty, samples.wide]) {
    const location = await begin(handler);
    if (bytes.length > 0) await handler(send(`PATCH ${location}`, bytes));
    expect((await handler(ask(`PUT ${location}?digest=${descriptor.digest}`))).status).toBe(201);
    expect((await handler(ask(`HEAD /v2/new/app/blobs/${descriptor.digest}`))).status).toBe(200);
  }
});

test('bytes of another digest are DIGEST_INVALID, not kept, and the upload is over', async () => {
  const handler = await server();
  const location = await begin(handler);
  await handler(send(`PATCH ${location}`, large.bytes));
  expect(await problemOf(await handler(ask(`PUT ${location}?digest=${absent}`)))).toBe('400 DIGEST_INVALID');
  expect((await handler(ask(`HEAD /v2/new/app/blobs/${absent}`))).status).toBe(404);
  expect(await problemOf(await handler(ask(`GET ${location}`)))).toBe('404 BLOB_UPLOAD_UNKNOWN');
  const posted = await handler(send(`POST ${uploads}?digest=${absent}`, large.bytes));
  expect(await problemOf(posted)).toBe('400 DIGEST_INVALID');
});

test('wrong bytes of a blob that is here already are wrong, whatever the store reads', async () => {
  const { descriptor, bytes } = large;
  const directory = await mkdtemp(join(tmpdir(), 'ocifetch-uploads-'));
  const handler = serve(layoutRegistry(directory));
  const line = `POST ${uploads}?digest=${descriptor.digest}`;
  const wrong = bytes.slice();
  wrong[5] = 1 + (wrong[5] ?? 0);
  const answer = async (sent: Uint8Array) => (await handler(send(line, sent, {}, sent.length))).status;
  expect([await answer(bytes), await answer(bytes), await answer(wrong), await answer(bytes)]).toEqual([
    201, 201, 400, 201,
  ]);
  expect(await problemOf(await handler(send(line, bytes.subarray(1), {}, bytes.length)))).toBe('400 SIZE_INVALID');
  expect(Buffer.compare(await blobOf(handler, descriptor.digest), bytes)).toBe(0);
  await rm(directory, { recursive: true });
});

test('a digest that is missing or none is DIGEST_INVALID, and the upload goes on', async () => {
  const handler = await server();
  const location = await begin(handler);
  for (const query of ['', '?digest=', '?digest=sha256:fake', '?digest=md5:d41d8cd98f00b204e9800998ecf8427e']) {
    expect(await problemOf(await handler(ask(`PUT ${location}${query}`)))).toBe('400 DIGEST_INVALID');
  }
  expect((await handler(ask(`GET ${location}`))).status).toBe(204);
});

test('more or fewer bytes than Content-Length tells are SIZE_INVALID', async () => {
  const handler = await server();
  const { bytes, descriptor } = large;
  const line = `POST ${uploads}?digest=${descriptor.digest}`;
  expect(await problemOf(await handler(send(line, bytes, {}, bytes.length - 1)))).toBe('413 SIZE_INVALID');
  expect(await problemOf(await handler(send(line, bytes, {}, bytes.length + 1)))).toBe('400 SIZE_INVALID');
});

test('an upload that is cancelled is gone, and one of another repository was never there', async () => {
  const handler = await server();
  const location = await begin(handler);
  const elsewhere = location.replace('/new/app/', '/library/app/');
  expect(await problemOf(await handler(send(`PATCH ${elsewhere}`, large.bytes)))).toBe('404 BLOB_UPLOAD_UNKNOWN');
  expect((await handler(ask(`DELETE ${location}`))).status).toBe(204);
  for (const method of ['GET', 'PATCH', 'PUT', 'DELETE']) {
    expect(await problemOf(await handler(ask(`${method} ${location}`)))).toBe('404 BLOB_UPLOAD_UNKNOWN');
  }
});

test('a blob has so many bytes and no more, whether its length is told or not', async () => {
  const handler = await server({ uploadBytes: 1_000 });
  const location = await begin(handler);
  expect((await handler(send(`PATCH ${location}`, new Uint8Array(600)))).status).toBe(202);
  expect(await problemOf(await handler(send(`PATCH ${location}`, new Uint8Array(401))))).toBe('413 SIZE_INVALID');
  expect((await handler(send(`PATCH ${location}`, new Uint8Array(400)))).headers.get('range')).toBe('0-999');
  const { bytes, descriptor } = large;
  const line = `POST ${uploads}?digest=${descriptor.digest}`;
  expect(await problemOf(await handler(send(line, bytes)))).toBe('413 SIZE_INVALID');
  expect(await problemOf(await handler(send(line, bytes, {}, bytes.length)))).toBe('413 SIZE_INVALID');
  const put = `PUT ${await begin(handler)}?digest=${descriptor.digest}`;
  expect(await problemOf(await handler(send(put, bytes, {}, bytes.length)))).toBe('413 SIZE_INVALID');
  const { config } = samples;
  const small = `POST ${uploads}?digest=${config.descriptor.digest}`;
  expect((await handler(send(small, config.bytes, {}, config.bytes.length))).status).toBe(201);
});

test('a chunk that is tried again while the first try still ends is not added twice', async () => {
  const found = memoryStore();
  const other: Store & Uploads = {
    ...found,
    // The first try ends between the look at the upload and the second try.
    findUpload: async (id, limits) => {
      const upload = await found.findUpload(id, limits);
      const { size } = upload;
      if (size === 0) await upload.append([new Uint8Array(5)] as never);
      return { ...upload, size };
    },
  };
  const handler = serve(() => other);
  const location = await begin(handler);
  const chunk = send(`PATCH ${location}`, new Uint8Array(10), { 'content-range': '0-9' });
  expect(await problemOf(await handler(chunk))).toBe('416 RANGE_INVALID');
  expect((await handler(ask(`GET ${location}`))).headers.get('range')).toBe('0-4');
});

test('so many uploads are open and no more, and one that rests too long is forgotten', async () => {
  const handler = await server({ uploads: 2, uploadIdle: 60 });
  const location = await begin(handler);
  await begin(handler);
  const refused = await handler(ask(`POST ${uploads}`));
  expect(refused.headers.get('retry-after')).toBe('5');
  expect(await problemOf(refused)).toBe('429 TOOMANYREQUESTS');
  await expect.poll(async () => (await handler(ask(`POST ${uploads}`))).status).toBe(202);
  expect((await handler(ask(`GET ${location}`))).status).toBe(404);
});

test('an upload does not expire under a chunk that takes its time, and takes no second one meanwhile', async () => {
  const handler = await server({ uploadIdle: 30 });
  const location = await begin(handler);
  let release: () => void = () => undefined;
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const body = new ReadableStream<Uint8Array>({
    async pull(controller) {
      await released;
      controller.enqueue(new Uint8Array(5));
      controller.close();
    },
  });
  const slow = handler(ask(`PATCH ${location}`, { body, duplex: 'half' } as RequestInit));
  await new Promise((resolve) => setTimeout(resolve, 90));
  expect(await problemOf(await handler(send(`PATCH ${location}`, new Uint8Array(5))))).toBe('416 RANGE_INVALID');
  release();
  expect((await slow).headers.get('range')).toBe('0-4');
});

test('what arrived before the body of a chunk broke stays', async () => {
  const seen: unknown[] = [];
  const handler = await server({ onError: (error) => seen.push(error) });
  const location = await begin(handler);
  const body = new ReadableStream<Uint8Array>({
    start: (controller) => controller.enqueue(new Uint8Array(5)),
    pull: () => Promise.reject(new Error('the line is dead')),
  });
  expect((await handler(ask(`PATCH ${location}`, { body, duplex: 'half' } as RequestInit))).status).toBe(500);
  expect(seen).toEqual([new Error('the line is dead')]);
  expect((await handler(ask(`GET ${location}`))).headers.get('range')).toBe('0-4');
  expect((await handler(send(`PATCH ${location}`, new Uint8Array(3)))).headers.get('range')).toBe('0-7');
});

test('a blob is mounted from a repository that has it, and stays there', async () => {
  const handler = await server();
  const { digest } = large.descriptor;
  const response = await handler(ask(`POST ${uploads}?mount=${digest}&from=library/app`));
  expect([response.status, response.headers.get('location')]).toEqual([201, `/v2/new/app/blobs/${digest}`]);
  expect(Buffer.compare(await blobOf(handler, digest), large.bytes)).toBe(0);
  expect((await handler(ask(`HEAD /v2/library/app/blobs/${digest}`))).status).toBe(200);
  expect((await handler(ask(`POST ${uploads}?mount=${digest}`))).status).toBe(201);
});

const mounts: readonly string[] = [
  `mount=${absent}&from=library/app`,
  `mount=${large.descriptor.digest}`,
  `mount=${large.descriptor.digest}&from=other/app`,
  `mount=${large.descriptor.digest}&from=../library/app`,
  'mount=sha256:fake&from=library/app',
];
test.each(mounts)('a mount that cannot be begins an upload: %s', async (query) => {
  const handler = await server();
  const response = await handler(ask(`POST ${uploads}?${query}`));
  expect(response.status).toBe(202);
  expect((await handler(ask(`GET ${response.headers.get('location')}`))).status).toBe(204);
});
