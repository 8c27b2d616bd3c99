import { statSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { layoutStore, only, parseRepository } from '../index.ts';
import { layoutRegistry, memoryRegistry, readOnly, serve } from '../server/index.ts';
import { printable } from './printable.ts';
import type { Site } from './site.ts';

/** What a registry keeps its content in. */
export interface RegistrySettings {
  /** Default: memory. */
  readonly directory?: string | undefined;
  readonly isReadOnly?: boolean | undefined;
}

/** A registry, and the name of its only repository if the directory is one image layout. */
export interface RegistrySite {
  readonly site: Site;
  readonly only?: string;
}

/**
 * A registry over a directory, or in memory. A directory with an `index.json` is one image layout, as `ocifetch pull` or skopeo
 * writes it: it becomes the only repository, which is named after the directory. Any other directory has a layout for each
 * repository, see `layoutRegistry`.
 */
export function registrySite({ directory: given, isReadOnly = false }: RegistrySettings): RegistrySite {
  const directory = given === undefined ? undefined : resolve(given);
  const name = directory !== undefined && isFile(join(directory, 'index.json')) ? nameOf(directory) : undefined;
  const { registry, repositories } = contentOf(directory, name);
  const place = directory === undefined ? 'in memory, gone when it ends' : printable(directory, 300);
  const site: Site = {
    kind: 'registry',
    about: isReadOnly ? `${place} · read-only` : place,
    handler: (options) => serve(isReadOnly ? readOnly(registry) : registry, options),
    repositories,
  };
  return name === undefined ? { site } : { site, only: name };
}

/** A repository may have any name, also that of a file. */
const isFile = (path: string): boolean => statSync(path, { throwIfNoEntry: false })?.isFile() === true;

function contentOf(directory: string | undefined, name: string | undefined) {
  if (directory === undefined || name === undefined) {
    const registry = directory === undefined ? memoryRegistry() : layoutRegistry(directory);
    return { registry, repositories: () => registry.repositories() };
  }
  const store = layoutStore(directory, { name });
  const repositories = async (): Promise<string[]> => [name];
  return {
    registry: only(
      Object.assign(() => store, { repositories }),
      [name],
    ),
    repositories,
  };
}

/** The name of a repository that a directory has, or is most like: `My App` is `my-app`. */
function nameOf(directory: string): string {
  const name = basename(directory).toLowerCase();
  const plain = name
    .split(/[^a-z0-9]+/)
    .filter((part) => part !== '')
    .join('-');
  return [name, plain].find(isRepositoryName) ?? 'layout';
}

function isRepositoryName(name: string): boolean {
  try {
    return parseRepository(`localhost/${name}`).name === name;
  } catch {
    return false;
  }
}
