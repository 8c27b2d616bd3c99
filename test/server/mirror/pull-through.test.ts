import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { layoutRegistry } from '../../../src/registry/layout-registry.ts';
import { readOnly } from '../../../src/registry/restricted.ts';
import { type PullThroughOptions, pullThrough } from '../../../src/server/mirror/pull-through.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { layoutStore } from '../../../src/store/layout.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { sampleOf, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { ask, bytesOf } from '../support.ts';
import { gone, type MirrorSetup, mirrorOf, upstreamWith, withFolder } from './support.ts';

const { large, manifest, config } = samples;
const blob = `/v2/app/blobs/${large.descriptor.digest}`;
const latest = '/v2/app/manifests/latest';
const blobsOf = (folder: string): string => join(folder, 'blobs', 'sha256');

async function hubMirror(options: MirrorSetup = {}) {
  const hub = await upstreamWith(Object.values(samples));
  return { hub, ...mirrorOf({ 'hub.test': hub.answer }, options) };
}

test('a new process over the same directory serves what was kept, and knows tags, their times and their ETags', async () => {
  await withFolder(async (folder) => {
    const before = await hubMirror({ store: folder });
    for (const path of [latest, blob]) await bytesOf(await before.get(`GET ${path}`));
    await before.close();
    const after = await hubMirror({ store: folder });
    after.hub.instead = gone;
    expect(await bytesOf(await after.get(`GET ${latest}`))).toEqual(manifest.bytes);
    expect(Buffer.compare(await bytesOf(await after.get(`GET ${blob}`)), large.bytes)).toBe(0);
    expect(after.asked()).toEqual([]);
    await after.close();
    const later = await hubMirror({ store: folder, fresh: 0 });
    expect((await later.get(`GET ${latest}`)).status).toBe(200);
    expect(later.asked()).toEqual([`GET hub.test${latest} "${manifest.descriptor.digest}"`]);
    await later.close();
    expect((await layoutStore(folder).verify()).wrong).toEqual([]);
  });
});

test('what it knew of tags is asked for again if its file is not what it wrote', async () => {
  await withFolder(async (folder) => {
    const before = await hubMirror({ store: folder });
    await bytesOf(await before.get(`GET ${latest}`));
    await before.close();
    const state = join(folder, '.ocifetch-mirror');
    for (const name of await readdir(state)) await writeFile(join(state, name), '{"repository":');
    const after = await hubMirror({ store: folder });
    expect(await bytesOf(await after.get(`GET ${latest}`))).toEqual(manifest.bytes);
    expect(after.asked()).toEqual([`GET hub.test${latest}`]);
    await after.close();
  });
});

test('what changed on the disk is requested again, and never served, not in part either', async () => {
  await withFolder(async (folder) => {
    const { get, hub, asked, close } = await hubMirror({ store: folder });
    await bytesOf(await get(`GET ${blob}`));
    const path = join(blobsOf(folder), large.descriptor.digest.slice(7));
    await writeFile(path, Buffer.from(large.bytes).fill(7, 1000));
    asked();
    expect(await bytesOf(await get(`GET ${blob}`, { range: 'bytes=2000-2009' }))).toEqual(
      large.bytes.slice(2000, 2010),
    );
    expect(Buffer.compare(await bytesOf(await get(`GET ${blob}`)), large.bytes)).toBe(0);
    expect(Buffer.compare(await readFile(path), large.bytes)).toBe(0);
    expect(asked().filter((line) => line === `GET hub.test${blob}`)).toHaveLength(2);
    await writeFile(path, Buffer.from(large.bytes).fill(7, 1000));
    hub.instead = gone;
    expect((await get(`GET ${blob}`)).status).toBe(503);
    await close();
  });
});

test('many clients at once, in several repositories, are one request upstream for a blob, a manifest and a tag', async () => {
  await withFolder(async (folder) => {
    const { get, asked, close, mirror } = await hubMirror({ store: folder });
    const all = await Promise.all(
      Array.from({ length: 60 }, async (_, client) =>
        bytesOf(await get(`GET /v2/app${client % 3}/blobs/${large.descriptor.digest}`)),
      ),
    );
    expect(all.every((bytes) => Buffer.compare(bytes, large.bytes) === 0)).toBe(true);
    expect(asked()).toHaveLength(1);
    for (const path of [latest, `/v2/app/manifests/${config.descriptor.digest}`]) {
      await Promise.all(Array.from({ length: 20 }, async () => (await get(`GET ${path}`)).arrayBuffer()));
    }
    expect(asked().filter((line) => line === `GET hub.test${latest}`)).toHaveLength(1);
    expect(mirror.status().kept.contents).toBe(2);
    await close();
  });
});

test('clients that leave end a download that nobody else wants, and half of it is never served', async () => {
  await withFolder(async (folder) => {
    const big = sampleOf(new Uint8Array(8_000_000).fill(3));
    const { get, hub, mirror, close } = await hubMirror({ store: folder });
    await fill(hub.store, [big]);
    const path = `/v2/app/blobs/${big.descriptor.digest}`;
    const reader = (await get(`GET ${path}`)).body?.getReader();
    await reader?.read();
    expect(mirror.status().downloads).toMatchObject([
      { reference: `hub.test/app@${big.descriptor.digest}`, size: 8_000_000 },
    ]);
    await reader?.cancel();
    await expect.poll(() => mirror.status().downloads).toEqual([]);
    expect((await get(`HEAD ${path}`)).status).toBe(200);
    expect(Buffer.compare(await bytesOf(await get(`GET ${path}`)), big.bytes)).toBe(0);
    await close();
  });
});

test('events and the status say what was a hit, what came from upstream, and what failed', async () => {
  const { get, hub, mirror, events } = await hubMirror({ fresh: 0 });
  for (let times = 0; times < 2; times++) await bytesOf(await get(`GET ${blob}`));
  await bytesOf(await get(`GET ${latest}`));
  hub.instead = gone;
  await bytesOf(await get(`GET ${latest}`));
  const size = large.bytes.length;
  await expect
    .poll(() => mirror.status().upstreams)
    .toMatchObject([
      {
        ...{ registry: 'hub.test', hits: 2, misses: 2, stale: 1, errors: 1 },
        bytesFromCache: size + manifest.bytes.length,
        bytesFromUpstream: size + manifest.bytes.length,
        lastError: { message: expect.stringContaining('hub.test') },
      },
    ]);
  expect(mirror.status()).toMatchObject({ downloads: [], evictions: 0, kept: { contents: 2, bound: undefined } });
  const line = (event: (typeof events)[number]): string =>
    [event.type, 'outcome' in event ? event.outcome : 'bytes' in event ? event.bytes : event.error.code].join(' ');
  expect(events.map(line).sort()).toEqual([
    `download ${manifest.bytes.length}`,
    `download ${size}`,
    'failure UNAVAILABLE',
    `hit ${manifest.bytes.length}`,
    `hit ${size}`,
    `miss ${manifest.bytes.length}`,
    `miss ${size}`,
    'tag stale',
    'tag upstream',
  ]);
});

test('a listener that throws or rejects does not disturb', async () => {
  const onEvent = async (): Promise<never> => {
    throw new Error('of the listener');
  };
  const { get } = await hubMirror({ onEvent });
  expect((await get(`GET ${blob}`)).status).toBe(200);
});

test('registries made of it are mirrors, too, with their parameter ns', async () => {
  const { mirror } = await hubMirror({ upstreams: { hub: 'hub.test' } });
  const handler = serve(readOnly(mirror));
  expect(Buffer.compare(await bytesOf(await handler(ask(`GET ${blob}?ns=hub.test`))), large.bytes)).toBe(0);
  expect((await handler(ask(`GET ${blob}?ns=other.test`))).status).toBe(404);
});

test('referrers come from upstream, and of what is kept while that is gone', async () => {
  const subject = manifest.descriptor;
  const type = 'application/vnd.oci.image.manifest.v1+json';
  const document = { schemaVersion: 2, mediaType: type, config: config.descriptor, layers: [], subject };
  const referrer = sampleOf(new TextEncoder().encode(JSON.stringify(document)), type);
  const { get, hub } = await hubMirror();
  await fill(hub.store, [referrer]);
  const path = `/v2/app/referrers/${subject.digest}`;
  await bytesOf(await get(`GET /v2/app/manifests/${referrer.descriptor.digest}`));
  hub.instead = gone;
  const response = await get(`GET ${path}`);
  expect(await response.json()).toMatchObject({ manifests: [{ digest: referrer.descriptor.digest }] });
  expect(response.headers.get('warning')).toMatch(/^110/);
});

const wrong: readonly [title: string, options: Record<string, unknown>, found: string][] = [
  ['no store', {}, 'expected a directory or a store'],
  ['an unknown option', { store: 'x', upstram: 'a.test' }, 'did you mean "upstream"'],
  ['a wrong registry', { store: 'x', upstream: 'https://a.test' }, 'upstream'],
  ['a name that no repository has', { store: 'x', upstreams: { 'a/b': 'a.test' } }, 'one component'],
  ['a bound of 0', { store: 'x', bytes: 0 }, 'bytes'],
  ['a negative time', { store: 'x', fresh: -1 }, 'fresh'],
];
test.each(wrong)('%s is refused when the mirror is made', (_, options, found) => {
  expect(() => pullThrough(options as unknown as PullThroughOptions)).toThrow(found);
});

test('a bound needs a store that can remove', () => {
  const { remove: _, ...fixed } = memoryStore();
  expect(() => pullThrough({ store: fixed, bytes: 1 })).toThrow('bytes');
  expect(() => pullThrough({ store: layoutRegistry('x')({ registry: '', name: 'a' }), bytes: 1 })).not.toThrow();
});
