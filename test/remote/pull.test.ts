import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { runInNewContext } from 'node:vm';
import { afterEach, expect, test } from 'vitest';
import { cached } from '../../src/cached/cached.ts';
import type { ClientEvent } from '../../src/events.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { parsePlatform } from '../../src/oci/platform.ts';
import { createClient } from '../../src/remote/client.ts';
import type { ClientOptions } from '../../src/remote/client-options.ts';
import type { PullOptions } from '../../src/remote/pull.ts';
import { tokenAccess } from '../../src/server/access/tokens.ts';
import { type Listening, listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import type { Source } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { failsWith, sampleOf } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { attestation, digestsOf, entry, filled, heldBy, image, index, layer, statesOf } from '../copy/support.ts';
import { type Answer, chunked, createHosts, errorOf, sampleHost } from '../support/hosts.ts';

const layers = Array.from({ length: 12 }, (_, place) => layer(`pulled ${place}`));
const [amd64, arm64] = ['linux/amd64', 'linux/arm64'].map((on) => entry(image(on, { platform: on, layers }), { on }));
const app = index(...[amd64, arm64].flatMap((each) => each ?? []), attestation('provenance'));
const wanted = amd64 ?? app;

const open: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of open.splice(0)) await close();
});

/** A registry on a socket, which notes every request. */
async function registry(guarded = false): Promise<{ readonly host: string; readonly seen: string[] }> {
  const store = await filled(app);
  const access = tokenAccess({ realm: '/token', service: 'registry.test' });
  const handler = serve(() => store);
  const seen: string[] = [];
  const server: Listening = await listen((request) => {
    const { pathname } = new URL(request.url);
    seen.push(pathname === '/token' ? 'token' : `${request.method} ${pathname.split('/').at(-2)}`);
    if (!guarded) return handler(request);
    return pathname === '/token' ? access.token(request) : access.protect(handler)(request);
  });
  open.push(() => server.close());
  return { host: new URL(server.url).host, seen };
}

function clientOf(options: ClientOptions = {}) {
  const events: ClientEvent[] = [];
  const client = createClient({ onEvent: (event) => events.push(event), ...options });
  open.push(() => client.close());
  return { client, events };
}

const blobs = ['GET manifests', 'GET manifests', ...Array(1 + layers.length).fill('GET blobs')];

test('a cold pull of N layers takes N+3 requests over sockets, and a second one the tag alone', async () => {
  const { host, seen } = await registry();
  const { client, events } = clientOf();
  const to = memoryStore();
  const pulled = await client.pull(`${host}/app`, { to, platform: 'linux/amd64' });
  expect(seen).toEqual(blobs);
  expect(pulled).toMatchObject({
    reference: { registry: host, name: 'app' },
    descriptor: { digest: wanted.root.descriptor.digest, platform: parsePlatform('linux/amd64') },
    resolved: app.root.descriptor,
    skipped: [],
  });
  expect((await to.resolve('latest')).digest).toBe(wanted.root.descriptor.digest);
  expect(await heldBy(to, app.parts)).toEqual(digestsOf(wanted.parts));
  expect(statesOf(events, layers[0]?.descriptor.digest ?? '')).toEqual(['queued', 'begun', 'stored']);
  expect(events.filter(({ type }) => type === 'verified').length).toBeGreaterThanOrEqual(wanted.parts.length);
  seen.length = 0;
  expect(await client.pull(`${host}/app:latest`, { to, platform: 'linux/amd64' })).toMatchObject({ copied: 0 });
  expect(seen).toEqual(['GET manifests']);
});

test('with a token it takes N+5, and a warm client N+3', async () => {
  const { host, seen } = await registry(true);
  const { client } = clientOf();
  await client.pull(`${host}/app`, { to: memoryStore(), platform: 'linux/amd64' });
  expect(seen).toEqual(['GET manifests', 'token', ...blobs]);
  seen.length = 0;
  await client.pull(`${host}/app`, { to: memoryStore(), platform: 'linux/amd64' });
  expect(seen).toEqual(blobs);
});

test('a pinned reference is stored under its tag, one without a tag under none, and a name may be given', async () => {
  const { host } = await registry();
  const { client } = clientOf();
  const { digest } = wanted.root.descriptor;
  const namesOf = async (reference: string, options: Partial<PullOptions> = {}): Promise<string[]> => {
    const store = memoryStore();
    const names: string[] = [];
    const tag: typeof store.tag = async (target, name) => {
      names.push(name);
      await store.tag(target, name);
    };
    await client.pull(`${host}/app${reference}`, { to: { ...store, tag }, ...options });
    return names;
  };
  expect(await namesOf(`:v7@${digest}`)).toEqual(['v7']);
  expect(await namesOf(`@${digest}`)).toEqual([]);
  expect(await namesOf(`@${digest}`, { name: 'mine' })).toEqual(['mine']);
  expect(await namesOf(`:latest`, { name: false, platform: 'all' })).toEqual([]);
});

test('a mirror that lies is found out, the origin is asked, and the mirror is asked last from then on', async () => {
  const { digest } = layers[3]?.descriptor ?? app.root.descriptor;
  const honest = await sampleHost(app.parts.map((part) => (part === app.root ? { ...part, tag: 'latest' } : part)));
  const hosts = createHosts({
    'mirror.test': (request) =>
      request.url.includes(digest)
        ? new Response(chunked(new TextEncoder().encode('layer PULLED 3'.slice(0, layers[3]?.bytes.length))))
        : honest(request),
    'origin.test': honest,
  });
  const config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };
  const { client } = clientOf({ transport: hosts.transport, config });
  const pull = async (): Promise<string[]> => {
    const to = memoryStore();
    const before = hosts.log().length;
    await client.pull('origin.test/app', { to, platform: 'linux/amd64' });
    expect(await heldBy(to, layers)).toEqual(digestsOf(layers));
    return hosts
      .log()
      .slice(before)
      .filter((line) => line.includes(digest))
      .map((line) => line.split('/')[2] ?? '');
  };
  expect(await pull()).toEqual(['mirror.test', 'origin.test']);
  expect(await pull()).toEqual(['origin.test']);
});

test('a failure names reference and layer, and lists every attempt at it', async () => {
  const { digest } = layers[3]?.descriptor ?? app.root.descriptor;
  const honest = await sampleHost(app.parts.map((part) => (part === app.root ? { ...part, tag: 'v1' } : part)));
  const refusing = (request: Request) =>
    request.url.includes(digest) ? new Response(null, { status: 404 }) : honest(request);
  const hosts = createHosts({ 'mirror.test': refusing, 'origin.test': refusing });
  const config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test' }] } } };
  const { client } = clientOf({ transport: hosts.transport, config });
  const error = await errorOf(client.pull('origin.test/app:v1', { to: memoryStore(), platform: 'linux/amd64' }));
  expect(error.code).toBe('NOT_FOUND');
  expect(error.message).toMatch(new RegExp(`^Cannot copy "origin.test/app:v1": layer 4 of 12 "${digest}": `));
  expect(error.attempts.map(({ host }) => host)).toEqual(['mirror.test', 'origin.test']);
});

test('closing the client ends a pull', async () => {
  const hosts = createHosts({ 'origin.test': () => new Response(chunked('stall')) });
  const { client } = clientOf({ transport: hosts.transport });
  const pulling = errorOf(client.pull('origin.test/app', { to: memoryStore() }));
  await new Promise((resolve) => setTimeout(resolve, 20));
  await client.close();
  expect(await pulling).toMatchObject({ code: 'CLOSED' });
});

test.each([undefined, '', 7, {}, null])('%j is nowhere to pull to', async (to) => {
  const { client } = clientOf({ transport: createHosts({}).transport });
  const pulling = client.pull('origin.test/app', { to } as unknown as PullOptions);
  await expect(pulling).rejects.toEqual(failsWith('INVALID_CONFIG'));
});

test('a reference that is none is refused', async () => {
  const { client } = clientOf({ transport: createHosts({}).transport });
  await expect(client.pull('a//b', { to: memoryStore() })).rejects.toEqual(failsWith('INVALID_REFERENCE'));
});

test('a registry without ranges is read from the start again where it broke off, beyond the limit of bytes to drop', async () => {
  const big = sampleOf(
    Uint8Array.from({ length: 400_000 }, (_, at) => (at * 31) & 255),
    mediaTypes.ociLayer,
  );
  const built = image('app', { layers: [big] });
  const store = await filled(built);
  const handler = serve(() => store);
  let broken = 0;
  const server = await listen(async (request) => {
    const headers = new Headers(request.headers);
    headers.delete('range');
    const response = await handler(new Request(request.url, { method: request.method, headers }));
    if (!request.url.endsWith(big.descriptor.digest) || broken > 0) return response;
    broken += 1;
    return new Response(big.bytes.slice(0, 250_000), { headers: { 'content-type': 'application/octet-stream' } });
  });
  open.push(() => server.close());
  const { client } = clientOf({ limits: { discardBytes: 1_000 }, retries: { tries: 1 } });
  const to = memoryStore();
  await client.pull(`${new URL(server.url).host}/app`, { to });
  expect(broken).toBe(1);
  expect(await heldBy(to, built.parts)).toEqual(digestsOf(built.parts));
});

test.each([
  [{ to: './x', plattform: 'linux/arm64' }, 'unknown option "plattform", did you mean "platform"?'],
  [{ to: './x', nonDistributable: 'yes' }, 'nonDistributable: found "yes", expected true or false'],
  [{ to: './x', signal: 5 }, 'signal: found 5, expected an AbortSignal'],
  [{ to: './x', onEvent: () => undefined }, 'unknown option "onEvent", expected one of to, signal, platform,'],
  [undefined, 'found undefined, expected an object of options'],
  ['./x', 'found "./x", expected an object of options'],
])('%j are no options of a pull, and nothing is asked for', async (options, says) => {
  const { host, seen } = await registry();
  const error = await errorOf(clientOf().client.pull(`${host}/app`, options as PullOptions));
  expect(error.code).toBe('INVALID_CONFIG');
  expect(error.message).toContain(`Cannot pull: ${says}`);
  expect(seen).toEqual([]);
});

test('a directory that cannot be made is told as that, before any request; where there is no image, none is made', async () => {
  const { host, seen } = await registry();
  const { client } = clientOf();
  const directory = await mkdtemp(join(tmpdir(), 'ocifetch-pull-'));
  open.push(() => rm(directory, { recursive: true }));
  const link = join(directory, 'link');
  await symlink('nowhere', link);
  const error = await errorOf(client.pull(`${host}/app`, { to: link }));
  expect(error.code).toBe('STORE_ERROR');
  expect(error.message).toBe(
    `Cannot make directory "${link}": it is a symbolic link to "nowhere", which is not a directory`,
  );
  expect(seen).toEqual([]);
  const missing = client.pull(`${host}/app:none`, { to: join(directory, 'deep/layout') });
  await expect(missing).rejects.toEqual(failsWith('NOT_FOUND'));
  expect(await readdir(directory)).toEqual(['link']);
});

test('a mirror without tags that lacks a blob is asked for the manifest once, and then again for each blob', async () => {
  const store = await filled(app);
  const serving = serve(() => store);
  const filledBy = new Set<string>();
  const mirror: Answer = (request) => {
    const [, digest = ''] = /\/manifests\/(.*)$/.exec(new URL(request.url).pathname) ?? [];
    if (digest !== '') filledBy.add(digest);
    return filledBy.has(wanted.root.descriptor.digest) ? serving(request) : new Response(null, { status: 404 });
  };
  const answers = { 'origin.test': serving, 'mirror.test': mirror };
  const config = {
    registries: {
      'origin.test': { mirrors: [{ url: 'https://mirror.test', capabilities: ['pull' as const] }] },
    },
  };
  const hosts = createHosts(answers);
  const { client } = clientOf({ transport: hosts.transport, config, retries: { tries: 1 } });
  const { digest } = wanted.root.descriptor;
  const to = memoryStore();
  // The manifest is there already, as after a pull that broke off, so only blobs are requested.
  const fetched = await client.fetcher('origin.test/app').fetch(wanted.root.descriptor);
  const { push } = to;
  await push(
    wanted.root.descriptor,
    (async function* () {
      yield await fetched.bytes();
    })(),
  );
  filledBy.clear();
  const before = hosts.log().length;
  await client.pull(`origin.test/app@${digest}`, { to });
  expect(await heldBy(to, wanted.parts)).toEqual(digestsOf(wanted.parts));
  const log = hosts.log().slice(before);
  expect(log.filter((line) => line.includes('/manifests/'))).toEqual([
    `GET https://mirror.test/v2/app/manifests/${digest}?ns=origin.test`,
  ]);
  expect(log.filter((line) => line.includes('origin.test/v2'))).toEqual([]);
});

test('a mirror without tags that lacks the manifest, too, is passed over after one request for it', async () => {
  const store = await filled(app);
  const answers = { 'origin.test': serve(() => store), 'mirror.test': () => new Response(null, { status: 404 }) };
  const mirrors = [{ url: 'https://mirror.test', capabilities: ['pull' as const] }];
  const hosts = createHosts(answers);
  const config = { registries: { 'origin.test': { mirrors } } };
  const { client } = clientOf({ transport: hosts.transport, config, retries: { tries: 1 } });
  const to = memoryStore();
  await client.pull('origin.test/app', { to, platform: 'linux/amd64' });
  expect(await heldBy(to, wanted.parts)).toEqual(digestsOf(wanted.parts));
  const { digest } = wanted.root.descriptor;
  const manifest = `GET https://mirror.test/v2/app/manifests/${digest}?ns=origin.test`;
  // Others have its blobs, so it need not be requested for their sake.
  expect(hosts.log().filter((line) => line.includes('mirror.test'))).toEqual([manifest]);
});

/** A mirror that has blobs only after their manifest, as ECR's pull-through cache, before a registry that has all. */
async function fillingMirror(capabilities: readonly ('pull' | 'resolve')[]) {
  const store = await filled(app);
  const serving = serve(() => store);
  const filledBy = new Set<string>();
  const mirror: Answer = (request) => {
    const { pathname } = new URL(request.url);
    const [, name = ''] = /\/manifests\/(.*)$/.exec(pathname) ?? [];
    if (request.method === 'GET' && name !== '') filledBy.add(name);
    const isThere = name !== '' || filledBy.has(wanted.root.descriptor.digest);
    return isThere ? serving(request) : new Response(null, { status: 404 });
  };
  const hosts = createHosts({ 'origin.test': serving, 'mirror.test': mirror });
  const config = { registries: { 'origin.test': { mirrors: [{ url: 'https://mirror.test', capabilities }] } } };
  const { client } = clientOf({ transport: hosts.transport, config, retries: { tries: 1 } });
  const blobsAt = (host: string): string[] => hosts.log().filter((line) => line.includes(`${host}/v2/app/blobs/`));
  return { client, filledBy, blobsAt };
}

test.each([[['pull']], [['pull', 'resolve']]] as const)(
  'a mirror with %j fills by the manifest that another host gave, in a fetch, through a cache and a server',
  async (capabilities) => {
    const blobs = wanted.parts.filter(({ descriptor }) => descriptor.digest !== wanted.root.descriptor.digest);
    const kept = memoryStore();
    const ways: readonly ((source: Source) => Source)[] = [(source) => source, (source) => cached(source, kept)];
    for (const way of ways) {
      const { client, filledBy, blobsAt } = await fillingMirror(capabilities);
      const handler = serve(() => way(client.fetcher('origin.test/app').source));
      const front = createHosts({ 'front.test': handler });
      const { client: outer } = clientOf({ transport: front.transport });
      const fetcher = outer.fetcher('front.test/app');
      await (await fetcher.fetch(wanted.root.descriptor)).bytes();
      // As if another host had given it.
      filledBy.clear();
      for (const { descriptor, bytes } of blobs)
        expect(Buffer.compare(await (await fetcher.fetch(descriptor)).bytes(), bytes)).toBe(0);
      expect([blobsAt('origin.test'), filledBy.size]).toEqual([[], 1]);
    }
  },
);

test('a mirror with tags fills by manifest in a pull, whose manifest it did not give', async () => {
  const { client, filledBy, blobsAt } = await fillingMirror(['pull', 'resolve']);
  const content = await client.fetcher('origin.test/app').fetch(wanted.root.descriptor);
  const to = memoryStore();
  await fill(to, [{ descriptor: wanted.root.descriptor, bytes: await content.bytes() }]);
  filledBy.clear();
  await client.pull(`origin.test/app@${wanted.root.descriptor.digest}`, { to });
  expect(await heldBy(to, wanted.parts)).toEqual(digestsOf(wanted.parts));
  expect(blobsAt('origin.test')).toEqual([]);
});

test('the directory may be a file: URL, as an object or a text, and must be of this machine', async () => {
  const { host, seen } = await registry();
  const { client } = clientOf();
  const directory = await mkdtemp(join(tmpdir(), 'ocifetch-pull-'));
  open.push(() => rm(directory, { recursive: true }));
  const url = pathToFileURL(join(directory, 'a folder#1'));
  await client.pull(`${host}/app`, { to: url });
  await client.pull(`${host}/app`, { to: runInNewContext('({ href, toString: () => href })', { href: `${url}-2` }) });
  await client.pull(`${host}/app`, { to: `${url}-3` });
  expect((await readdir(directory)).sort()).toEqual(['a folder#1', 'a folder#1-2', 'a folder#1-3']);
  seen.length = 0;
  for (const to of [new URL('https://a.test/b'), 'file://elsewhere/b', new URL('file:///a%2Fb')]) {
    const error = await errorOf(client.pull(`${host}/app`, { to }));
    expect(error).toMatchObject({
      code: 'STORE_ERROR',
      message: expect.stringContaining('expected a path or a file: URL'),
    });
  }
  expect(seen).toEqual([]);
});

test('a relative directory in a current directory that was removed is a clear error', async () => {
  const { host, seen } = await registry();
  const before = process.cwd();
  const gone = await mkdtemp(join(tmpdir(), 'ocifetch-gone-'));
  process.chdir(gone);
  try {
    await rm(gone, { recursive: true });
    const error = await errorOf(clientOf().client.pull(`${host}/app`, { to: 'layout' }));
    expect(error).toMatchObject({
      code: 'STORE_ERROR',
      message: 'Cannot use directory "layout": the current directory no longer exists (ENOENT)',
    });
    expect(seen).toEqual([]);
  } finally {
    process.chdir(before);
  }
});
