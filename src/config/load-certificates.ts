import { join } from 'node:path';
import { quote } from '../oci/quote.ts';
import { hostFault, normalizeRegistry } from '../oci/registry.ts';
import { type Directory, sameRegistryProblem } from './certs-directory.ts';
import { type HostCertificates, readCertificateNames } from './containers-certificates.ts';
import { allFiles, directoryError } from './file-problems.ts';
import { namesIn } from './files.ts';

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
  const problems: string[] = [];
  const seen = new Map<string, Directory>();
  for (const { name, directory, files } of listed) {
    if (!files) continue;
    const { tls, ...told } = readCertificateNames(files, directory);
    const fault = hostFault(name);
    if (fault !== undefined) {
      if (tls) warnings.push(`${directory}: not looked at for registries.conf, ${quote(name)} is ${fault}`);
      continue;
    }
    problems.push(...told.problems, ...sameRegistryProblem({ name, directory, registry: name }, seen));
    warnings.push(...told.warnings);
    hosts.set(normalizeRegistry(name), tls && { directory, tls });
  }
  if (problems.length > 0) throw directoryError(path, problems);
  return { hosts, warnings };
}
