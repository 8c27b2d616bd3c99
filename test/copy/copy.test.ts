import { expect, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import type { Store } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { failsWith, type Sample, sampleOf } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { errorOf, text } from '../support/hosts.ts';
import { digestsOf, entry, filled, heldBy, image, index, layer, record, statesOf, watched } from './support.ts';

const sizeOf = (samples: readonly Sample[]): number =>
  [...new Map(samples.map(({ descriptor }) => [descriptor.digest, descriptor.size])).values()].reduce(
    (a, b) => a + b,
    0,
  );

/** A store, with what was done to it. */
function watchedStore(store: Store = memoryStore()): { readonly store: Store; readonly done: string[] } {
  const done: string[] = [];
  return {
    done,
    store: {
      ...store,
      push: async (target, body, options) => {
        await store.push(target, body, options);
        done.push(target.digest);
      },
      tag: async (target, name, options) => {
        await store.tag(target, name, options);
        done.push(name);
      },
    },
  };
}

test('an image is copied whole, and is found by its tag', async () => {
  const built = image('app');
  const from = await filled(built);
  const to = memoryStore();
  const copied = await copy(from, to, 'latest');
  const total = sizeOf(built.parts);
  const { descriptor } = built.root;
  expect(copied).toEqual({ descriptor, resolved: descriptor, copied: total, present: 0, skipped: [] });
  expect(await to.resolve('latest')).toEqual(descriptor);
  expect(await heldBy(to, built.parts)).toEqual(digestsOf(built.parts));
});

test('children come before their manifest, and all before the tag', async () => {
  const images = [entry(image('a'), { on: 'linux/amd64' }), entry(image('b'), { on: 'linux/arm64' })];
  const built = index(...images, index(entry(image('c'), { on: 'linux/s390x' })));
  const { store, done } = watchedStore();
  await copy(await filled(built), store, 'latest', { platform: 'all' });
  const at = (digest: string): number => done.indexOf(digest);
  for (const { root, parts } of [...images, built]) {
    for (const part of parts.slice(0, -1)) {
      expect(at(part.descriptor.digest)).toBeGreaterThanOrEqual(0);
      expect(at(part.descriptor.digest)).toBeLessThan(at(root.descriptor.digest));
    }
  }
  expect(done.slice(-2)).toEqual([built.root.descriptor.digest, 'latest']);
  expect(new Set(done).size).toBe(done.length);
});

test('what the store has is not requested, and a second copy requests only the name', async () => {
  const built = image('app');
  const [first] = built.parts;
  const to = memoryStore();
  await fill(to, first ? [first] : []);
  const { source, fetched } = watched(await filled(built));
  const { events, onEvent } = record();
  const { present } = await copy(source, to, 'latest', { onEvent });
  expect(present).toBe(first?.descriptor.size);
  expect(digestsOf(built.parts).filter((digest) => !fetched.includes(digest))).toEqual([first?.descriptor.digest]);
  expect(statesOf(events, first?.descriptor.digest ?? '')).toEqual(['queued', 'present']);
  expect(statesOf(events, built.root.descriptor.digest)).toEqual(['begun', 'stored']);
  fetched.length = 0;
  const again = await copy(source, to, 'latest');
  expect(fetched).toEqual([]);
  expect(again).toMatchObject({ copied: 0, present: sizeOf(built.parts) });
});

test('nothing is requested for a digest that the store has completely', async () => {
  const built = image('app');
  const to = memoryStore();
  const refuse = (): Promise<never> => Promise.reject(new Error('it was asked'));
  await copy(await filled(built), to, 'latest');
  const nobody = { resolve: refuse, fetch: refuse };
  const { copied } = await copy(nobody, to, built.root.descriptor.digest, { name: 'pinned' });
  expect(copied).toBe(0);
  expect(await to.resolve('pinned')).toEqual(built.root.descriptor);
});

test('a manifest that the store has without its layers is completed', async () => {
  const built = image('app');
  const to = memoryStore();
  await fill(to, [built.root]);
  const { source, fetched } = watched(await filled(built));
  await copy(source, to, 'latest');
  expect(fetched).not.toContain(built.root.descriptor.digest);
  expect(await heldBy(to, built.parts)).toEqual(digestsOf(built.parts));
});

test('content of another size in the store is copied again', async () => {
  const built = image('app');
  const [first] = built.parts;
  const digest = first?.descriptor.digest ?? '';
  const store = memoryStore();
  const to: Store = {
    ...store,
    resolve: async (reference, options) =>
      reference === digest
        ? { mediaType: mediaTypes.ociLayer, digest: first?.descriptor.digest ?? 'a:b', size: 1 }
        : store.resolve(reference, options),
  };
  await copy(await filled(built), to, 'latest');
  expect(await heldBy(store, built.parts)).toEqual(digestsOf(built.parts));
});

test('equal contents are copied once, and empty ones too', async () => {
  const [same, empty] = [layer('same'), sampleOf(new Uint8Array(0), mediaTypes.ociLayer)];
  const built = image('app', {
    layers: [same, empty, same, empty, same],
    config: sampleOf(text('{}'), mediaTypes.ociEmpty),
  });
  const { source, fetched } = watched(await filled(built));
  const to = memoryStore();
  await copy(source, to, 'latest');
  expect([...fetched].sort()).toEqual(digestsOf(built.parts));
  expect(await heldBy(to, built.parts)).toEqual(digestsOf(built.parts));
});

test('content that its descriptor carries is not requested, unless it is wrong', async () => {
  const [right, wrong] = [layer('right'), layer('wrong')];
  const withData = ({ descriptor, bytes }: Sample, data: Uint8Array): Sample => ({
    descriptor: { ...descriptor, data: Buffer.from(data).toString('base64') },
    bytes,
  });
  const layers = [withData(right, right.bytes), withData(wrong, text('layer WRONG'))];
  const built = image('app', { layers });
  const { source, fetched } = watched(await filled(built));
  const to = memoryStore();
  await copy(source, to, 'latest');
  expect(fetched).not.toContain(right.descriptor.digest);
  expect(fetched).toContain(wrong.descriptor.digest);
  expect(await heldBy(to, built.parts)).toEqual(digestsOf(built.parts));
});

test.each([
  'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
  'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
])('a layer of type %s is left out and told, or copied where that is wished', async (mediaType) => {
  const foreign = layer('foreign', mediaType);
  const built = image('app', { layers: [layer('own'), foreign] });
  const { digest } = foreign.descriptor;
  const from = await filled(built);
  const { events, onEvent } = record();
  const to = memoryStore();
  expect((await copy(from, to, 'latest', { onEvent })).skipped).toEqual([foreign.descriptor]);
  expect(statesOf(events, digest)).toEqual(['skipped']);
  expect(await heldBy(to, built.parts)).toEqual(digestsOf(built.parts).filter((one) => one !== digest));
  expect((await copy(from, to, 'latest', { nonDistributable: true })).skipped).toEqual([]);
  expect(await heldBy(to, built.parts)).toEqual(digestsOf(built.parts));
});

test('a name may be given, or none, and a digest has none by itself', async () => {
  const built = image('app');
  const from = await filled(built);
  const named = watchedStore();
  await copy(from, named.store, 'latest', { name: 'other' });
  expect(named.done.at(-1)).toBe('other');
  const unnamed = watchedStore();
  await copy(from, unnamed.store, 'latest', { name: false });
  expect(unnamed.done.at(-1)).toBe(built.root.descriptor.digest);
  const pinned = watchedStore();
  await copy(from, pinned.store, built.root.descriptor.digest);
  expect(pinned.done.at(-1)).toBe(built.root.descriptor.digest);
});

test('a store that can keep what has no name does so', async () => {
  const built = image('app');
  const kept: Descriptor[] = [];
  const to = { ...memoryStore(), keep: async (target: Descriptor) => void kept.push(target) };
  await copy(await filled(built), to, built.root.descriptor.digest);
  expect(kept).toEqual([built.root.descriptor]);
  await copy(await filled(built), to, 'latest');
  expect(kept).toHaveLength(1);
});

test('a blob is copied, too, by its digest', async () => {
  const blob = layer('alone');
  const to = memoryStore();
  expect(await copy(await filled({ root: blob, parts: [blob] }), to, blob.descriptor.digest)).toMatchObject({
    descriptor: { digest: blob.descriptor.digest },
  });
  expect(await heldBy(to, [blob])).toEqual([blob.descriptor.digest]);
});

test('so many contents are read at a time, the biggest first', async () => {
  const layers = [30, 500, 20, 900, 10, 700].map((size) => sampleOf(new Uint8Array(size), mediaTypes.ociLayer));
  const built = image('app', { layers });
  let open = 0;
  let most = 0;
  const { source, fetched } = watched(await filled(built), async () => {
    open += 1;
    most = Math.max(most, open);
    await new Promise((resolve) => setTimeout(resolve, 2));
    open -= 1;
  });
  await copy(source, memoryStore(), 'latest', { concurrency: 2 });
  expect(most).toBe(2);
  const sizes = fetched
    .slice(1)
    .map((digest) => built.parts.find(({ descriptor }) => descriptor.digest === digest)?.descriptor.size);
  expect(sizes).toEqual([...sizes].sort((a = 0, b = 0) => b - a));
});

test.each([0, -1, 1.5, Number.NaN, '6'])('%j contents at a time are refused', async (concurrency) => {
  const copying = copy(memoryStore(), memoryStore(), 'latest', { concurrency: concurrency as number });
  await expect(copying).rejects.toEqual(failsWith('INVALID_CONFIG'));
});

test.each(['', 'a b', `sha256:${'0'.repeat(64)}`, 'a\n', 7, null])(
  '%j is refused as a name, before anything is read',
  async (name) => {
    const { source, fetched } = watched(await filled(image('app')));
    const copying = copy(source, memoryStore(), 'latest', { name: name as string });
    await expect(copying).rejects.toEqual(failsWith('INVALID_REFERENCE'));
    expect(fetched).toEqual([]);
  },
);

test('what is not there is NOT_FOUND, and named', async () => {
  const error = await errorOf(copy(memoryStore(), memoryStore(), 'missing'));
  expect(error.code).toBe('NOT_FOUND');
  expect(error.message).toMatch(/^Cannot copy "missing": /);
});

test('two thousand layers are copied in about ten times the time of two hundred', async () => {
  const timeOf = async (count: number): Promise<number> => {
    const layers = Array.from({ length: count }, (_, place) => layer(`${count} ${place}`));
    const from = await filled(image('app', { layers }));
    const started = performance.now();
    await copy(from, memoryStore(), 'latest');
    return performance.now() - started;
  };
  await timeOf(200);
  const few = await timeOf(200);
  const many = await timeOf(2_000);
  expect(many).toBeLessThan(Math.max(few, 20) * 40);
  expect(many).toBeLessThan(10_000);
});
