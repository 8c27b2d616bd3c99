import type { ChildProcess } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';

/**
 * Whether there is a terminal that a helper may ask its user at. Where there is none it is put into a process group of its
 * own, with which what it has started is killed, too; at a terminal that would take the terminal from it.
 */
export function hasTerminal(): boolean {
  if (process.platform === 'win32') return true;
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | constants.O_NONBLOCK));
    return true;
  } catch {
    return false;
  }
}

/** Ends a program and lets go of its pipes; with all of its process group, where it has one of its own. */
export function killChild(child: ChildProcess, isGroup: boolean): void {
  try {
    if (isGroup && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // None of them is left.
  }
  child.kill('SIGKILL');
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
}
