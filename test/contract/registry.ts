import { expect, test } from 'vitest';
import {
  canMount,
  type Deleter,
  hasUploads,
  isCatalog,
  isDeleter,
  isLister,
  isReferrers,
  isStore,
  type Lister,
  type Mounts,
  type Referrers,
  type Registry,
  type Store,
  type Uploads,
} from '../../src/source.ts';
import { deleterContract, mountsContract, uploadsContract } from './abilities.ts';
import { listsContract } from './lists.ts';
import { samples } from './source.ts';
import { fill, storeContract } from './store.ts';

/** A repository of a registry; fails unless it can do everything. */
export function ableStore(registry: Registry, name = 'a/b'): Store & Lister & Referrers & Deleter & Uploads & Mounts {
  const source = registry({ registry: 'localhost', name });
  if (isStore(source) && isLister(source) && isReferrers(source) && isDeleter(source))
    if (hasUploads(source) && canMount(source)) return source;
  throw new Error(`an ability is missing: ${Object.keys(source)}`);
}

/** The contracts of every store, for the repositories of a registry that can do everything. `make` returns an empty one. */
export function registryContract(name: string, make: () => Registry): void {
  storeContract(name, async () => ({ store: ableStore(make()) }));
  deleterContract(name, async () => ({ store: ableStore(make()) }));
  mountsContract(name, async () => {
    const registry = make();
    return { store: { from: ableStore(registry, 'from'), to: ableStore(registry, 'to') } };
  });
  uploadsContract(name, async () => {
    const registry = make();
    return { store: { ...ableStore(registry), reopened: () => ableStore(registry) } };
  });
  listsContract(name, async (prepare) => {
    const source = ableStore(make());
    await prepare(source);
    return { source };
  });

  test(`${name}: it lists the repositories that have something, sorted`, async () => {
    const registry = make();
    if (!isCatalog(registry)) throw new Error('it cannot list');
    for (const repository of ['b', 'a/c', 'b-2']) await fill(ableStore(registry, repository), [samples.large]);
    expect(await registry.repositories()).toEqual(['a/c', 'b', 'b-2']);
  });
}
