import { join } from 'node:path';
import { quote } from '../oci/quote.ts';
import { type Directory, readCertificateFiles, registryOfDirectory, sameRegistryProblem } from './certs-directory.ts';
import { allFiles, directoryError } from './file-problems.ts';
import { type Found, namesIn, textOf } from './files.ts';
import type { Place } from './usual-places.ts';

/** A registry's directory, and the names of what is in it. */
interface Listed extends Directory {
  readonly names: readonly string[];
}

/** Reads a `certs.d`: a directory for each registry, `_default` for all others. Undefined where there need be none. */
export async function readHostsDirectory(place: Place): Promise<Found | undefined> {
  const names = await namesIn(place);
  if (!names) return undefined;
  const { directories, warnings } = lookedAt(place.path, await allFiles(names.map((name) => list(place.path, name))));
  const hasDefault = directories.some(({ registry }) => registry === '*');
  const found = await allFiles(directories.map((directory) => readRegistryDirectory(directory, hasDefault)));
  return {
    files: found.flatMap(({ files }) => files),
    reads: [...found.flatMap(({ reads }) => reads), ...(warnings.length > 0 ? [{ config: {}, warnings }] : [])],
  };
}

/** Undefined for what is no directory. */
async function list(
  parent: string,
  name: string,
): Promise<(Omit<Listed, 'registry'> & { registry?: string }) | undefined> {
  const directory = join(parent, name);
  const names = await namesIn({ path: directory, named: false });
  const registry = registryOfDirectory(name);
  return names && { name, directory, names, ...(registry !== undefined && { registry }) };
}

/** The directories that containerd looks into; what would be read in others is told. */
function lookedAt(parent: string, listed: readonly Awaited<ReturnType<typeof list>>[]) {
  const warnings: string[] = [];
  const directories: Listed[] = [];
  const problems: string[] = [];
  const seen = new Map<string, Directory>();
  // Of `host_port_` and `host:port` containerd takes the first.
  const inOrder = listed
    .flatMap((one) => one ?? [])
    .sort((a, b) => Number(b.name.endsWith('_')) - Number(a.name.endsWith('_')));
  for (const { registry, ...one } of inOrder) {
    const isUsed = one.names.some((name) => name === 'hosts.toml' || /\.(?:crt|cert|key)$/.test(name));
    const not = (found: string): void => {
      if (isUsed) warnings.push(`${one.directory}: not looked at, ${found}`);
    };
    const before = directories.find((other) => other.registry === registry);
    if (registry === undefined) not(`${quote(one.name)} is no registry's name`);
    else if (before) not(`${quote(before.name)} is there, too`);
    else {
      problems.push(...sameRegistryProblem({ ...one, registry }, seen));
      directories.push({ ...one, registry });
    }
  }
  if (problems.length > 0) throw directoryError(parent, problems);
  return { directories, warnings };
}

async function readRegistryDirectory({ directory, registry, names }: Listed, hasDefault: boolean): Promise<Found> {
  const file = join(directory, 'hosts.toml');
  const text = names.includes('hosts.toml') ? await textOf({ path: file, named: true }) : undefined;
  // As containerd does, an empty file counts as none.
  if (!text) {
    const read = readCertificateFiles(names, { directory, registry });
    // The directory is the registry's even where it says nothing: `_default` is not.
    if (!read.config.registries && hasDefault && registry !== '*') {
      const config = { registries: { [registry]: { declaredAt: directory } } };
      return { files: [directory], reads: [{ ...read, config }] };
    }
    return read.config.registries || read.warnings.length > 0
      ? { files: [directory], reads: [read] }
      : { files: [], reads: [] };
  }
  const { readHostsToml } = await import('./hosts-toml.ts');
  return { files: [file], reads: [readHostsToml(text, { file, directory, registry })] };
}
