import { abortError } from '../abort.ts';
import type { Catalog, Registry } from '../source.ts';
import { createMemoryUploads } from '../store/memory/uploads.ts';
import { createMemoryStore, emptyRepository, type MemoryRepository, type MemoryStore } from '../store/memory.ts';

/** A registry whose repositories are stores in memory. */
export type MemoryRegistry = ((...parameters: Parameters<Registry>) => MemoryStore) & Catalog;

/**
 * A registry in memory. A repository exists from the first content that is pushed into it; until then its content is
 * `NOT_FOUND`. Repositories see each other's content only by a mount, which copies no bytes. It has no limit except the
 * process's own, and ends with it; open uploads have the limits of all repositories together.
 */
export function memoryRegistry(): MemoryRegistry {
  const repositories = new Map<string, MemoryRepository>();
  const uploads = createMemoryUploads();
  const registry = ({ name }: Parameters<Registry>[0]): MemoryStore =>
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
  return Object.assign(registry, {
    repositories: async ({ signal }: Parameters<Catalog['repositories']>[0] = {}) => {
      if (signal?.aborted) throw abortError(signal.reason);
      const filled = [...repositories].filter(([, { content }]) => content.size > 0);
      return filled.map(([name]) => name).sort();
    },
  });
}
