import { connect } from 'node:net';
import { createClient, memoryStore, RegistryError } from 'ocifetch';
import { type Fault, type TestRegistry, type TestRegistryOptions, testRegistry } from 'ocifetch/testing';
import { expect, onTestFinished, test } from 'vitest';

const app = {
  'team/app:1.0': { files: { 'etc/motd': 'hello', 'data.bin': { size: 2_000 } }, compression: 'none' },
} as const;

/** A registry with `team/app:1.0`, closed with the test. */
async function opened(...faults: readonly Fault[]) {
  const registry = await testRegistry({ images: app, faults });
  onTestFinished(() => registry.close());
  return registry;
}

interface Seen {
  readonly status?: number;
  readonly headers?: Headers;
  readonly bytes?: Buffer;
  /** Codes of the error of the body, and of the request. */
  readonly broken?: unknown;
  readonly failed?: unknown;
}

/** What a plain client sees of a GET: the status and the bytes, or how it failed. */
async function seen(registry: TestRegistry, path: string, init?: RequestInit): Promise<Seen> {
  try {
    const response = await fetch(`${registry.url}${path}`, init);
    return await response.arrayBuffer().then(
      (bytes) => ({ status: response.status, headers: response.headers, bytes: Buffer.from(bytes) }),
      (error: Error) => ({ status: response.status, broken: codeOf(error) }),
    );
  } catch (error) {
    return { failed: codeOf(error) };
  }
}

const codeOf = (error: unknown): unknown =>
  typeof error === 'object' && error !== null && 'cause' in error ? (error.cause as { code?: string }).code : error;

/** The path of the only layer, and its bytes. */
function layerIn(registry: Awaited<ReturnType<typeof opened>>) {
  const [layer] = registry.images['team/app:1.0'].layers;
  if (!layer) throw new Error('there is no layer');
  return { path: `/v2/team/app/blobs/${layer.descriptor.digest}`, bytes: Buffer.from(layer.bytes) };
}

test('a client pulls an image as it was described, and the registry knows its digests and bytes', async () => {
  const registry = await opened();
  await using client = createClient();
  const image = registry.images['team/app:1.0'];
  expect(image.reference).toBe(`${registry.host}/team/app:1.0`);
  const store = memoryStore();
  const { descriptor } = await client.pull(image.reference, { to: store });
  expect(descriptor).toMatchObject(image.descriptor);
  expect(await (await (await client.files(image.reference)).open('etc/motd')).text()).toBe('hello');
  expect(registry.requests.slice(0, 2).map(({ line }) => line)).toEqual([
    'GET /v2/team/app/manifests/1.0',
    expect.stringMatching(/^GET \/v2\/team\/app\/blobs\/sha256:/),
  ]);
  expect(registry.requests[0]).toMatchObject({
    kind: 'manifest',
    repository: 'team/app',
    reference: '1.0',
    host: registry.host,
    status: 200,
    fault: undefined,
  });
});

test('it takes pushes, and another image at any time', async () => {
  const registry = await opened();
  const path =
    '/v2/other/blobs/uploads/?digest=sha256:2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824';
  const pushed = await fetch(`${registry.url}${path}`, { method: 'POST', body: 'hello' });
  expect(pushed.status).toBe(201);
  const added = await registry.add('other:2', { files: {} });
  expect(added.reference).toBe(`${registry.host}/other:2`);
  expect((await registry.repository('other').resolve('2')).digest).toBe(added.descriptor.digest);
});

test('`cut` closes the connection after so many bytes, whatever the length is; once, if `nth` says so', async () => {
  const registry = await opened({ kind: 'blob', nth: 1, cut: 10 });
  const { path, bytes } = layerIn(registry);
  expect(await seen(registry, path)).toEqual({ status: 200, broken: 'UND_ERR_SOCKET' });
  expect(await seen(registry, path)).toMatchObject({ status: 200, bytes });
  expect(registry.requests.map(({ fault }) => fault)).toEqual([{ kind: 'blob', nth: 1, cut: 10 }, undefined]);
});

/** All that a connection brings until it ends, and the error that it ends with. */
async function raw(registry: TestRegistry, path: string): Promise<{ text: string; error: string | undefined }> {
  const socket = connect(Number(registry.host.split(':')[1]), '127.0.0.1');
  const chunks: Buffer[] = [];
  let error: string | undefined;
  socket.on('data', (chunk) => chunks.push(chunk));
  socket.on('error', (found: NodeJS.ErrnoException) => {
    error = found.code;
  });
  socket.write(`GET ${path} HTTP/1.1\r\nHost: registry\r\n\r\n`);
  await new Promise((resolve) => socket.once('close', resolve));
  return { text: Buffer.concat(chunks).toString('latin1'), error };
}

test('`cut` sends exactly the bytes before it, with the length of all', async () => {
  const registry = await opened({ cut: 600 });
  const { path, bytes } = layerIn(registry);
  const { text, error } = await raw(registry, path);
  expect(error).toBeUndefined();
  expect(text).toContain(`content-length: ${bytes.length}\r\n`);
  expect(text.split('\r\n\r\n')[1]).toBe(bytes.subarray(0, 600).toString('latin1'));
});

test('`reset` ends with a TCP reset, before the head or within the body', async () => {
  const registry = await opened({ nth: 1, reset: 'head' }, { nth: 2, reset: 20 });
  const { path } = layerIn(registry);
  expect(await raw(registry, path)).toEqual({ text: '', error: 'ECONNRESET' });
  const { text, error } = await raw(registry, path);
  expect(error).toBe('ECONNRESET');
  expect(text.split('\r\n\r\n')[1]).toHaveLength(20);
});

test('`cut: "head"` closes the connection without a response', async () => {
  const registry = await opened({ cut: 'head' });
  expect(await raw(registry, '/v2/')).toEqual({ text: '', error: undefined });
});

test.each([
  ['before the head', 'head', ''],
  ['before the first byte', 0, 'HTTP/1.1 200 OK'],
  ['after some bytes', 1, 'HTTP/1.1 200 OK'],
] as const)('`stall` %s sends nothing more and keeps the connection', async (_, stall, start) => {
  const registry = await opened({ stall });
  const socket = connect(Number(registry.host.split(':')[1]), '127.0.0.1');
  onTestFinished(() => void socket.destroy());
  socket.on('error', () => undefined);
  let text = '';
  let isClosed = false;
  socket.on('data', (chunk) => {
    text += chunk;
  });
  socket.on('close', () => {
    isClosed = true;
  });
  socket.write('GET /v2/ HTTP/1.1\r\nHost: registry\r\n\r\n');
  await expect.poll(() => registry.requests.length).toBe(1);
  if (start !== '') await expect.poll(() => text).toContain('\r\n\r\n');
  await new Promise((resolve) => setTimeout(resolve, 30));
  expect(text.slice(0, 15)).toBe(start);
  expect(text.split('\r\n\r\n')[1] ?? '').toBe('{}'.slice(0, stall === 'head' ? 0 : stall));
  expect(isClosed).toBe(false);
  await registry.close();
  await expect.poll(() => isClosed).toBe(true);
});

test('`shorten` ends a body too early, as if it were complete', async () => {
  const registry = await opened({ kind: 'blob', shorten: 7 });
  const { path, bytes } = layerIn(registry);
  const found = await seen(registry, path);
  expect(found).toMatchObject({ status: 200, bytes: bytes.subarray(0, 7) });
  expect(found.headers?.has('content-length')).toBe(false);
});

test('a break beyond the end of a body leaves it whole', async () => {
  const registry = await opened({ cut: 2 });
  expect(await seen(registry, '/v2/')).toMatchObject({ status: 200, bytes: Buffer.from('{}') });
});

test('`wrongBytes` changes one byte, the last one of a shorter body, and nothing else', async () => {
  const registry = await opened({ nth: 1, wrongBytes: 5 }, { nth: 2, wrongBytes: 1e9 });
  const { path, bytes } = layerIn(registry);
  for (const wrong of [5, bytes.length - 1]) {
    const found = await seen(registry, path);
    const offsets = [...bytes.keys()].filter((at) => found.bytes?.[at] !== bytes[at]);
    expect([found.bytes?.length, offsets]).toEqual([bytes.length, [wrong]]);
  }
});

test('`body` and `change` make other bodies with the right length', async () => {
  const registry = await opened(
    { nth: 1, body: { name: 'x' } },
    { nth: 2, body: 'text' },
    { nth: 3, change: (body) => `${Buffer.from(body)}!` },
    { nth: 4, change: (body) => body.subarray(1), wrongBytes: 0 },
  );
  const bodies = [];
  for (let nth = 1; nth <= 5; nth++) bodies.push((await seen(registry, '/v2/')).bytes?.toString());
  expect(bodies).toEqual(['{"name":"x"}', 'text', '{}!', '|', '{}']);
});

test('`status` has the error of the specification for the request, or the body and headers that are given', async () => {
  const registry = await opened(
    { kind: 'manifest', nth: 1, status: 404 },
    { kind: 'manifest', status: 503, headers: { 'retry-after': '7', via: ['a', 'b'] }, body: '<html>' },
    { kind: 'tags', status: 307, headers: { location: 'https://elsewhere.test/' } },
    { kind: 'base', status: 403 },
  );
  const path = '/v2/team/app/manifests/1.0';
  const first = await seen(registry, path);
  expect([first.status, JSON.parse(String(first.bytes)).errors[0].code]).toEqual([404, 'MANIFEST_UNKNOWN']);
  const second = await seen(registry, path);
  expect([second.status, String(second.bytes)]).toEqual([503, '<html>']);
  expect([second.headers?.get('retry-after'), second.headers?.get('via')]).toEqual(['7', 'a, b']);
  const third = await seen(registry, '/v2/team/app/tags/list', { redirect: 'manual' });
  expect([third.status, third.headers?.get('location')]).toEqual([307, 'https://elsewhere.test/']);
  expect(JSON.parse(String((await seen(registry, '/v2/')).bytes)).errors[0].code).toBe('DENIED');
  expect(registry.requests.map(({ status }) => status)).toEqual([404, 503, 307, 403]);
});

test('`rateLimit` is 429 with Retry-After, which a client heeds', async () => {
  const registry = await opened({ kind: 'manifest', nth: 1, rateLimit: 0 });
  await using client = createClient();
  await client.resolve(`${registry.host}/team/app:1.0`);
  expect(registry.requests.map(({ line, status }) => `${line} ${status}`)).toEqual([
    'HEAD /v2/team/app/manifests/1.0 429',
    'HEAD /v2/team/app/manifests/1.0 200',
  ]);
});

test('`headers` alone changes those of the registry', async () => {
  const registry = await opened({
    headers: { 'docker-content-digest': null, 'content-type': 'text/html', extra: '1' },
  });
  const { headers, status } = await seen(registry, '/v2/team/app/manifests/1.0');
  expect(status).toBe(200);
  expect(['docker-content-digest', 'content-type', 'extra'].map((name) => headers?.get(name))).toEqual([
    null,
    'text/html',
    '1',
  ]);
});

test('`raw` sends what no HTTP server would', async () => {
  const registry = await opened({ raw: 'HTTP/1.1 200 OK\nContent-Length: 1, 1\n\nx' });
  expect(await raw(registry, '/v2/')).toEqual({ text: 'HTTP/1.1 200 OK\nContent-Length: 1, 1\n\nx', error: undefined });
});

test('`ignoreRange` sends the whole to a request for a part', async () => {
  const registry = await opened({ nth: 1, ignoreRange: true });
  const { path, bytes } = layerIn(registry);
  const range = { headers: { range: 'bytes=10-19' } };
  expect(await seen(registry, path, range)).toMatchObject({ status: 200, bytes });
  expect(await seen(registry, path, range)).toMatchObject({ status: 206, bytes: bytes.subarray(10, 20) });
  expect(registry.requests[0]?.line).toBe(`GET ${path} bytes=10-19`);
});

test('`delay` and `speed` take time', async () => {
  const registry = await opened({ nth: 1, delay: 50 }, { nth: 2, speed: 50_000 });
  const { path, bytes } = layerIn(registry);
  const times: number[] = [];
  for (let nth = 1; nth <= 2; nth++) {
    const start = performance.now();
    expect(await seen(registry, path)).toMatchObject({ status: 200, bytes });
    times.push(performance.now() - start);
  }
  expect(times[0]).toBeGreaterThan(45);
  expect(times[1]).toBeGreaterThan((bytes.length / 50_000) * 1000 - 10);
});

test('`down` resets all connections and refuses new ones, until the time is over or `start`', async () => {
  const registry = await opened({ nth: 2, down: 20 }, { nth: { from: 3 }, kind: 'tags', down: true });
  const stalled = await opened({ stall: 'head' });
  expect(await seen(registry, '/v2/')).toMatchObject({ status: 200 });
  expect(await seen(registry, '/v2/')).toEqual({ failed: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) });
  await expect.poll(async () => (await seen(registry, '/v2/')).status).toBe(200);
  const tags = '/v2/team/app/tags/list';
  for (let nth = 1; nth <= 2; nth++) expect(await seen(registry, tags)).toMatchObject({ status: 200 });
  expect(await seen(registry, tags)).toEqual({ failed: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) });
  expect(await seen(registry, tags)).toEqual({ failed: 'ECONNREFUSED' });
  registry.reset();
  await registry.start();
  expect(await seen(registry, tags)).toMatchObject({ status: 200 });
  const waiting = seen(stalled, '/v2/');
  await expect.poll(() => stalled.requests.length).toBe(1);
  await stalled.stop();
  expect(await waiting).toEqual({ failed: expect.stringMatching(/ECONNRESET|UND_ERR_SOCKET/) });
  expect(stalled.connections()).toBe(0);
});

test('`expiredToken` makes the token of a request invalid for good, so that a client gets another', async () => {
  await using registry = await testRegistry({
    images: app,
    access: 'token',
    faults: [{ kind: 'blob', nth: 2, expiredToken: true }],
  });
  await using client = createClient();
  const { descriptor } = await client.resolve(registry.images['team/app:1.0'].reference);
  const [layer] = registry.images['team/app:1.0'].layers;
  const fetcher = client.fetcher(`${registry.host}/team/app`);
  expect(descriptor.digest).toBe(registry.images['team/app:1.0'].descriptor.digest);
  for (let nth = 1; nth <= 2; nth++) {
    const content = await fetcher.fetch(layer?.descriptor ?? descriptor);
    expect(Buffer.from(await content.bytes())).toEqual(Buffer.from(layer?.bytes ?? []));
  }
  const blobs = registry.requests.filter(({ kind }) => kind === 'blob');
  expect(blobs.map(({ status }) => status)).toEqual([200, 401, 200]);
  expect(registry.requests.filter(({ kind }) => kind === 'token')).toHaveLength(2);
  const old = blobs[1]?.headers.authorization ?? '';
  const again = await fetch(`${registry.url}/v2/team/app/tags/list`, { headers: { authorization: old } });
  expect([again.status, again.headers.get('www-authenticate')]).toEqual([
    401,
    expect.stringContaining('error="invalid_token"'),
  ]);
});

test.each([
  ['token', undefined],
  ['basic', 'basic'],
] as const)('users log in by %s', async (_, access) => {
  await using registry = await testRegistry({ images: app, users: { ann: 'secret' }, access });
  const { reference } = registry.images['team/app:1.0'];
  await using anonymous = createClient();
  await expect(anonymous.resolve(reference)).rejects.toMatchObject({ code: 'UNAUTHORIZED' });
  const credentials = { [registry.host]: { username: 'ann', password: 'secret' } };
  await using client = createClient({ config: { credentials } });
  await client.resolve(reference);
});

test('a function of a test that throws is a response with its message', async () => {
  const registry = await opened({
    change: () => {
      throw new Error('a bug in the test');
    },
  });
  const found = await seen(registry, '/v2/');
  expect([found.status, String(found.bytes)]).toEqual([500, expect.stringContaining('a bug in the test')]);
});

test('after `close` nothing listens, and it cannot be started again', async () => {
  const registry = await testRegistry({ faults: [{ down: 1 }] });
  await Promise.all([registry.close(), registry.close()]);
  expect(await seen(registry, '/v2/')).toEqual({ failed: 'ECONNREFUSED' });
  await expect(registry.start()).rejects.toMatchObject({ code: 'CLOSED' });
});

test('a wrong description is refused before anything listens', async () => {
  const options = { images: { 'Team/app': {} } } satisfies TestRegistryOptions;
  await expect(testRegistry(options)).rejects.toBeInstanceOf(RegistryError);
});
