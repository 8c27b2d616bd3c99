import { expect, test } from 'vitest';
import { RegistryError } from '../../../src/errors.ts';
import { mediaTypes } from '../../../src/oci/manifest.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { memoryStore } from '../../../src/store/memory.ts';
import { referring } from '../../contract/lists.ts';
import { absent, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { ask, problemOf } from '../support.ts';

const { config, manifest, wide } = samples;
const store = memoryStore();
await fill(store, [config, manifest, wide, ...Object.values(referring)]);
const handler = serve(() => store);
const place = `/v2/team/app/referrers/${manifest.descriptor.digest}`;
const signature = 'application/vnd.example.signature';

test('referrers are an index, by GET and HEAD', async () => {
  const response = await handler(ask(`GET ${place}`));
  expect([response.status, response.headers.get('content-type')]).toEqual([200, mediaTypes.ociIndex]);
  expect(response.headers.get('oci-filters-applied')).toBeNull();
  const text = await response.text();
  const index = JSON.parse(text);
  expect([index.schemaVersion, index.mediaType, index.manifests.length]).toEqual([2, mediaTypes.ociIndex, 4]);
  expect(index.manifests[0]).toEqual({
    ...referring.signature.descriptor,
    artifactType: signature,
    annotations: { 'org.example.by': 'Ann "A" Müller' },
  });
  const head = await handler(ask(`HEAD ${place}`));
  expect([head.status, head.headers.get('content-type'), await head.text()]).toEqual([200, mediaTypes.ociIndex, '']);
  expect(head.headers.get('content-length')).toBe(String(Buffer.byteLength(text)));
});

test.each([
  [`?artifactType=${signature}`, 1],
  [`?artifactType=${signature}&artifactType=application/vnd.example.list`, 2],
  ['?artifactType=application/vnd.example.other', 0],
  ['?artifactType=', 4],
])('the filter "%s" leaves %i, and says that it was applied', async (query, count) => {
  const response = await handler(ask(`GET ${place}${query}`));
  expect(response.headers.get('oci-filters-applied')).toBe(query.endsWith('=') ? null : 'artifactType');
  expect(((await response.json()) as { manifests: unknown[] }).manifests).toHaveLength(count);
});

test('a digest that nobody refers to has an empty list; what is no digest is 400', async () => {
  const response = await handler(ask(`GET /v2/team/app/referrers/sha256:${'1'.repeat(64)}`));
  expect([response.status, await response.json()]).toEqual([
    200,
    { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [] },
  ]);
  for (const text of ['latest', 'sha256:abc', 'sha256:baddigeststring']) {
    expect(await problemOf(await handler(ask(`GET /v2/team/app/referrers/${text}`)))).toBe('400 DIGEST_INVALID');
  }
});

test('a repository that is not there has an empty list: who has this API never answers 404', async () => {
  const missing = async (): Promise<never> => {
    throw new RegistryError('NOT_FOUND', 'no such repository');
  };
  const response = await serve(() => ({ ...store, referrers: missing }))(ask(`GET ${place}`));
  expect([response.status, (await response.json()) as object]).toMatchObject([200, { manifests: [] }]);
});

test('a manifest that is put tells what it refers to, where referrers are listed', async () => {
  const { descriptor, bytes } = referring.dangling;
  const put = (): Request =>
    ask(`PUT /v2/team/app/manifests/${descriptor.digest}`, {
      body: bytes.slice(),
      headers: { 'content-type': descriptor.mediaType },
    });
  expect((await handler(put())).headers.get('oci-subject')).toBe(absent);
  const { resolve, fetch, push, tag } = store;
  const response = await serve(() => ({ resolve, fetch, push, tag }))(put());
  expect([response.status, response.headers.get('oci-subject')]).toEqual([201, null]);
  const plain = ask('PUT /v2/team/app/manifests/v1', {
    body: manifest.bytes.slice(),
    headers: { 'content-type': manifest.descriptor.mediaType },
  });
  expect((await handler(plain)).headers.get('oci-subject')).toBeNull();
});
