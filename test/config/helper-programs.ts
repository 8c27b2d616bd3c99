import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';

/** What a helper does, by the host it is asked for; any other has the login `user`, `secret of <host>`. */
const program = `#!/bin/sh
server=$(cat)
echo "$* $server $$" >> "\${0%/*}/asked"
answer() { printf '{"ServerURL":"%s","Username":"%s","Secret":"%s"}\n' "$server" "$1" "$2"; }
fail() { echo "$1"; exit 1; }
case $server in
token.*) answer '<token>' refresh ;;
empty.*) answer '' '' ;;
unknown.*) fail 'credentials not found in native keychain' ;;
locked.*) fail 'the keychain is locked' ;;
complaining.*) fail 'no display found' >&2 ;;
leaking.*) fail '{"Username":"user","Secret":"hunter2"}' ;;
long.*) fail 'cannot use eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9hunter2' ;;
silent.*) exit 3 ;;
junk.*) echo hunter2 ;;
half.*) echo '{"Username":"user"}' ;;
flood.*) exec cat /dev/zero ;;
hanging.*) trap '' TERM; exec sleep 1000 ;;
slow.*) sleep 0.3; answer user 'slow secret' ;;
*) answer user "secret of $server" ;;
esac
`;

export interface HelperPrograms {
  /** Folder that is first in PATH while the tests of this file run. */
  readonly folder: string;
  /** `get <server>` of each run since the last call, and its process. */
  asked(): Promise<{ readonly command: string; readonly pid: number }[]>;
}

/** Puts the helper `docker-credential-test` on PATH for the tests of the file that calls this. */
export function helperPrograms(): HelperPrograms {
  let folder = '';
  let told = 0;
  const before = process.env.PATH;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'ocifetch-helpers-'));
    await writeFile(join(folder, 'docker-credential-test'), program);
    await chmod(join(folder, 'docker-credential-test'), 0o755);
    await writeFile(join(folder, 'docker-credential-plain'), 'not a program');
    process.env.PATH = `${folder}${delimiter}${before}`;
  });
  afterAll(async () => {
    process.env.PATH = before;
    await rm(folder, { recursive: true, force: true });
  });
  return {
    get folder() {
      return folder;
    },
    async asked() {
      const text = await readFile(join(folder, 'asked'), 'utf8').catch(() => '');
      const lines = text.split('\n').slice(told, -1);
      told += lines.length;
      return lines.map((line) => {
        const [command = '', pid] = line.split(/ (?=\d+$)/);
        return { command, pid: Number(pid) };
      });
    },
  };
}

/** Whether a process is there. */
export function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

/** Waits until it holds, at most 5 s. */
export async function until(holds: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 5000;
  while (!(await holds())) {
    if (Date.now() > end) throw new Error('it did not happen in 5 s');
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
}
