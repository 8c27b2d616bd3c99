import { builtin } from '../runtime.ts';

/** Who holds a file, as its name tells: `host-process-start-random`. */
export interface Owners {
  /** A name that nobody else has: the process, and a number drawn by lot. */
  next(): string;
  /** Whether that owner's process is running; undefined where only time can tell: another machine's, or no such name. */
  isRunning(owner: string): boolean | undefined;
}

/** The owner of what broke off: nobody's, whoever comes next goes on with it. */
export const nobody = 'partial';

const grammar = /^([0-9a-f]{12})-([0-9]+)-([0-9]+)-([0-9a-f]{12})$/;

/** Whether a name is one that `Owners` give. */
export const isOwner = (text: string): boolean => grammar.test(text);

let ours: Owners | undefined;

/** The owners of this process. */
export function processOwners(): Owners {
  ours ??= createOwners();
  return ours;
}

function createOwners(): Owners {
  const host = hostOf();
  const pid = globalThis.process?.pid ?? 0;
  const start = startOf('self') ?? '0';
  return {
    next: () => `${host}-${pid}-${start}-${random()}`,
    isRunning: (owner) => {
      const [, itsHost, itsPid, itsStart] = grammar.exec(owner) ?? [];
      if (itsHost !== host || itsPid === undefined) return undefined;
      const found = startOf(itsPid);
      if (itsStart !== '0' && start !== '0') return found === itsStart;
      return isProcess(Number(itsPid));
    },
  };
}

const random = (): string =>
  [...crypto.getRandomValues(new Uint8Array(6))].map((byte) => byte.toString(16).padStart(2, '0')).join('');

/**
 * One machine since its start, and one set of processes on it: a container has numbers of its own, and containers that
 * share a volume may share a name.
 */
function hostOf(): string {
  const fs = builtin('node:fs');
  const ask = (read: () => string | undefined): string => {
    try {
      return read() ?? '';
    } catch {
      return '';
    }
  };
  const parts = [
    ask(() => builtin('node:os')?.hostname()),
    ask(() => fs?.readFileSync('/proc/sys/kernel/random/boot_id', 'utf8')),
    ask(() => fs?.readlinkSync('/proc/self/ns/pid')),
  ];
  const hash = builtin('node:crypto')?.createHash('sha256').update(parts.join('\n')).digest('hex') ?? '';
  return hash.slice(0, 12).padEnd(12, '0');
}

/** When a process began, in ticks since the machine did; tells it from a later one of the same number. Linux only. */
function startOf(pid: string): string | undefined {
  try {
    const text = builtin('node:fs')?.readFileSync(`/proc/${pid}/stat`, 'utf8') ?? '';
    // The second field is the program's name in parentheses, which may hold anything. proc(5): starttime is the 22nd.
    const fields = text.slice(text.lastIndexOf(')') + 2).split(' ');
    // A zombie holds nothing any more.
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch {
    return undefined;
  }
}

function isProcess(pid: number): boolean {
  try {
    globalThis.process?.kill(pid, 0);
    return true;
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
