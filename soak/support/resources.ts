// What a process holds, and whether it grew.
import { getEventListeners } from 'node:events';
import { readdirSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

/** What a process holds. */
export interface Held {
  /** MB of objects, and of the memory of buffers. */
  readonly heap: number;
  readonly timers: number;
  /** Sockets, pipes and requests under way. */
  readonly handles: number;
  /** Listeners of the process and of the signal that all operations share. */
  readonly listeners: number;
  /** Open files and sockets, if the system says. */
  readonly descriptors: number;
}

/** The process's own streams, which Node opens when they are first used. */
const streams = [process.stdin, process.stdout, process.stderr];

/** What is held now, after garbage was collected. */
export async function held(signal: AbortSignal): Promise<Held> {
  for (let turn = 0; turn < 2; turn++) {
    await sleep(20);
    collectGarbage();
  }
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  const resources = process.getActiveResourcesInfo();
  const timers = resources.filter((name) => name === 'Timeout' || name === 'Immediate').length;
  const ofProcess = process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0);
  return {
    heap: Math.round((heapUsed + arrayBuffers) / 100_000) / 10,
    timers,
    handles: resources.length - timers - streams.length,
    listeners: ofProcess + getEventListeners(signal, 'abort').length,
    descriptors: countDescriptors(),
  };
}

function countDescriptors(): number {
  try {
    return readdirSync('/proc/self/fd').length;
  } catch {
    return 0;
  }
}

/** Waits until no more is held than before, or some seconds: what is closed needs a moment. Returns what is held then. */
export async function settled(before: Held, signal: AbortSignal): Promise<Held> {
  for (let turn = 0; ; turn++) {
    const now = await held(signal);
    if (turn === 15 || growth(before, now).length === 0) return now;
    await sleep(turn * 20);
  }
}

/** MB that a heap may grow: what the compiler and caches of bounded size add. */
const mostGrowth = 4;

/** What grew, in words: nothing if all is level. */
export function growth(before: Held, after: Held): string[] {
  return (Object.keys(before) as (keyof Held)[])
    .filter((name) => after[name] > before[name] + (name === 'heap' ? mostGrowth : 0))
    .map((name) => `${name} grew from ${before[name]} to ${after[name]}`);
}

/** Prints what is wrong, and sets the exit code. */
export function finish(name: string, problems: readonly string[]): void {
  for (const problem of problems) console.error(`${name}: ${problem}`);
  if (problems.length === 0) console.log(`${name}: all is level`);
  else process.exitCode = 1;
}

/** Ends the process if it takes too long. */
export function limitTime(name: string, minutes: number): void {
  setTimeout(() => {
    console.error(`${name}: not done in ${minutes} minutes`);
    process.exit(1);
  }, minutes * 60_000).unref();
}

/** Runs `work` for each number below `count`, `most` at the same time. */
export async function inParallel(count: number, most: number, work: (number: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < count) await work(next++);
  };
  await Promise.all(Array.from({ length: most }, lane));
}
