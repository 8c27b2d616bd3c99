import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect, test, vi } from 'vitest';
import { createBody } from '../../src/body.ts';
import { cached } from '../../src/cached/cached.ts';
import { RegistryError } from '../../src/errors.ts';
import { createClient } from '../../src/remote/client.ts';
import { listen } from '../../src/server/listen.ts';
import { serve } from '../../src/server/registry/serve.ts';
import type { Fetched, FetchOptions, Source, Store } from '../../src/source.ts';
import { type LayoutStore, layoutStore } from '../../src/store/layout.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { absent, bytesOf, failsWith, sampleOf, samples, sourceContract } from '../contract/source.ts';
import { fill } from '../contract/store.ts';

const folders: string[] = [];
afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true, force: true });
});

async function emptyLayout(): Promise<LayoutStore> {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-cached-'));
  folders.push(folder);
  return layoutStore(folder);
}

async function filledMemory(): Promise<Store> {
  const store = memoryStore({ name: 'origin' });
  await fill(store);
  return store;
}

sourceContract('cached in an empty layout', async () => ({
  source: cached(await filledMemory(), await emptyLayout()),
}));
sourceContract('cached in memory', async () => ({ source: cached(await filledMemory(), memoryStore()) }));
sourceContract('cached in a full layout', async () => {
  const store = await emptyLayout();
  await fill(store);
  return { source: cached(await filledMemory(), store) };
});

const { large, manifest, config } = samples;

/** A source whose calls are noted, and whose bodies count the bytes that were taken of them. */
function watched(source: Source) {
  const calls: string[] = [];
  const taken = { bytes: 0, cancelled: 0 };
  const fetch = async (target: typeof large.descriptor, options: FetchOptions = {}): Promise<Fetched> => {
    const { range } = options;
    calls.push(`fetch ${target.digest.slice(7, 15)}${range ? ` from ${range.start}` : ''}`);
    const fetched = await source.fetch(target, options);
    const chunks = fetched.body[Symbol.asyncIterator]();
    const next = async (): Promise<Uint8Array | undefined> => {
      const { value } = await chunks.next();
      taken.bytes += value?.length ?? 0;
      return value;
    };
    const cancel = async (reason?: unknown): Promise<void> => {
      taken.cancelled += 1;
      await fetched.body.cancel(reason);
    };
    return { ...fetched, body: createBody({ next, cancel }, { signal: options.signal }).body };
  };
  const resolve: Source['resolve'] = (reference, options) => {
    calls.push(`resolve ${reference.slice(0, 15)}`);
    return source.resolve(reference, options);
  };
  return { source: { resolve, fetch } satisfies Source, calls, taken };
}

const short = large.descriptor.digest.slice(7, 15);
const isKept = async (store: Store): Promise<boolean> =>
  store.resolve(large.descriptor.digest).then(
    () => true,
    () => false,
  );

/** A store that breaks while it takes bytes. */
const broken = (store: Store, after: number): Store => ({
  ...store,
  push: async (target, body) => {
    let count = 0;
    for await (const chunk of body) {
      count += chunk.length;
      if (count > after) throw new RegistryError('STORE_ERROR', `Cannot write "${target.digest}": the disk is full`);
    }
  },
});

test('what is read once is requested from the origin once, and kept', async () => {
  const store = await emptyLayout();
  const { source: origin, calls } = watched(await filledMemory());
  const source = cached(origin, store);
  for (let times = 0; times < 3; times++) await bytesOf(await source.fetch(large.descriptor));
  expect(calls).toEqual([`fetch ${short}`]);
  expect((await store.verify()).wrong).toEqual([]);
});

test('the origin is read at the pace of its reader', async () => {
  const bytes = new Uint8Array(20_000_000);
  const big = sampleOf(bytes);
  const memory = memoryStore();
  await fill(memory, [big]);
  const { source: origin, taken } = watched(memory);
  const { body } = await cached(origin, await emptyLayout()).fetch(big.descriptor);
  const chunks = body[Symbol.asyncIterator]();
  const { value } = await chunks.next();
  await new Promise((wait) => setTimeout(wait, 100));
  expect(value?.length).toBeGreaterThan(0);
  expect(taken.bytes).toBeLessThan(2_000_000);
  await body.cancel();
});

test('many readers at once download once, also if the first one stops reading', async () => {
  const store = await emptyLayout();
  const { source: origin, calls } = watched(await filledMemory());
  const source = cached(origin, store);
  const opened = await Promise.all([1, 2, 3, 4].map(() => source.fetch(large.descriptor)));
  for (const each of opened.reverse()) expect(Buffer.compare(await bytesOf(each), large.bytes)).toBe(0);
  expect(calls).toEqual([`fetch ${short}`]);
});

test('a first reader who leaves ends the download, unless another waits', async () => {
  const store = await emptyLayout();
  const { source: origin, calls, taken } = watched(await filledMemory());
  const source = cached(origin, store);
  const alone = await source.fetch(large.descriptor);
  await alone.body.cancel();
  await expect.poll(() => taken.cancelled).toBe(1);
  expect(await isKept(store)).toBe(false);

  const first = await source.fetch(large.descriptor);
  const second = source.fetch(large.descriptor);
  await new Promise((wait) => setTimeout(wait, 20));
  await first.body.cancel();
  expect(Buffer.compare(await bytesOf(await second), large.bytes)).toBe(0);
  expect(calls).toEqual([`fetch ${short}`, `fetch ${short}`]);
});

test('a waiting reader who leaves does so at once, and the first one continues', async () => {
  const { source: origin } = watched(await filledMemory());
  const source = cached(origin, await emptyLayout());
  const first = await source.fetch(large.descriptor);
  const controller = new AbortController();
  const second = source.fetch(large.descriptor, { signal: controller.signal });
  controller.abort(new Error('enough'));
  await expect(second).rejects.toEqual(failsWith('ABORTED'));
  expect(Buffer.compare(await bytesOf(first), large.bytes)).toBe(0);
});

test.each([0, 1_000, 200_000])('a store that fails after %d bytes harms no reader, and is told', async (after) => {
  const { source: origin, calls } = watched(await filledMemory());
  const errors: string[] = [];
  const source = cached(origin, broken(memoryStore(), after), { onError: ({ message }) => errors.push(message) });
  const first = await source.fetch(large.descriptor);
  const second = source.fetch(large.descriptor);
  const [a, b] = await Promise.all([bytesOf(first), second.then(bytesOf)]);
  for (const bytes of [a, b]) expect(Buffer.compare(bytes, large.bytes)).toBe(0);
  expect(calls.length).toBeGreaterThan(1);
  expect(errors[0]).toContain('the disk is full');
});

test('the end of wrong bytes is not handed on, and nothing is kept', async () => {
  const memory = memoryStore();
  const wrong = large.bytes.map((byte) => byte ^ 1);
  const lying: Source = {
    resolve: memory.resolve,
    fetch: async (target) => {
      let rest: Uint8Array | undefined = wrong;
      const next = (): Uint8Array | undefined => {
        const chunk = rest;
        rest = undefined;
        return chunk;
      };
      return { descriptor: target, body: createBody({ next, cancel: () => {} }).body, from: 'liar' };
    },
  };
  const store = await emptyLayout();
  const errors: string[] = [];
  const source = cached(lying, store, { onError: ({ message }) => errors.push(message) });
  await expect(bytesOf(await source.fetch(large.descriptor))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  expect(await isKept(store)).toBe(false);
  expect(errors).toEqual([]);
});

test('a broken body is resumed, and the whole is kept', async () => {
  const memory = await filledMemory();
  let breaks = 1;
  const breaking: Source = {
    resolve: memory.resolve,
    fetch: async (target, options) => {
      const fetched = await memory.fetch(target, options);
      if (breaks-- <= 0) return fetched;
      const chunks = fetched.body[Symbol.asyncIterator]();
      let count = 0;
      const next = async (): Promise<Uint8Array | undefined> => {
        if (count++ === 1) throw new RegistryError('UNAVAILABLE', 'the line is dead');
        return (await chunks.next()).value;
      };
      return { ...fetched, body: createBody({ next, cancel: () => fetched.body.cancel() }).body };
    },
  };
  const store = await emptyLayout();
  const { source: origin, calls } = watched(breaking);
  expect(Buffer.compare(await bytesOf(await cached(origin, store).fetch(large.descriptor)), large.bytes)).toBe(0);
  expect(calls).toEqual([`fetch ${short}`, `fetch ${short} from 262144`]);
  expect(await isKept(store)).toBe(true);
});

test('a part of what is not kept is not kept; of what is, it comes from the store', async () => {
  const store = await emptyLayout();
  const { source: origin, calls } = watched(await filledMemory());
  const source = cached(origin, store);
  const range = { start: 5, end: 10 };
  await bytesOf(await source.fetch(large.descriptor, { range }));
  expect(await isKept(store)).toBe(false);
  await bytesOf(await source.fetch(large.descriptor));
  const part = await source.fetch(large.descriptor, { range });
  expect(part.from).toBe(store.name);
  expect(Buffer.compare((await bytesOf(part)).subarray(0, 5), large.bytes.subarray(5, 10))).toBe(0);
  expect(calls).toEqual([`fetch ${short} from 5`, `fetch ${short}`]);
});

test('a tag is resolved by the origin, and by the store if the origin cannot be reached', async () => {
  const store = await emptyLayout();
  const memory = await filledMemory();
  let failure: RegistryError | undefined;
  const origin: Source = {
    fetch: memory.fetch,
    resolve: async (reference, options) => {
      if (failure) throw failure;
      return memory.resolve(reference, options);
    },
  };
  const source = cached(origin, store);
  const warnings: string[] = [];
  const onWarning = (text: string): void => void warnings.push(text);
  for (const { descriptor } of [manifest, config]) await bytesOf(await source.fetch(descriptor));
  expect(await source.resolve('latest')).toMatchObject(manifest.descriptor);
  for (const code of ['UNAVAILABLE', 'TIMEOUT', 'RATE_LIMITED'] as const) {
    failure = new RegistryError(code, 'not now');
    expect(await source.resolve('latest', { onWarning })).toMatchObject(manifest.descriptor);
    await expect(source.resolve('other')).rejects.toBe(failure);
  }
  expect(warnings).toHaveLength(3);
  for (const code of ['NOT_FOUND', 'UNAUTHORIZED', 'DENIED'] as const) {
    failure = new RegistryError(code, 'no');
    await expect(source.resolve('latest')).rejects.toBe(failure);
  }
  failure = new RegistryError('UNAVAILABLE', 'not now');
  expect(await source.resolve(manifest.descriptor.digest)).toMatchObject(manifest.descriptor);
});

test('a tag that was resolved before its manifest was read is kept with it, and moves', async () => {
  const store = await emptyLayout();
  const memory = await filledMemory();
  const source = cached(memory, store);
  await bytesOf(await source.fetch(await source.resolve('latest')));
  await expect.poll(async () => store.tags()).toEqual(['latest']);
  const newer = sampleOf(Buffer.concat([manifest.bytes, Buffer.from('\n')]), manifest.descriptor.mediaType);
  await fill(memory, [{ ...newer, tag: 'latest' }]);
  await bytesOf(await source.fetch(await source.resolve('latest')));
  await expect.poll(async () => (await store.resolve('latest')).digest).toBe(newer.descriptor.digest);
});

test('it lists what its origin lists, and nothing if that cannot', async () => {
  const { source: plain } = watched(await filledMemory());
  expect('tags' in cached(plain, memoryStore())).toBe(false);
  const origin = await emptyLayout();
  await fill(origin);
  const source = cached(origin, memoryStore()) as Source as LayoutStore;
  expect(await source.tags()).toEqual(['latest']);
  expect(await source.referrers(manifest.descriptor.digest)).toEqual([]);
});

test('a mirror over sockets serves what it has once its origin is gone', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-mirror-'));
  folders.push(folder);
  const { source: upstream, calls } = watched(await filledMemory());
  const origin = await listen(serve(() => upstream));
  const client = createClient({
    config: { registries: { 'registry.test': { origin: { url: origin.url } } } },
    retries: { tries: 1 },
  });
  const mirror = await listen(
    serve(({ name }) => {
      const { source } = client.fetcher(`registry.test/${name}`);
      return cached(source, layoutStore(join(folder, name)));
    }),
  );
  try {
    const ask = async (path: string): Promise<Response> => fetch(`${mirror.url}/v2/library/app/${path}`);
    const first = await ask('manifests/latest');
    const digest = first.headers.get('docker-content-digest');
    expect([first.status, digest]).toEqual([200, manifest.descriptor.digest]);
    expect(Buffer.compare(Buffer.from(await first.arrayBuffer()), manifest.bytes)).toBe(0);
    const blobs = await Promise.all([1, 2, 3].map(() => ask(`blobs/${large.descriptor.digest}`)));
    for (const each of blobs) expect(Buffer.compare(Buffer.from(await each.arrayBuffer()), large.bytes)).toBe(0);
    expect(calls.filter((call) => call === `fetch ${short}`)).toHaveLength(1);
    const store = layoutStore(join(folder, 'library', 'app'));
    await expect.poll(() => store.tags()).toEqual(['latest']);
    await expect.poll(() => isKept(store)).toBe(true);
    await origin.close();
    const again = await ask('manifests/latest');
    expect([again.status, again.headers.get('content-type')]).toEqual([200, manifest.descriptor.mediaType]);
    expect(Buffer.compare(Buffer.from(await again.arrayBuffer()), manifest.bytes)).toBe(0);
    const part = await fetch(`${mirror.url}/v2/library/app/blobs/${large.descriptor.digest}`, {
      headers: { range: 'bytes=100-199' },
    });
    expect(part.status).toBe(206);
    expect(Buffer.compare(Buffer.from(await part.arrayBuffer()), large.bytes.subarray(100, 200))).toBe(0);
    expect((await ask('manifests/other')).status).toBeGreaterThanOrEqual(500);
  } finally {
    await mirror.close();
    await client.close();
    await origin.close();
  }
});

test('content of which only the digest is known is requested once by many, and kept with its size', async () => {
  const store = await emptyLayout();
  const { source: origin, calls } = watched(await filledMemory());
  const source = cached(origin, store);
  const opened = await Promise.all([1, 2, 3].map(() => source.open(large.descriptor.digest)));
  expect(opened.map(({ descriptor }) => descriptor.size)).toEqual([300_007, 300_007, 300_007]);
  const all = await Promise.all(opened.map(bytesOf));
  expect(all.every((bytes) => Buffer.compare(bytes, large.bytes) === 0)).toBe(true);
  expect(calls).toEqual([`fetch ${short}`]);
  expect((await store.verify()).wrong).toEqual([]);
  await expect(source.open(absent)).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('what has changed in the store since it was kept is requested from the origin again, and kept again', async () => {
  const store = await emptyLayout();
  const { source: origin, calls } = watched(await filledMemory());
  const source = cached(origin, store);
  await bytesOf(await source.fetch(large.descriptor));
  const path = join(store.directory, 'blobs', ...large.descriptor.digest.split(':'));
  await writeFile(path, Buffer.from(large.bytes).fill(7, 200_000));
  for (let times = 0; times < 2; times++) {
    expect(Buffer.compare(await bytesOf(await source.fetch(large.descriptor)), large.bytes)).toBe(0);
  }
  expect(calls).toEqual([`fetch ${short}`, `fetch ${short}`]);
});

test('whoever waits long for the download of another knows after some seconds what will come, and gets it', async () => {
  const store = memoryStore();
  await fill(store);
  let release = (): void => {};
  const waiting = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow: Source = {
    resolve: (reference) => store.resolve(reference),
    fetch: async (target, options) => {
      const fetched = await store.fetch(target, options);
      const chunks = fetched.body[Symbol.asyncIterator]();
      const next = async (): Promise<Uint8Array | undefined> => {
        await waiting;
        return (await chunks.next()).value ?? undefined;
      };
      return { ...fetched, body: createBody({ next, cancel: (reason) => fetched.body.cancel(reason) }).body };
    },
  };
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
  try {
    const source = cached(slow, memoryStore());
    const first = await source.open(large.descriptor.digest);
    const second = source.open(large.descriptor.digest);
    await vi.advanceTimersByTimeAsync(5_001);
    const { descriptor, body } = await second;
    expect(descriptor).toMatchObject({ digest: large.descriptor.digest, size: large.bytes.length });
    release();
    const both = await Promise.all([bytesOf(first), bytesOf({ descriptor, body, from: '' })]);
    expect(both.every((bytes) => Buffer.compare(bytes, large.bytes) === 0)).toBe(true);
  } finally {
    vi.useRealTimers();
  }
});

test('that a content is missing in one repository says nothing of another one that wants it meanwhile', async () => {
  const store = memoryStore();
  let refuse = (): void => {};
  let isAsked = false;
  const missing: Source = {
    resolve: async () => large.descriptor,
    fetch: () =>
      new Promise((_resolve, reject) => {
        isAsked = true;
        refuse = () => reject(new RegistryError('NOT_FOUND', 'not in this repository'));
      }),
  };
  const first = cached(missing, store).fetch(large.descriptor);
  const failed = expect(first).rejects.toEqual(failsWith('NOT_FOUND'));
  await vi.waitFor(() => expect(isAsked).toBe(true));
  const second = cached(await filledMemory(), store).fetch(large.descriptor);
  refuse();
  await failed;
  expect(Buffer.compare(await bytesOf(await second), large.bytes)).toBe(0);
});
