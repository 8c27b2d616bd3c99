import { cannot } from '../../errors.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import { type Deleter, type Fetched, isDeleter, type Store } from '../../source.ts';
import { countedBody } from './activity.ts';
import type { Contents } from './contents.ts';

/** A bound of a store, and what it has. */
export interface BoundedStoreOptions {
  /** Most bytes of content; Infinity for no bound. */
  readonly bytes: number;
  /** What the store has, and in which order that was used. */
  readonly contents: Contents;
  readonly onEviction: (digest: Digest, bytes: number) => void;
}

/** Content below this size, such as manifests and configurations, goes only when nothing larger is left: it says what the rest is for. */
const smallBytes = 65_536;

/**
 * A store that never has more than so many bytes of content. Before it takes a content it removes what was not used for the
 * longest time, but nothing that somebody is reading. What does not fit is not kept: `STORE_ERROR` with the reason `limit`. It
 * keeps nothing of what broke off.
 */
export function boundedStore(store: Store, { bytes: most, contents, onEviction }: BoundedStoreOptions): Store {
  const readers = createReaders();
  const removals = new Map<string, Promise<void>>();
  /** Bytes of contents that are on their way. */
  let coming = 0;
  let turn: Promise<unknown> = Promise.resolve();

  const evict = async (deleter: Deleter, digest: Digest, size: number): Promise<void> => {
    contents.forget(digest);
    const removal = deleter.remove(digest).finally(() => removals.delete(digest));
    // Whoever reads it only waits.
    removals.set(
      digest,
      removal.catch(() => {}),
    );
    await removal.catch((error: unknown) => {
      contents.add(digest, size);
      throw error;
    });
    onEviction(digest, size);
  };
  /** Makes room for a content; false if what is being used leaves none. */
  const makeRoom = async (size: number): Promise<boolean> => {
    await contents.ready;
    if (contents.bytes + coming + size <= most) return true;
    if (!isDeleter(store)) return false;
    const unused = contents.oldestFirst().filter(([digest]) => !readers.has(digest));
    const free = unused.reduce((sum, [, bytes]) => sum + bytes, most - contents.bytes - coming);
    if (free < size) return false;
    const isSmall = ([, bytes]: readonly [Digest, number]): boolean => bytes < smallBytes;
    const inOrder = [...unused.filter((one) => !isSmall(one)), ...unused.filter(isSmall)];
    for (const [digest, bytes] of inOrder) {
      if (contents.bytes + coming + size <= most) break;
      if (!readers.has(digest)) await evict(store, digest, bytes);
    }
    return contents.bytes + coming + size <= most;
  };
  /** One at a time, so that none removes more than it needs. */
  const reserve = (size: number): Promise<boolean> => {
    const reserved = turn.then(async () => {
      const hasRoom = await makeRoom(size);
      if (hasRoom) coming += size;
      return hasRoom;
    });
    turn = reserved.catch(() => {});
    return reserved;
  };

  return {
    name: store.name,
    resolve: async (reference, options) => {
      const descriptor = await store.resolve(reference, options);
      if (isDigest(reference)) contents.touch(reference);
      return descriptor;
    },
    fetch: async (target, options): Promise<Fetched> => {
      contents.touch(target.digest);
      const release = readers.enter(target.digest);
      try {
        await removals.get(target.digest);
        const fetched = await store.fetch(target, options);
        return { ...fetched, body: countedBody(fetched.body, () => {}, release) };
      } catch (error) {
        release();
        throw error;
      }
    },
    push: async (target, body, options) => {
      const { digest, size } = target;
      await removals.get(digest);
      if (!(await reserve(size))) {
        const found = `${size} bytes do not fit into ${most} beside what is in use`;
        throw cannot('STORE_ERROR', `keep "${digest}"`, found, { reason: 'limit', limit: 'bytes', value: digest });
      }
      try {
        await store.push(target, body, { ...options, keepsPart: false });
        contents.add(digest, size);
      } finally {
        coming -= size;
      }
    },
    tag: (target, name, options) => store.tag(target, name, options),
  };
}

/** Who is reading which content. */
function createReaders() {
  const counts = new Map<string, number>();
  return {
    has: (digest: string): boolean => counts.has(digest),
    /** The function that it returns is called once. */
    enter: (digest: string): (() => void) => {
      counts.set(digest, (counts.get(digest) ?? 0) + 1);
      return () => {
        const left = (counts.get(digest) ?? 1) - 1;
        if (left > 0) counts.set(digest, left);
        else counts.delete(digest);
      };
    },
  };
}
