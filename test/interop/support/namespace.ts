import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { run } from './process.ts';

/** Addresses that can be connected to, and such that swallow all that is sent to them. */
export const addresses = {
  dead: { ipv4: '192.0.2.2', ipv6: 'fd00:dead::2' },
  live: { ipv4: '127.0.0.1', ipv6: 'fd00:1::1' },
} as const;

/** A network device whose other end ignores what it receives: it is for another hardware address. */
const devices = `
set -e
mount --bind hosts /etc/hosts
ip link set lo up
ip -6 address add ${addresses.live.ipv6}/128 dev lo nodad
ip link add dead type veth peer name peer
ip link set dead up
ip link set peer up
ip address add 192.0.2.1/24 dev dead
ip -6 address add fd00:dead::1/64 dev dead nodad
ip neighbour add ${addresses.dead.ipv4} lladdr 02:00:00:00:00:02 dev dead nud permanent
ip -6 neighbour add ${addresses.dead.ipv6} lladdr 02:00:00:00:00:02 dev dead nud permanent
`;

export interface NamespaceOptions {
  /** Lines of `/etc/hosts`. */
  readonly hosts: readonly string[];
  readonly env: NodeJS.ProcessEnv;
}

/**
 * Runs a script of bash, in a new folder, with a network, mounts and processes of its own, and returns what it prints. When
 * it ends, or is ended after 60 seconds, nothing of it remains. The machine's network and files are as before.
 */
export async function runInNamespace(
  cleanup: Cleanup,
  script: string,
  { hosts, env }: NamespaceOptions,
): Promise<{ readonly folder: string; readonly output: string }> {
  const folder = await cleanup.folder();
  await writeFile(join(folder, 'hosts'), hosts.map((line) => `${line}\n`).join(''));
  await writeFile(join(folder, 'script'), devices + script);
  const own = ['--map-root-user', '--net', '--mount', '--pid', '--fork', '--kill-child'];
  const options = { cwd: folder, env: { HOME: folder, TMPDIR: folder, ...env }, killSignal: 'SIGKILL' } as const;
  return { folder, output: await run('unshare', [...own, 'bash', 'script'], options) };
}

/** Why this machine does not permit that; undefined if it does. */
export async function namespaceProblem(cleanup: Cleanup): Promise<string | undefined> {
  try {
    await runInNamespace(cleanup, 'true', { hosts: [], env: { PATH: process.env.PATH } });
    return undefined;
  } catch (error) {
    return error instanceof Error ? error.message : String(error);
  }
}
