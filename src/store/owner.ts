import { remember } from '../bounded-map.ts';
import { builtin } from '../runtime.ts';
import type { FileFacts } from './files.ts';
import { systemCode } from './store-error.ts';

/**
 * Who owns a lock file, as its name says: `host-thread-start-random`. On Linux, threads are numbered as processes are, so that
 * everybody sees when a worker was terminated whose process continues; elsewhere, the number is that of the process.
 */
export interface Owners {
  /** A name that nobody else has: the thread, and a random number. */
  next(): string;
  /** Whether that owner's thread is running; undefined if only time can tell: another machine's, or one that the system hides. */
  isRunning(owner: string): boolean | undefined;
}

/** The owner of what broke off: nobody, so the next one resumes it. */
export const nobody = 'partial';

/** Milliseconds between two signs of life that an owner gives its files. */
export const touchEvery = 10_000;
/** Milliseconds without a sign of life after which an owner counts as gone, also one whose process cannot be examined. */
const defaultGoneAfter = 60_000;
/** Most files whose signs of life are remembered. */
const mostSightings = 10_000;

/** `gone`: it has ended; `silent`: it gave no sign of life for a minute. */
export type OwnerState = 'live' | 'silent' | 'gone';

const grammar = /^([0-9a-f]{12})-([0-9]+)-([0-9]+)-([0-9a-f]{12})$/;

/** Whether a name is one that `Owners` give. */
export const isOwner = (text: string): boolean => grammar.test(text);

/** What was seen last of a lock file, and for how many milliseconds nothing changed while it was watched. */
interface Sighting {
  readonly sign: string;
  at: number;
  unchanged: number;
}

/** By path, those that were seen last at the end. */
const sightings = new Map<string, Sighting>();

/**
 * Whether an owner is alive. Of one on another machine only changes of its file are known. They are watched by the clock of
 * this process: the clocks of two machines may differ by any time.
 */
export function stateOf(
  { owners, goneAfter = defaultGoneAfter }: { readonly owners: Owners; readonly goneAfter?: number | undefined },
  owner: string,
  path: string,
  { modified, size, isLink }: FileFacts,
): OwnerState {
  if (owner === nobody || isLink || owners.isRunning(owner) === false) return 'gone';
  const now = performance.now();
  const sign = `${modified}:${size}`;
  const before = sightings.get(path);
  const seen = before?.sign === sign ? before : { sign, at: now, unchanged: 0 };
  // Not longer than between two signs of life: this machine may have been suspended, and the other one with it.
  seen.unchanged += Math.min(now - seen.at, touchEvery);
  seen.at = now;
  remember(sightings, path, seen, mostSightings);
  return seen.unchanged > goneAfter ? 'silent' : 'live';
}

let ours: Owners | undefined;

/** The owners of this thread. */
export function processOwners(): Owners {
  ours ??= createOwners();
  return ours;
}

function createOwners(): Owners {
  const host = hostOf();
  const { number, ticks } = thisThread();
  // What all names of this thread have in common, even if its start time is unknown.
  const own = random();
  return {
    next: () => `${host}-${number}-${ticks}-${own}${random()}`,
    isRunning: (owner) => {
      const [, itsHost, itsNumber, itsStart, itsRandom] = grammar.exec(owner) ?? [];
      if (itsHost !== host || itsNumber === undefined) return undefined;
      if (itsNumber === number && itsRandom?.startsWith(own)) return true;
      if (isProcess(Number(itsNumber)) === false) return false;
      // There is a thread of that number. Which one may be hidden (hidepid), or unreadable at the moment.
      const found = startOf(itsNumber);
      if (found?.isOver) return false;
      return found === undefined || itsStart === '0' ? undefined : found.ticks === itsStart;
    },
  };
}

/**
 * This thread, if the system shows it to others by its own number as it shows processes; otherwise its process. A terminated
 * worker's thread ends only when its last read or write has.
 */
function thisThread(): { readonly number: string; readonly ticks: string } {
  const pid = `${globalThis.process?.pid ?? 0}`;
  const self = startOf('self');
  // Another number: /proc is that of another set of processes.
  const thread = self?.number === pid ? startOf('thread-self') : undefined;
  const shown = thread && isProcess(Number(thread.number)) ? startOf(thread.number) : undefined;
  if (shown && thread?.number === shown.number && thread.ticks === shown.ticks) return shown;
  return { number: pid, ticks: self?.ticks ?? '0' };
}

const random = (): string =>
  [...crypto.getRandomValues(new Uint8Array(3))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/**
 * One machine since its start, and one set of processes on it: a container has numbers of its own, and containers that
 * share a volume may share a name.
 */
function hostOf(): string {
  const fs = builtin('node:fs');
  const read = (get: () => string | undefined): string => {
    try {
      return get() ?? '';
    } catch {
      return '';
    }
  };
  // If Linux does not say, this process is a machine of its own to all others: its number may be any other's, too.
  const unknown = globalThis.process?.platform === 'linux' ? random() : '';
  const parts = [
    read(() => builtin('node:os')?.hostname()),
    read(() => fs?.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')) || unknown,
    read(() => fs?.readlinkSync('/proc/self/ns/pid')) || unknown,
  ];
  const hash = builtin('node:crypto')?.createHash('sha256').update(parts.join('\n')).digest('hex') ?? '';
  return hash.slice(0, 12).padEnd(12, '0');
}

/**
 * When a process or a thread began, in ticks since the machine did, which distinguishes it from a later one of the same
 * number; and whether it has ended, as a zombie has. Undefined if that cannot be read. Linux only.
 */
function startOf(
  name: string,
): { readonly number: string; readonly ticks: string; readonly isOver: boolean } | undefined {
  try {
    const text = builtin('node:fs')?.readFileSync(`/proc/${name}/stat`, 'utf8') ?? '';
    // The second field is the program's name in parentheses, which may hold anything. proc(5): starttime is the 22nd.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    const [state, ticks] = [fields[0], fields[19]];
    const number = text.slice(0, text.indexOf(' '));
    return ticks === undefined ? undefined : { number, ticks, isOver: state === 'Z' || state === 'X' };
  } catch {
    return undefined;
  }
}

/** Whether there is a process, or on Linux a thread, of that number; undefined if the system does not say. */
function isProcess(pid: number): boolean | undefined {
  try {
    return globalThis.process?.kill(pid, 0);
  } catch (error) {
    const code = systemCode(error);
    return code === 'ESRCH' ? false : code === 'EPERM' ? true : undefined;
  }
}
