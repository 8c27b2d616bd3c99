import { expect, test } from 'vitest';
import { memoryRegistry } from '../../../src/registry/memory-registry.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { absent, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { ask, problemOf } from '../support.ts';

const { large, manifest, config } = samples;

async function server() {
  const registry = memoryRegistry();
  const store = registry({ registry: 'localhost', name: 'library/app' });
  await fill(store, [large, config, manifest]);
  await store.tag(manifest.descriptor, 'v1');
  return { handler: serve(registry), store };
}

test('a tag can be deleted alone, and a manifest with all its tags', async () => {
  const { handler, store } = await server();
  expect((await handler(ask('DELETE /v2/library/app/manifests/v1'))).status).toBe(202);
  expect(await store.tags()).toEqual(['latest']);
  expect(await problemOf(await handler(ask('DELETE /v2/library/app/manifests/v1')))).toBe('404 MANIFEST_UNKNOWN');
  const line = `DELETE /v2/library/app/manifests/${manifest.descriptor.digest}`;
  expect((await handler(ask(line))).status).toBe(202);
  expect(await store.tags()).toEqual([]);
  expect(await problemOf(await handler(ask(line)))).toBe('404 MANIFEST_UNKNOWN');
});

test('a blob can be deleted, and not as a manifest, nor a manifest as a blob', async () => {
  const { handler } = await server();
  const { digest } = large.descriptor;
  expect(await problemOf(await handler(ask(`DELETE /v2/library/app/manifests/${digest}`)))).toBe(
    '404 MANIFEST_UNKNOWN',
  );
  const asBlob = `DELETE /v2/library/app/blobs/${manifest.descriptor.digest}`;
  expect(await problemOf(await handler(ask(asBlob)))).toBe('404 BLOB_UNKNOWN');
  expect((await handler(ask(`DELETE /v2/library/app/blobs/${digest}`))).status).toBe(202);
  expect((await handler(ask(`HEAD /v2/library/app/blobs/${digest}`))).status).toBe(404);
});

const refusals: readonly [line: string, problem: string][] = [
  [`DELETE /v2/library/app/blobs/${absent}`, '404 BLOB_UNKNOWN'],
  ['DELETE /v2/library/app/blobs/sha256:fake', '400 DIGEST_INVALID'],
  ['DELETE /v2/library/app/manifests/sha256:fake', '400 DIGEST_INVALID'],
  ['DELETE /v2/library/app/manifests/-v1', '404 MANIFEST_UNKNOWN'],
  ['DELETE /v2/other/app/manifests/v1', '404 NAME_UNKNOWN'],
];
test.each(refusals)('%s is %s', async (line, expected) => {
  expect(await problemOf(await (await server()).handler(ask(line)))).toBe(expected);
});

test('a repository that can only be read, or only be pushed to, refuses to delete', async () => {
  const { store } = await server();
  const { resolve, fetch, push, tag } = store;
  for (const source of [
    { resolve, fetch },
    { resolve, fetch, push, tag },
  ]) {
    const response = await serve(() => source)(ask('DELETE /v2/library/app/manifests/v1'));
    expect(await problemOf(response)).toBe('405 UNSUPPORTED');
  }
});
