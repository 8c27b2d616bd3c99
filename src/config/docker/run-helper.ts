import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, constants, openSync } from 'node:fs';
import { access } from 'node:fs/promises';
import { delimiter, isAbsolute, join } from 'node:path';
import { onAbort } from '../../abort.ts';
import { cannot, type ErrorCode, type RegistryError } from '../../errors.ts';
import type { Login } from '../../login.ts';
import { plainWords } from '../../redaction.ts';
import { readJson } from '../../text/json.ts';
import { quote } from '../../text/quote.ts';

/** Bytes of a helper's answer that are read, and of its complaints. */
const longestOutput = 256 * 1024;

const notFound = 'credentials not found in native keychain';

interface HelperOutput {
  readonly status: string;
  readonly stdout: string;
  readonly stderr: string;
}

/**
 * Runs `docker-credential-<name> get`, found on `PATH` and without a shell, and gives its login for a server; undefined
 * if it has none. `INVALID_CONFIG` for a wrong name, or if there is no such program on `PATH`; `UNAUTHORIZED` for a helper that
 * fails, with its own words; `TIMEOUT` after `timeout` milliseconds; when `signal` fires it is killed, and its
 * reason is thrown. No login is in any error.
 * https://github.com/docker/docker-credential-helpers
 */
export async function runHelper(
  name: string,
  server: string,
  {
    timeout = 30_000,
    signal,
  }: { readonly timeout?: number | undefined; readonly signal?: AbortSignal | undefined } = {},
): Promise<Login | undefined> {
  const program = `docker-credential-${name}`;
  const fail: Fail = (code, found, isMissing = false) => {
    const attempted = `get the login of ${quote(server)} from credential helper ${quote(program)}`;
    return cannot(code, attempted, found, { helper: { program, found, isMissing } });
  };
  if (!/^[A-Za-z0-9._-]+$/.test(name)) {
    throw fail('INVALID_CONFIG', 'its name is not made of letters, digits, ".", "_" and "-"');
  }
  const found = await findProgram(program);
  signal?.throwIfAborted();
  if ('problem' in found) throw fail('INVALID_CONFIG', found.problem, found.isMissing);
  const { file } = found;
  const output = await run(file, server, { fail, timeout, signal });
  if (output.status !== 'exit status 0') {
    if (`${output.stdout}\n${output.stderr}`.includes(notFound)) return undefined;
    throw fail('UNAUTHORIZED', `${output.status}, ${describeComplaint(output, [name, program, server])}`);
  }
  const login = parseHelperAnswer(output.stdout);
  if (login === 'unreadable') throw fail('UNAUTHORIZED', 'its answer is not an object with Username and Secret');
  return login;
}

type Fail = (code: ErrorCode, found: string, isMissing?: boolean) => RegistryError;

interface Run {
  readonly fail: Fail;
  readonly timeout: number;
  readonly signal: AbortSignal | undefined;
}

function run(file: string, server: string, { fail, timeout, signal }: Run): Promise<HelperOutput> {
  return new Promise((resolve, reject) => {
    const isGroup = !hasTerminal();
    const child = spawn(file, ['get'], { stdio: 'pipe', windowsHide: true, detached: isGroup });
    const end = (): void => {
      clearTimeout(timer);
      release();
    };
    // Not waited for: what the helper started may keep its pipes open.
    const stop = (reason: unknown): void => {
      end();
      reject(reason);
      killChild(child, isGroup);
    };
    const failed = (code: 'TIMEOUT' | 'UNAUTHORIZED', found: string): void => stop(fail(code, found));
    const timer = setTimeout(() => failed('TIMEOUT', `no answer in ${timeout} ms`), Math.min(timeout, 2 ** 31 - 1));
    const release = onAbort(signal, stop);
    const tooLong = (): void => failed('UNAUTHORIZED', `its output is longer than ${longestOutput} bytes`);
    const stdout = collect(child.stdout, tooLong);
    const stderr = collect(child.stderr, tooLong);
    child.on('error', (error: NodeJS.ErrnoException) => failed('UNAUTHORIZED', `it did not start, ${error.code}`));
    child.on('close', (code, killedBy) => {
      end();
      resolve({
        status: code === null ? `ended by ${killedBy}` : `exit status ${code}`,
        stdout: stdout(),
        stderr: stderr(),
      });
    });
    // A helper that has ended does not read.
    child.stdin.on('error', () => {});
    child.stdin.end(server);
  });
}

function collect(stream: NodeJS.ReadableStream, tooLong: () => void): () => string {
  const chunks: Buffer[] = [];
  let length = 0;
  stream.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length > longestOutput) tooLong();
    else chunks.push(chunk);
  });
  return () => Buffer.concat(chunks).toString('utf8');
}

/** The login in the output of a helper; undefined for an empty one. */
export function parseHelperAnswer(stdout: string): Login | 'unreadable' | undefined {
  const read = readJson(stdout);
  if ('found' in read || typeof read.value !== 'object' || read.value === null) return 'unreadable';
  const { Username: username, Secret: password } = read.value as { Username?: unknown; Secret?: unknown };
  if (typeof username !== 'string' || typeof password !== 'string') return 'unreadable';
  if (username === '' && password === '') return undefined;
  return username === '<token>' ? { identityToken: password } : { username, password };
}

/** What a helper says of its failure, which Docker's say on their output: no answer with a login, and only plain words. */
export function describeComplaint(
  { stdout, stderr }: Pick<HelperOutput, 'stdout' | 'stderr'>,
  known: readonly string[],
): string {
  const said = stdout.trim() || stderr.trim();
  if (said === '') return 'and said nothing';
  if (/[{}]|(?:secret|password|token)["']?\s*[:=]/i.test(said)) return 'what it said may hold a login and is not shown';
  return `and said ${quote(plainWords(said.slice(0, 1_024), known))}`;
}

/** A program's file, or why it cannot be run. */
export type FoundProgram = { readonly file: string } | { readonly problem: string; readonly isMissing: boolean };

/** Looks for a program in the absolute folders of PATH; the first that has it counts. */
async function findProgram(program: string): Promise<FoundProgram> {
  const isWindows = process.platform === 'win32';
  const name = isWindows && !/\.exe$/i.test(program) ? `${program}.exe` : program;
  const folders = (process.env.PATH ?? '').split(delimiter).filter((folder) => isAbsolute(folder));
  const can = (file: string, mode: number): Promise<boolean> =>
    access(file, mode).then(
      () => true,
      () => false,
    );
  let useless: string | undefined;
  for (const folder of folders) {
    const file = join(folder, name);
    if (await can(file, isWindows ? constants.F_OK : constants.X_OK)) return { file };
    if (useless === undefined && (await can(file, constants.F_OK))) useless = file;
  }
  return useless === undefined
    ? { problem: 'there is no such program on PATH', isMissing: true }
    : { problem: `${quote(useless)} may not be executed`, isMissing: false };
}

/**
 * Whether there is a terminal for a helper to prompt its user. If not, it is put into a process group of its
 * own, with which what it has started is killed, too; at a terminal that would take the terminal from it.
 */
function hasTerminal(): boolean {
  if (process.platform === 'win32') return true;
  try {
    closeSync(openSync('/dev/tty', constants.O_RDONLY | constants.O_NONBLOCK));
    return true;
  } catch {
    return false;
  }
}

/** Ends a program and lets go of its pipes; and its process group, if it has its own. */
function killChild(child: ChildProcess, isGroup: boolean): void {
  try {
    if (isGroup && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  } catch {
    // None of them is left.
  }
  child.kill('SIGKILL');
  for (const stream of [child.stdin, child.stdout, child.stderr]) stream?.destroy();
}
