// A verified blob over loopback: ocifetch beside plain undici.request + createHash('sha256') in the same run.
// Usage: npm run bench:blob [-- MiB rounds]
// Prints MB/s round by round, the median of the ratios, and the peak memory of one process for each case: the
// blob at 64 MiB, at the given size and at 4 GiB, and read at 1 MiB/s for 5 s.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { createClient, type Digest } from 'ocifetch';
import { request } from 'undici';

const mebibyte = 1_048_576;
const block = Buffer.alloc(mebibyte, 'ocifetch ');

function digestOf(blocks: number): Digest {
  const hash = createHash('sha256');
  for (let index = 0; index < blocks; index += 1) hash.update(block);
  return `sha256:${hash.digest('hex')}`;
}

/** A registry whose blobs cost nothing: `/v2/<MiB>/blobs/…` repeats one block. Prints its port; ends when its input ends. */
async function serveBlocks(): Promise<void> {
  const server = createServer((incoming, response) => {
    const blocks = Number(/^\/v2\/(\d+)\//.exec(incoming.url ?? '')?.[1]);
    response.writeHead(200, { 'content-length': blocks * mebibyte, 'content-type': 'application/octet-stream' });
    let sent = 0;
    const go = (): void => {
      while (sent < blocks) {
        sent += 1;
        if (!response.write(block)) {
          response.once('drain', go);
          return;
        }
      }
      response.end();
    };
    go();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  console.log(JSON.stringify(server.address()));
  process.stdin.resume().once('end', () => process.exit());
}

async function plain(port: number, blocks: number): Promise<string> {
  const { body } = await request(`http://127.0.0.1:${port}/v2/${blocks}/blobs/any`);
  const hash = createHash('sha256');
  for await (const chunk of body) hash.update(chunk);
  return `sha256:${hash.digest('hex')}`;
}

/** `pace`: MiB per second; 0 means unlimited. `seconds`: how long to read at that pace. */
async function ocifetch(port: number, blocks: number, digest: Digest, pace = 0, seconds = 5): Promise<string> {
  await using client = createClient();
  const descriptor = { mediaType: 'application/octet-stream', digest, size: blocks * mebibyte };
  await using content = await client.fetcher(`127.0.0.1:${port}/${blocks}`).fetch(descriptor);
  const started = performance.now();
  let bytes = 0;
  for await (const chunk of content) {
    bytes += chunk.length;
    if (pace === 0) continue;
    const due = (bytes / mebibyte / pace) * 1000;
    await sleep(Math.max(0, due - (performance.now() - started)));
    if (due > seconds * 1000) return digest;
  }
  return content.verified ? digest : 'not verified';
}

async function timed(blocks: number, work: () => Promise<string>, digest: string): Promise<number> {
  const started = performance.now();
  const found = await work();
  if (found !== digest) throw new Error(`wrong digest: ${found}`);
  return (blocks * mebibyte) / 1e3 / (performance.now() - started);
}

const failed = (): Promise<string> => Promise.reject(new Error('no such way'));

const median = (values: readonly number[]): number =>
  [...values].sort((a, b) => a - b)[values.length >> 1] ?? Number.NaN;

async function rates(port: number, blocks: number, rounds: number): Promise<void> {
  const digest = digestOf(blocks);
  const ratios: number[] = [];
  await plain(port, 64);
  await ocifetch(port, 64, digestOf(64));
  for (let round = 0; round < rounds; round += 1) {
    const ways = [() => plain(port, blocks), () => ocifetch(port, blocks, digest)];
    // The order alternates, as the second one runs on a warmer machine.
    const order = round % 2 === 0 ? [0, 1] : [1, 0];
    const found: number[] = [];
    for (const way of order) found[way] = await timed(blocks, ways[way] ?? failed, digest);
    const [base = 0, ours = 0] = found;
    ratios.push(ours / base);
    console.log(
      `round ${round + 1}: plain ${base.toFixed(0)} MB/s, ocifetch ${ours.toFixed(0)} MB/s, ratio ${(ours / base).toFixed(3)}`,
    );
  }
  console.log(`ocifetch / plain undici.request + sha256, ${blocks} MiB: median ratio ${median(ratios).toFixed(3)}`);
}

/** Runs in a separate process, so that its peak memory is measured alone. */
async function child(...args: readonly (string | number)[]): Promise<string> {
  const started = spawn(process.execPath, [fileURLToPath(import.meta.url), ...args.map(String)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let output = '';
  for await (const chunk of started.stdout) output += chunk;
  return output.trim();
}

async function main(): Promise<void> {
  const [mode = '1024', ...rest] = process.argv.slice(2);
  if (mode === 'serve') return serveBlocks();
  if (mode === 'memory') {
    const [port = 0, blocks = 0, pace = 0] = rest.map(Number);
    await ocifetch(port, blocks, digestOf(blocks), pace);
    console.log((process.resourceUsage().maxRSS / 1024).toFixed(0));
    return;
  }
  const server = spawn(process.execPath, [fileURLToPath(import.meta.url), 'serve'], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const [line] = (await once(createInterface(server.stdout), 'line')) as [string];
  const { port } = JSON.parse(line) as { port: number };
  const blocks = Number(mode);
  await rates(port, blocks, Number(rest[0] ?? 9));
  for (const size of [64, blocks, 4096])
    console.log(`peak memory, ${size} MiB: ${await child('memory', port, size)} MiB`);
  console.log(`peak memory, ${blocks} MiB read at 1 MiB/s for 5 s: ${await child('memory', port, blocks, 1)} MiB`);
  server.stdin.end();
}

await main();
