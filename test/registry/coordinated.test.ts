import { expect, test } from 'vitest';
import { cached } from '../../src/registry/cached-registry.ts';
import { coordinated, type Locks } from '../../src/registry/coordinated.ts';
import { memoryRegistry } from '../../src/registry/memory-registry.ts';
import type { Registry, Source } from '../../src/source.ts';
import { bytesOf, failsWith, samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';

const at = { registry: 'localhost', name: 'a/b' };
const { large } = samples;

/** Locks as several processes have them. */
function sharedLocks(): Locks & { readonly held: Set<string> } {
  const held = new Set<string>();
  return {
    held,
    take: async (name) => {
      if (held.has(name)) return undefined;
      held.add(name);
      return async () => {
        held.delete(name);
      };
    },
  };
}

/** A registry upstream that counts, and fails as often as it should. */
async function upstreamOf({ failures = 0 } = {}) {
  const origin = memoryRegistry();
  await fill(origin(at), [large]);
  let fetches = 0;
  const registry: Registry = (repository) => {
    const source = origin(repository);
    const fetch: Source['fetch'] = async (...parameters) => {
      fetches += 1;
      if (fetches <= failures) throw Object.assign(new Error('upstream is gone'), { code: 'UNAVAILABLE' });
      return source.fetch(...parameters);
    };
    return { resolve: (reference) => source.resolve(reference), fetch };
  };
  return { registry, fetches: () => fetches };
}

/**
 * Processes that share locks and content. Each has store objects of its own, as two processes do: nothing but locks keeps them
 * from fetching twice.
 */
function processes(upstream: Registry, locks: Locks, count: number): readonly Source[] {
  const kept = memoryRegistry();
  return Array.from({ length: count }, () => {
    const stores: typeof kept = Object.assign((repository: typeof at) => ({ ...kept(repository) }), {
      repositories: kept.repositories,
    });
    return cached(coordinated(upstream, stores, { locks, interval: 5 }), stores)(at);
  });
}

test('processes that want the same content at the same time fetch it once', async () => {
  const { registry, fetches } = await upstreamOf();
  const locks = sharedLocks();
  const sources = processes(registry, locks, 6);
  const read = async (source: Source) => bytesOf(await source.fetch(large.descriptor));
  const all = await Promise.all(sources.map(read));
  expect(all.every((bytes) => Buffer.compare(bytes, large.bytes) === 0)).toBe(true);
  expect(fetches()).toBe(1);
  await expect.poll(() => locks.held.size).toBe(0);
});

test('when the one that fetches fails, the next one does', async () => {
  const { registry, fetches } = await upstreamOf({ failures: 1 });
  const locks = sharedLocks();
  const read = async (source: Source) => bytesOf(await source.fetch(large.descriptor));
  const all = await Promise.allSettled(processes(registry, locks, 3).map(read));
  expect(all.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
  expect(fetches()).toBe(2);
  await expect.poll(() => locks.held.size).toBe(0);
});

test('a reader who leaves gives the lock back, and a signal ends the wait for one', async () => {
  const { registry } = await upstreamOf();
  const locks = sharedLocks();
  const source = coordinated(registry, memoryRegistry(), { locks, interval: 5 })(at);
  const { body } = await source.fetch(large.descriptor);
  const signal = AbortSignal.timeout(30);
  await expect(source.fetch(large.descriptor, { signal })).rejects.toEqual(failsWith('ABORTED'));
  await body.cancel();
  await expect.poll(() => locks.held.size).toBe(0);
});

test('content that another process fetches for too long is fetched here, too', async () => {
  const { registry, fetches } = await upstreamOf();
  const locks = sharedLocks();
  const registries = coordinated(registry, memoryRegistry(), { locks, interval: 5, patience: 20 });
  const first = await registries(at).fetch(large.descriptor);
  expect(Buffer.compare(await bytesOf(await registries(at).fetch(large.descriptor)), large.bytes)).toBe(0);
  expect(fetches()).toBe(2);
  await first.body.cancel();
});
