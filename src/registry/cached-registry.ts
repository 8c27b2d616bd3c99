import { type CachedOptions, cached as cachedSource } from '../cached/cached.ts';
import type { Repository } from '../oci/reference.ts';
import { isCatalog, type Opener, type Registry, type Source, type Store } from '../source.ts';
import { type MadeRegistry, withRepositories } from './changed.ts';

/** The stores of a registry, by repository. */
export type StoreRegistry = (repository: Repository) => Store;

/**
 * A registry in front of another one, which keeps what passes through it in the store of the same repository: as `cached` of a
 * source, repository by repository. It can only be read. It lists the repositories of the other one, or if that cannot list
 * them those that are kept.
 */
export function cached(origin: Registry, stores: StoreRegistry, options?: CachedOptions): MadeRegistry;
/**
 * A source in front of another one, which keeps what passes through it.
 *
 * `fetch` and `open` read from the store if that has the content and its bytes are right: they are hashed once in a process.
 * Otherwise the whole is read from the origin, at the pace of its reader, resumed if it breaks, and kept once it is verified.
 * The reader's body fails before its last chunk if it is not. Others who want it meanwhile wait, and then read from the store
 * (if that takes longer than five seconds, their body is open before it has bytes, so that nobody takes it for dead); a
 * reader who leaves ends the download, unless others wait. A part of what is not in the store comes from the origin and is
 * not kept.
 *
 * `resolve` of a tag goes to the origin, and to the store if the origin cannot be reached (`UNAVAILABLE`, `TIMEOUT`,
 * `RATE_LIMITED`), which `onWarning` reports; of a digest it goes to the store first. The tags of what is kept are kept,
 * too. Tags and referrers are listed by the origin, if it can.
 */
export function cached(origin: Source, store: Store, options?: CachedOptions): Source & Opener;
export function cached(
  origin: Source | Registry,
  kept: Store | StoreRegistry,
  options?: CachedOptions,
): MadeRegistry | Source {
  if (typeof origin !== 'function') return cachedSource(origin, kept as Store, options);
  const stores = kept as StoreRegistry;
  const catalog = [origin, stores].find(isCatalog);
  return withRepositories(
    (repository) => cachedSource(origin(repository), stores(repository), options),
    [origin],
    catalog !== undefined && ((each) => catalog.repositories(each)),
  );
}
