import { quote } from '../oci/quote.ts';
import { apiOrigin } from '../oci/reference.ts';
import { hostFault, normalizeRegistry } from '../oci/registry.ts';
import { below } from './host-parts.ts';
import type { Read } from './read.ts';

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

/** The registry that a directory of a `certs.d` is for, `*` for `_default`; undefined for a name that is none's. */
export function registryOfDirectory(name: string): string | undefined {
  if (name === '_default') return '*';
  // Of an IPv6 address without a port it is the last part of the address: `[:_1]_`.
  const registry = name.replace(/^(.+)_([^_]*)_$/, '$1:$2');
  return hostFault(registry) === undefined ? registry : undefined;
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
): Read {
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
  const origin = { ...(!registry.includes('*') && { url: apiOrigin(registry) }), tls, declaredAt: directory };
  return { config: { registries: { [registry]: { origin, declaredAt: directory } } }, warnings };
}
