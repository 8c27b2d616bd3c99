import { join } from 'node:path';
import type { ConfigProblem } from '../../errors.ts';
import { load } from '../../load.ts';
import { apiOrigin } from '../../oci/reference.ts';
import { hostProblem, normalizeRegistry } from '../../oci/registry.ts';
import { quote } from '../../text/quote.ts';
import { allFiles, directoryError } from '../document/document.ts';
import type { ParsedFile } from '../document/file-report.ts';
import { below } from '../document/parts.ts';
import { namesIn, type ReadFiles, textOf } from '../files.ts';
import type { ConfigPlace } from '../usual-places.ts';

/** A registry's directory, and the names of what is in it. */
interface ListedDirectory extends Directory {
  readonly names: readonly string[];
}

/** Reads a `certs.d`: a directory for each registry, `_default` for all others. Undefined if it does not exist and need not. */
export async function readHostsDirectory(place: ConfigPlace): Promise<ReadFiles | undefined> {
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

/** Undefined for anything but a directory. */
async function list(
  parent: string,
  name: string,
): Promise<(Omit<ListedDirectory, 'registry'> & { registry?: string }) | undefined> {
  const directory = join(parent, name);
  const names = await namesIn({ path: directory, named: false });
  const registry = registryOfDirectory(name);
  return names && { name, directory, names, ...(registry !== undefined && { registry }) };
}

/** The directories that containerd reads, and a warning for each other one that has something to read. */
function lookedAt(parent: string, listed: readonly Awaited<ReturnType<typeof list>>[]) {
  const warnings: string[] = [];
  const directories: ListedDirectory[] = [];
  const problems: ConfigProblem[] = [];
  const seen = new Map<string, Directory>();
  // Of `host_port_` and `host:port` containerd takes the first.
  const inOrder = listed
    .flatMap((one) => one ?? [])
    .sort((a, b) => Number(b.name.endsWith('_')) - Number(a.name.endsWith('_')));
  for (const { registry, ...one } of inOrder) {
    const isUsed = one.names.some((name) => name === 'hosts.toml' || /\.(?:crt|cert|key)$/.test(name));
    const not = (found: string): void => {
      if (isUsed) warnings.push(`${one.directory}: not read, ${found}`);
    };
    const before = directories.find((other) => other.registry === registry);
    if (registry === undefined) not(`${quote(one.name)} is not the name of a registry`);
    else if (before) not(`${quote(before.name)} is for the same registry`);
    else {
      for (const found of sameRegistryProblem({ ...one, registry }, seen)) problems.push({ file: parent, found });
      directories.push({ ...one, registry });
    }
  }
  if (problems.length > 0) throw directoryError(parent, problems);
  return { directories, warnings };
}

async function readRegistryDirectory(
  { directory, registry, names }: ListedDirectory,
  hasDefault: boolean,
): Promise<ReadFiles> {
  const file = join(directory, 'hosts.toml');
  const text = names.includes('hosts.toml') ? await textOf({ path: file, named: true }) : undefined;
  // As containerd does, an empty file counts as none.
  if (!text) {
    const read = readCertificateFiles(names, { directory, registry });
    // An empty directory still is the registry's, so that `_default` does not apply.
    if (!read.config.registries && hasDefault && registry !== '*') {
      const config = { registries: { [registry]: { declaredAt: directory } } };
      return { files: [directory], reads: [{ ...read, config }] };
    }
    return read.config.registries || read.warnings.length > 0
      ? { files: [directory], reads: [read] }
      : { files: [], reads: [] };
  }
  const { readHostsToml } = await load(['smol-toml'], () => import('./read.ts'));
  return { files: [file], reads: [readHostsToml(text, { file, directory, registry })] };
}

/**
 * The directories of a `certs.d` that containerd looks for a registry in; the first that exists is the registry's, and
 * `_default` is for all that have none: `registry.example_5000_`, `registry.example:5000`, `_default`.
 */
export function certsDirectoryNames(registry: string): string[] {
  const colon = registry.lastIndexOf(':');
  // In an IPv6 address without a port it is the last colon of the address.
  const portable = colon > 0 ? [`${registry.slice(0, colon)}_${registry.slice(colon + 1)}_`] : [];
  return [...portable, registry, '_default'];
}

/** The registry that a directory of a `certs.d` is for, `*` for `_default`; undefined for any other name. */
export function registryOfDirectory(name: string): string | undefined {
  if (name === '_default') return '*';
  // Of an IPv6 address without a port it is the last part of the address: `[:_1]_`.
  const registry = name.replace(/^(.+)_([^_]*)_$/, '$1:$2');
  return hostProblem(registry) === undefined ? registry : undefined;
}

/** A directory of a `certs.d`. */
export interface Directory {
  readonly name: string;
  /** Its path. */
  readonly directory: string;
  readonly registry: string;
}

/**
 * The problem of a directory whose registry another directory in `seen` is for in other words (`Q.IO` and `q.io`,
 * `docker.io` and `registry-1.docker.io`): nothing says which of them is meant. It is added to `seen`.
 */
export function sameRegistryProblem(one: Directory, seen: Map<string, Directory>): string[] {
  const key = normalizeRegistry(one.registry);
  const other = seen.get(key);
  seen.set(key, one);
  return other === undefined || other.registry === one.registry
    ? []
    : [`found ${quote(other.directory)} and ${quote(one.directory)}, expected one directory for ${quote(key)}`];
}

/**
 * Reads the names of the files in a directory of `certs.d` that has no `hosts.toml`, which Docker's daemon has too:
 * `*.crt` are authorities, `*.cert` a client's certificate, its key in the `*.key` of that name or in the same file.
 * Other files are passed over. https://docs.docker.com/engine/security/certificates/
 */
export function readCertificateFiles(
  names: readonly string[],
  { directory, registry }: { readonly directory: string; readonly registry: string },
): ParsedFile {
  // As Go lists them.
  const sorted = [...names].sort();
  const has = new Set(names);
  const ca = sorted.filter((name) => name.endsWith('.crt'));
  const [cert, ...others] = sorted.filter((name) => name.endsWith('.cert'));
  const keyOf = (name: string): string => `${name.slice(0, -'.cert'.length)}.key`;
  const warnings = others.map((name) => `${below(directory, name)}: not used, ${cert} is the client certificate`);
  for (const name of sorted.filter((file) => file.endsWith('.key') && !has.has(`${file.slice(0, -4)}.cert`))) {
    warnings.push(`${below(directory, name)}: not used, there is no ${name.slice(0, -4)}.cert`);
  }
  const key = cert !== undefined && has.has(keyOf(cert)) ? keyOf(cert) : cert;
  const tls = {
    ...(ca.length > 0 && { ca: ca.map((name) => below(directory, name)) }),
    ...(cert !== undefined && key !== undefined && { cert: below(directory, cert), key: below(directory, key) }),
  };
  if (Object.keys(tls).length === 0) return { config: {}, warnings };
  const origin = { ...(!registry.includes('*') && { url: apiOrigin(registry, true) }), tls, declaredAt: directory };
  return { config: { registries: { [registry]: { origin, declaredAt: directory } } }, warnings };
}
