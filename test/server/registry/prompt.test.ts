import { link, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { layoutRegistry } from '../../../src/registry/layout-registry.ts';
import { memoryRegistry } from '../../../src/registry/memory-registry.ts';
import { type Listening, listen } from '../../../src/server/listen.ts';
import type { Handler } from '../../../src/server/registry/exchange.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import type { ServeOptions } from '../../../src/server/registry/serve-options.ts';
import type { Deleter, Registry, Store } from '../../../src/source.ts';
import { layoutStore } from '../../../src/store/layout.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { absent, samples } from '../../contract/source.ts';
import { fill, pieces } from '../../contract/store.ts';

const { config, empty, large, manifest } = samples;
const small = [config, empty, manifest];
const servers: Listening[] = [];
const folders: string[] = [];

afterEach(async () => {
  await Promise.all(servers.splice(0).map((server) => server.close()));
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

async function on(handler: Handler): Promise<string> {
  const server = await listen(handler);
  servers.push(server);
  return `${server.url}/v2/team/app`;
}

type Kind = 'memory' | 'layout';
type Filled = { readonly registry: Registry; readonly store: Store & Deleter; readonly directory: string };

async function filled(kind: Kind): Promise<Filled> {
  const directory = await mkdtemp(join(tmpdir(), 'ocifetch-prompt-'));
  folders.push(directory);
  const registry = kind === 'memory' ? memoryRegistry() : layoutRegistry(directory);
  const store = registry({ registry: 'localhost', name: 'team/app' });
  await fill(store);
  await store.tag(manifest.descriptor, 'latest');
  return { registry, store, directory: join(directory, 'team+app') };
}

/** All that a client sees of a response but the time, and the status of the connection. */
async function seen(url: string, init: RequestInit = {}) {
  const response = await fetch(url, init);
  const headers = Object.fromEntries(
    [...response.headers].filter(([name]) => !/^(?:date|connection|keep-alive)$/.test(name)),
  );
  return {
    status: response.status,
    headers,
    body: Buffer.from(await response.arrayBuffer())
      .toString('hex')
      .slice(0, 200),
  };
}

const statusOf = async (url: string): Promise<number> => (await fetch(url)).status;

describe.each(['memory', 'layout'] as const)('the short way of small contents: %s', (kind) => {
  test('is not to be told from the long one', async () => {
    const { registry } = await filled(kind);
    const options: ServeOptions = { registry: 'registry.example' };
    const handler = serve(registry, options);
    const [short, long] = [await on(handler), await on(async (request) => handler(request))];
    const paths = [
      ...[...small, large].map(({ descriptor }) => `/blobs/${descriptor.digest}`),
      ...[...small, large].map(({ descriptor }) => `/manifests/${descriptor.digest}`),
      ...['latest', 'none', '.bad', absent, 'sha256:abc'].map((reference) => `/manifests/${reference}`),
      ...[absent, 'latest', 'sha256:abc', `${config.descriptor.digest}/`].map((digest) => `/blobs/${digest}`),
      `/manifests/latest?ns=docker.io`,
      `/manifests/${manifest.descriptor.digest.replace(':', '%3A')}`,
    ];
    const asked: RequestInit[] = [
      { method: 'GET' },
      { method: 'HEAD' },
      { headers: { range: 'bytes=1-2' } },
      { headers: { 'if-none-match': `"${config.descriptor.digest}"` } },
    ];
    const check = async (path: string): Promise<void> => {
      for (const init of asked) {
        const expected = await seen(long + path, init);
        // Twice, as a layout keeps what it has read.
        for (const _ of [1, 2]) expect([init, path, await seen(short + path, init)]).toEqual([init, path, expected]);
      }
    };
    await Promise.all(paths.map(check));
  });

  test('sees at once what is removed, moved and pushed again', async () => {
    const { registry, store } = await filled(kind);
    const url = await on(serve(registry));
    const [blob, tag, byDigest] = [
      `${url}/blobs/${config.descriptor.digest}`,
      `${url}/manifests/latest`,
      `${url}/manifests/${manifest.descriptor.digest}`,
    ];
    for (const path of [blob, tag, byDigest]) for (const _ of [1, 2]) expect(await statusOf(path)).toBe(200);
    await store.remove(config.descriptor.digest);
    expect(await statusOf(blob)).toBe(404);
    await store.push(config.descriptor, pieces(config.bytes));
    expect(await statusOf(blob)).toBe(200);
    await store.untag('latest');
    expect([await statusOf(tag), await statusOf(byDigest)]).toEqual([404, 200]);
    await store.tag(manifest.descriptor, 'latest');
    expect(await statusOf(tag)).toBe(200);
    await store.remove(manifest.descriptor.digest);
    expect([await statusOf(tag), await statusOf(byDigest)]).toEqual([404, 404]);
  });

  test('is not taken by a source around a store, which may change what that gives', async () => {
    const { store } = await filled(kind);
    const around = { ...store, fetch: async () => Promise.reject(new Error('not today')), open: undefined };
    const { open: _, ...other } = around;
    expect(await statusOf(`${await on(serve(() => other))}/blobs/${config.descriptor.digest}`)).toBe(500);
  });
});

test('what another process does to a layout is seen at once, and what becomes a link is not there', async () => {
  const { registry, directory } = await filled('layout');
  const url = await on(serve(registry));
  const other = layoutStore(directory);
  const [blob, tag] = [`${url}/blobs/${config.descriptor.digest}`, `${url}/manifests/latest`];
  const text = async (path: string): Promise<string> => (await fetch(path)).text();
  for (const path of [blob, tag]) for (const _ of [1, 2]) expect(await statusOf(path)).toBe(200);
  await other.tag({ ...config.descriptor, mediaType: manifest.descriptor.mediaType }, 'latest');
  expect(await text(tag)).toBe(Buffer.from(config.bytes).toString());
  const file = join(directory, 'blobs', config.descriptor.digest.replace(':', '/'));
  await writeFile(file, 'XX');
  expect(await text(blob)).toBe('XX');
  await rename(file, `${file}.away`);
  await symlink(`${file}.away`, file);
  expect(await statusOf(blob)).toBe(404);
  await rm(file);
  await rename(`${file}.away`, file);
  expect(await statusOf(blob)).toBe(200);
  await link(file, `${file}.twin`);
  expect(await statusOf(blob)).toBe(404);
  await rm(`${file}.twin`);
  await rename(join(directory, 'index.json'), join(directory, 'index.away'));
  await symlink(join(directory, 'index.away'), join(directory, 'index.json'));
  expect(await statusOf(tag)).toBe(404);
});

test('a client that leaves before a small content is sent does no harm', async () => {
  const store = memoryStore();
  await fill(store);
  const url = await on(serve(() => store));
  for (let count = 0; count < 20; count++) {
    const gone = new AbortController();
    const asked = fetch(`${url}/blobs/${config.descriptor.digest}`, { signal: gone.signal }).catch(() => undefined);
    gone.abort();
    await asked;
  }
  expect(await statusOf(`${url}/blobs/${config.descriptor.digest}`)).toBe(200);
});
