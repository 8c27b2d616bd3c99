import { expect, test } from 'vitest';
import { offerRecycling } from '../../src/body.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { Chunks, Store } from '../../src/source.ts';
import { absent, bytesOf, failsWith, type Sample, sampleOf, samples, sourceContract } from './source.ts';

/** An empty store, and how to close it. */
export interface MadeStore {
  readonly store: Store;
  readonly close?: () => Promise<void>;
}

/** The bytes in pieces of `length` bytes. */
export async function* pieces(bytes: Uint8Array, length = 10_000): AsyncGenerator<Uint8Array> {
  for (let offset = 0; offset < bytes.length; offset += length) yield bytes.slice(offset, offset + length);
}

/** The bytes in pieces whose memory is overwritten as soon as they are given back; `onRecycle` is called for each. */
export const reused = (bytes: Uint8Array, onRecycle = (): void => {}): Chunks =>
  offerRecycling(pieces(bytes), (chunk) => {
    chunk.fill(0xee);
    onRecycle();
  });

/** Pushes every sample, and tags those that have a tag. */
export async function fill(store: Store, content: readonly Sample[] = Object.values(samples)): Promise<void> {
  for (const { descriptor, bytes, tag } of content) {
    await store.push(descriptor, pieces(bytes));
    if (tag !== undefined) await store.tag(descriptor, tag);
  }
}

/** The contract of every store, which includes that of a source. `make` returns an empty one. */
export function storeContract(name: string, make: () => Promise<MadeStore>): void {
  sourceContract(name, async () => {
    const { store, close } = await make();
    await fill(store);
    return { source: store, ...(close && { close }) };
  });

  const using = (title: string, body: (store: Store) => Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      const { store, close } = await make();
      try {
        await body(store);
      } finally {
        await close?.();
      }
    });

  const { large, manifest, config, wide } = samples;
  const other = sampleOf(Uint8Array.from(large.bytes, (byte) => byte ^ 1));

  const wrongBytes: readonly [title: string, code: ErrorCode, bytes: Uint8Array][] = [
    ['other bytes', 'DIGEST_MISMATCH', other.bytes],
    ['one byte more', 'TOO_LARGE', Buffer.concat([large.bytes, new Uint8Array(1)])],
    ['one byte less', 'UNEXPECTED_END', large.bytes.subarray(1)],
    ['no bytes', 'UNEXPECTED_END', new Uint8Array(0)],
  ];
  for (const [title, code, bytes] of wrongBytes) {
    using(`a push of ${title} is ${code}, and nothing is kept`, async (store) => {
      const { descriptor } = large;
      await expect(store.push(descriptor, pieces(bytes))).rejects.toEqual(failsWith(code));
      await expect(store.push(descriptor, pieces(bytes))).rejects.toThrow(descriptor.digest);
      await expect(store.resolve(descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
      await store.push(descriptor, pieces(large.bytes));
      expect(Buffer.compare(await bytesOf(await store.fetch(descriptor)), large.bytes)).toBe(0);
    });
  }

  using('a chunk that was given back is not read again', async (store) => {
    const { descriptor, bytes } = large;
    await store.push(descriptor, reused(bytes));
    expect(Buffer.compare(await bytesOf(await store.fetch(descriptor)), bytes)).toBe(0);
  });

  using(
    'a push of other bytes for content that is stored changes nothing: it fails, or the bytes are not read',
    async (store) => {
      await store.push(wide.descriptor, pieces(wide.bytes));
      await store.push(wide.descriptor, pieces(new Uint8Array(9))).catch((error) => {
        expect(error).toEqual(failsWith('DIGEST_MISMATCH'));
      });
      expect(Buffer.compare(await bytesOf(await store.fetch(wide.descriptor)), wide.bytes)).toBe(0);
    },
  );

  using('a push that is too large is refused before its end is read', async (store) => {
    let given = 0;
    let isLeft = false;
    const endless = async function* () {
      try {
        for (;;) {
          given += 1_000;
          yield new Uint8Array(1_000);
        }
      } finally {
        isLeft = true;
      }
    };
    await expect(store.push(large.descriptor, endless())).rejects.toEqual(failsWith('TOO_LARGE'));
    expect(given).toBeLessThan(large.bytes.length + 1_000_000);
    expect(isLeft).toBe(true);
  });

  using('a push whose body breaks fails, and nothing is kept', async (store) => {
    const broken = async function* () {
      yield large.bytes.slice(0, 1_000);
      throw new Error('the line is dead');
    };
    await expect(store.push(large.descriptor, broken())).rejects.toThrow('the line is dead');
    await expect(store.resolve(large.descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
  });

  using('a push is ABORTED by its signal, before or during it, and nothing is kept', async (store) => {
    const controller = new AbortController();
    const aborting = async function* () {
      yield large.bytes.slice(0, 1_000);
      controller.abort(new Error('enough'));
      yield large.bytes.slice(1_000);
    };
    const { signal } = controller;
    await expect(store.push(large.descriptor, aborting(), { signal })).rejects.toEqual(failsWith('ABORTED'));
    const again = store.push(large.descriptor, pieces(large.bytes), { signal });
    await expect(again).rejects.toEqual(failsWith('ABORTED'));
    await expect(store.resolve(large.descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
  });

  using('a blob that is pushed several times at once is stored completely', async (store) => {
    await Promise.all([1, 2, 3, 4].map((part) => store.push(large.descriptor, pieces(large.bytes, part * 7_001))));
    expect(Buffer.compare(await bytesOf(await store.fetch(large.descriptor)), large.bytes)).toBe(0);
  });

  using('stored bytes do not change when the caller overwrites the pushed chunk', async (store) => {
    const bytes = large.bytes.slice();
    await store.push(
      large.descriptor,
      (async function* () {
        yield bytes;
      })(),
    );
    bytes.fill(0);
    expect(Buffer.compare(await bytesOf(await store.fetch(large.descriptor)), large.bytes)).toBe(0);
  });

  using('a tag can move, and the content that it named before stays', async (store) => {
    const bytes = new TextEncoder().encode(`${new TextDecoder().decode(manifest.bytes)}\n`);
    const newer = sampleOf(bytes, manifest.descriptor.mediaType);
    await fill(store, [config, { ...manifest, tag: 'v1' }, { ...newer, tag: 'v1' }]);
    expect((await store.resolve('v1')).digest).toBe(newer.descriptor.digest);
    expect((await store.resolve(manifest.descriptor.digest)).digest).toBe(manifest.descriptor.digest);
  });

  using('one manifest can have several tags', async (store) => {
    await fill(store, [config, manifest]);
    for (const tag of ['a', 'B_1.2-3']) await store.tag(manifest.descriptor, tag);
    for (const tag of ['latest', 'a', 'B_1.2-3']) {
      expect(await store.resolve(tag)).toMatchObject(manifest.descriptor);
    }
  });

  using('a tag for content that does not exist is NOT_FOUND', async (store) => {
    const target = { ...manifest.descriptor, digest: absent };
    await expect(store.tag(target, 'latest')).rejects.toEqual(failsWith('NOT_FOUND'));
    await expect(store.resolve('latest')).rejects.toEqual(failsWith('NOT_FOUND'));
  });
}
