// A registry of one image, in memory: bench/pull.ts starts it as a separate process, and it ends with bench/pull.ts.
// Sends its port once it listens, and the numbers of requests and connections since the last time in reply to `count`.
import { createCipheriv, createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';

interface Stored {
  readonly mediaType: string;
  readonly bytes: Buffer;
}

interface Described {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

const contents = new Map<string, Stored>();
const digestOf = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

function keep(mediaType: string, bytes: Buffer): Described {
  const digest = digestOf(bytes);
  contents.set(digest, { mediaType, bytes });
  return { mediaType, digest, size: bytes.length };
}

/** Bytes that do not compress, always the same for one seed. */
function noise(size: number, seed: number): Buffer {
  const cipher = createCipheriv('aes-128-ctr', Buffer.alloc(16, seed % 251), Buffer.alloc(16, seed % 241));
  return cipher.update(Buffer.alloc(size));
}

/** Sizes as in real images: few large ones, many of some KB, in no order. 270 MB in total. */
function largeSizes(): number[] {
  const sizes = Array.from({ length: 40 }, (_, rank) => Math.round(79_000_000 * 0.705 ** rank) + 250);
  return sizes.map((_, index) => sizes[(index * 17 + 5) % 40] ?? 0);
}

function makeImage(sizes: readonly number[]): Stored {
  const contentsOfLayers = sizes.map((size, index) => noise(size, index));
  const layers = contentsOfLayers.map((bytes) =>
    keep('application/vnd.oci.image.layer.v1.tar+gzip', gzipSync(bytes, { level: 0 })),
  );
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: contentsOfLayers.map(digestOf) },
  };
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = {
    schemaVersion: 2,
    mediaType,
    config: keep('application/vnd.oci.image.config.v1+json', Buffer.from(JSON.stringify(config))),
    layers,
  };
  const bytes = Buffer.from(JSON.stringify(manifest));
  keep(mediaType, bytes);
  return { mediaType, bytes };
}

const isSmall = process.argv[2] === 'small';
const image = makeImage(isSmall ? Array.from({ length: 2000 }, () => 4096 - 28) : largeSizes());
const counts = { requests: 0, connections: 0 };
const server = createServer((request, response) => {
  counts.requests += 1;
  const [, kind, reference] = /^\/v2\/bench\/image\/(manifests|blobs)\/([^?]+)/.exec(request.url ?? '') ?? [];
  const found = kind === 'manifests' && reference === 'latest' ? image : contents.get(reference ?? '');
  if (request.url === '/v2/') response.writeHead(200, { 'content-length': 2 }).end('{}');
  else if (found === undefined) response.writeHead(404, { 'content-length': 0 }).end();
  else {
    const { mediaType, bytes } = found;
    const type = kind === 'blobs' ? 'application/octet-stream' : mediaType;
    response.writeHead(200, { 'content-type': type, 'content-length': bytes.length });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }
});
server.keepAliveTimeout = 60_000;
server.on('connection', () => {
  counts.connections += 1;
});
server.listen(0, '127.0.0.1');
await once(server, 'listening');
process.on('message', () => {
  process.send?.({ ...counts });
  Object.assign(counts, { requests: 0, connections: 0 });
});
process.on('disconnect', () => process.exit());
process.send?.({ port: (server.address() as AddressInfo).port });
