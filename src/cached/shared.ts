import type { Descriptor } from '../oci/descriptor.ts';
import type { Store } from '../source.ts';
import type { Flight } from './flight.ts';

/** What all who use one store know of each other. */
export interface Shared {
  /** Downloads under way, by content. */
  readonly flights: Map<string, Flight>;
  /** Names that wait until their content is in the store. */
  readonly names: Map<string, Descriptor>;
}

/** Most directories that are remembered. */
const mostDirectories = 1_000;
const byStore = new WeakMap<Store, Shared>();
const byDirectory = new Map<string, Shared>();

/**
 * What is shared over a store: two stores over one directory count as one, as a server makes its stores anew for each
 * request.
 */
export function sharedOf(store: Store): Shared {
  const directory = 'directory' in store && typeof store.directory === 'string' ? store.directory : undefined;
  const known = directory === undefined ? byStore.get(store) : byDirectory.get(directory);
  const shared = known ?? { flights: new Map(), names: new Map() };
  if (directory === undefined) {
    byStore.set(store, shared);
    return shared;
  }
  byDirectory.delete(directory);
  byDirectory.set(directory, shared);
  for (const [oldest, { flights }] of byDirectory) {
    if (byDirectory.size <= mostDirectories) break;
    if (flights.size === 0) byDirectory.delete(oldest);
  }
  return shared;
}
