import { abortError } from '../abort.ts';
import { remember } from '../bounded-map.ts';
import { cannot, RegistryError, restate } from '../errors.ts';
import { isRepositoryName, nameProblem } from '../oci/reference.ts';
import { builtin } from '../runtime.ts';
import type { Catalog, Registry, Source } from '../source.ts';
import type { Files } from '../store/files.ts';
import { createLayout, type LayoutStore } from '../store/layout.ts';
import { nodeFiles } from '../store/node-files.ts';
import { smallOf, smallOffers } from '../store/reading/small.ts';
import { quote } from '../text/quote.ts';

/** A registry whose repositories are image layouts. */
export type LayoutRegistry = ((...parameters: Parameters<Registry>) => LayoutStore) &
  Catalog & {
    /** Absolute. */
    readonly directory: string;
  };

/** Most repositories whose stores are kept between two requests. */
const mostStores = 1_000;
/** Most mounted contents whose names need not be counted again. */
const mostShared = 10_000;

/**
 * A registry in a directory: each repository is an image layout of its own in a folder named after it, with `+` for each `/`:
 * `library+alpine`. A repository exists from the first content that is pushed into it. Content is in a repository only if it
 * was pushed or mounted there; a mount makes one more name (a hard link) of the same file, so no bytes are copied. A file with
 * a name outside the registry is a link like any other, and `serve` does not send it.
 *
 * Any number of processes may use one at a time. Errors as those of `layoutStore`.
 */
export function layoutRegistry(given: string): LayoutRegistry {
  const path = builtin('node:path');
  if (!path) throw cannot('UNSUPPORTED', 'use a registry in a directory', 'this runtime has no node:path');
  const directory = path.resolve(given);
  const stores = new Map<string, LayoutStore>();
  const directories = new WeakMap<Source, string>();
  const files: Files = nodeFiles({ ownsAll: ownsAllIn(directory, path) });
  const plain = nodeFiles();
  const isLayout = async (folder: string): Promise<boolean> =>
    (await plain.examine(path.join(directory, folder, 'index.json'))) !== undefined;
  const directoryOf = (source: Source): string | undefined => directories.get(source);

  const registry = ({ name }: Parameters<Registry>[0]): LayoutStore => {
    const known = stores.get(name);
    if (known) return known;
    const problem = nameProblem(name);
    if (problem !== undefined)
      throw cannot('INVALID_REFERENCE', `use repository ${quote(name)}`, problem, { value: name });
    const folder = name.replaceAll('/', '+');
    const layout = createLayout(path.join(directory, folder), { name, files, directoryOf });
    /** Says of what is missing if the whole repository is. */
    const explain = async (error: unknown): Promise<never> => {
      const isMissing = error instanceof RegistryError && error.code === 'NOT_FOUND';
      throw isMissing && !(await isLayout(folder)) ? restate(error, { reason: 'no-repository' }) : error;
    };
    const store: LayoutStore = {
      ...layout,
      resolve: (reference, options) => layout.resolve(reference, options).catch(explain),
      open: (digest, options) => layout.open(digest, options).catch(explain),
      tags: async (options) => {
        const names = await layout.tags(options);
        if (names.length > 0 || (await isLayout(folder))) return names;
        throw cannot('NOT_FOUND', 'list tags', `"${name}" does not exist`, { value: name, reason: 'no-repository' });
      },
    };
    directories.set(store, store.directory);
    smallOffers.set(store, () => smallOf(layout));
    remember(stores, name, store, mostStores);
    return store;
  };
  return Object.assign(registry, {
    directory,
    repositories: async ({ signal }: Parameters<Catalog['repositories']>[0] = {}) => {
      const names: string[] = [];
      for (const folder of (await plain.list(directory)) ?? []) {
        if (signal?.aborted) throw abortError(signal.reason);
        const name = folder.replaceAll('+', '/');
        if (isRepositoryName(name) && (await isLayout(folder))) names.push(name);
      }
      return names.sort();
    },
  });
}

/** Whether all names of a content are in repositories of one registry. */
function ownsAllIn(
  directory: string,
  { join, basename, dirname }: typeof import('node:path'),
): (path: string, version: string, names: number) => Promise<boolean> {
  const plain = nodeFiles();
  const answers = new Map<string, boolean>();
  return async (path, version, names) => {
    const known = answers.get(version);
    if (known !== undefined) return known;
    const [hex, algorithm, blobs] = [basename(path), basename(dirname(path)), basename(dirname(dirname(path)))];
    let found = 0;
    for (const folder of blobs === 'blobs' ? ((await plain.list(directory)) ?? []) : []) {
      const other = await plain.examine(join(directory, folder, 'blobs', algorithm, hex));
      if (other && !other.isLink && other.version === version) found += 1;
      if (found === names) break;
    }
    remember(answers, version, found === names, mostShared);
    return found === names;
  };
}
