import { abortError } from '../abort.ts';
import { remember } from '../bounded-map.ts';
import type { Catalog, Registry } from '../source.ts';
import { createMemoryUploads } from '../store/memory/uploads.ts';
import { createMemoryStore, emptyRepository, type MemoryRepository, type MemoryStore } from '../store/memory.ts';

/** A registry whose repositories are stores in memory. */
export type MemoryRegistry = ((...parameters: Parameters<Registry>) => MemoryStore) & Catalog;

/** Most repositories whose stores are kept between two requests. */
const mostStores = 1_000;

/**
 * A registry in memory. A repository exists from the first content that is pushed into it; until then its content is
 * `NOT_FOUND`. Repositories see each other's content only by a mount, which copies no bytes. It has no limit except the
 * process's own, and ends with it; open uploads have the limits of all repositories together.
 */
export function memoryRegistry(): MemoryRegistry {
  const repositories = new Map<string, MemoryRepository>();
  const uploads = createMemoryUploads();
  const stores = new Map<string, MemoryStore>();
  const create = (name: string): MemoryStore =>
    createMemoryStore({
      name,
      uploads,
      read: () => repositories.get(name),
      write: () => {
        const repository = repositories.get(name) ?? emptyRepository();
        repositories.set(name, repository);
        return repository;
      },
    });
  const registry = ({ name }: Parameters<Registry>[0]): MemoryStore => {
    const store = stores.get(name) ?? create(name);
    remember(stores, name, store, mostStores);
    return store;
  };
  return Object.assign(registry, {
    repositories: async ({ signal }: Parameters<Catalog['repositories']>[0] = {}) => {
      if (signal?.aborted) throw abortError(signal.reason);
      const filled = [...repositories].filter(([, { content }]) => content.size > 0);
      return filled.map(([name]) => name).sort();
    },
  });
}
