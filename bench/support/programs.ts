// Programs that are measured: found on the machine or in .tools/bin, started, their CPU time and memory read from /proc.
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { delimiter, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import type { Cleanup } from './cleanup.ts';

const tools = fileURLToPath(new URL('../../../.tools/bin', import.meta.url));

/** The path of a program; undefined if this machine does not have it. `node scripts/install-go-tools.mjs --bench` builds some. */
export function programPath(name: string): string | undefined {
  const folders = [tools, ...(process.env.PATH ?? '').split(delimiter), '/usr/sbin'];
  return folders.map((folder) => join(folder, name)).find((path) => existsSync(path));
}

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

/** Starts a server that then responds at `url`; `cleanup` ends it. */
export async function startServer(cleanup: Cleanup, command: readonly string[], url: string): Promise<Measured> {
  const [program = '', ...args] = command;
  const child = spawn(program, args, { stdio: ['ignore', 'ignore', 'ignore'] });
  cleanup.add(() => ended(child));
  for (let tries = 0; ; tries += 1) {
    const response = await fetch(url).catch(() => undefined);
    if (response) break;
    if (tries > 200 || child.exitCode !== null) throw new Error(`${command.join(' ')} does not respond at ${url}`);
    await sleep(50);
  }
  return { url, ...usageOf(child.pid ?? 0) };
}

async function ended(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null) return;
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
