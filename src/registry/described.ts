import { unlessAborted } from '../abort.ts';
import { remember } from '../bounded-map.ts';
import { asRegistryError, RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import type { Repository } from '../oci/reference.ts';
import type { Registry, Source } from '../source.ts';
import { checkPlain } from '../text/problems.ts';
import { type AbleSource, changedSource, type MadeRegistry, remade, type SourceChanges } from './changed.ts';

/** What is known of a content. */
export interface KnownDescriptor {
  readonly descriptor: Descriptor;
  /** It was found by who accepts links, so it may be there only through one. */
  readonly links: boolean;
}

/** Where descriptors are remembered, by repository and digest: in memory, or in a database that several processes share. */
export interface DescriptorCache {
  get(repository: Repository, digest: Digest): Promise<KnownDescriptor | undefined>;
  set(repository: Repository, digest: Digest, known: KnownDescriptor): Promise<void>;
  delete(repository: Repository, digest: Digest): Promise<void>;
}

/** How descriptors are remembered. */
export interface DescribedOptions {
  /** Default: `memoryDescriptors()`. */
  readonly cache?: DescriptorCache;
  /** Called with each failure of the cache; the request goes on without it. Default: ignored. */
  readonly onError?: (error: RegistryError) => void;
}

/** Remembers the descriptors that were used last, in memory: `entries` of all repositories together, 10,000 by default. */
export function memoryDescriptors({ entries = 10_000 }: { readonly entries?: number } = {}): DescriptorCache {
  const all = new Map<string, KnownDescriptor>();
  const keyOf = ({ registry, name }: Repository, digest: Digest): string => `${registry}/${name}@${digest}`;
  return {
    get: async (repository, digest) => {
      const known = all.get(keyOf(repository, digest));
      if (known) remember(all, keyOf(repository, digest), known, entries);
      return known;
    },
    set: async (repository, digest, known) => {
      remember(all, keyOf(repository, digest), known, entries);
    },
    delete: async (repository, digest) => {
      all.delete(keyOf(repository, digest));
    },
  };
}

/**
 * A registry that remembers the type and size of content, so that `resolve` of a digest, as for a HEAD, does not use the
 * storage of what is known. Tags are not remembered, nor what is missing. A descriptor is forgotten when its content is pushed,
 * named or removed through this registry, or turns out to be gone when it is fetched. What somebody else removes is known until
 * then.
 */
export function described(registry: Registry, options: DescribedOptions = {}): MadeRegistry {
  checkPlain('describe a registry', options);
  const { cache = memoryDescriptors(), onError = () => {} } = options;
  return remade(registry, (source, repository) => withDescriptors(source, createMemory(cache, repository, onError)));
}

/** What is remembered of one repository. Never fails. */
interface Memory {
  find(digest: Digest, links: boolean): Promise<Descriptor | undefined>;
  /** Remembers what `read` finds, unless something is forgotten meanwhile. */
  keep(digest: Digest, links: boolean, read: () => Promise<Descriptor>): Promise<Descriptor>;
  /** Forgets it before the work, so that nobody sees it once this has been done, and after it. */
  forget<Result>(digest: Digest | undefined, work: () => Promise<Result>): Promise<Result>;
  /** Forgets it if the work says that it is not there. */
  forgetIfMissing<Result>(digest: Digest, work: () => Promise<Result>): Promise<Result>;
}

function createMemory(cache: DescriptorCache, repository: Repository, onError: (error: RegistryError) => void): Memory {
  let changes = 0;
  const safely = <T>(work: Promise<T>): Promise<T | undefined> =>
    work.catch((error: unknown) => {
      onError(asRegistryError(error, 'STORE_ERROR', 'use the cache of descriptors'));
      return undefined;
    });
  const drop = async (digest: Digest | undefined): Promise<void> => {
    changes += 1;
    if (digest) await safely(cache.delete(repository, digest));
  };
  return {
    find: async (digest, links) => {
      const known = await safely(cache.get(repository, digest));
      return known && (links || !known.links) ? known.descriptor : undefined;
    },
    keep: async (digest, links, read) => {
      const before = changes;
      const descriptor = await read();
      if (before === changes) await safely(cache.set(repository, digest, { descriptor, links }));
      return descriptor;
    },
    forgetIfMissing: async (digest, work) => {
      try {
        return await work();
      } catch (error) {
        if (error instanceof RegistryError && error.code === 'NOT_FOUND') await drop(digest);
        throw error;
      }
    },
    forget: async (digest, work) => {
      await drop(digest);
      try {
        return await work();
      } finally {
        await drop(digest);
      }
    },
  };
}

const withDescriptors = (source: Source, memory: Memory): AbleSource =>
  changedSource(source, ({ resolve, fetch, open, push, pushFrom, tag, keep, remove, untag, mount }): SourceChanges => {
    const digestOf = async (name: string): Promise<Digest | undefined> =>
      (await resolve(name).catch(() => undefined))?.digest;
    return {
      resolve: async (reference, options = {}) => {
        const { verify, links = true, signal } = options;
        if (!isDigest(reference) || verify) return resolve(reference, options);
        return (
          (await unlessAborted(memory.find(reference, links), signal)) ??
          memory.keep(reference, links, () => resolve(reference, options))
        );
      },
      fetch: (target, options) => memory.forgetIfMissing(target.digest, () => fetch(target, options)),
      open: open && ((digest, options) => memory.forgetIfMissing(digest, () => open(digest, options))),
      push: push && ((target, body, options) => memory.forget(target.digest, () => push(target, body, options))),
      pushFrom:
        pushFrom && ((target, begin, options) => memory.forget(target.digest, () => pushFrom(target, begin, options))),
      tag: tag && ((target, name, options) => memory.forget(target.digest, () => tag(target, name, options))),
      keep: keep && ((target, options) => memory.forget(target.digest, () => keep(target, options))),
      mount: mount && ((digest, from, options) => memory.forget(digest, () => mount(digest, from, options))),
      remove: remove && ((digest, options) => memory.forget(digest, () => remove(digest, options))),
      untag: untag && (async (name, options) => memory.forget(await digestOf(name), () => untag(name, options))),
    };
  });
