// Clients that pull an image into an OCI layout, each run as a cold process.
import { readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { runCold } from './cold.ts';
import { ownProgram, programPath } from './programs.ts';
import { type Costs, type Setting, type Way, withCounts } from './scenario.ts';

/** Where an image is pulled from. */
export interface Origin {
  /** `127.0.0.1:5000`. */
  readonly host: string;
  readonly repository: string;
  /** Of layers, config and manifest. */
  readonly blobs: number;
  /** The file of the authority, if it is TLS. */
  readonly ca?: string;
  /** ocifetch's own configuration, besides the host's. */
  readonly registry?: object;
  readonly counts: () => Promise<Costs>;
}

interface Client {
  command(origin: Origin, to: string): Promise<readonly string[]> | readonly string[];
}

/** ocifetch's own configuration for an origin; a host of this machine is requested over http unless it says otherwise. */
const ownConfig = ({ host, ca, registry }: Origin): object | undefined =>
  ca || registry
    ? { registries: { [host]: { ...(ca && { origin: { url: `https://${host}`, tls: { ca: [ca] } } }), ...registry } } }
    : undefined;

/** The command of our own client. */
export async function ownPull(origin: Origin, to: string, options: readonly string[] = []): Promise<string[]> {
  const { host, repository } = origin;
  const config = ownConfig(origin);
  const path = `${to}.json`;
  if (config) await writeFile(path, JSON.stringify(config));
  const read = config ? ['--config', path] : ['--no-discover'];
  return [process.execPath, ownProgram(), 'pull', `${host}/${repository}:latest`, to, '--quiet', ...read, ...options];
}

const peers: Readonly<Record<string, (program: string) => Client>> = {
  crane: (program) => ({
    command: ({ host, repository }, to) => [program, 'pull', '--format=oci', `${host}/${repository}:latest`, to],
  }),
  oras: (program) => ({
    command: ({ host, repository, ca }, to) => [
      ...[program, 'copy', '--no-tty', ca ? `--from-ca-file=${ca}` : '--from-plain-http'],
      ...[`${host}/${repository}:latest`, '--to-oci-layout', `${to}:latest`],
    ],
  }),
  skopeo: (program) => ({
    command: ({ host, repository, ca }, to) => [
      ...[program, 'copy', '--quiet', `--src-tls-verify=${ca ? 'true' : 'false'}`],
      ...[`docker://${host}/${repository}:latest`, `oci:${to}:latest`],
    ],
  }),
  regctl: (program) => ({
    command: ({ host, repository, ca }, to) => [
      ...[program, '--host', `reg=${host},tls=${ca ? 'enabled' : 'disabled'}`],
      ...['image', 'copy', `${host}/${repository}:latest`, `ocidir://${to}:latest`],
    ],
  }),
};

/** The ways to pull from an origin: ours, and those of the peers that this machine has. */
export function pullWays(
  { cleanup, hasPeers }: Setting,
  work: string,
  origin: Origin,
  names: readonly string[],
): { readonly ways: readonly Way[]; readonly lacking: readonly string[] } {
  const clients = new Map<string, Client>([['ocifetch', { command: ownPull }]]);
  const lacking: string[] = [];
  for (const name of hasPeers ? names : []) {
    const program = programPath(name);
    const client = program && peers[name]?.(program);
    if (client) clients.set(name, client);
    else lacking.push(`${name}: there is no program "${name}"`);
  }
  const ways = [...clients].map(([name, client]) => ({ work, name, run: () => pull(cleanup, client, origin) }));
  return { ways, lacking };
}

/** Pulls into a new folder, and checks that everything is there. */
export async function pull(cleanup: Setting['cleanup'], client: Client, origin: Origin): Promise<Costs> {
  const folder = await cleanup.folder();
  const to = join(folder, 'layout');
  try {
    const command = await client.command(origin, to);
    const costs = await withCounts(
      origin.counts,
      async () => (await runCold(command, origin.ca ? { SSL_CERT_FILE: origin.ca } : {})).costs,
    );
    const found = (await readdir(join(to, 'blobs', 'sha256'))).length;
    if (found !== origin.blobs) throw new Error(`${command.join(' ')} left ${found} blobs, not ${origin.blobs}`);
    return costs;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Without duplicates. */
export const allLacking = (...lists: readonly (readonly string[])[]): string[] => [...new Set(lists.flat())];
