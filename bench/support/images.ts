// Images made at run time, as files that any web server can serve as a registry.
import { createCipheriv, createHash, randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import type { Cleanup } from './cleanup.ts';

export interface Blob {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
}

export interface Image {
  /** The root of the web server. */
  readonly folder: string;
  /** `bench/image`. */
  readonly repository: string;
  readonly manifest: Blob;
  readonly config: Blob;
  readonly layers: readonly Blob[];
}

const mebibyte = 1_048_576;
const repository = 'bench/image';

export const manifestType = 'application/vnd.oci.image.manifest.v1+json';

/** Sizes as in real images: few large ones, many of some KB, in no order. 267 MB in total. */
export function fortySizes(largest = 79_000_000): number[] {
  const sizes = Array.from({ length: 40 }, (_, rank) => Math.round(largest * 0.705 ** rank) + 250);
  return sizes.map((_, index) => sizes[(index * 17 + 5) % 40] ?? 0);
}

export const thousandsOfSizes = (count = 2_000): number[] => Array.from({ length: count }, () => 4_096 - 28);

/** Bytes that do not compress, in pieces of 1 MiB at most. */
async function* noise(size: number): AsyncGenerator<Buffer> {
  const cipher = createCipheriv('aes-128-ctr', randomBytes(16), randomBytes(16));
  const zeros = Buffer.alloc(mebibyte);
  for (let left = size; left > 0; left -= mebibyte) yield cipher.update(zeros.subarray(0, left));
}

/** Passes bytes on, and counts and hashes them. */
function meter() {
  const hash = createHash('sha256');
  let size = 0;
  return {
    through: async function* (chunks: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
      for await (const chunk of chunks) {
        hash.update(chunk);
        size += chunk.length;
        yield chunk;
      }
    },
    result: () => ({ digest: `sha256:${hash.digest('hex')}`, size }),
  };
}

/** An image with a layer for each size, in bytes before compression; layers are gzip that does not compress. */
export async function makeImage(cleanup: Cleanup, sizes: readonly number[]): Promise<Image> {
  const folder = await cleanup.folder();
  const place = join(folder, 'v2', ...repository.split('/'));
  const [blobs, manifests] = [join(place, 'blobs'), join(place, 'manifests')];
  await mkdir(blobs, { recursive: true });
  await mkdir(manifests);
  const [layers, diffs]: [Blob[], string[]] = [[], []];
  for (const size of sizes) {
    const [plain, packed] = [meter(), meter()];
    const path = join(blobs, 'new');
    const source = Readable.from(plain.through(noise(size)));
    await pipeline(source, createGzip({ level: 0, chunkSize: 65_536 }), packed.through, createWriteStream(path));
    const result = packed.result();
    await rename(path, join(blobs, result.digest));
    layers.push({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', ...result });
    diffs.push(plain.result().digest);
  }
  const store = async (where: string, mediaType: string, value: object): Promise<Blob> => {
    const bytes = Buffer.from(JSON.stringify(value));
    const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
    await writeFile(join(where, digest), bytes);
    if (where === manifests) await writeFile(join(where, 'latest'), bytes);
    return { mediaType, digest, size: bytes.length };
  };
  const config = await store(blobs, 'application/vnd.oci.image.config.v1+json', {
    architecture: 'amd64',
    os: 'linux',
    config: {},
    rootfs: { type: 'layers', diff_ids: diffs },
  });
  const content = { schemaVersion: 2, mediaType: manifestType, config, layers };
  return { folder, repository, manifest: await store(manifests, manifestType, content), config, layers };
}
