import { expect, test } from 'vitest';
import { bytesBody } from '../../src/body.ts';
import { cannot } from '../../src/errors.ts';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import { readOnly } from '../../src/registry/restricted.ts';
import { type UnionOptions, union } from '../../src/registry/union.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { isCatalog, isOpener, isStore, type Registry, type Source } from '../../src/source.ts';
import { ableStore, registryContract } from '../contract/registry.ts';
import { absent, bytesOf, failsWith, type Sample, sampleOf, samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { ask, problemOf } from '../server/support.ts';

const { large, manifest, config, wide } = samples;
const other = sampleOf(Buffer.from(`${Buffer.from(manifest.bytes)}\n`), manifest.descriptor.mediaType);
const at = { registry: 'localhost', name: 'a/b' };

registryContract('union', () => union(memoryRegistry(), memoryRegistry()));
registryContract('union with a first that can only be read', () => union(readOnly(memoryRegistry()), memoryRegistry()));
registryContract('union read by the fastest', () => union(memoryRegistry(), memoryRegistry(), { reads: 'fastest' }));
registryContract('union that writes to both', () => union(memoryRegistry(), memoryRegistry(), { writes: 'both' }));
registryContract('union of unions', () =>
  union(union(memoryRegistry(), memoryRegistry()), readOnly(memoryRegistry()), { tagsAgree: true }),
);

async function pair(one: readonly Sample[], two: readonly Sample[], options?: UnionOptions) {
  const [first, second] = [memoryRegistry(), memoryRegistry()];
  if (one.length > 0) await fill(first(at), one);
  if (two.length > 0) await fill(second(at), two);
  const registry = union(first, second, options);
  return { first: first(at), second: second(at), registry, store: ableStore(registry) };
}

test('what is read comes from the first one that has it', async () => {
  const { store } = await pair(
    [config, { ...manifest, tag: 'both' }],
    [config, large, { ...other, tag: 'both' }, { ...other, tag: 'second' }],
  );
  expect((await store.resolve('both')).digest).toBe(manifest.descriptor.digest);
  expect((await store.resolve('second')).digest).toBe(other.descriptor.digest);
  expect(Buffer.compare(await bytesOf(await store.fetch(large.descriptor)), large.bytes)).toBe(0);
  await expect(store.resolve(absent)).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('lists are merged, sorted, each entry once; a registry without the repository adds nothing', async () => {
  const { store, registry, first } = await pair(
    [config, { ...manifest, tag: 'b' }, { ...manifest, tag: 'both' }],
    [config, { ...manifest, tag: 'a' }, { ...manifest, tag: 'both' }],
  );
  expect(await store.tags()).toEqual(['a', 'b', 'both']);
  if (!isCatalog(registry)) throw new Error('it cannot list');
  expect(await registry.repositories()).toEqual(['a/b']);
  await first.remove(manifest.descriptor.digest);
  await first.remove(config.descriptor.digest);
  expect(await store.tags()).toEqual(['a', 'both']);
  const nowhere = union(memoryRegistry(), memoryRegistry());
  await expect(ableStore(nowhere).tags()).rejects.toMatchObject({ code: 'NOT_FOUND', reason: 'no-repository' });
});

test('a repository is unknown only if both do not know it', async () => {
  const { registry } = await pair([], [config]);
  const handler = serve(registry);
  expect(await problemOf(await handler(ask(`GET /v2/a/b/blobs/${absent}`)))).toBe('404 BLOB_UNKNOWN');
  expect(await problemOf(await handler(ask(`GET /v2/c/d/blobs/${absent}`)))).toBe('404 NAME_UNKNOWN');
});

const down: Registry = () => {
  const fail = () => Promise.reject(cannot('UNAVAILABLE', 'reach it', 'it is down'));
  return Object.assign({ resolve: fail, fetch: fail }, { tags: fail });
};

test('one that fails is no problem for what the other has, but for what it lacks and for lists', async () => {
  const memory = memoryRegistry();
  await fill(memory(at), [config, manifest]);
  for (const registry of [union(down, memory), union(memory, down)]) {
    const source = registry(at);
    expect((await source.resolve('latest')).digest).toBe(manifest.descriptor.digest);
    await expect(source.resolve(absent)).rejects.toEqual(failsWith('UNAVAILABLE'));
    const response = await serve(registry)(ask('GET /v2/a/b/tags/list'));
    expect(await problemOf(response)).toBe('503 UNAVAILABLE');
  }
});

test('writes go to the first that is a store, or to the one of the option', async () => {
  const { store, first, second } = await pair([], []);
  await fill(store, [large]);
  expect((await first.resolve(large.descriptor.digest)).size).toBe(large.bytes.length);
  await expect(second.resolve(large.descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
  const to = await pair([], [], { writes: 'second' });
  await fill(to.store, [large]);
  await expect(to.first.resolve(large.descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
  expect(await bytesOf(await to.second.fetch(large.descriptor))).toHaveLength(large.bytes.length);
  const memory = memoryRegistry();
  expect(isStore(union(readOnly(memory), memory, { writes: 'first' })(at))).toBe(false);
  expect(isStore(union(readOnly(memory), memory, { writes: 'both' })(at))).toBe(false);
  expect(isStore(union(readOnly(memory), readOnly(memory))(at))).toBe(false);
});

test('with writes to both each has what is pushed, uploaded, tagged and mounted, and what only one has can be deleted', async () => {
  const { store, first, second, registry } = await pair([], [wide], { writes: 'both' });
  await fill(store, [config, manifest]);
  const upload = await store.beginUpload();
  await upload.append(
    (async function* () {
      yield large.bytes;
    })(),
  );
  await upload.commit(large.descriptor.digest);
  for (const one of [first, second]) {
    expect((await one.resolve('latest')).digest).toBe(manifest.descriptor.digest);
    expect(Buffer.compare(await bytesOf(await one.fetch(large.descriptor)), large.bytes)).toBe(0);
  }
  expect(await ableStore(registry, 'to').mount(large.descriptor.digest, store)).toBe(true);
  await store.remove(wide.descriptor.digest);
  await expect(store.remove(wide.descriptor.digest)).rejects.toEqual(failsWith('NOT_FOUND'));
  await first.untag('latest');
  await store.untag('latest');
  await expect(store.resolve('latest')).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('with tagsAgree a tag of two contents is an error, and one of one or of the same content is not', async () => {
  const { store } = await pair(
    [config, { ...manifest, tag: 'moved' }, { ...manifest, tag: 'same' }],
    [config, { ...manifest, tag: 'same' }, { ...other, tag: 'moved' }, { ...other, tag: 'second' }],
    { tagsAgree: true },
  );
  await expect(store.resolve('moved')).rejects.toMatchObject({ code: 'BAD_RESPONSE', value: 'moved' });
  expect((await store.resolve('same')).digest).toBe(manifest.descriptor.digest);
  expect((await store.resolve('second')).digest).toBe(other.descriptor.digest);
  await expect(store.resolve('none')).rejects.toEqual(failsWith('NOT_FOUND'));
});

test('wrong bytes of a side that does not verify never come to their end, though the union is a store', async () => {
  const wrong: Source = {
    resolve: async () => large.descriptor,
    fetch: async (descriptor) => ({ descriptor, body: bytesBody(new Uint8Array(descriptor.size)), from: 'wrong' }),
  };
  const registry = union(memoryRegistry(), () => wrong);
  expect(isStore(registry(at))).toBe(true);
  const response = await serve(registry)(ask(`GET /v2/a/b/blobs/${large.descriptor.digest}`));
  await expect(response.arrayBuffer()).rejects.toThrow();
});

test('with reads of the fastest a slow side is not waited for, and is cancelled; a tag is still that of the first', async () => {
  const quick = memoryRegistry();
  await fill(quick(at), [config, large, { ...other, tag: 'both' }]);
  const cancelled: unknown[] = [];
  const slow: Source = {
    resolve: async (reference) => {
      if (reference === 'both') return manifest.descriptor;
      return new Promise(() => {});
    },
    fetch: (_target, { signal } = {}) =>
      new Promise((_resolve, reject) => {
        signal?.addEventListener('abort', () => {
          cancelled.push('slow');
          reject(signal.reason);
        });
      }),
  };
  for (const registry of [
    union(() => slow, quick, { reads: 'fastest' }),
    union(quick, () => slow, { reads: 'fastest' }),
  ]) {
    const source = registry(at);
    expect(await source.resolve(large.descriptor.digest)).toEqual(large.descriptor);
    expect(Buffer.compare(await bytesOf(await source.fetch(large.descriptor)), large.bytes)).toBe(0);
  }
  expect(cancelled).toEqual(['slow', 'slow']);
  expect((await union(() => slow, quick, { reads: 'fastest' })(at).resolve('both')).digest).toBe(
    manifest.descriptor.digest,
  );
});

test('with reads of the fastest, what comes too late is cancelled, and errors are those of both', async () => {
  const memory = memoryRegistry();
  await fill(memory(at), [large]);
  let isCancelled = false;
  const late: Source = {
    ...memory(at),
    fetch: async (target, options) => {
      await new Promise((resolve) => setTimeout(resolve, 5));
      const fetched = await memory(at).fetch(target, { ...options, signal: undefined });
      const cancel = async () => {
        isCancelled = true;
      };
      return { ...fetched, body: { ...fetched.body, cancel } };
    },
  };
  const source = union(memory, () => late, { reads: 'fastest' })(at);
  await bytesOf(await source.fetch(large.descriptor));
  await expect.poll(() => isCancelled).toBe(true);
  await expect(source.fetch({ ...large.descriptor, digest: absent })).rejects.toEqual(failsWith('NOT_FOUND'));
  const failing = union(down, memory, { reads: 'fastest' })(at);
  expect((await failing.resolve(large.descriptor.digest)).size).toBe(large.bytes.length);
  await expect(failing.resolve(absent)).rejects.toEqual(failsWith('UNAVAILABLE'));
  const signal = AbortSignal.abort(new Error('enough'));
  await expect(failing.resolve(large.descriptor.digest, { signal })).rejects.toEqual(failsWith('ABORTED'));
});

test('a URL is that of the side which has the content', async () => {
  const memory = memoryRegistry();
  await fill(memory(at), [large]);
  const located =
    (registry: Registry, host: string): Registry =>
    (repository) =>
      Object.assign({ ...registry(repository) }, { locate: async () => `https://${host}/blob` });
  const source = union(located(memoryRegistry(), 'empty.test'), located(memory, 'full.test'))(at);
  expect('locate' in source && (await (source.locate as (target: unknown) => unknown)(large.descriptor))).toBe(
    'https://full.test/blob',
  );
});

test('content of which only the digest is known is opened in one request by the side that can do so', async () => {
  const memory = memoryRegistry();
  await fill(memory(at), [large]);
  let opened = 0;
  const remote: Registry = () => ({
    resolve: () => Promise.reject(cannot('NOT_FOUND', 'resolve', 'not there')),
    fetch: () => Promise.reject(cannot('NOT_FOUND', 'fetch', 'not there')),
    open: async () => {
      opened += 1;
      if (opened > 1) throw cannot('NOT_FOUND', 'open', 'not there');
      return { descriptor: large.descriptor, body: bytesBody(large.bytes), from: 'remote' };
    },
  });
  const plain: Registry = (repository) => {
    const { resolve, fetch } = memory(repository);
    return { resolve, fetch };
  };
  const source = union(remote, plain)(at);
  if (!isOpener(source)) throw new Error('it cannot open');
  for (const from of ['remote', 'a/b']) {
    const found = await source.open(large.descriptor.digest);
    expect([found.from, Buffer.compare(await bytesOf(found), large.bytes)]).toEqual([from, 0]);
  }
  await expect(source.open(absent)).rejects.toEqual(failsWith('NOT_FOUND'));
  expect([isOpener(union(plain, plain)(at)), isOpener(union(plain, memory)(at))]).toEqual([false, true]);
});
