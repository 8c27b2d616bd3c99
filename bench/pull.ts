// A cold pull of an image over loopback into an OCI layout: `ocifetch pull` beside `skopeo copy` in the same run.
// Usage: npm run bench:pull [-- rounds] [--check] [--small] [--directory DIR] [--also COMMAND]…
// The image has 40 layers, 270 MB together; with --small it is an artifact of 2,000 layers of 4 KiB (skopeo takes minutes).
// COMMAND is run as well, with {reference} and {directory} replaced. Prints wall and CPU time (user and system, of the
// process and its children), peak memory and requests, round by round, then medians and the medians of the ratios to
// skopeo's of the same round. --check fails if ocifetch took more wall or CPU time than skopeo.
// The server is a separate process: node:http, from memory, one write for each blob.
import { type ChildProcess, fork, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';

interface Way {
  readonly name: string;
  readonly command: readonly string[];
}

interface Cost {
  /** Seconds. */
  readonly wall: number;
  readonly cpu: number;
  /** MiB. */
  readonly peak: number;
  readonly requests: number;
  readonly connections: number;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    check: { type: 'boolean', default: false },
    small: { type: 'boolean', default: false },
    directory: { type: 'string', default: tmpdir() },
    also: { type: 'string', multiple: true, default: [] },
  },
});
const rounds = Number(positionals[0] ?? 9);
const timer = '/usr/bin/time';
const peer = 'skopeo';
const cli = fileURLToPath(import.meta.resolve('ocifetch').replace(/index\.js$/, 'bin/ocifetch.js'));

function waysTo(): Way[] {
  const skopeo = [peer, 'copy', '--quiet', '--src-tls-verify=false', 'docker://{reference}', 'oci:{directory}:bench'];
  return [
    { name: peer, command: skopeo },
    { name: 'ocifetch', command: [process.execPath, cli, 'pull', '{reference}', '{directory}', '--quiet'] },
    ...values.also.map((line) => ({ name: line, command: line.split(' ') })),
  ];
}

/** What the comparison needs and this machine does not have. */
function missing(): string[] {
  const hasSkopeo = spawnSync(peer, ['--version']).status === 0;
  return [
    ...(hasSkopeo ? [] : [peer]),
    ...(existsSync(timer) ? [] : [`GNU time, as ${timer}`]),
    ...(existsSync(cli) ? [] : [`the built command line, ${cli} (npm run build)`]),
  ];
}

async function startServer(): Promise<{ server: ChildProcess; reference: string }> {
  const file = fileURLToPath(new URL('./support/static-registry.js', import.meta.url));
  const server = fork(file, [values.small ? 'small' : 'large']);
  const [{ port }] = (await once(server, 'message')) as [{ port: number }];
  return { server, reference: `127.0.0.1:${port}/bench/image:latest` };
}

/** The numbers of requests and connections that the server received since the last call. */
async function countsOf(server: ChildProcess): Promise<Pick<Cost, 'requests' | 'connections'>> {
  server.send('count');
  const [counts] = (await once(server, 'message')) as [Pick<Cost, 'requests' | 'connections'>];
  return counts;
}

async function run({ name, command }: Way, server: ChildProcess, reference: string): Promise<Cost> {
  const folder = await mkdtemp(join(values.directory, 'ocifetch-bench-'));
  try {
    const directory = join(folder, 'layout');
    await mkdir(directory);
    const words = command.map((word) => word.replace('{reference}', reference).replace('{directory}', directory));
    const report = join(folder, 'time');
    await countsOf(server);
    const started = performance.now();
    // Independent of the configuration of this machine.
    const env = { ...process.env, HOME: folder, XDG_CONFIG_HOME: folder, XDG_RUNTIME_DIR: folder };
    const child = spawn(timer, ['-q', '-f', '%U %S %M', '-o', report, ...words], {
      stdio: ['ignore', 'ignore', 'inherit'],
      env,
    });
    const [status] = (await once(child, 'exit')) as [number | null];
    const wall = (performance.now() - started) / 1000;
    if (status !== 0) throw new Error(`${name} ended with ${status}`);
    const [user = 0, system = 0, peak = 0] = (await readFile(report, 'utf8')).trim().split(' ').map(Number);
    const blobs = (await readdir(join(directory, 'blobs', 'sha256'))).length;
    const expected = (values.small ? 2000 : 40) + 2;
    if (blobs !== expected) throw new Error(`${name} left ${blobs} blobs, not ${expected}`);
    return { wall, cpu: user + system, peak: peak / 1024, ...(await countsOf(server)) };
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

const median = (numbers: readonly number[]): number =>
  [...numbers].sort((a, b) => a - b)[numbers.length >> 1] ?? Number.NaN;

const medianOf = (costs: readonly Cost[], of: (cost: Cost) => number): number => median(costs.map(of));

async function measure(ways: readonly Way[], server: ChildProcess, reference: string): Promise<Map<string, Cost[]>> {
  const costs = new Map<string, Cost[]>(ways.map(({ name }) => [name, []]));
  // Round 0 warms the machine's caches and is not counted.
  for (let round = 0; round <= rounds; round += 1) {
    // The order alternates, as the second one runs on a warmer machine.
    const order = round % 2 === 0 ? ways : [...ways].reverse();
    const lines: string[] = [];
    for (const way of order) {
      const cost = await run(way, server, reference);
      if (round > 0) costs.get(way.name)?.push(cost);
      lines.push(`${way.name} ${cost.wall.toFixed(3)} s wall, ${cost.cpu.toFixed(2)} s CPU`);
    }
    if (round > 0) console.log(`round ${round}: ${lines.join('; ')}`);
  }
  return costs;
}

/** Whether ocifetch took no more time than skopeo. */
function report(costs: ReadonlyMap<string, readonly Cost[]>): boolean {
  const base = costs.get(peer) ?? [];
  let within = false;
  for (const [name, own] of costs) {
    const ratio = (of: (cost: Cost) => number): number =>
      median(own.map((cost, round) => of(cost) / of(base[round] ?? cost)));
    const wall = ratio((cost) => cost.wall);
    const cpu = ratio((cost) => cost.cpu);
    if (name === 'ocifetch') within = wall <= 1 && cpu <= 1;
    console.log(
      [
        `${name}: wall ${medianOf(own, (cost) => cost.wall).toFixed(3)} s (${wall.toFixed(2)} × ${peer})`,
        `CPU ${medianOf(own, (cost) => cost.cpu).toFixed(2)} s (${cpu.toFixed(2)} ×)`,
        `peak ${medianOf(own, (cost) => cost.peak).toFixed(0)} MiB`,
        `${medianOf(own, (cost) => cost.requests)} requests over ${medianOf(own, (cost) => cost.connections)} connections`,
      ].join(', '),
    );
  }
  return within;
}

async function main(): Promise<void> {
  const lacking = missing();
  if (lacking.length > 0) {
    console.error(`Cannot compare: there is no ${lacking.join(', no ')}`);
    process.exitCode = 1;
    return;
  }
  const { server, reference } = await startServer();
  try {
    const within = report(await measure(waysTo(), server, reference));
    if (values.check && !within) {
      console.error('ocifetch took more than skopeo');
      process.exitCode = 1;
    }
  } finally {
    server.disconnect();
  }
}

await main();
