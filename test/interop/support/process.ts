import { type ChildProcess, type SpawnOptions, spawn } from 'node:child_process';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { Readable } from 'node:stream';
import { setTimeout as wait } from 'node:timers/promises';
import { locate, type Tool } from './tools.ts';

const running = new Set<ChildProcess>();

// What an interrupted suite left behind: only processes that were started here.
process.once('exit', () => {
  for (const child of running) child.kill('SIGKILL');
});

function spawnTool(tool: Tool, args: readonly string[], options: SpawnOptions): ChildProcess {
  const child = spawn(locate(tool) ?? tool, args, { stdio: ['ignore', 'pipe', 'pipe'], ...options });
  running.add(child);
  child.once('close', () => running.delete(child));
  return child;
}

async function textOf(stream: Readable | null): Promise<string> {
  let text = '';
  for await (const chunk of stream ?? []) text += String(chunk);
  return text;
}

/** Runs a program to its end and returns its standard output, or throws with its standard error. At most 60 seconds. */
export async function run(tool: Tool, args: readonly string[], options: SpawnOptions = {}): Promise<string> {
  const child = spawnTool(tool, args, { timeout: 60_000, ...options });
  const [output, complaint, [code, signal]] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, 'close'),
  ]);
  if (code !== 0) throw new Error(`Cannot run "${tool} ${args.join(' ')}": ended with ${code ?? signal}: ${complaint}`);
  return output;
}

export interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs this Node to its end, whatever its exit code. At most 60 seconds. */
export async function runNode(args: readonly string[], options: SpawnOptions): Promise<Ended> {
  const child = spawn(process.execPath, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
    killSignal: 'SIGKILL',
    ...options,
  });
  running.add(child);
  child.once('close', () => running.delete(child));
  const [stdout, stderr, [code]] = await Promise.all([
    textOf(child.stdout),
    textOf(child.stderr),
    once(child, 'close'),
  ]);
  return { code, stdout, stderr };
}

export interface Running {
  /** Lines the program has printed on standard output so far. */
  readonly lines: readonly string[];
  /** Ends the process: by SIGTERM, and after 5 seconds by SIGKILL. */
  stop(): Promise<void>;
}

/** Starts a server and waits until it listens at the port of `url`; at most 20 seconds. */
export async function start(
  tool: Tool,
  args: readonly string[],
  { url, ...options }: SpawnOptions & { url: string },
): Promise<Running> {
  const child = spawnTool(tool, args, options);
  const lines: string[] = [];
  let rest = '';
  let complaint = '';
  child.stdout?.on('data', (chunk) => {
    const parts = (rest + String(chunk)).split('\n');
    rest = parts.pop() ?? '';
    lines.push(...parts);
  });
  child.stderr?.on('data', (chunk) => {
    complaint = (complaint + String(chunk)).slice(-4000);
  });
  const ended = once(child, 'close');
  const stop = async (): Promise<void> => {
    child.kill('SIGTERM');
    const timer = setTimeout(() => child.kill('SIGKILL'), 5000);
    await ended;
    clearTimeout(timer);
  };
  const deadline = Date.now() + 20_000;
  while (!(await listens(url))) {
    if (child.exitCode !== null) throw new Error(`Cannot start ${tool}: ended with ${child.exitCode}: ${complaint}`);
    if (Date.now() > deadline) {
      await stop();
      throw new Error(`Cannot start ${tool}: no answer at ${url} in 20 seconds: ${complaint}`);
    }
    await wait(50);
  }
  return { lines, stop };
}

/** Whether something listens at this address. */
function listens(url: string): Promise<boolean> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve) => {
    const socket = connect(Number(port), hostname);
    socket.once('error', () => resolve(false));
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
  });
}

/** A loopback port on which nothing listens now. */
export async function freePort(): Promise<number> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('Cannot find a free port');
  return address.port;
}
