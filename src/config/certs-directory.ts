import { apiOrigin } from '../oci/reference.ts';
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
