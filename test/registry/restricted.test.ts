import { expect, test } from 'vitest';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { immutable, readOnly } from '../../src/registry/restricted.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { isCatalog, type Registry } from '../../src/source.ts';
import { samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { ask, problemOf } from '../server/support.ts';

const { large, manifest, config } = samples;

async function filled() {
  const registry = memoryRegistry();
  const store = registry({ registry: 'localhost', name: 'app' });
  await fill(store, [large, config, manifest]);
  return { registry, store };
}

const put = (reference: string, bytes: Uint8Array) => {
  const headers = { 'content-type': manifest.descriptor.mediaType };
  return ask(`PUT /v2/app/manifests/${reference}`, { body: Buffer.from(bytes), headers });
};
const other = Buffer.from(`${Buffer.from(manifest.bytes)}\n`);

/** Status and code of each response. */
async function outcomes(registry: Registry, ...requests: readonly Request[]): Promise<unknown[]> {
  const handler = serve(registry);
  const found: unknown[] = [];
  for (const request of requests) {
    const response = await handler(request);
    found.push(response.status < 400 ? response.status : await problemOf(response));
  }
  return found;
}

test('a registry that is read-only can be read and listed, and refuses every write', async () => {
  const { registry } = await filled();
  const { digest } = large.descriptor;
  const reads = [
    'GET /v2/_catalog',
    'GET /v2/app/tags/list',
    `HEAD /v2/app/blobs/${digest}`,
    'HEAD /v2/app/manifests/latest',
  ];
  const refers = `GET /v2/app/referrers/${digest}`;
  expect(await outcomes(readOnly(registry), ...[...reads, refers].map((line) => ask(line)))).toEqual(
    Array(5).fill(200),
  );
  const writes = [
    ask('POST /v2/app/blobs/uploads/'),
    ask(`POST /v2/app/blobs/uploads/?mount=${digest}&from=app`),
    ask(`DELETE /v2/app/blobs/${digest}`),
    ask('DELETE /v2/app/manifests/latest'),
    put('v1', manifest.bytes),
  ];
  expect(await outcomes(readOnly(registry), ...writes)).toEqual(Array(5).fill('405 UNSUPPORTED'));
});

test('tags of an immutable registry stay what they are; new content and new tags are taken', async () => {
  const { registry, store } = await filled();
  const moved = [put('latest', other), ask('DELETE /v2/app/manifests/latest')];
  expect(await outcomes(immutable(registry), ...moved)).toEqual(['403 DENIED', '403 DENIED']);
  const named = ask(`DELETE /v2/app/manifests/${manifest.descriptor.digest}`);
  expect(await outcomes(immutable(registry), named)).toEqual(['403 DENIED']);
  const taken = [
    put('latest', manifest.bytes),
    put('v2', other),
    ask(`DELETE /v2/app/blobs/${large.descriptor.digest}`),
  ];
  expect(await outcomes(immutable(registry), ...taken)).toEqual([201, 201, 202]);
  expect(await store.tags()).toEqual(['latest', 'v2']);
});

test('what cannot list its repositories cannot do so when it is restricted', async () => {
  const { registry } = await filled();
  const plain: Registry = (repository) => registry(repository);
  expect([isCatalog(readOnly(registry)), isCatalog(immutable(registry)), isCatalog(readOnly(plain))]).toEqual([
    true,
    true,
    false,
  ]);
  const source = immutable(readOnly(registry))({ registry: 'localhost', name: 'app' });
  expect('push' in source).toBe(false);
});

test('of two who give one tag at the same time the first wins, and the other is refused', async () => {
  const { registry } = await filled();
  const handler = serve(immutable(registry));
  const [first, second] = await Promise.all([handler(put('new', manifest.bytes)), handler(put('new', other))]);
  expect([first.status, second.status].sort()).toEqual([201, 403]);
});
