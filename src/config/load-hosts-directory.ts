import { join } from 'node:path';
import { readCertificateFiles } from './certs-directory.ts';
import { allFiles } from './file-problems.ts';
import { type Found, namesIn, textOf } from './files.ts';
import type { Place } from './usual-places.ts';

/** Reads a `certs.d`: a directory for each registry, `_default` for all others. Undefined where there need be none. */
export async function readHostsDirectory(place: Place): Promise<Found | undefined> {
  const names = await namesIn(place);
  if (!names) return undefined;
  // Of `host_port_` and `host:port` containerd takes the first.
  const inOrder = names.sort((a, b) => Number(b.endsWith('_')) - Number(a.endsWith('_')));
  const found = await allFiles(inOrder.map((name) => readRegistryDirectory(place.path, name, inOrder)));
  return { files: found.flatMap(({ files }) => files), reads: found.flatMap(({ reads }) => reads) };
}

const registryOf = (name: string): string => (name === '_default' ? '*' : name.replace(/_(\d+)_$/, ':$1'));

async function readRegistryDirectory(parent: string, name: string, all: readonly string[]): Promise<Found> {
  const directory = join(parent, name);
  const registry = registryOf(name);
  const names = await namesIn({ path: directory, named: false });
  if (!names) return { files: [], reads: [] };
  const file = join(directory, 'hosts.toml');
  const text = names.includes('hosts.toml') ? await textOf({ path: file, named: true }) : undefined;
  // As containerd does, an empty file counts as none.
  if (!text) {
    const read = readCertificateFiles(names, { directory, registry });
    // The directory is the registry's even where it says nothing: neither `_default` nor its other spelling is.
    if (!read.config.registries && all.some((other) => other !== name && ['*', registry].includes(registryOf(other)))) {
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
