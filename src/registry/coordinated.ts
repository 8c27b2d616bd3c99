import { sleep } from '../abort.ts';
import { createBody } from '../body.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Repository } from '../oci/reference.ts';
import type { Fetched, FetchOptions, Registry, Source } from '../source.ts';
import type { StoreRegistry } from './cached-registry.ts';
import { type MadeRegistry, remade } from './changed.ts';

/** Locks that several processes share. */
export interface Locks {
  /** Takes a lock, and gives what releases it; undefined if another process has it. Never fails: without locks, all have them. */
  take(name: string): Promise<(() => Promise<void>) | undefined>;
}

/** How processes share the work of fetching. */
export interface CoordinatedOptions {
  readonly locks: Locks;
  /** Milliseconds between two looks whether another process is done. Default: 100. */
  readonly interval?: number | undefined;
  /** Milliseconds after which content that another process fetches is fetched here, too. Default: 60,000. */
  readonly patience?: number | undefined;
}

/**
 * A registry of which several processes fetch each content once: all of them keep it in the same stores, and put `cached` around
 * this one. Who comes second waits until the content is in the store, or until whoever fetches it has given up.
 */
export function coordinated(origin: Registry, stores: StoreRegistry, options: CoordinatedOptions): MadeRegistry {
  return remade(origin, (source, repository) => withLocks(source, stores(repository), repository, options));
}

function withLocks(
  source: Source,
  store: Source,
  { name }: Repository,
  { locks, interval = 100, patience = 60_000 }: CoordinatedOptions,
): Source {
  /** The content, once another process has put it into the store. */
  const kept = async (target: Descriptor, options: FetchOptions): Promise<Fetched | undefined> => {
    try {
      return await store.fetch(await store.resolve(target.digest, { signal: options.signal }), options);
    } catch (error) {
      if (options.signal?.aborted) throw error;
      return undefined;
    }
  };
  const isKept = (target: Descriptor) => store.resolve(target.digest).catch(() => undefined);
  const fetchOnce = async (target: Descriptor, options: FetchOptions): Promise<Fetched> => {
    const key = `${name}@${target.digest}`;
    const deadline = performance.now() + patience;
    let release = await locks.take(key);
    for (let isFirst = true; !release && performance.now() < deadline; isFirst = false) {
      if (!isFirst) await sleep(interval, options.signal);
      const found = await kept(target, options);
      if (found) return found;
      release = await locks.take(key);
    }
    // It may have been put there between the last look and the lock.
    const found = await kept(target, options);
    if (found || !release) {
      await release?.();
      return found ?? source.fetch(target, options);
    }
    const fetched = await source.fetch(target, options).catch(releasing(release));
    return held(fetched, release, async () => (await isKept(target)) !== undefined);
  };
  return { ...source, fetch: (target, options = {}) => fetchOnce(target, options) };
}

/** Releases a lock before an error is passed on. */
const releasing =
  (release: () => Promise<void>) =>
  async (error: unknown): Promise<never> => {
    await release();
    throw error;
  };

/** Milliseconds that a lock is kept for the store, once it has been given all bytes. */
const storing = 5_000;

/** A response that has the lock until its body ends, and then until `isKept`: only then can others have it from the store. */
function held({ body, ...fetched }: Fetched, release: () => Promise<void>, isKept: () => Promise<boolean>): Fetched {
  const chunks = body[Symbol.asyncIterator]();
  const next = async (): Promise<Uint8Array | undefined> => (await chunks.next()).value ?? undefined;
  const made = createBody({ next, cancel: (reason) => body.cancel(reason) });
  const settle = async (isWhole: boolean): Promise<void> => {
    const deadline = performance.now() + (isWhole ? storing : 0);
    while (performance.now() < deadline && !(await isKept())) await sleep(20);
    await release();
  };
  void made.ended.then(({ error }) => settle(error === undefined));
  return { ...fetched, body: made.body };
}
