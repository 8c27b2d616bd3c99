// What the programs of bench/tasks share: they do one piece of work in a process of their own, and print what it took.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Costs } from './scenario.ts';

/** What the scenario wants done. */
export const taskOf = <Task>(): Task => JSON.parse(process.argv[2] ?? '{}') as Task;

/** MiB of memory of this process at most so far. */
function peak(): number {
  const [, kib] = /VmHWM:\s+(\d+)/.exec(readFileSync('/proc/self/status', 'utf8')) ?? [];
  return Number(kib ?? process.resourceUsage().maxRSS) / 1024;
}

/** Does the work, and prints its wall time, CPU time and the peak memory of the process, and what it adds. */
export async function report(work: () => Promise<Costs | undefined>): Promise<void> {
  const [started, before] = [performance.now(), process.cpuUsage()];
  const more = await work();
  const wall = performance.now() - started;
  const { user, system } = process.cpuUsage(before);
  console.log(JSON.stringify({ 'wall s': wall / 1e3, 'CPU s': (user + system) / 1e6, 'peak MiB': peak(), ...more }));
}

/** Reads to the end, and fails unless the bytes have the digest. */
export async function hashed(chunks: AsyncIterable<Uint8Array>, digest: string): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of chunks) hash.update(chunk);
  const found = `sha256:${hash.digest('hex')}`;
  if (found !== digest) throw new Error(`the bytes are ${found}, not ${digest}`);
}
