// The cost of decoding: our decoders against a plain node:zlib pipe, in decoded MB/s, every output hashed and compared.
// Usage: npm run bench:decode [-- MiB, 64 by default]; zstd is compared on Node 22.15 or later
import { createHash } from 'node:crypto';
import { Readable, type Transform } from 'node:stream';
import * as zlib from 'node:zlib';
import { type Decoder, loadCodecs } from 'ocifetch';

const { createZstdDecompress, zstdCompressSync } = zlib as {
  createZstdDecompress?: () => Transform;
  zstdCompressSync?: (content: Uint8Array) => Buffer;
};
const content = makeContent(Number(process.argv[2] ?? 64) * 2 ** 20);
const expected = createHash('sha256').update(content).digest('hex');
const rounds = 3;
const codecsByName = { native: await loadCodecs('native'), portable: await loadCodecs('portable') };

await compare('gzip', zlib.gzipSync(content), () => zlib.createGunzip());
await compare('deflate', zlib.deflateSync(content), () => zlib.createInflate());
if (zstdCompressSync && createZstdDecompress) {
  const framed = Array.from({ length: Math.ceil(content.length / 65_536) }, (_, index) =>
    zstdCompressSync(content.subarray(index * 65_536, (index + 1) * 65_536)),
  );
  await compare('zstd', zstdCompressSync(content), createZstdDecompress);
  await compare('zstd', Buffer.concat(framed), undefined, `${framed.length} frames of 64 KiB`);
} else {
  console.log('zstd: this Node has none to compare with');
}
console.log(`peak of the process: ${Math.round(process.resourceUsage().maxRSS / 1024)} MiB`);

async function compare(coding: string, packed: Uint8Array, open?: () => Transform, note = 'one stream'): Promise<void> {
  const ways = new Map<string, Decoder>();
  if (open) ways.set('node pipe', (body) => Readable.from(body).pipe(open()));
  for (const [name, codecs] of Object.entries(codecsByName)) {
    const decoder = codecs[coding];
    if (decoder) ways.set(name, decoder);
  }
  const speeds = new Map<string, number[]>();
  for (let round = 0; round < rounds; round++) {
    for (const [name, decoder] of ways) speeds.set(name, [...(speeds.get(name) ?? []), await measure(decoder, packed)]);
  }
  console.log(`${coding}, ${note}, ${Math.round(packed.length / 2 ** 20)} MiB packed`);
  const first = median([...speeds.values()][0] ?? []);
  for (const [name, values] of speeds) {
    const speed = median(values);
    console.log(`  ${name.padEnd(10)} ${speed.toFixed(0).padStart(5)} MB/s  ${(speed / first).toFixed(2)} ×`);
  }
}

async function measure(decoder: Decoder, packed: Uint8Array): Promise<number> {
  const hash = createHash('sha256');
  const start = performance.now();
  for await (const chunk of decoder(inPieces(packed), { limit: content.length })) hash.update(chunk);
  const speed = content.length / 1000 / (performance.now() - start);
  if (hash.digest('hex') !== expected) throw new Error('decoded to something else');
  return speed;
}

async function* inPieces(bytes: Uint8Array): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += 65_536) yield bytes.subarray(at, at + 65_536);
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1] ?? 0;
}

/** Words in random order with some noise, so that the compression ratio is about that of a layer of programs. */
function makeContent(size: number): Buffer {
  let state = 1;
  const random = (): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 16;
  };
  const words = Array.from({ length: 3000 }, () => random().toString(36) + random().toString(36));
  const made = Buffer.alloc(size);
  for (let at = 0; at < size; ) {
    const line = Array.from({ length: 40 }, () => words[(random() * random()) % words.length]).join(' ');
    at += made.write(`${line}\n${line.slice(0, random() % line.length)}`, at, 'latin1');
    if (random() % 8 === 0) for (let end = Math.min(size, at + 600); at < end; at++) made[at] = random() & 255;
  }
  return made;
}
