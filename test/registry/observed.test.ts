import { expect, test } from 'vitest';
import { bytesBody } from '../../src/body.ts';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { observed, type RegistryOperation } from '../../src/registry/observed.ts';
import { isCatalog, isOpener } from '../../src/source.ts';
import { ableStore, registryContract } from '../contract/registry.ts';
import { absent, bytesOf, failsWith, samples } from '../contract/source.ts';
import { fill, pieces } from '../contract/store.ts';

const { large, manifest, config } = samples;

registryContract('observed', () =>
  observed(memoryRegistry(), () => {
    throw new Error('the observer fails');
  }),
);

function recorded() {
  const seen: RegistryOperation[] = [];
  const registry = observed(memoryRegistry(), (operation) => seen.push(operation));
  /** What was seen since the last time; the events come after the results. */
  const taken = async () => {
    await new Promise((resolve) => setTimeout(resolve, 0));
    return seen.splice(0);
  };
  return { registry, store: ableStore(registry), taken };
}

const repository = { registry: 'localhost', name: 'a/b' };

test('each operation is reported with what it was about and how it ended', async () => {
  const { registry, store, taken } = recorded();
  await fill(store, [config, manifest]);
  await store.resolve('latest');
  await expect(store.resolve(absent)).rejects.toEqual(failsWith('NOT_FOUND'));
  await store.tags();
  await store.referrers(absent);
  await store.untag('latest');
  await store.remove(config.descriptor.digest);
  if (isCatalog(registry)) await registry.repositories();
  const { digest } = manifest.descriptor;
  const of = (operation: string, reference?: string) =>
    expect.objectContaining({ operation, repository, ...(reference && { reference }) });
  expect(await taken()).toEqual([
    expect.objectContaining({ operation: 'push', descriptor: config.descriptor, bytes: config.bytes.length }),
    expect.objectContaining({ operation: 'push', descriptor: manifest.descriptor, reference: digest, repository }),
    of('tag', 'latest'),
    expect.objectContaining({ operation: 'resolve', reference: 'latest', descriptor: manifest.descriptor }),
    expect.objectContaining({ operation: 'resolve', reference: absent, error: failsWith('NOT_FOUND') }),
    of('tags'),
    of('referrers', absent),
    of('untag', 'latest'),
    of('remove', config.descriptor.digest),
    expect.objectContaining({ operation: 'repositories', repository: undefined, duration: expect.any(Number) }),
  ]);
});

test('a fetch is reported when its body has ended, with the bytes that were read', async () => {
  const { store, taken } = recorded();
  await fill(store, [large]);
  await taken();
  const whole = await store.fetch(large.descriptor, { range: { start: 7 } });
  expect(await taken()).toEqual([]);
  expect((await bytesOf(whole)).length).toBe(large.bytes.length - 7);
  const [fetched] = await taken();
  expect(fetched).toMatchObject({ operation: 'fetch', range: { start: 7 }, bytes: large.bytes.length - 7 });
  expect(fetched?.error).toBeUndefined();
  await (await store.fetch(large.descriptor)).body.cancel();
  expect(await taken()).toMatchObject([{ operation: 'fetch', bytes: 0, error: { code: 'ABORTED' } }]);
});

test('an upload is reported step by step', async () => {
  const { store, taken } = recorded();
  const upload = await store.beginUpload();
  await upload.append(pieces(large.bytes));
  await (await store.findUpload(upload.id)).commit(large.descriptor.digest);
  expect((await taken()).map(({ operation, reference, bytes }) => [operation, reference, bytes])).toEqual([
    ['begin-upload', upload.id, undefined],
    ['append', upload.id, large.bytes.length],
    ['find-upload', upload.id, undefined],
    ['commit', large.descriptor.digest, undefined],
  ]);
});

test('an observer cannot change a result', async () => {
  const registry = observed(memoryRegistry(), async (operation) => {
    for (const part of [operation, operation.descriptor, operation.descriptor?.annotations, operation.repository])
      Object.assign(part ?? {}, { digest: absent, name: 'changed', size: 0 });
    throw new Error('and fails');
  });
  const store = ableStore(registry);
  await fill(store, [config, manifest]);
  const found = await store.resolve('latest');
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(found).toEqual(manifest.descriptor);
  expect(await store.resolve('latest')).toEqual(manifest.descriptor);
});

test('a body that is refused unread is cancelled', async () => {
  const { store } = recorded();
  let isLeft = false;
  const body = {
    [Symbol.asyncIterator]: () => ({
      next: async () => ({ done: false as const, value: new Uint8Array(1) }),
      return: async () => {
        isLeft = true;
        return { done: true as const, value: undefined };
      },
    }),
  };
  await expect(store.push({ ...large.descriptor, size: 3 }, body)).rejects.toEqual(failsWith('TOO_LARGE'));
  expect(isLeft).toBe(true);
});

test('content that is opened by its digest is reported as a fetch', async () => {
  const seen: RegistryOperation[] = [];
  const { descriptor, bytes } = large;
  const opener = {
    resolve: async () => descriptor,
    fetch: () => Promise.reject(new Error('not requested')),
    open: async () => ({ descriptor, body: bytesBody(bytes), from: 'remote' }),
  };
  const source = observed(
    () => opener,
    (operation) => seen.push(operation),
  )(repository);
  if (!isOpener(source)) throw new Error('it cannot open');
  await bytesOf(await source.open(descriptor.digest));
  await new Promise((resolve) => setTimeout(resolve, 0));
  expect(seen).toMatchObject([
    { operation: 'fetch', reference: descriptor.digest, descriptor, bytes: bytes.length, repository },
  ]);
});
