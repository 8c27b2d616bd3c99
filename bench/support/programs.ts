// Programs that are measured: found on the machine or in .tools/bin, started, their CPU time and memory read from /proc.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from './cleanup.ts';

/** The folder of this package, wherever this file was compiled to. */
const root = (() => {
  let folder = dirname(fileURLToPath(import.meta.url));
  while (!existsSync(join(folder, 'package.json')) && dirname(folder) !== folder) folder = dirname(folder);
  return folder;
})();

/** The path of a program; undefined if this machine does not have it. `node scripts/install-go-tools.mjs --bench` builds some. */
export function programPath(name: string): string | undefined {
  const folders = [join(root, '.tools', 'bin'), ...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

/** The command line of this package, built; OCIFETCH_BENCH_PROGRAM is the path of another build. */
export function ownProgram(): string {
  const { OCIFETCH_BENCH_PROGRAM: other } = process.env;
  if (other) return other;
  const { bin } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
    readonly bin: { ocifetch: string };
  };
  return join(root, bin.ocifetch);
}

/** A program of this folder, by its name without an ending. */
export const supportProgram = (name: string): string =>
  fileURLToPath(import.meta.url).replace(/programs(\.\w+)$/, `${name}$1`);

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  return typeof address === 'object' && address ? address.port : 0;
}

/** A running server, measured from outside. */
export interface Measured {
  readonly url: string;
  /** Seconds of CPU time so far, of the process with all threads. */
  cpu(): Promise<number>;
  /** MiB of memory at most so far. */
  peak(): Promise<number>;
}

/** Starts a server that then responds at `url`; `cleanup` ends it. `output`: a file descriptor for what it prints. */
export async function startServer(
  cleanup: Cleanup,
  command: readonly string[],
  url: string,
  output: number | 'ignore' = 'ignore',
): Promise<Measured> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', output, output] });
  cleanup.add(() => ended(child));
  for (let tries = 0; ; tries += 1) {
    const response = await fetch(url).catch(() => undefined);
    await response?.body?.cancel();
    if (response) break;
    if (tries > 200 || child.exitCode !== null) throw new Error(`${command.join(' ')} does not respond at ${url}`);
    await sleep(50);
  }
  return { url, ...usageOf(child.pid ?? 0) };
}

/** Starts a program of ours that sends its first message once it is ready, and ends when its channel closes. */
export async function startOwn<Message>(
  cleanup: Cleanup,
  name: string,
  args: readonly string[],
): Promise<{ readonly child: ChildProcess; readonly ready: Message }> {
  const child = spawn(process.execPath, [supportProgram(name), ...args], {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
  });
  cleanup.add(() => ended(child));
  const failed = once(child, 'exit').then(() => Promise.reject(new Error(`${name} ended before it was ready`)));
  failed.catch(() => undefined);
  const [ready] = (await Promise.race([once(child, 'message'), failed])) as [Message];
  return { child, ready };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exit = once(child, 'exit');
  child.kill();
  await exit;
}

const ticks = Number(spawnSync('getconf', ['CLK_TCK'], { encoding: 'utf8' }).stdout || 100);

function usageOf(pid: number): Pick<Measured, 'cpu' | 'peak'> {
  return {
    cpu: async () => {
      const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
      const [user = 0, system = 0] = stat.slice(stat.lastIndexOf(')')).split(' ').slice(12, 14).map(Number);
      return (user + system) / ticks;
    },
    peak: async () => {
      const [, kib = 0] = /VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${pid}/status`, 'utf8')) ?? [];
      return Number(kib) / 1024;
    },
  };
}
