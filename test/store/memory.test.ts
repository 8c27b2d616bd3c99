import { expect, test } from 'vitest';
import { memoryStore } from '../../src/store/memory.ts';
import { deleterContract, mountsContract, uploadsContract } from '../contract/abilities.ts';
import { listsContract } from '../contract/lists.ts';
import { samples } from '../contract/source.ts';
import { fill, pieces, storeContract } from '../contract/store.ts';

storeContract('memory', async () => ({ store: memoryStore() }));

listsContract('memory', async (prepare) => {
  const source = memoryStore();
  await prepare(source);
  return { source };
});

deleterContract('memory', async () => ({ store: memoryStore() }));
mountsContract('memory', async () => ({ store: { from: memoryStore(), to: memoryStore() } }));
uploadsContract('memory', async () => {
  const store = memoryStore();
  return { store: { ...store, reopened: () => store } };
});

test('content pushed as a manifest stays one when it is pushed again as a blob', async () => {
  const store = memoryStore();
  const { descriptor, bytes } = samples.manifest;
  const asBlob = { ...descriptor, mediaType: 'application/octet-stream' };
  await store.push(asBlob, pieces(bytes));
  expect((await store.resolve(descriptor.digest)).mediaType).toBe('application/octet-stream');
  await store.push(descriptor, pieces(bytes));
  await store.push(asBlob, pieces(bytes));
  expect((await store.resolve(descriptor.digest)).mediaType).toBe(descriptor.mediaType);
});

test('an invalid digest is INVALID_DIGEST, and named', async () => {
  const target = { ...samples.large.descriptor, digest: 'sha256:short' as const };
  const pushed = memoryStore().push(target, pieces(samples.large.bytes));
  await expect(pushed).rejects.toMatchObject({ code: 'INVALID_DIGEST' });
  await expect(pushed).rejects.toThrow('sha256:short');
});

test('bodies have chunks of at most 256 KiB and name their store', async () => {
  const store = memoryStore({ name: 'here' });
  await fill(store);
  const { body, from } = await store.fetch(samples.large.descriptor);
  const lengths: number[] = [];
  for await (const chunk of body) lengths.push(chunk.length);
  expect(from).toBe('here');
  expect(lengths).toEqual([262_144, 300_007 - 262_144]);
});
