import { join } from 'node:path';
import type { ConfigProblem } from '../../errors.ts';
import { hostProblem, normalizeRegistry } from '../../oci/registry.ts';
import { quote } from '../../text/quote.ts';
import { type Directory, sameRegistryProblem } from '../containerd/directory.ts';
import { allFiles, directoryError } from '../document/document.ts';
import { below } from '../document/parts.ts';
import { namesIn } from '../files.ts';
import type { Config, OriginConfig, RegistryConfig, TlsConfig } from '../model.ts';
import { matchKey } from '../registry-keys.ts';
import { locationUrl } from './registry.ts';

/** Certificates by the host[:port] that they are for. */
export interface Certificates {
  readonly hosts: ReadonlyMap<string, HostCertificates>;
  readonly warnings: readonly string[];
}

interface Tree {
  /** Directories of hosts. One without certificates still is the host's. */
  readonly hosts: ReadonlyMap<string, HostCertificates | undefined>;
  readonly warnings: readonly string[];
}

/** Reads `certs.d` directories of containers' tools, which need not be there: a host has the first that has it. */
export async function readCertificates(paths: readonly string[]): Promise<Certificates> {
  const trees = await allFiles(paths.map(readTree));
  const all = new Map([...trees].reverse().flatMap(({ hosts }) => [...hosts]));
  const hosts = [...all].flatMap(([host, found]) => (found ? [[host, found] as const] : []));
  return { hosts: new Map(hosts), warnings: trees.flatMap(({ warnings }) => warnings) };
}

async function readTree(path: string): Promise<Tree> {
  const names = (await namesIn({ path, named: false })) ?? [];
  const listed = await allFiles(
    names.map(async (name) => {
      const directory = join(path, name);
      return { name, directory, files: await namesIn({ path: directory, named: false }) };
    }),
  );
  const hosts = new Map<string, HostCertificates | undefined>();
  const warnings: string[] = [];
  const problems: ConfigProblem[] = [];
  const seen = new Map<string, Directory>();
  for (const { name, directory, files } of listed) {
    if (!files) continue;
    const { tls, ...certificates } = readCertificateNames(files, directory);
    const problem = hostProblem(name);
    if (problem !== undefined) {
      if (tls) warnings.push(`${directory}: not read for registries.conf, ${quote(name)} is ${problem}`);
      continue;
    }
    const same = sameRegistryProblem({ name, directory, registry: name }, seen);
    problems.push(...certificates.problems, ...same.map((found) => ({ file: path, found })));
    warnings.push(...certificates.warnings);
    hosts.set(normalizeRegistry(name), tls && { directory, tls });
  }
  if (problems.length > 0) throw directoryError(path, problems);
  return { hosts, warnings };
}

/** What the files of a host's directory in containers' `certs.d` say. */
export interface HostCertificates {
  readonly directory: string;
  readonly tls: TlsConfig;
}

/** What is in a directory of `certs.d`, by its names. */
export interface CertificateNames {
  /** Undefined if there is neither an authority nor a client certificate. */
  readonly tls?: TlsConfig | undefined;
  readonly warnings: readonly string[];
  readonly problems: readonly ConfigProblem[];
}

/**
 * Reads the names of the files in a host's directory: `*.crt` are authorities, `*.cert` and `*.key` a client's certificate
 * and its key, which must both be there. https://github.com/containers/image/blob/main/docs/containers-certs.d.5.md
 */
export function readCertificateNames(names: readonly string[], directory: string): CertificateNames {
  const sorted = [...names].sort();
  const ca = sorted.filter((name) => name.endsWith('.crt')).map((name) => below(directory, name));
  const clients = sorted.filter((name) => name.endsWith('.cert'));
  const problems = [...clients, ...sorted.filter((name) => name.endsWith('.key'))].flatMap((name) => {
    const other = name.endsWith('.key') ? name.replace(/\.key$/, '.cert') : name.replace(/\.cert$/, '.key');
    return names.includes(other)
      ? []
      : [{ file: below(directory, name), found: `found no ${other} beside it, expected both` }];
  });
  const [cert, ...others] = clients;
  const key = cert?.replace(/\.cert$/, '.key');
  const tls = {
    ...(ca.length > 0 && { ca }),
    ...(cert !== undefined && key !== undefined && { cert: below(directory, cert), key: below(directory, key) }),
  };
  // Problems name the directory, as no line of a file declares these settings.
  const settings = [...ca.map((_, index) => `ca[${index}]`), ...(cert === undefined ? [] : ['cert', 'key'])];
  const declaredAt = Object.fromEntries(settings.map((setting) => [setting, directory]));
  return {
    ...(Object.keys(tls).length > 0 && { tls: { ...tls, declaredAt } }),
    warnings: others.map((name) => `${below(directory, name)}: not used, ${cert} is the client certificate`),
    problems,
  };
}

/**
 * The configuration of registries.conf with the certificates of its hosts: by the host and port that is
 * connected to, be it a registry, its location or a mirror. Hosts that it does not name become registries of their own.
 */
export function withCertificates(config: Config, hosts: ReadonlyMap<string, HostCertificates>): Config {
  if (hosts.size === 0) return config;
  const registries = new Map(Object.entries(config.registries ?? {}));
  for (const [key, registry] of registries) registries.set(key, securedRegistry(registry, hosts));
  const keys = new Set(registries.keys());
  for (const [host, certificates] of hosts) {
    const key = matchKey(keys, { registry: host, name: '' });
    const found = key === undefined ? undefined : registries.get(key);
    // If another host replaces it, its own certificates are not needed.
    if (found?.origin === undefined && !found?.blocked) registries.set(host, ownRegistry(host, certificates, found));
  }
  return { ...config, registries: Object.assign(Object.create(null), Object.fromEntries(registries)) };
}

/** The registry of a host, with the settings of the table that applies to it, and with its certificates. */
function ownRegistry(
  host: string,
  { tls, directory: declaredAt }: HostCertificates,
  found: RegistryConfig | undefined,
): RegistryConfig {
  // https also on this machine, as those tools have it.
  const origin = { url: locationUrl({ host, path: '' }, false), tls, declaredAt };
  return { declaredAt, ...found, origin };
}

function securedRegistry(registry: RegistryConfig, hosts: ReadonlyMap<string, HostCertificates>): RegistryConfig {
  const { mirrors, origin } = registry;
  return {
    ...registry,
    ...(mirrors && { mirrors: mirrors.map((mirror) => secured(mirror, hosts)) }),
    ...(typeof origin === 'object' && { origin: secured(origin, hosts) }),
  };
}

function secured<Host extends OriginConfig>(host: Host, hosts: ReadonlyMap<string, HostCertificates>): Host {
  // As it is written: a port that is the usual one must be in the directory's name, too.
  const [, name] = /^https:\/\/([^/]+)/.exec(host.url ?? '') ?? [];
  const found = name === undefined ? undefined : hosts.get(normalizeRegistry(name));
  if (!found) return host;
  const declaredAt = { ...found.tls.declaredAt, ...host.tls?.declaredAt };
  return { ...host, tls: { ...found.tls, ...host.tls, declaredAt } };
}
