// Clients as processes of their own: what they take from their start to their end.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { programPath } from './programs.ts';
import type { Costs } from './scenario.ts';

/** Seconds after which a client is ended: none of the scenarios takes as long. */
const limit = 300;

export interface Cold {
  readonly costs: Costs;
  readonly output: string;
}

/**
 * Runs a command. Wall time is of the whole process; CPU time (user and system, with its children) and peak memory are from GNU
 * time, and missing if this machine does not have it. Fails if the command does.
 */
export async function runCold(command: readonly string[], env: Readonly<Record<string, string>> = {}): Promise<Cold> {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-bench-'));
  const timer = programPath('time');
  const report = join(folder, 'report');
  const [program = '', ...args] = timer ? [timer, '-q', '-f', '%U %S %M', '-o', report, ...command] : command;
  // Independent of the configuration of this machine. A group of its own, so that it ends with all its children.
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: process.env.PATH, HOME: folder, XDG_CONFIG_HOME: folder, XDG_RUNTIME_DIR: folder, ...env },
    detached: true,
  });
  const stop = (): void => void (child.pid && child.exitCode === null && process.kill(-child.pid, 'SIGKILL'));
  const timeout = setTimeout(stop, limit * 1000);
  process.once('exit', stop);
  try {
    const started = performance.now();
    let [output, errors] = ['', ''];
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      errors += text;
    });
    const [status] = (await once(child, 'close')) as [number | null];
    const wall = (performance.now() - started) / 1000;
    if (status !== 0)
      throw new Error(`${command.join(' ')} ended with ${status} after ${wall.toFixed(1)} s: ${errors}`);
    if (!timer) return { costs: { 'wall s': wall }, output };
    const [user = 0, system = 0, peak = 0] = (await readFile(report, 'utf8')).trim().split(' ').map(Number);
    return { costs: { 'wall s': wall, 'CPU s': user + system, 'peak MiB': peak / 1024 }, output };
  } finally {
    clearTimeout(timeout);
    process.off('exit', stop);
    await rm(folder, { recursive: true, force: true });
  }
}
