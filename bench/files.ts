// The memory that the files of an image take while they are open: many entries in a few layers, listed once.
// Usage: npm run bench:files [-- entries, 300,000 by default]
import { createHash } from 'node:crypto';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { gzipSync } from 'node:zlib';
import { createClient, type Descriptor, fetchTransport, memoryStore } from 'ocifetch';
import { serve } from 'ocifetch/server';

setFlagsFromString('--expose-gc');
const collect: () => void = runInNewContext('gc');
const entries = Number(process.argv[2] ?? 300_000);
const layerCount = 3;
const store = memoryStore();

const push = async (bytes: Uint8Array, mediaType: string): Promise<Descriptor> => {
  const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}` as const;
  const descriptor: Descriptor = { mediaType, digest, size: bytes.length };
  await store.push(descriptor, inOnePiece(bytes));
  return descriptor;
};
const json = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

const layers: Descriptor[] = [];
for (let number = 0; number < layerCount; number++) {
  layers.push(await push(makeLayer(number), 'application/vnd.oci.image.layer.v1.tar+gzip'));
}
const platform = { os: 'linux', architecture: 'amd64' };
const config = await push(json({ ...platform, rootfs: {} }), 'application/vnd.oci.image.config.v1+json');
const mediaType = 'application/vnd.oci.image.manifest.v1+json';
await store.tag(await push(json({ schemaVersion: 2, mediaType, config, layers }), mediaType), 'latest');

const client = createClient({ transport: fetchTransport(serve(() => store)) });
const before = used();
const started = performance.now();
const files = await client.files('localhost/bench:latest', { platform });
let count = 0;
for await (const _ of files.list()) count += 1;
const milliseconds = performance.now() - started;
const mebibytes = (used() - before) / 2 ** 20;
const peak = Math.round(process.resourceUsage().maxRSS / 1024);
console.log(
  `${count} entries in ${layerCount} layers: ${mebibytes.toFixed(0)} MiB kept, ${milliseconds.toFixed(0)} ms`,
);
console.log(`peak of the process: ${peak} MiB`);
await files.close();

async function* inOnePiece(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  yield bytes;
}

/** Bytes in use, in and outside of the heap of JavaScript. */
function used(): number {
  collect();
  const { heapUsed, external } = process.memoryUsage();
  return heapUsed + external;
}

/** A layer of packages: a directory with ten files each, every tenth of them a link. */
function makeLayer(number: number): Uint8Array {
  const headers: Buffer[] = [];
  for (let at = 0; headers.length < entries / layerCount; at++) {
    const path = `usr/lib/packages/${number}/package-${at.toString(36)}`;
    headers.push(header(`${path}/`, '5'));
    for (let file = 0; file < 9; file++) headers.push(header(`${path}/module-${file}-of-${at}.js`, '0'));
    headers.push(header(`${path}/index.js`, '2', `module-0-of-${at}.js`));
  }
  return gzipSync(Buffer.concat([...headers, Buffer.alloc(1024)]), { level: 1 });
}

function header(name: string, flag: string, link = ''): Buffer {
  const block = Buffer.alloc(512);
  const octal = (value: number, length: number): string => `${value.toString(8).padStart(length - 1, '0')}\0`;
  block.write(name, 0);
  block.write(
    `${octal(0o644, 8)}${octal(0, 8)}${octal(0, 8)}${octal(0, 12)}${octal(1_700_000_000 + name.length, 12)}`,
    100,
  );
  block.write(`        ${flag}${link}`, 148);
  block.write('ustar\x0000root', 257);
  block.write('root', 297);
  block.write(
    octal(
      block.reduce((sum, byte) => sum + byte, 0),
      7,
    ),
    148,
  );
  return block;
}
