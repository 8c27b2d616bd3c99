import { createHash } from 'node:crypto';
import { link, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { run } from './process.ts';

export type Compression = 'none' | 'gzip' | 'zstd';

/** A symbolic link to any target, or a hard link to an earlier file of this layer. */
type Link = { readonly to: string } | { readonly same: string };

interface LayerSpec {
  /** Content or link by path in the layer. */
  readonly files: Readonly<Record<string, string | Uint8Array | Link>>;
  readonly compression: Compression;
}

interface ImageSpec {
  readonly layers: readonly LayerSpec[];
  readonly architecture?: string;
  readonly variant?: string;
}

export interface Described {
  readonly mediaType: string;
  readonly digest: string;
  readonly size: number;
  readonly platform?: { readonly os: string; readonly architecture: string; readonly variant?: string };
}

const prefix = 'application/vnd.oci.image';
const suffixes = { none: '', gzip: '+gzip', zstd: '+zstd' } as const;
const sha256 = (bytes: Uint8Array): string => `sha256:${createHash('sha256').update(bytes).digest('hex')}`;

async function keep(layout: string, mediaType: string, bytes: Uint8Array): Promise<Described> {
  const digest = sha256(bytes);
  const path = join(layout, 'blobs', digest.replace(':', '/'));
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, bytes);
  return { mediaType, digest, size: bytes.length };
}

const keepJson = (layout: string, mediaType: string, value: object): Promise<Described> =>
  keep(layout, mediaType, Buffer.from(JSON.stringify(value)));

async function place(root: string, path: string, content: string | Uint8Array | Link): Promise<void> {
  if (typeof content === 'string' || content instanceof Uint8Array) return writeFile(join(root, path), content);
  if ('to' in content) return symlink(content.to, join(root, path));
  return link(join(root, content.same), join(root, path));
}

/** The files as a tar, the same bytes each time. */
async function tar(layout: string, files: LayerSpec['files']): Promise<Uint8Array> {
  const folder = await mkdtemp(join(layout, 'layer-'));
  try {
    for (const [path, content] of Object.entries(files)) {
      await mkdir(dirname(join(folder, 'root', path)), { recursive: true });
      await place(join(folder, 'root'), path, content);
    }
    const fixed = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=ustar'];
    await run('tar', [...fixed, '-C', join(folder, 'root'), '-cf', join(folder, 'layer.tar'), '.']);
    return await readFile(join(folder, 'layer.tar'));
  } finally {
    await rm(folder, { recursive: true });
  }
}

async function compress(layout: string, bytes: Uint8Array, compression: Compression): Promise<Uint8Array> {
  if (compression === 'none') return bytes;
  if (compression === 'gzip') return gzipSync(bytes);
  const path = join(layout, 'uncompressed');
  await writeFile(path, bytes);
  await run('zstd', ['--quiet', '--rm', path, '-o', `${path}.zst`]);
  const compressed = await readFile(`${path}.zst`);
  await rm(`${path}.zst`);
  return compressed;
}

/** Writes an image for one platform into the layout and describes its manifest. */
export async function addImage(layout: string, { layers, ...spec }: ImageSpec): Promise<Described> {
  const platform = { os: 'linux', architecture: 'amd64', ...spec };
  const described: Described[] = [];
  const diffs: string[] = [];
  for (const { files, compression } of layers) {
    const plain = await tar(layout, files);
    diffs.push(sha256(plain));
    const mediaType = `${prefix}.layer.v1.tar${suffixes[compression]}`;
    described.push(await keep(layout, mediaType, await compress(layout, plain, compression)));
  }
  const config = { ...platform, config: {}, rootfs: { type: 'layers', diff_ids: diffs } };
  const manifest = await keepJson(layout, `${prefix}.manifest.v1+json`, {
    schemaVersion: 2,
    mediaType: `${prefix}.manifest.v1+json`,
    config: await keepJson(layout, `${prefix}.config.v1+json`, config),
    layers: described,
  });
  return { ...manifest, platform };
}

/** Writes an index over images of the layout. */
export const addIndex = (layout: string, manifests: readonly Described[]): Promise<Described> =>
  keepJson(layout, `${prefix}.index.v1+json`, {
    schemaVersion: 2,
    mediaType: `${prefix}.index.v1+json`,
    manifests,
  });

/** Makes the folder an OCI layout with a name for each key. */
export async function writeLayout(layout: string, names: Readonly<Record<string, Described>>): Promise<void> {
  const manifests = Object.entries(names).map(([name, { mediaType, digest, size }]) => ({
    mediaType,
    digest,
    size,
    annotations: { 'org.opencontainers.image.ref.name': name },
  }));
  await writeFile(join(layout, 'oci-layout'), JSON.stringify({ imageLayoutVersion: '1.0.0' }));
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests }));
}
