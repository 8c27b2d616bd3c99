import { expect, test } from 'vitest';
import { sleep } from '../../src/abort.ts';
import { createBody } from '../../src/body.ts';
import { cached } from '../../src/cached/cached.ts';
import { firstOf } from '../../src/combine.ts';
import { copy } from '../../src/copy/copy.ts';
import { RegistryError } from '../../src/errors.ts';
import { fetchTransport } from '../../src/http/fetch-transport.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { createClient } from '../../src/remote/client.ts';
import { serve } from '../../src/server/registry/serve.ts';
import type { FetchOptions, ResumableStore, Source, Store } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { failsWith, sampleOf } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { errorOf } from '../support/hosts.ts';
import {
  type Built,
  digestsOf,
  entry,
  filled,
  heldBy,
  image,
  index,
  layer,
  record,
  statesOf,
  watched,
} from './support.ts';

const big = sampleOf(
  Uint8Array.from({ length: 500_000 }, (_, at) => at * 7),
  mediaTypes.ociLayer,
);
const app = image('app', { layers: [layer('small'), big] });

/** A source whose answers for one content are given by `answer`; without one, by the store. */
async function host(
  built: Built,
  name: string,
  answer: (target: Descriptor, options: FetchOptions) => Uint8Array[] | undefined,
): Promise<{ readonly source: Source; readonly asked: string[] }> {
  const store = await filled(built);
  const asked: string[] = [];
  return {
    asked,
    source: {
      name,
      resolve: (reference, options) => store.resolve(reference, options),
      fetch: async (target, options = {}) => {
        asked.push(`${target.digest} ${options.range?.start ?? 0}`);
        const chunks = answer(target, options);
        if (!chunks) return { ...(await store.fetch(target, options)), from: name };
        const next = (): Uint8Array | undefined => chunks.shift();
        return { descriptor: target, body: createBody({ next, cancel: () => undefined }).body, from: name };
      },
    },
  };
}

const isBig = ({ digest }: Descriptor): boolean => digest === big.descriptor.digest;
const flipped = big.bytes.map((byte) => byte ^ 1);

test('the error says which content of what failed, with its code and attempts', async () => {
  const { source } = await host(app, 'broken', (target) => {
    if (!isBig(target)) return undefined;
    const [url, repository] = ['https://broken.test/v2', 'app'];
    const attempt = { url, repository, scopes: [], capabilities: [], host: 'broken.test', method: 'GET', request: url };
    throw new RegistryError('DENIED', `Cannot fetch "${target.digest}": not for you`, {
      found: 'not for you',
      value: target.digest,
      status: 403,
      attempts: [{ ...attempt, outcome: 'DENIED', duration: 1, bytes: 0 }],
    });
  });
  const error = await errorOf(copy(source, memoryStore(), 'latest'));
  expect(error.message).toBe(`Cannot copy "latest": layer 2 of 2 "${big.descriptor.digest}": not for you`);
  expect(error).toMatchObject({ code: 'DENIED', status: 403, attempts: [{ host: 'broken.test' }] });
});

test('a failure names the config and the manifest, too', async () => {
  const refuse = (digest: string) =>
    host(app, 'broken', (target) => {
      if (target.digest === digest) throw new RegistryError('UNAVAILABLE', 'the host is gone');
      return undefined;
    });
  const config = app.parts.at(-2)?.descriptor.digest ?? '';
  const byConfig = await errorOf(copy((await refuse(config)).source, memoryStore(), 'latest'));
  expect(byConfig.message).toBe(`Cannot copy "latest": config "${config}": the host is gone`);
  const { digest } = app.root.descriptor;
  const byManifest = await errorOf(copy((await refuse(digest)).source, memoryStore(), 'latest'));
  expect(byManifest.message).toBe(`Cannot copy "latest": manifest "${digest}": the host is gone`);
});

test('the first failure ends the rest at once, and nothing continues after it is reported', async () => {
  const layers = Array.from({ length: 120 }, (_, place) => layer(`many ${place}`));
  const built = image('app', { layers });
  const last = layers.at(12)?.descriptor.digest;
  let running = 0;
  const { source, fetched } = watched(await filled(built), async ({ digest }, { signal }) => {
    if (digest === last) throw new RegistryError('UNAVAILABLE', 'the host is gone');
    if (!layers.some(({ descriptor }) => descriptor.digest === digest)) return;
    running += 1;
    await sleep(15_000, signal).finally(() => {
      running -= 1;
    });
  });
  const to = memoryStore();
  const error = await errorOf(copy(source, to, 'latest'));
  expect(error.message).toContain('the host is gone');
  expect(running).toBe(0);
  expect(fetched.length).toBeLessThan(layers.length);
  await expect(to.resolve('latest')).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('wrong bytes are read again from another host, and the liar is contacted last from then on', async () => {
  const liar = await host(app, 'liar', (target) => (isBig(target) ? [flipped.slice()] : undefined));
  const honest = await host(app, 'honest', () => undefined);
  const to = memoryStore();
  const { events, onEvent } = record();
  await copy(firstOf(liar.source, honest.source), to, 'latest', { onEvent });
  expect(await heldBy(to, app.parts)).toEqual(digestsOf(app.parts));
  expect(liar.asked.filter((line) => line.startsWith(big.descriptor.digest))).toHaveLength(1);
  expect(statesOf(events, big.descriptor.digest)).toEqual(['queued', 'begun', 'begun', 'stored']);
  expect(events).toContainEqual({
    type: 'verified',
    digest: big.descriptor.digest,
    size: big.bytes.length,
    from: 'honest',
  });
});

test('a host that sends too much is left for another one', async () => {
  const long = await host(app, 'long', (target) =>
    isBig(target) ? [big.bytes.slice(), new Uint8Array(1)] : undefined,
  );
  const honest = await host(app, 'honest', () => undefined);
  const to = memoryStore();
  await copy(firstOf(long.source, honest.source), to, 'latest');
  expect(await heldBy(to, app.parts)).toEqual(digestsOf(app.parts));
});

test('if every host lies, the error is DIGEST_MISMATCH and lists each', async () => {
  const lie = (target: Descriptor) => (isBig(target) ? [flipped.slice()] : undefined);
  const hosts = await Promise.all(['https://a.test/v2', 'https://b.test/v2'].map((name) => host(app, name, lie)));
  const to = memoryStore();
  const error = await errorOf(copy(firstOf(...hosts.map(({ source }) => source)), to, 'latest'));
  expect(error.code).toBe('DIGEST_MISMATCH');
  expect(error.message).toMatch(/^Cannot copy "latest": layer 2 of 2 "sha256:/);
  expect(error.attempts.map((attempt) => attempt.host)).toEqual(['a.test', 'b.test']);
  expect(await heldBy(to, [big])).toEqual([]);
});

test('a body that breaks is resumed from the next host, where it stood', async () => {
  const short = await host(app, 'short', (target, { range }) =>
    isBig(target) && range === undefined ? [big.bytes.slice(0, 100_000)] : undefined,
  );
  const to = memoryStore();
  const { copied } = await copy(short.source, to, 'latest');
  expect(short.asked).toContain(`${big.descriptor.digest} 100000`);
  expect(copied).toBe(app.parts.reduce((sum, { bytes }) => sum + bytes.length, 0));
});

test('a failure of the store is reported as its own, and no other host is contacted', async () => {
  const first = await host(app, 'first', () => undefined);
  const second = await host(app, 'second', () => undefined);
  const full = new RegistryError('STORE_ERROR', 'Cannot write "/d/x": the disk is full');
  const to: Store = {
    ...memoryStore(),
    push: async (target, body) => {
      for await (const chunk of body) if (isBig(target) && chunk.length > 0) throw full;
    },
  };
  const error = await errorOf(copy(firstOf(first.source, second.source), to, 'latest'));
  expect(error.code).toBe('STORE_ERROR');
  expect(error.message).toBe(
    `Cannot copy "latest": layer 2 of 2 "${big.descriptor.digest}": Cannot write "/d/x": the disk is full`,
  );
  expect(first.asked.filter((line) => line.startsWith(big.descriptor.digest))).toHaveLength(1);
  expect(second.asked).toEqual([]);
  const odd = { ...to, push: () => Promise.reject(new TypeError('no such thing')) };
  await expect(copy(first.source, odd, 'latest')).rejects.toEqual(failsWith('STORE_ERROR'));
  const unreadable = { ...to, resolve: () => Promise.reject(full) };
  await expect(copy(first.source, unreadable, 'latest')).rejects.toEqual(failsWith('STORE_ERROR'));
  const unnamed = { ...memoryStore(), tag: () => Promise.reject(full) };
  await expect(copy(first.source, unnamed, 'latest')).rejects.toThrow('Cannot copy "latest": Cannot write "/d/x"');
});

test('a manifest that is wrong in the store is read from the source, and a store that keeps it is reported', async () => {
  const wrong = sampleOf(
    app.root.bytes.map((byte) => (byte === 0x32 ? 0x33 : byte)),
    app.root.descriptor.mediaType,
  );
  const to = memoryStore();
  await fill(to, [wrong]);
  const corrupt = (isKept: boolean): Store => {
    let isWrong = true;
    return {
      ...to,
      resolve: (reference, options) =>
        isWrong && reference === app.root.descriptor.digest
          ? Promise.resolve(app.root.descriptor)
          : to.resolve(reference, options),
      fetch: (target, options) =>
        to.fetch(isWrong && target.digest === app.root.descriptor.digest ? wrong.descriptor : target, options),
      push: async (target, body, options) => {
        await to.push(target, body, options);
        if (target.digest === app.root.descriptor.digest) isWrong = isKept;
      },
    };
  };
  await copy(await filled(app), corrupt(false), 'latest');
  expect(await heldBy(to, app.parts)).toEqual(digestsOf(app.parts));
  const error = await errorOf(copy(await filled(app), corrupt(true), 'latest'));
  expect(error.code).toBe('STORE_ERROR');
  expect(error.message).toContain('has other bytes under its digest');
});

/** A store that has the first `kept` bytes of the big layer from an earlier time. */
function resumable(store: Store, kept: Uint8Array): { readonly store: ResumableStore; readonly offsets: number[] } {
  const offsets: number[] = [];
  const joined = async function* (open: (offset: number) => AsyncIterable<Uint8Array>, at: number) {
    if (at > 0) yield kept;
    offsets.push(at);
    yield* open(at);
  };
  const pushFrom: ResumableStore['pushFrom'] = async (target, open, options) => {
    const at = isBig(target) ? kept.length : 0;
    if (isBig(target)) options?.onWait?.();
    await store.push(target, joined(open, at), options).catch(async (error: RegistryError) => {
      if (at === 0 || error.code !== 'DIGEST_MISMATCH') throw error;
      await store.push(target, joined(open, 0), options);
    });
  };
  return { offsets, store: { ...store, pushFrom } };
}

test('a store that can resume what broke off does, and what it had is counted as present', async () => {
  const memory = memoryStore();
  const { store } = resumable(memory, big.bytes.slice(0, 200_000));
  const { source, asked } = await host(app, 'honest', () => undefined);
  const { events, onEvent } = record();
  const { present, copied } = await copy(source, store, 'latest', { onEvent });
  expect(present).toBe(200_000);
  expect(present + copied).toBe(app.parts.reduce((sum, { bytes }) => sum + bytes.length, 0));
  expect(asked).toContain(`${big.descriptor.digest} 200000`);
  expect(statesOf(events, big.descriptor.digest)).toEqual(['queued', 'waiting', 'begun', 'stored']);
  expect(
    events.find(
      (event) => event.type === 'copy' && event.state === 'begun' && isBig(event as Descriptor & typeof event),
    ),
  ).toMatchObject({ offset: 200_000 });
  expect(await heldBy(memory, app.parts)).toEqual(digestsOf(app.parts));
});

test('what it had and was wrong is read anew', async () => {
  const memory = memoryStore();
  const { store, offsets } = resumable(memory, flipped.slice(0, 200_000));
  const { present } = await copy((await host(app, 'honest', () => undefined)).source, store, 'latest');
  expect(present).toBe(0);
  expect(offsets.filter((offset) => offset > 0)).toEqual([200_000]);
  expect(await heldBy(memory, app.parts)).toEqual(digestsOf(app.parts));
});

test('what another process brings meanwhile is not requested', async () => {
  const memory = memoryStore();
  const store: ResumableStore = {
    ...memory,
    pushFrom: async (target, open, options) => {
      if (!isBig(target)) return memory.push(target, open(0), options);
      options?.onWait?.();
      await fill(memory, [big]);
    },
  };
  const { source, asked } = await host(app, 'honest', () => undefined);
  const { events, onEvent } = record();
  const { present } = await copy(source, store, 'latest', { onEvent });
  expect(present).toBe(big.bytes.length);
  expect(asked.filter((line) => line.startsWith(big.descriptor.digest))).toEqual([]);
  expect(statesOf(events, big.descriptor.digest)).toEqual(['queued', 'waiting', 'present']);
});

test('a signal ends a copy at once, with its reason, before or under way', async () => {
  const { source } = await host(app, 'honest', () => undefined);
  const early = copy(source, memoryStore(), 'latest', { signal: AbortSignal.abort(new Error('enough')) });
  await expect(early).rejects.toEqual(failsWith('ABORTED'));
  const controller = new AbortController();
  const hanging = watched(source, ({ digest }, { signal }) => {
    if (digest !== big.descriptor.digest) return undefined;
    controller.abort(new Error('enough'));
    return sleep(15_000, signal);
  });
  const to = memoryStore();
  const error = await errorOf(copy(hanging.source, to, 'latest', { signal: controller.signal }));
  expect(error.code).toBe('ABORTED');
  expect(error.message).toBe('The operation was aborted: enough');
  await expect(to.resolve('latest')).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('a manifest may be as large as the option says, else as the client of the source', async () => {
  const note = 'x'.repeat(5_000_000);
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [], annotations: { note } };
  const large = sampleOf(new TextEncoder().encode(JSON.stringify(document)), mediaTypes.ociIndex);
  const store = await filled({ root: large, parts: [large] });
  const refused = await errorOf(copy(store, memoryStore(), 'latest', { platform: 'all' }));
  expect(refused).toMatchObject({ code: 'TOO_LARGE', reason: 'limit', limit: 'limits.manifestBytes' });
  const limits = { manifestBytes: 6_000_000 };
  const copied = await copy(store, memoryStore(), 'latest', { platform: 'all', limits });
  expect(copied.copied).toBe(large.bytes.length);
  const handler = serve(() => store);
  const client = createClient({ transport: fetchTransport((url, init) => handler(new Request(url, init))), limits });
  const { source } = client.fetcher('registry.test/app');
  const all = { platform: 'all' } as const;
  expect((await copy(source, memoryStore(), 'latest', all)).copied).toBe(large.bytes.length);
  expect((await copy(cached(source, memoryStore()), memoryStore(), 'latest', all)).copied).toBe(large.bytes.length);
  const less = copy(source, memoryStore(), 'latest', { ...all, limits: { manifestBytes: 5_000_000 } });
  await expect(less).rejects.toEqual(failsWith('TOO_LARGE'));
  await expect(copy(store, memoryStore(), 'latest', { limits: { manifestBytes: 0 } })).rejects.toEqual(
    failsWith('INVALID_CONFIG'),
  );
  await client.close();
});

test('a manifest that is too large, too deep or none is refused', async () => {
  let deep = index(entry(image('deep')));
  for (let level = 0; level < 20; level++) deep = index(deep);
  const nested = await errorOf(copy(await filled(deep), memoryStore(), 'latest', { platform: 'all' }));
  expect(nested).toMatchObject({ code: 'BAD_RESPONSE' });
  expect(nested.message).toContain('nested more than 16 deep');
  await expect(copy(await filled(deep), memoryStore(), 'latest')).rejects.toThrow('nested more than 16 deep');
  const large = sampleOf(new Uint8Array(5_000_000), mediaTypes.ociManifest);
  const built = { root: large, parts: [large] };
  await expect(copy(await filled(built), memoryStore(), 'latest')).rejects.toEqual(failsWith('TOO_LARGE'));
  const none = sampleOf(new TextEncoder().encode('<html>'), mediaTypes.ociManifest);
  const page = copy(await filled({ root: none, parts: [none] }), memoryStore(), 'latest');
  await expect(page).rejects.toEqual(failsWith('BAD_RESPONSE'));
});

test('a manifest that says another type than its descriptor is refused', async () => {
  const { root, parts } = image('app');
  const lying = { ...root, descriptor: { ...root.descriptor, mediaType: mediaTypes.dockerManifest } };
  const built = index({ root: lying, parts: [...parts.slice(0, -1), lying] });
  const copying = copy(await filled(built), memoryStore(), 'latest', { platform: 'all' });
  await expect(copying).rejects.toEqual(failsWith('BAD_RESPONSE'));
});
