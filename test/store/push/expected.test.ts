import { mkdtemp, readdir, rm, utimes } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { mediaTypes } from '../../../src/oci/manifest.ts';
import { layoutRegistry } from '../../../src/registry/layout-registry.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import { layoutStore } from '../../../src/store/layout.ts';
import { documentOf } from '../../contract/lists.ts';
import { absent, failsWith, type Sample, samples } from '../../contract/source.ts';
import { fill } from '../../contract/store.ts';
import { ask } from '../../server/support.ts';

const { large, config } = samples;
const image = documentOf(mediaTypes.ociManifest, { config: config.descriptor, layers: [large.descriptor] });
const index = documentOf(mediaTypes.ociIndex, { manifests: [image.descriptor] });

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocifetch-expected-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

/** A repository as another process would see it, which has nothing in memory. */
const store = (name = 'app') => layoutStore(join(folder, name));
const notes = async (): Promise<readonly string[]> => readdir(join(folder, 'app', '.ocifetch')).catch(() => []);
const has = async ({ descriptor }: Sample): Promise<boolean> =>
  store()
    .resolve(descriptor.digest)
    .then(
      () => true,
      () => false,
    );

async function send(line: string, body?: Uint8Array, type?: string): Promise<Response> {
  const headers = type === undefined ? {} : { 'content-type': type };
  return serve(layoutRegistry(folder))(ask(line, body ? { body: Buffer.from(body), headers } : {}));
}

/** Each way in which a blob comes to a server. */
const ways: Readonly<Record<string, (sample: Sample) => Promise<Response>>> = {
  'one POST': ({ descriptor, bytes }) => send(`POST /v2/app/blobs/uploads/?digest=${descriptor.digest}`, bytes),
  'an upload in pieces': async ({ descriptor, bytes }) => {
    const path = (await send('POST /v2/app/blobs/uploads/')).headers.get('location');
    await send(`PATCH ${path}`, bytes);
    return send(`PUT ${path}?digest=${descriptor.digest}`);
  },
  'one PUT': async ({ descriptor, bytes }) => {
    const path = (await send('POST /v2/app/blobs/uploads/')).headers.get('location');
    return send(`PUT ${path}?digest=${descriptor.digest}`, bytes);
  },
  'a mount': async (sample) => {
    await fill(layoutRegistry(folder)({ registry: 'localhost', name: 'other' }), [sample]);
    return send(`POST /v2/app/blobs/uploads/?mount=${sample.descriptor.digest}&from=other`);
  },
};

const put = ({ descriptor, bytes }: Sample, reference: string) =>
  send(`PUT /v2/app/manifests/${reference}`, bytes, descriptor.mediaType);

test.each(Object.entries(ways))(
  'a blob that came by %s stays until its manifest comes, and then as long as that',
  async (_way, push) => {
    for (const sample of [large, config]) {
      expect((await push(sample)).status).toBe(201);
      expect((await store().gc()).removed).toEqual([]);
    }
    expect((await put(image, 'latest')).status).toBe(201);
    expect(await notes()).toEqual([]);
    expect((await store().gc()).removed).toEqual([]);
    expect((await send('DELETE /v2/app/manifests/latest')).status).toBe(202);
    const all = [large, config, image].map(({ descriptor }) => descriptor.digest).sort();
    expect((await store().gc()).removed).toEqual(all);
  },
);

test('a manifest that came by its digest stays with all that it names until its index comes', async () => {
  for (const sample of [large, config]) await ways['one POST']?.(sample);
  expect((await put(image, image.descriptor.digest)).status).toBe(201);
  expect((await store().gc()).removed).toEqual([]);
  expect((await put(index, 'latest')).status).toBe(201);
  expect(await notes()).toEqual([]);
  expect((await store().gc()).removed).toEqual([]);
  await store().untag('latest');
  expect((await store().gc()).removed).toHaveLength(4);
});

test('an index that came before its manifests does not stop gc', async () => {
  expect((await put(index, index.descriptor.digest)).status).toBe(201);
  await fill(store(), [large]);
  expect((await store().gc()).removed).toEqual([large.descriptor.digest]);
  expect(await has(index)).toBe(true);
});

test('what waits for longer than the grace is removed, with the note', async () => {
  await ways['one POST']?.(large);
  const [note = ''] = await notes();
  const [{ removed: dry }, { removed: none }] = [
    await store().gc({ dryRun: true }),
    await store().gc({ grace: 60_000 }),
  ];
  expect([dry, none]).toEqual([[], []]);
  const old = new Date(Date.now() - 7_200_000);
  await utimes(join(folder, 'app', '.ocifetch', note), old, old);
  expect((await store().gc({ grace: 10_000_000 })).removed).toEqual([]);
  expect((await store().gc()).removed).toEqual([large.descriptor.digest]);
  expect(await notes()).toEqual([]);
  await ways['one POST']?.(large);
  expect((await store().gc({ grace: 0 })).removed).toEqual([large.descriptor.digest]);
});

test('content that was here without a name stays once it is pushed again', async () => {
  await fill(layoutRegistry(folder)({ registry: 'localhost', name: 'app' }), [large, config]);
  expect((await ways['one POST']?.(large))?.status).toBe(201);
  expect((await store().gc()).removed).toEqual([config.descriptor.digest]);
});

test('wrong bytes leave no note', async () => {
  for (const line of [`POST /v2/app/blobs/uploads/?digest=${absent}`, `PUT /v2/app/manifests/${absent}`]) {
    const response = await send(line, image.bytes, image.descriptor.mediaType);
    expect(response.status).toBeGreaterThanOrEqual(400);
  }
  expect(await notes()).toEqual([]);
});

test('what is pushed into a store by a program does not wait', async () => {
  await fill(store(), [large]);
  expect((await store().gc()).removed).toEqual([large.descriptor.digest]);
  await expect(store().fetch(large.descriptor)).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('an image that is pushed while gc runs again and again arrives whole', async () => {
  let isPushing = true;
  const collect = async () => {
    while (isPushing) {
      await store()
        .gc()
        .catch(() => {});
      await new Promise((resolve) => setTimeout(resolve, 0));
    }
  };
  const collecting = collect();
  try {
    for (let round = 0; round < 2; round++) {
      const annotations = { round: String(round) };
      const other = documentOf(mediaTypes.ociManifest, {
        config: config.descriptor,
        layers: [large.descriptor],
        annotations,
      });
      for (const way of ['one POST', 'an upload in pieces']) {
        for (const sample of [large, config]) expect((await ways[way]?.(sample))?.status).toBe(201);
      }
      expect((await put(other, 'latest')).status).toBe(201);
      for (const sample of [large, config, other]) expect(await has(sample)).toBe(true);
    }
  } finally {
    isPushing = false;
    await collecting;
  }
});
