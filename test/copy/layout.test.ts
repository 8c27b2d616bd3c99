import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { offerRecycling, recyclerOf } from '../../src/body.ts';
import { cached } from '../../src/cached/cached.ts';
import { copy } from '../../src/copy/copy.ts';
import { RegistryError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { createClient } from '../../src/remote/client.ts';
import { listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import type { Source } from '../../src/source.ts';
import type { Files } from '../../src/store/files.ts';
import { createLayout, layoutStore } from '../../src/store/layout.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { nodeFiles } from '../../src/store/node-files.ts';
import { bytesOf, sampleOf, samples } from '../contract/source.ts';
import { fill, reused } from '../contract/store.ts';
import { errorOf } from '../support/hosts.ts';
import { attestation, digestsOf, entry, filled, heldBy, image, index, record, statesOf, watched } from './support.ts';

const amd64 = entry(image('amd64'), { on: 'linux/amd64' });
const arm64 = entry(image('arm64', { platform: 'linux/arm64' }), { on: 'linux/arm64' });
const app = index(amd64, arm64, attestation('provenance'));

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-copy-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const entriesOf = async (layout: string): Promise<readonly Descriptor[]> =>
  (JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')) as { manifests: Descriptor[] }).manifests;

test('registry to layout, layout to layout, layout to memory', async () => {
  const store = await filled(app);
  const server = await listen(serve(() => store));
  const client = createClient();
  try {
    const [first, second] = ['first', 'second'].map((name) => join(directory, 'deep', name));
    const reference = `${new URL(server.url).host}/app`;
    await client.pull(reference, { to: first ?? '', platform: 'all' });
    expect(await heldBy(layoutStore(first ?? ''), app.parts)).toEqual(digestsOf(app.parts));
    const to = layoutStore(second ?? '');
    const copied = await copy(layoutStore(first ?? ''), to, 'latest', { platform: 'linux/arm64', name: 'arm' });
    expect(copied.descriptor).toMatchObject(arm64.root.descriptor);
    expect(await heldBy(to, app.parts)).toEqual(digestsOf(arm64.parts));
    const memory = memoryStore();
    await copy(to, memory, 'arm');
    expect(await heldBy(memory, app.parts)).toEqual(digestsOf(arm64.parts));
    for (const layout of [first, second]) {
      expect(await layoutStore(layout ?? '').verify()).toMatchObject({ wrong: [], missing: [] });
      expect((await readdir(layout ?? '')).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
    }
  } finally {
    await client.close();
    await server.close();
  }
});

test('what has no name is held by a layout all the same, and outlives a clean-up', async () => {
  const to = layoutStore(directory);
  await copy(await filled(app), to, app.root.descriptor.digest, { platform: 'linux/amd64' });
  expect(await entriesOf(directory)).toMatchObject([{ digest: amd64.root.descriptor.digest }]);
  await to.gc();
  expect(await heldBy(to, amd64.parts)).toEqual(digestsOf(amd64.parts));
});

test('a copy that broke off is resumed by a later one, from where it stood', async () => {
  const big = sampleOf(
    Uint8Array.from({ length: 5_000_000 }, (_, at) => (at * 7) & 255),
    mediaTypes.ociLayer,
  );
  const built = image('app', { layers: [big] });
  const from = await filled(built);
  const controller = new AbortController();
  const slow = {
    ...from,
    fetch: async (...call: Parameters<typeof from.fetch>) => {
      const fetched = await from.fetch(...call);
      if (call[0].digest !== big.descriptor.digest) return fetched;
      const body = async function* () {
        let count = 0;
        for await (const chunk of fetched.body) {
          count += chunk.length;
          if (count > 3_000_000) controller.abort(new Error('enough'));
          yield chunk;
        }
      };
      return { ...fetched, body: Object.assign(body(), { cancel: () => fetched.body.cancel() }) };
    },
  };
  const error = await errorOf(copy(slow, layoutStore(directory), 'latest', { signal: controller.signal }));
  expect(error.code).toBe('ABORTED');
  const { events, onEvent } = record();
  const { source, fetched } = watched(from);
  const { present, copied } = await copy(source, layoutStore(directory), 'latest', { onEvent });
  const begun = events.find(
    (event) => event.type === 'copy' && event.state !== 'queued' && event.digest === big.descriptor.digest,
  );
  expect(begun).toMatchObject({ state: 'begun' });
  const offset = begun?.type === 'copy' ? begun.offset : 0;
  expect(offset).toBeGreaterThan(2_000_000);
  expect(present).toBeGreaterThanOrEqual(offset);
  expect(copied).toBeLessThan(3_100_000);
  expect(fetched.filter((digest) => digest === big.descriptor.digest)).toHaveLength(1);
  expect(await heldBy(layoutStore(directory), built.parts)).toEqual(digestsOf(built.parts));
});

test('a layout that is tidied all the while keeps what is copied into it, and what was here for it', async () => {
  const layers = Array.from({ length: 30 }, (_, place) => sampleOf(new Uint8Array(1_000).fill(place)));
  const built = image('app', { layers });
  await fill(layoutStore(directory), layers.slice(20));
  const { source } = watched(await filled(built), () => new Promise((resolve) => setTimeout(resolve, 5)));
  let isOver = false;
  let refused = 0;
  const tidy = async (): Promise<void> => {
    while (!isOver) {
      const error = await layoutStore(directory)
        .gc()
        .then(
          () => undefined,
          (thrown: RegistryError) => thrown,
        );
      if (error) {
        expect([error.code, error.message]).toEqual(['STORE_ERROR', expect.stringContaining('somebody is writing')]);
        refused += 1;
      }
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  };
  const tidying = tidy();
  await copy(source, layoutStore(directory), 'latest', { concurrency: 1 });
  isOver = true;
  await tidying;
  expect(refused).toBeGreaterThan(0);
  await layoutStore(directory).gc();
  expect(await heldBy(layoutStore(directory), built.parts)).toEqual(digestsOf(built.parts));
  expect((await readdir(directory)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
});

test('two copies into one directory share the work', async () => {
  const built = image('app', {
    layers: Array.from({ length: 6 }, (_, place) => sampleOf(new Uint8Array(300_000).fill(place), mediaTypes.ociLayer)),
  });
  const { source, fetched } = watched(await filled(built), () => new Promise((resolve) => setTimeout(resolve, 5)));
  await Promise.all([1, 2].map(() => copy(source, layoutStore(directory), 'latest')));
  const layers = digestsOf(built.parts.slice(0, -2));
  expect(fetched.filter((digest) => layers.includes(digest)).sort()).toEqual(layers);
  expect(await heldBy(layoutStore(directory), built.parts)).toEqual(digestsOf(built.parts));
});

test('a liar is found out by the layout, too, and its bytes are not kept', async () => {
  const from = await filled(app);
  const [victim] = amd64.parts;
  const liar = {
    ...from,
    fetch: async (...[target, options]: Parameters<typeof from.fetch>) => {
      if (target.digest !== victim?.descriptor.digest) return from.fetch(target, options);
      if (options?.except?.includes('origin')) throw new RegistryError('NOT_FOUND', 'nobody else has it');
      const wrong = victim.bytes.map((byte) => byte ^ 1);
      const body = (async function* () {
        yield wrong;
      })();
      return { descriptor: target, from: 'origin', body: Object.assign(body, { cancel: async () => undefined }) };
    },
  };
  const { events, onEvent } = record();
  const error = await errorOf(copy(liar, layoutStore(directory), 'latest', { platform: 'linux/amd64', onEvent }));
  expect(error.code).toBe('DIGEST_MISMATCH');
  expect(statesOf(events, victim?.descriptor.digest ?? '')).toEqual(['queued', 'begun', 'begun']);
  expect(await heldBy(layoutStore(directory), victim ? [victim] : [])).toEqual([]);
});

/** A source whose chunks have other bytes as soon as they are given back, and how many were. */
function reusing(source: Source) {
  const given = { back: 0 };
  const fetch: Source['fetch'] = async (target, options) => {
    const fetched = await source.fetch(target, options);
    const chunks = reused(await bytesOf(fetched), () => given.back++);
    const body = { [Symbol.asyncIterator]: () => chunks[Symbol.asyncIterator](), cancel: async () => {} };
    return { ...fetched, body: offerRecycling(body, (chunk) => recyclerOf(chunks)?.(chunk)) };
  };
  return { given, source: { resolve: source.resolve, fetch } satisfies Source };
}

test('what a layout has written is given back to the source, but for what others still read', async () => {
  const large = sampleOf(new Uint8Array(100_000).fill(7), mediaTypes.octets);
  const built = image('app', { layers: [large] });
  const { source, given } = reusing(await filled(built));
  const to = layoutStore(join(directory, 'copied'));
  await copy(source, to, 'latest');
  expect(given.back).toBeGreaterThanOrEqual(10);
  expect(await to.verify()).toMatchObject({ wrong: [], missing: [] });
  const { back } = given;
  const through = cached(source, layoutStore(join(directory, 'cached')));
  expect(await bytesOf(await through.fetch(large.descriptor))).toEqual(Buffer.from(large.bytes));
  await copy(source, memoryStore(), 'latest');
  expect(given.back).toBe(back);
});

test('what another process left with the right size and wrong bytes is copied again; what is right is not', async () => {
  const from = await filled(app);
  await copy(from, layoutStore(directory), 'latest', { platform: 'all' });
  const wrong = [amd64.root, ...app.parts].map(({ descriptor }) => descriptor.digest);
  for (const digest of wrong) {
    const path = join(directory, 'blobs', digest.replace(':', '/'));
    const bytes = await readFile(path);
    await writeFile(path, bytes.fill(0x20));
  }
  expect((await layoutStore(directory).verify()).wrong.length).toBe(app.parts.length);
  await copy(from, layoutStore(directory), 'latest', { platform: 'all' });
  expect(await layoutStore(directory).verify()).toMatchObject({ wrong: [], missing: [] });
  expect(await copy(from, layoutStore(directory), 'latest', { platform: 'all' })).toMatchObject({ copied: 0 });
});

test('a content that this process wrote is not read again to know that it is there, until its file changes', async () => {
  const { large } = samples;
  const real = nodeFiles();
  let read = 0;
  const open: typeof real.open = async (path, mode) => {
    if (mode === 'read' && path.includes('blobs')) read += 1;
    return real.open(path, mode);
  };
  const store = createLayout(directory, { files: { ...real, open } });
  const { digest } = large.descriptor;
  await fill(store, [large]);
  // Its head is read for its media type, once.
  await store.resolve(digest);
  await store.resolve(digest, { verify: true });
  expect(read).toBe(1);
  await writeFile(join(directory, 'blobs', digest.replace(':', '/')), large.bytes.slice().fill(1));
  expect((await store.resolve(digest)).size).toBe(large.descriptor.size);
  await expect(store.resolve(digest, { verify: true })).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await fill(store, [large]);
  expect(await store.resolve(digest, { verify: true })).toMatchObject(large.descriptor);
});

/** The file system of a layout whose files never seem to change. */
function sameVersions(): Files {
  const real = nodeFiles();
  const unchanged = <T extends { readonly version: string } | undefined>(facts: T): T =>
    facts && { ...facts, version: 'same' };
  return {
    ...real,
    facts: async (...args) => unchanged(await real.facts(...args)),
    open: async (...args) => {
      const file = await real.open(...args);
      return file && { ...file, facts: async () => unchanged(await file.facts()) };
    },
  };
}

test('with verify, wrong bytes of a file that this process has hashed and that seems the same are replaced', async () => {
  const from = await filled(app);
  const to = createLayout(directory, { files: sameVersions() });
  const pull = (verify: boolean) => copy(from, to, 'latest', { platform: 'all', verify });
  await pull(false);
  const whole = await pull(true);
  expect(whole).toMatchObject({ copied: 0 });
  const damage = async (): Promise<void> => {
    for (const { digest, size } of app.parts.map(({ descriptor }) => descriptor))
      await writeFile(join(directory, 'blobs', digest.replace(':', '/')), Buffer.alloc(size, 0x20));
  };
  for (const _ of ['once', 'and after it was verified']) {
    await damage();
    // Nothing else finds them: blobs are known, and only manifests are read anyway.
    expect((await pull(false)).copied).toBeLessThan(whole.present);
    expect((await to.verify()).wrong.length).toBeGreaterThan(0);
    const repaired = await pull(true);
    expect(repaired.copied).toBeGreaterThan(0);
    expect(await to.verify()).toMatchObject({ wrong: [], missing: [] });
    expect(await pull(true)).toMatchObject({ copied: 0, present: whole.present });
  }
});
