import { cannot, RegistryError } from '../errors.ts';
import {
  type Catalog,
  canLocate,
  type Deleter,
  isCatalog,
  isDeleter,
  isLister,
  isOpener,
  isReferrers,
  isStore,
  type Lister,
  type Locates,
  type Opener,
  type Referrers,
  type Registry,
  type Source,
  type Store,
} from '../source.ts';

/** What can be read of a source, and listed. */
function readable(source: Source): Source {
  const abilities: Source & Partial<Opener & Lister & Referrers & Locates> = {
    name: source.name,
    // What a store has it has verified.
    verifies: source.verifies || isStore(source),
    manifestBytes: source.manifestBytes,
    resolve: (reference, options) => source.resolve(reference, options),
    fetch: (target, options) => source.fetch(target, options),
    ...(isOpener(source) && { open: (digest, options) => source.open(digest, options) }),
    ...(isLister(source) && { tags: (options) => source.tags(options) }),
    ...(isReferrers(source) && { referrers: (digest, options) => source.referrers(digest, options) }),
    ...(canLocate(source) && { locate: (target, options) => source.locate(target, options) }),
  };
  return abilities;
}

/** The registry that `change` makes of another one, repository by repository; it lists the same repositories. */
function changed<Result extends Source>(
  registry: Registry,
  change: (source: Source) => Result,
): ((...parameters: Parameters<Registry>) => Result) & Partial<Catalog> {
  const result = (...parameters: Parameters<Registry>): Result => change(registry(...parameters));
  return isCatalog(registry)
    ? Object.assign(result, {
        repositories: (...options: Parameters<Catalog['repositories']>) => registry.repositories(...options),
      })
    : result;
}

/** A registry that can only be read, whatever the other one can do. */
export const readOnly = (registry: Registry): Registry & Partial<Catalog> => changed(registry, readable);

/**
 * A registry whose tags cannot be moved, and like the content that they name cannot be removed: `DENIED`. The same content may
 * be given the same tag again.
 */
export const immutable = (registry: Registry): Registry & Partial<Catalog> =>
  changed(registry, (source) => (isStore(source) ? withFixedTags(source) : source));

function withFixedTags(store: Store): Store & Partial<Deleter> {
  const refuse = (attempted: string, value: string): never => {
    throw cannot('DENIED', attempted, 'tags are immutable here', { value });
  };
  const fixed: Store = {
    ...store,
    tag: async (target, name, options) => {
      const known = await store.resolve(name, options).catch((error: unknown) => {
        if (error instanceof RegistryError && error.code === 'NOT_FOUND') return undefined;
        throw error;
      });
      if (known && known.digest !== target.digest) refuse(`move tag "${name}"`, name);
      await store.tag(target, name, options);
    },
  };
  if (!isDeleter(store)) return fixed;
  return Object.assign(fixed, {
    untag: async (name: string) => refuse(`remove tag "${name}"`, name),
    remove: async (...[digest, options]: Parameters<Deleter['remove']>) => {
      const tags = isLister(store) ? await store.tags(options) : [];
      for (const name of tags)
        if ((await store.resolve(name, options)).digest === digest)
          refuse(`remove "${digest}", which tag "${name}" names`, digest);
      await store.remove(digest, options);
    },
  });
}
