import { expect, test } from 'vitest';
import type { Deleter, Lister, Mounts, Source, Store, Uploads } from '../../src/source.ts';
import { absent, bytesOf, failsWith, sampleOf, samples } from './source.ts';
import { fill, type MadeStore, pieces } from './store.ts';

const { large, manifest, config, empty, wide } = samples;

/** Runs a test with a store of its own. */
const using =
  <S>(name: string, make: () => Promise<{ readonly store: S } & Pick<MadeStore, 'close'>>) =>
  (title: string, body: (store: S) => Promise<void>): void =>
    test(`${name}: ${title}`, async () => {
      const { store, close } = await make();
      try {
        await body(store);
      } finally {
        await close?.();
      }
    });

/** A store that takes uploads, and another one over the same content, as after a restart; the same if nothing outlives it. */
export interface MadeUploads extends Pick<MadeStore, 'close'> {
  readonly store: Store & Uploads & { readonly reopened: () => Store & Uploads };
}

/** The contract of a store that takes content in pieces. */
export function uploadsContract(name: string, make: () => Promise<MadeUploads>): void {
  const it = using(name, make);
  const cut = (from: number, to?: number): AsyncGenerator<Uint8Array> => pieces(large.bytes.slice(from, to));
  const stored = async (store: Store) =>
    Buffer.compare(await bytesOf(await store.fetch(large.descriptor)), large.bytes);

  it('pieces in order become content, whichever object adds them', async (store) => {
    const upload = await store.beginUpload();
    expect(upload.size).toBe(0);
    await upload.append(cut(0, 100_000));
    await (await store.findUpload(upload.id)).append(cut(100_000, 100_001));
    const reopened = store.reopened();
    const last = await reopened.findUpload(upload.id);
    expect(last.size).toBe(100_001);
    await last.append(cut(100_001));
    await last.commit(large.descriptor.digest);
    expect(await stored(store)).toBe(0);
    await expect(store.findUpload(upload.id)).rejects.toEqual(failsWith('NOT_FOUND'));
    await expect(upload.append(cut(0, 1))).rejects.toEqual(failsWith('NOT_FOUND'));
  });

  it('empty content, and content of another algorithm, can be uploaded', async (store) => {
    await (await store.beginUpload()).commit(empty.descriptor.digest);
    const upload = await store.beginUpload();
    await upload.append(pieces(wide.bytes));
    await upload.commit(wide.descriptor.digest);
    for (const { descriptor, bytes } of [empty, wide])
      expect(Buffer.compare(await bytesOf(await store.fetch(descriptor)), bytes)).toBe(0);
  });

  it('an upload with other bytes than its digest ends, and nothing is kept', async (store) => {
    const upload = await store.beginUpload();
    await upload.append(cut(0, 1_000));
    await expect(upload.commit(large.descriptor.digest)).rejects.toEqual(failsWith('DIGEST_MISMATCH'));
    await expect(store.resolve(large.descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
    await expect(store.findUpload(upload.id)).rejects.toEqual(failsWith('NOT_FOUND'));
  });

  it('what arrived before a body broke stays', async (store) => {
    const upload = await store.beginUpload();
    await upload.append(cut(0, 10));
    const broken = async function* () {
      yield large.bytes.slice(10, 5_000);
      throw new Error('the line is dead');
    };
    await expect(upload.append(broken())).rejects.toThrow('the line is dead');
    const found = await store.reopened().findUpload(upload.id);
    expect(found.size).toBe(5_000);
    await found.append(cut(5_000));
    await found.commit(large.descriptor.digest);
    expect(await stored(store)).toBe(0);
  });

  it('nothing stays of a piece that is longer or shorter than it should be', async (store) => {
    const upload = await store.beginUpload();
    await upload.append(cut(0, 10));
    await expect(upload.append(cut(10, 20), { size: 9 })).rejects.toEqual(failsWith('TOO_LARGE'));
    await expect(upload.append(cut(10, 20), { size: 11 })).rejects.toEqual(failsWith('UNEXPECTED_END'));
    // What a first try has brought meanwhile is not brought again by the second one.
    const late = upload.append(cut(0, 20), { start: 0, size: 20 });
    await expect(late).rejects.toMatchObject({ code: 'STORE_ERROR', reason: 'upload-in-use' });
    expect((await store.findUpload(upload.id)).size).toBe(10);
    await upload.append(cut(10), { size: large.bytes.length - 10 });
    await upload.commit(large.descriptor.digest);
    expect(await stored(store)).toBe(0);
  });

  it('more than the limits allow is TOO_LARGE or RATE_LIMITED, and names the option', async (store) => {
    const limits = { uploadBytes: 1_000, uploads: 2 };
    const upload = await store.beginUpload(limits);
    await upload.append(cut(0, 600));
    await expect(upload.append(cut(600, 1_001))).rejects.toMatchObject({ code: 'TOO_LARGE', limit: 'uploadBytes' });
    await upload.append(cut(600, 1_000));
    await store.beginUpload(limits);
    await expect(store.beginUpload(limits)).rejects.toMatchObject({ code: 'RATE_LIMITED', limit: 'uploads' });
    await upload.cancel();
    await store.beginUpload(limits);
  });

  it('an upload that nobody continues is dropped', async (store) => {
    const limits = { uploads: 1, uploadIdle: 30 };
    await store.beginUpload(limits);
    await expect.poll(() => store.beginUpload(limits).catch((error) => error.code)).not.toBe('RATE_LIMITED');
  });

  it('a second call during another one is refused, and the first goes on', async (store) => {
    const upload = await store.beginUpload();
    let resume = (): void => {};
    const paused = new Promise<void>((resolve) => {
      resume = resolve;
    });
    let isStarted = (): void => {};
    const started = new Promise<void>((resolve) => {
      isStarted = resolve;
    });
    const slow = async function* () {
      yield large.bytes.slice(0, 10);
      isStarted();
      await paused;
      yield large.bytes.slice(10);
    };
    const first = upload.append(slow());
    await started;
    const second = await store.findUpload(upload.id);
    for (const call of [second.append(cut(0, 5)), second.cancel(), second.commit(large.descriptor.digest)]) {
      await expect(call).rejects.toMatchObject({ code: 'STORE_ERROR', reason: 'upload-in-use' });
    }
    resume();
    await first;
    await upload.commit(large.descriptor.digest);
    expect(await stored(store)).toBe(0);
  });

  it('a name that is not of an upload is NOT_FOUND', async (store) => {
    for (const id of ['', '..', '../../etc/passwd', 'x'.repeat(36), crypto.randomUUID()])
      await expect(store.findUpload(id)).rejects.toEqual(failsWith('NOT_FOUND'));
  });
}

/** The contract of a store from which content can be removed. */
export function deleterContract(
  name: string,
  make: () => Promise<{ readonly store: Store & Deleter & Lister } & Pick<MadeStore, 'close'>>,
): void {
  const it = using(name, make);

  it('removed content is gone, with its names; other content stays', async (store) => {
    const other = sampleOf(Buffer.from(`${Buffer.from(manifest.bytes)}\n`), manifest.descriptor.mediaType);
    await fill(store, [config, large, { ...manifest, tag: 'a' }, { ...other, tag: 'b' }]);
    await store.tag(manifest.descriptor, 'c');
    const untagged = new Set<string>();
    await store.remove(manifest.descriptor.digest, { onUntagged: (tag) => untagged.add(tag) });
    expect([...untagged].sort()).toEqual(['a', 'c']);
    expect(await store.tags()).toEqual(['b']);
    for (const reference of ['a', 'c', manifest.descriptor.digest])
      await expect(store.resolve(reference)).rejects.toEqual(failsWith('NOT_FOUND'));
    await store.remove(large.descriptor.digest);
    await expect(store.fetch(large.descriptor)).rejects.toEqual(failsWith('NOT_FOUND'));
    expect((await store.resolve('b')).digest).toBe(other.descriptor.digest);
    await fill(store, [large]);
    expect((await store.resolve(large.descriptor.digest)).size).toBe(large.bytes.length);
  });

  it('a removed name leaves the content, and its other names', async (store) => {
    await fill(store, [config, { ...manifest, tag: 'a' }]);
    await store.tag(manifest.descriptor, 'b');
    await store.untag('a');
    expect(await store.tags()).toEqual(['b']);
    await expect(store.resolve('a')).rejects.toEqual(failsWith('NOT_FOUND'));
    expect((await store.resolve(manifest.descriptor.digest)).digest).toBe(manifest.descriptor.digest);
  });

  it('what is not there cannot be removed', async (store) => {
    await expect(store.remove(absent)).rejects.toEqual(failsWith('NOT_FOUND'));
    await expect(store.untag('nothing')).rejects.toEqual(failsWith('NOT_FOUND'));
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(store.remove(absent, { signal })).rejects.toEqual(failsWith('ABORTED'));
  });
}

/** Two repositories of one registry. */
export interface MadePair extends Pick<MadeStore, 'close'> {
  readonly store: { readonly from: Store; readonly to: Store & Mounts };
}

/** The contract of a store that takes content over from another one. */
export function mountsContract(name: string, make: () => Promise<MadePair>): void {
  const it = using(name, make);

  it('mounted content is in both repositories, until it is removed from one', async ({ from, to }) => {
    await fill(from, [large]);
    expect(await to.mount(large.descriptor.digest, from)).toBe(true);
    expect(await to.mount(large.descriptor.digest, from)).toBe(true);
    for (const store of [from, to])
      expect(Buffer.compare(await bytesOf(await store.fetch(large.descriptor)), large.bytes)).toBe(0);
    await (from as Store & Deleter).remove(large.descriptor.digest);
    expect(Buffer.compare(await bytesOf(await to.fetch(large.descriptor)), large.bytes)).toBe(0);
    expect((await to.resolve(large.descriptor.digest, { links: false })).size).toBe(large.bytes.length);
  });

  it('content that is not there is NOT_FOUND, and a source of another kind cannot be mounted from', async ({
    from,
    to,
  }) => {
    await expect(to.mount(absent, from)).rejects.toEqual(failsWith('NOT_FOUND'));
    const other: Source = { resolve: (reference) => from.resolve(reference), fetch: (target) => from.fetch(target) };
    expect(await to.mount(large.descriptor.digest, other)).toBe(false);
  });
}
