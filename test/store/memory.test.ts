import { expect, test } from 'vitest';
import { createMemoryUploads } from '../../src/store/memory/uploads.ts';
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

test('content that was read as a blob at first is found as the manifest that it is', async () => {
  const store = memoryStore();
  const { descriptor, bytes } = samples.manifest;
  await store.push({ ...descriptor, mediaType: 'application/octet-stream' }, pieces(bytes));
  expect(await store.resolve(descriptor.digest, { kind: 'manifests' })).toEqual(descriptor);
  const { large } = samples;
  await store.push({ ...large.descriptor, mediaType: 'application/octet-stream' }, pieces(large.bytes));
  const found = await store.resolve(large.descriptor.digest, { kind: 'manifests' });
  expect(found.mediaType).toBe('application/octet-stream');
});

test('an upload that comes byte by byte is held in few pieces', async () => {
  const given = new Uint8Array(100_000).map((_, index) => index % 251);
  const pushed: Uint8Array[] = [];
  const store = {
    push: async (_: unknown, body: AsyncIterable<Uint8Array>) => {
      for await (const chunk of body) pushed.push(chunk);
    },
  };
  const upload = await createMemoryUploads().into(store, 'a').beginUpload();
  const half = given.length / 2;
  await upload.append(pieces(given.subarray(0, half), 1));
  await upload.append(pieces(given.subarray(half, half + 1), 1));
  await upload.append(pieces(given.subarray(half + 1), 1));
  expect(upload.size).toBe(given.length);
  await upload.commit(samples.large.descriptor.digest);
  expect(Buffer.concat(pushed).equals(given)).toBe(true);
  expect(pushed.length).toBeLessThan(20);
});

test('an upload whose push fails can be committed again', async () => {
  const { descriptor, bytes } = samples.large;
  let count = 0;
  const store = {
    push: async (_: unknown, body: AsyncIterable<Uint8Array>) => {
      let size = 0;
      for await (const chunk of body) size += chunk.length;
      if (count++ === 0) throw new Error('no space');
      expect(size).toBe(bytes.length);
    },
  };
  const upload = await createMemoryUploads().into(store, 'a').beginUpload();
  await upload.append(pieces(bytes));
  await expect(upload.commit(descriptor.digest)).rejects.toThrow('no space');
  expect(upload.size).toBe(bytes.length);
  await upload.commit(descriptor.digest);
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
