import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { freePort, run, start } from './process.ts';

export interface Containerd {
  /** Fetches an image completely, from the hosts of a `certs.d` folder; unpacks nothing. */
  fetch(reference: string, hostsDirectory: string): Promise<void>;
  /** Runs its client, in a namespace. */
  ctr(namespace: string, ...args: string[]): Promise<string>;
}

/** Disables everything that runs containers, mounts, or writes outside the folder. */
const unused = [
  'grpc.v1.cri',
  'internal.v1.opt',
  'internal.v1.restart',
  'internal.v1.tracing',
  'monitor.v1.cgroups',
  'runtime.v1.linux',
  'runtime.v2.task',
  ...['aufs', 'blockfile', 'btrfs', 'devmapper', 'overlayfs', 'zfs'].map((name) => `snapshotter.v1.${name}`),
];

/** Runs Debian's containerd with all its data in a new folder. */
export async function startContainerd(cleanup: Cleanup): Promise<Containerd> {
  const folder = await cleanup.folder();
  const metrics = `127.0.0.1:${await freePort()}`;
  const socket = join(folder, 'socket');
  const owner = `uid = ${process.getuid?.() ?? 0}\ngid = ${process.getgid?.() ?? 0}`;
  const path = join(folder, 'config.toml');
  await writeFile(
    path,
    `version = 2
root = "${folder}/root"
state = "${folder}/state"
disabled_plugins = ${JSON.stringify(unused.map((name) => `io.containerd.${name}`))}
# Each namespace gets its content itself.
[plugins."io.containerd.metadata.v1.bolt"]
content_sharing_policy = "isolated"
[grpc]
address = "${socket}"
${owner}
[ttrpc]
address = "${socket}.ttrpc"
${owner}
[debug]
${owner}
# Not for the metrics: its port tells that containerd is there.
[metrics]
address = "${metrics}"
`,
  );
  const env = { PATH: process.env.PATH, HOME: folder, TMPDIR: folder };
  const { stop } = await start('containerd', ['--config', path], { url: `http://${metrics}/`, env, cwd: folder });
  cleanup.add(stop);
  const ctr = (...args: string[]): Promise<string> => run('ctr', ['--address', socket, ...args], { env, cwd: folder });
  await ctr('version');
  return {
    ctr: (namespace, ...args) => ctr('--namespace', namespace, ...args),
    async fetch(reference, hostsDirectory) {
      await ctr('content', 'fetch', '--all-platforms', '--hosts-dir', hostsDirectory, reference);
    },
  };
}
