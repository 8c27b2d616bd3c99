import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import {
  basicAccess,
  type Handler,
  memoryRegistry,
  type NotificationEndpoint,
  type NotificationsOptions,
  notifications,
  serve,
} from '../../../src/server/index.ts';
import { samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { type Receiver, startReceiver } from './receiver.ts';

const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function receiver(respond?: Receiver['respond']): Promise<Receiver> {
  const made = await startReceiver(respond);
  closing.push(() => made.close());
  return made;
}

function notify(options: NotificationsOptions) {
  const made = notifications(options);
  closing.push(() => made.close());
  return made;
}

const { large, manifest, config } = samples;

/** A registry with content, and what its endpoints are notified of. */
async function served(endpoint: Partial<NotificationEndpoint> = {}, options: Partial<NotificationsOptions> = {}) {
  const target = await receiver();
  const registry = memoryRegistry();
  await fill(registry({ registry: 'localhost', name: 'a/b' }), [config, large, manifest]);
  const sent = notify({ endpoints: [{ name: 'audit', url: target.url, ...endpoint }], ...options });
  const handler = serve(registry, { onEvent: sent.observe });
  const ask = async (line: string, init: RequestInit = {}): Promise<Response> => {
    const [method = '', path] = line.split(' ');
    const request = new Request(`http://registry.test:5000/v2/a/b/${path}`, { method, ...init });
    const response = await handler(request, { remoteAddress: '192.0.2.7' });
    await response.arrayBuffer();
    return response;
  };
  return { target, ask, registry, sent, handler };
}

/** Pulls a manifest, to the end of its body. */
async function pull(handler: Handler, headers: Record<string, string> = {}): Promise<void> {
  await (await handler(new Request('http://inner/v2/a/b/manifests/latest', { headers }))).arrayBuffer();
}

const events = async ({ accepted }: Receiver, count: number) => {
  await expect.poll(() => accepted.length, { timeout: 5_000 }).toBeGreaterThanOrEqual(count);
  return accepted;
};

test('an event is a POST of its own with an indented envelope, the media type, and the headers of the endpoint', async () => {
  const { target, ask } = await served({ headers: { 'X-Audit': ['a', 'b'], Authorization: 'Bearer some-secret' } });
  await ask(`GET blobs/${large.descriptor.digest}`, { headers: { 'user-agent': 'client/1' } });
  const [event] = await events(target, 1);
  const { digest, size, mediaType } = large.descriptor;
  expect(event).toEqual({
    id: expect.stringMatching(/^[0-9a-f-]{36}$/),
    timestamp: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/),
    action: 'pull',
    target: {
      ...{ mediaType, digest, size, length: size, repository: 'a/b' },
      url: `http://registry.test:5000/v2/a/b/blobs/${digest}`,
    },
    request: {
      id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      addr: '192.0.2.7',
      host: 'registry.test:5000',
      method: 'GET',
      useragent: 'client/1',
    },
    actor: {},
    source: { addr: expect.any(String), instanceID: expect.any(String) },
  });
  const [{ headers, text } = { headers: {}, text: '' }] = target.received;
  expect(headers).toMatchObject({
    'content-type': 'application/vnd.docker.distribution.events.v2+json',
    'x-audit': 'a, b',
    authorization: 'Bearer some-secret',
  });
  expect(text).toContain('\n   "events": [');
});

test('the media type of distribution 2.8 can be chosen', async () => {
  const { target, ask } = await served({ version: 1 });
  await ask('GET manifests/latest');
  await events(target, 1);
  expect(target.received[0]?.headers['content-type']).toBe('application/vnd.docker.distribution.events.v1+json');
});

test('GET and HEAD are pulls, also of a part; a response without content, a failure and a list are nothing', async () => {
  const { target, ask } = await served();
  const { digest } = manifest.descriptor;
  await ask('GET manifests/latest');
  await ask(`HEAD manifests/${digest}`);
  await ask(`GET blobs/${large.descriptor.digest}`, { headers: { range: 'bytes=1-2' } });
  const tagged = await ask('GET manifests/latest');
  await ask('GET manifests/latest', { headers: { 'if-none-match': tagged.headers.get('etag') ?? `"${digest}"` } });
  await ask('GET manifests/missing');
  await ask('GET tags/list');
  await ask(`HEAD blobs/${large.descriptor.digest}`);
  const all = await events(target, 5);
  const shown = all.map(({ action, request, target: { tag } }) => [action, request.method, tag]);
  expect(shown.slice(0, 4)).toEqual([
    ['pull', 'GET', 'latest'],
    ['pull', 'HEAD', undefined],
    ['pull', 'GET', undefined],
    ['pull', 'GET', 'latest'],
  ]);
  expect(shown.at(-1)).toEqual(['pull', 'HEAD', undefined]);
});

test('a push of a manifest and of a blob, a mount and removals are reported with what they were about', async () => {
  const { target, handler } = await served();
  const send = async (line: string, body?: Uint8Array, type = 'application/octet-stream') => {
    const [method = '', path] = line.split(' ');
    const init = body ? { body: body as BodyInit, headers: { 'content-type': type } } : {};
    const response = await handler(new Request(`http://registry.test/v2/${path}`, { method, ...init }));
    await response.arrayBuffer();
    return response.status;
  };
  const { digest } = large.descriptor;
  expect(await send(`POST c/blobs/uploads/?mount=${digest}&from=a/b`)).toBe(201);
  expect(await send(`POST c/blobs/uploads/?digest=${config.descriptor.digest}`, config.bytes)).toBe(201);
  expect(await send('POST c/blobs/uploads/')).toBe(202);
  expect(await send('PUT c/manifests/v1', manifest.bytes, manifest.descriptor.mediaType)).toBe(201);
  expect(await send('PUT c/manifests/v2', manifest.bytes, manifest.descriptor.mediaType)).toBe(201);
  expect(await send('DELETE c/manifests/v1')).toBe(202);
  expect(await send(`DELETE c/manifests/${manifest.descriptor.digest}`)).toBe(202);
  expect(await send(`DELETE c/blobs/${digest}`)).toBe(202);
  const all = await events(target, 8);
  expect(
    all.map(({ action, target: { repository, digest: of, fromRepository, tag } }) => ({
      action,
      repository,
      of,
      fromRepository,
      tag,
    })),
  ).toEqual([
    { action: 'mount', repository: 'c', of: digest, fromRepository: 'a/b' },
    { action: 'push', repository: 'c', of: config.descriptor.digest },
    { action: 'push', repository: 'c', of: manifest.descriptor.digest, tag: 'v1' },
    { action: 'push', repository: 'c', of: manifest.descriptor.digest, tag: 'v2' },
    { action: 'delete', repository: 'c', tag: 'v1' },
    { action: 'delete', repository: 'c', of: manifest.descriptor.digest },
    { action: 'delete', repository: 'c', tag: 'v2' },
    { action: 'delete', repository: 'c', of: digest },
  ]);
});

test('the user is the actor, and the id of the request is that of the client', async () => {
  const target = await receiver();
  const sent = notify({
    endpoints: [{ name: 'audit', url: target.url }],
    baseUrl: 'https://public.test',
    addr: 'r:5000',
  });
  const registry = memoryRegistry();
  await fill(registry({ registry: 'localhost', name: 'a/b' }), [config, manifest]);
  const handler = basicAccess({ realm: 'r', users: { ann: 'some-password' } })(
    serve(registry, { onEvent: sent.observe }),
  );
  const authorization = `Basic ${btoa('ann:some-password')}`;
  const headers = { authorization, 'x-request-id': 'from-client' };
  await pull(handler, headers);
  await pull(handler);
  const [event, ...more] = await events(target, 1);
  expect(event?.actor).toEqual({ name: 'ann' });
  expect(event?.request.id).toBe('from-client');
  expect(event?.source.addr).toBe('r:5000');
  expect(event?.target.url).toBe(`https://public.test/v2/a/b/manifests/${manifest.descriptor.digest}`);
  expect(more).toEqual([]);
});

test('with references, the event of a manifest has what it refers to, and later events wait for it', async () => {
  const registry = memoryRegistry();
  await fill(registry({ registry: 'localhost', name: 'a/b' }), [config, large, manifest]);
  const { target, ask } = await served({}, { references: registry });
  await ask('GET manifests/latest');
  await ask(`GET blobs/${large.descriptor.digest}`);
  const all = await events(target, 2);
  expect(all.map(({ target: { references } }) => references?.map(({ digest }) => digest))).toEqual([
    [config.descriptor.digest],
    undefined,
  ]);
});

test('an endpoint is not notified of what it ignores', async () => {
  const { target, ask } = await served({
    ignore: { mediaTypes: ['application/octet-stream'], actions: ['delete'] },
  });
  await ask(`GET blobs/${large.descriptor.digest}`);
  await ask('DELETE manifests/other');
  await ask('GET manifests/latest');
  const all = await events(target, 1);
  expect(all.map(({ target: { tag } }) => tag)).toEqual(['latest']);
});

test('an endpoint that fails or hangs holds up neither another one nor a request, and gets all in order later', async () => {
  const [bad, hanging, good] = await Promise.all([receiver(() => 503), receiver(() => 'hang'), receiver()]);
  const failures: string[] = [];
  const endpoints = [bad, hanging, good].map(({ url }, index) => ({
    ...{ name: `e${index}`, url, timeout: 50, threshold: 2, backoff: 30 },
  }));
  const sent = notify({ endpoints, onError: ({ value = '' }) => failures.push(value) });
  const registry = memoryRegistry();
  await fill(registry({ registry: 'localhost', name: 'a/b' }), [config, manifest]);
  const handler = serve(registry, { onEvent: sent.observe });
  for (let index = 0; index < 5; index += 1) await pull(handler, { 'x-request-id': String(index) });
  const order = ({ accepted }: Receiver) => accepted.map(({ request }) => request.id);
  await expect.poll(() => order(good)).toEqual(['0', '1', '2', '3', '4']);
  await expect.poll(() => hanging.received.length, { timeout: 5_000 }).toBeGreaterThan(2);
  bad.respond = () => 301;
  hanging.respond = () => 200;
  await expect.poll(() => order(bad), { timeout: 5_000 }).toEqual(['0', '1', '2', '3', '4']);
  await expect.poll(() => order(hanging), { timeout: 5_000 }).toEqual(['0', '1', '2', '3', '4']);
  const same = new Set(bad.received.map(({ events: [event] }) => event?.id));
  expect(same.size).toBe(5);
  expect(new Set(failures)).toEqual(new Set(['e0', 'e1']));
  const [first, second, third] = sent.status();
  expect(first).toMatchObject({ name: 'e0', pending: 0, events: 5, successes: 5, errors: 0 });
  expect(first?.failures).toBeGreaterThan(0);
  expect(first?.statuses['503 Service Unavailable']).toBe(first?.failures);
  expect(second?.errors).toBeGreaterThan(0);
  expect(third).toMatchObject({ failures: 0, errors: 0, statuses: { '202 Accepted': 5 } });
});

test('what is not delivered is delivered after a restart, in order', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'ocifetch-events-'));
  closing.push(() => rm(directory, { recursive: true }));
  const target = await receiver((count) => (count % 2 === 0 ? 202 : 500));
  const options = { endpoints: [{ name: 'audit', url: target.url, backoff: 1 }], directory };
  const registry = memoryRegistry();
  await fill(registry({ registry: 'localhost', name: 'a/b' }), [config, manifest]);
  const ids: string[] = [];
  for (let restart = 0; restart < 4; restart += 1) {
    const sent = notify(options);
    const handler = serve(registry, { onEvent: sent.observe });
    for (let index = 0; index < 50; index += 1) {
      ids.push(`${restart}-${index}`);
      await pull(handler, { 'x-request-id': ids.at(-1) ?? '' });
    }
    await expect.poll(() => sent.status()[0]?.events).toBe(50);
    await sent.close();
  }
  const last = notify(options);
  await expect.poll(() => last.status()[0]?.pending, { timeout: 10_000 }).toBe(0);
  const delivered = target.accepted.map(({ request }) => request.id);
  // A request that was broken off by the end of a process may have been accepted, and comes once more.
  expect([...new Set(delivered)]).toEqual(ids);
});

test('a full queue loses the newest, and says so', async () => {
  const target = await receiver(() => 500);
  const lost: string[] = [];
  const sent = notify({
    endpoints: [{ name: 'audit', url: target.url }],
    most: 2,
    onError: ({ code }) => lost.push(code),
  });
  const registry = memoryRegistry();
  await fill(registry({ registry: 'localhost', name: 'a/b' }), [config, manifest]);
  const handler = serve(registry, { onEvent: sent.observe });
  for (let index = 0; index < 4; index += 1) await pull(handler);
  await expect.poll(() => lost.filter((code) => code === 'STORE_ERROR').length).toBe(2);
  expect(sent.status()[0]?.pending).toBe(2);
});

test('wrong options are refused, and no error shows a secret', () => {
  const url = 'https://audit.test/';
  for (const [options, found] of [
    [{}, 'endpoints'],
    [{ endpoints: [{ name: '../up', url }] }, 'endpoints[0].name'],
    [{ endpoints: [{ name: 'a' }] }, 'endpoints[0].url'],
    [{ endpoints: [{ name: 'a', url: 'audit.test' }] }, 'endpoints[0].url'],
    [
      {
        endpoints: [
          { name: 'a', url },
          { name: 'a', url },
        ],
      },
      'another endpoint has this name',
    ],
    [{ endpoints: [{ name: 'a', url, header: { authorization: 'x' } }] }, 'headers'],
  ] as const)
    expect(() => notifications(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining(found) }),
    );
  const secret = 'hunter2-hunter2';
  const wrong = { endpoints: [{ name: 'a', url: `https://u:${secret}@audit.test/`, timeout: 0 }] };
  expect(() => notifications(wrong)).toThrow(expect.not.objectContaining({ message: expect.stringContaining(secret) }));
});
