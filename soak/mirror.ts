// npm run soak:mirror [-- clients megabytes]: 500 clients at once want one blob of 100 MB that the mirror does not have. Fails on
// more than one request upstream, a wrong byte, or memory that grows with the size.
import { fork } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, get } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient } from 'ocifetch';
import { listen, pullThrough, serve } from 'ocifetch/server';

const name = 'soak:mirror';
const mebibyte = 1_048_576;
/** The blob is this, again and again. */
const pattern = Buffer.from(Uint8Array.from({ length: mebibyte }, (_, index) => (index * 31 + (index >> 8)) & 255));
/** MB for one client: what is read of the file for it, and what its socket has. */
const forEachClient = 1.5;
const forAll = 250;

/** Reads the blob, and says whether each byte is right. */
const isRight = (url: string, size: number): Promise<boolean> =>
  new Promise((resolve) => {
    const request = get(url, { agent: false }, (response) => {
      let at = 0;
      let same = response.statusCode === 200;
      response.on('data', (chunk: Buffer) => {
        for (let done = 0; done < chunk.length; ) {
          const place = (at + done) % mebibyte;
          const length = Math.min(chunk.length - done, mebibyte - place);
          same &&= pattern.compare(chunk, done, done + length, place, place + length) === 0;
          done += length;
        }
        at += chunk.length;
      });
      response.on('end', () => resolve(same && at === size));
      response.on('error', () => resolve(false));
    });
    request.on('error', () => resolve(false));
  });

/** In a process of their own, as their memory is not the mirror's. Returns how many got the right bytes. */
function runClients(url: string, clients: number, size: number): Promise<number> {
  const child = fork(fileURLToPath(import.meta.url), ['clients', url, String(clients), String(size)]);
  return new Promise((resolve, reject) => {
    child.once('message', (right) => resolve(Number(right)));
    child.once('error', reject);
    child.once('exit', (code) => reject(new Error(`the clients ended with ${code}`)));
  });
}

async function main(clients: number, megabytes: number): Promise<void> {
  const hash = createHash('sha256');
  for (let count = 0; count < megabytes; count++) hash.update(pattern);
  const digest = `sha256:${hash.digest('hex')}`;
  const size = megabytes * mebibyte;
  let requests = 0;
  const registry = createServer(async (_, response) => {
    requests += 1;
    response.writeHead(200, { 'content-length': size, 'content-type': 'application/octet-stream' });
    for (let count = 0; count < megabytes; count++) {
      if (!response.write(pattern)) await new Promise((drained) => response.once('drain', drained));
    }
    response.end();
  }).listen(0, '127.0.0.1');
  await new Promise((listening) => registry.once('listening', listening));
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-soak-'));
  const client = createClient();
  const upstream = `127.0.0.1:${(registry.address() as AddressInfo).port}`;
  const mirror = pullThrough({ upstream, store: folder, client });
  const server = await listen(serve(mirror));
  let peak = 0;
  const timer = setInterval(() => {
    peak = Math.max(peak, process.memoryUsage.rss() / 1e6);
  }, 20);
  const right = await runClients(`${server.url}/v2/team/app/blobs/${digest}`, clients, size);
  clearInterval(timer);
  const most = forAll + clients * forEachClient;
  const problems = [
    ...(right === clients ? [] : [`${clients - right} of ${clients} clients did not get the right bytes`]),
    ...(requests === 1 ? [] : [`${requests} requests upstream, expected 1`]),
    ...(peak <= most ? [] : [`${Math.round(peak)} MB of memory, expected at most ${most}`]),
  ];
  await mirror.close();
  await server.close();
  await client.close();
  registry.close();
  await rm(folder, { recursive: true });
  for (const problem of problems) console.error(`${name}: ${problem}`);
  if (problems.length > 0) process.exitCode = 1;
  else console.log(`${name}: ${clients} clients, 1 request upstream, ${Math.round(peak)} MB of memory`);
}

const [first = '500', second = '100', ...rest] = process.argv.slice(2);
if (first === 'clients') {
  const [clients = '', size = ''] = rest;
  const all = await Promise.all(Array.from({ length: Number(clients) }, () => isRight(second, Number(size))));
  process.send?.(all.filter((each) => each).length);
} else await main(Number(first), Number(second));
