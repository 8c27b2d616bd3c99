// The transports side by side over loopback, plain and over TLS: a blob of 1 GiB that is hashed, 2,000 requests of 4 KiB, eight
// at a time, and a first request with the import before it. Each run is a process of its own, and the order alternates.
// Usage: npm run bench:transports [-- rounds MiB]
// Prints for each the medians of wall time, CPU time and peak memory, and the least and the most wall time.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Transport } from 'ocifetch';

const mebibyte = 1_048_576;

interface Served {
  readonly urls: readonly string[];
  readonly cert: string;
}

/** `/<bytes>` is a body of so many bytes. Prints its URLs and its certificate; ends when its input ends. */
async function serve(): Promise<void> {
  const block = Buffer.alloc(mebibyte, 'ocifetch ');
  const listener: RequestListener = (request, response) => {
    let left = Number(request.url?.slice(1));
    response.writeHead(200, { 'content-length': left });
    const go = (): void => {
      while (left > 0) {
        const part = block.subarray(0, left);
        left -= part.length;
        if (response.write(part)) continue;
        response.once('drain', go);
        return;
      }
      response.end();
    };
    go();
  };
  // Only in the server: clients are measured from their start.
  const { makeCertificate } = await import('./support/certificate.ts');
  const { cert, key } = await makeCertificate();
  const urls: string[] = [];
  for (const [scheme, server] of [
    ['http', createServer(listener)],
    ['https', createSecureServer({ cert, key }, listener)],
  ] as const) {
    server.keepAliveTimeout = 60_000;
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    urls.push(`${scheme}://127.0.0.1:${(server.address() as AddressInfo).port}`);
  }
  console.log(JSON.stringify({ urls, cert } satisfies Served));
  process.stdin.resume().once('end', () => process.exit());
}

const names = ['socketTransport', 'undiciTransport', 'fetchTransport'] as const;

type Get = (bytes: number) => Promise<void>;

const scenarios: Readonly<Record<string, (get: Get, size: number) => Promise<void>>> = {
  blob: (get, size) => get(size),
  small: async (get) => {
    let left = 2_000;
    const worker = async (): Promise<void> => {
      while (left-- > 0) await get(4_096);
    };
    await Promise.all(Array.from({ length: 8 }, worker));
  },
  first: (get) => get(4_096),
};

interface Measured {
  readonly wall: number;
  readonly cpu: number;
  readonly memory: number;
}

/** Runs a scenario in this process, and prints what it took. Of all but the first request, importing is no part. */
async function run(name: string, scenario: string, url: string, size: number, ca: string): Promise<void> {
  let begun = performance.now();
  const library = (await import('ocifetch')) as unknown as Record<string, () => Transport>;
  const transport = library[name]?.();
  const work = scenarios[scenario];
  if (!transport || !work) throw new Error(`no such run: ${name} ${scenario}`);
  const get: Get = async (bytes) => {
    const request = { method: 'GET', url: `${url}/${bytes}` };
    const { body } = await transport(url.startsWith('https') ? { ...request, tls: { ca: [ca] } } : request);
    const hash = createHash('sha256');
    let count = 0;
    for await (const chunk of body) {
      hash.update(chunk);
      count += chunk.length;
    }
    hash.digest();
    if (count !== bytes) throw new Error(`${count} bytes came of ${bytes}`);
  };
  if (scenario !== 'first') {
    await get(4_096);
    begun = performance.now();
  }
  const before = process.cpuUsage();
  await work(get, size);
  const { user, system } = process.cpuUsage(before);
  const memory = process.resourceUsage().maxRSS / 1_024;
  console.log(
    JSON.stringify({ wall: performance.now() - begun, cpu: (user + system) / 1_000, memory } satisfies Measured),
  );
  process.exit();
}

async function child(args: readonly (string | number)[]): Promise<Measured> {
  const started = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  for await (const chunk of started.stdout) output += chunk;
  return JSON.parse(output) as Measured;
}

const sorted = (values: readonly number[]): number[] => [...values].sort((a, b) => a - b);
const median = (values: readonly number[]): number => sorted(values)[values.length >> 1] ?? Number.NaN;

async function compare(rounds: number, size: number): Promise<void> {
  const server = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  const { urls, cert } = JSON.parse(line) as Served;
  for (const scenario of Object.keys(scenarios)) {
    for (const url of urls) {
      const found = new Map<string, Measured[]>();
      // The built-in fetch takes no authorities.
      const compared = url.startsWith('https') ? names.slice(0, 2) : names;
      for (let round = 0; round < rounds; round += 1) {
        for (const name of round % 2 === 0 ? compared : [...compared].reverse()) {
          const measured = await child(['run', name, scenario, url, size, cert]);
          found.set(name, [...(found.get(name) ?? []), measured]);
        }
      }
      for (const [name, all] of found) {
        const walls = sorted(all.map(({ wall }) => wall));
        const [wall, cpu, memory] = [
          median(walls),
          median(all.map((one) => one.cpu)),
          median(all.map((one) => one.memory)),
        ];
        const range = `${walls[0]?.toFixed(0)}–${walls.at(-1)?.toFixed(0)}`;
        console.log(
          `${scenario} ${new URL(url).protocol} ${name}: ${wall.toFixed(0)} ms (${range}), CPU ${cpu.toFixed(0)} ms, ${memory.toFixed(0)} MiB`,
        );
      }
    }
  }
  server.stdin.end();
}

const [mode = '5', ...rest] = process.argv.slice(2);
if (mode === 'serve') await serve();
else if (mode === 'run') {
  const [name = '', scenario = '', url = '', size = '', ca = ''] = rest;
  await run(name, scenario, url, Number(size), ca);
} else await compare(Number(mode), Number(rest[0] ?? 1_024) * mebibyte);
