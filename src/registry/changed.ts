import { RegistryError } from '../errors.ts';
import type { Digest } from '../oci/digest.ts';
import type { Repository } from '../oci/reference.ts';
import {
  type CallOptions,
  type Catalog,
  type Deleter,
  isCatalog,
  isStore,
  type Keeper,
  type Lister,
  type Locates,
  type Mounts,
  type Namespaces,
  type Opener,
  type Referrers,
  type Registry,
  type ResumableStore,
  type Sessions,
  type Source,
  type Uploads,
} from '../source.ts';

type Storing = ResumableStore & Keeper & Sessions & Deleter & Uploads & Mounts;
type Everything = Storing & Opener & Lister & Referrers & Locates;

/** A source with what else it can do, each by its method. */
export type AbleSource = Source & Partial<Omit<Everything, keyof Source>>;

/** Methods that replace those of a source; undefined for one that it does not have. */
export type SourceChanges = { readonly [Name in keyof AbleSource]?: AbleSource[Name] | undefined };

/** The abilities to change something. */
export const writing = [
  'push',
  'pushFrom',
  'tag',
  'keep',
  'begin',
  'remove',
  'untag',
  'beginUpload',
  'findUpload',
  'mount',
] as const satisfies readonly (keyof AbleSource)[];

const methods = [...writing, 'resolve', 'fetch', 'open', 'tags', 'referrers', 'locate'] as const;

/** The sources behind one that was made of others. */
const behind = new WeakMap<Source, readonly Source[]>();

/** Says what a source is made of, so that content can be mounted from there. */
export function madeOf<Made extends Source>(made: Made, ...sources: readonly Source[]): Made {
  behind.set(made, sources);
  return made;
}

/** All that a source can do, as an object of its own. It mounts also from sources that were made of others. */
export function ableSource(source: Source): AbleSource {
  const all: Record<string, unknown> = { ...source, name: source.name };
  for (const name of methods) {
    const method: unknown = Reflect.get(source, name);
    if (typeof method === 'function') all[name] = method.bind(source);
  }
  // What a store has it has verified.
  const { verifies = isStore(source), manifestBytes, repository } = source;
  const able = { ...all, verifies, manifestBytes, repository } as AbleSource;
  const { mount } = able;
  return mount ? { ...able, mount: (digest, from, options) => mountFrom(mount, digest, from, options) } : able;
}

const originsOf = (source: Source): readonly Source[] => behind.get(source)?.flatMap(originsOf) ?? [source];

/** Mounts from a source, or from one of those that it is made of. */
async function mountFrom(
  mount: Mounts['mount'],
  digest: Digest,
  from: Source,
  options: CallOptions | undefined,
): Promise<boolean> {
  let missing: RegistryError | undefined;
  let isMissing = true;
  for (const part of originsOf(from)) {
    try {
      if (await mount(digest, part, options)) return true;
      isMissing = false;
    } catch (error) {
      if (!(error instanceof RegistryError && error.code === 'NOT_FOUND')) throw error;
      missing = error;
    }
  }
  if (missing && isMissing) throw missing;
  return false;
}

/** The source with these methods instead of its own. */
export function changedSource(source: Source, change: (able: AbleSource) => SourceChanges): AbleSource {
  const able = ableSource(source);
  const changes = Object.entries(change(able)).filter(([, method]) => method !== undefined);
  return madeOf({ ...able, ...Object.fromEntries(changes) }, source);
}

/** What a function that makes a registry of another one gives. */
export type MadeRegistry = Registry & Partial<Catalog & Namespaces>;

/** A registry that lists the same repositories as another one. A source that this one gives again is made only once. */
export function remade(registry: Registry, make: (source: Source, repository: Repository) => Source): MadeRegistry {
  const known = new WeakMap<Source, { readonly repository: Repository; readonly made: Source }>();
  const result: Registry = (repository) => {
    const source = registry(repository);
    const earlier = known.get(source);
    if (earlier?.repository.name === repository.name && earlier.repository.registry === repository.registry)
      return earlier.made;
    const made = make(source, repository);
    known.set(source, { repository, made });
    return made;
  };
  return withRepositories(result, [registry], isCatalog(registry) && ((options) => registry.repositories(options)));
}

/** A registry made of others: it lists its repositories, if there is a list, and has the namespaces that they have. */
export const withRepositories = (
  registry: Registry,
  parts: readonly (Registry & Partial<Namespaces>)[],
  repositories: Catalog['repositories'] | false,
): MadeRegistry => {
  const hasNamespaces = parts.some((part) => part.hasNamespaces);
  return Object.assign(registry, hasNamespaces && { hasNamespaces: true as const }, repositories && { repositories });
};
