import {
  bytesBody,
  copy,
  type Descriptor,
  digestOf,
  layoutStore,
  mediaTypes,
  memoryStore,
  parseManifest,
  type Store,
} from 'ocifetch';
import type { Cleanup } from './cleanup.ts';
import { makeImages } from './images.ts';

const emptyConfig = 'application/vnd.oci.empty.v1+json';

type Algorithm = 'sha256' | 'sha512';

async function put(
  store: Store,
  mediaType: string,
  bytes: Uint8Array,
  algorithm: Algorithm = 'sha256',
): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes, algorithm), size: bytes.length };
  await store.push(descriptor, bytesBody(bytes));
  return descriptor;
}

const putJson = (store: Store, mediaType: string, value: object, algorithm?: Algorithm): Promise<Descriptor> =>
  put(store, mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value })), algorithm);

/** All bytes of a content. */
async function bytesOf(store: Pick<Store, 'fetch'>, target: Descriptor): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of (await store.fetch(target)).body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** The same image with sha512 digests for its layers; its config and manifest have the given algorithms. */
async function withSha512(
  store: Store,
  image: Descriptor,
  { config, manifest }: { readonly config: Algorithm; readonly manifest: Algorithm },
): Promise<Descriptor> {
  const parts = parseManifest(await bytesOf(store, image), image.mediaType);
  const again = async (target: Descriptor, algorithm: Algorithm) =>
    put(store, target.mediaType, await bytesOf(store, target), algorithm);
  const layers = await Promise.all(parts.layers.map((layer) => again(layer, 'sha512')));
  return putJson(store, image.mediaType, { config: await again(parts.config, config), layers }, manifest);
}

async function putArtifact(store: Store, subject: Descriptor): Promise<Descriptor> {
  const { mediaType, digest, size } = subject;
  return putJson(store, mediaTypes.ociManifest, {
    artifactType: 'application/vnd.example.sbom',
    config: await put(store, emptyConfig, Buffer.from('{}')),
    layers: [
      await put(store, 'text/spdx', Buffer.from('SPDXVersion: SPDX-2.3\n')),
      await put(store, 'text/plain', Buffer.alloc(0)),
    ],
    subject: { mediaType, digest, size },
    annotations: { 'org.example.by': 'Ann' },
  });
}

export const sampleNames = [
  'gzip',
  'zstd',
  'mixed',
  'platforms',
  'platforms-gzip',
  'artifact',
  'nested',
  'sha512-layers',
  'sha512',
  'sha512-manifest',
] as const;
export type SampleName = (typeof sampleNames)[number];

export interface Samples {
  /** Has all samples under their names. */
  readonly store: Store;
  readonly descriptors: Readonly<Record<SampleName, Descriptor>>;
}

/**
 * What a layout can hold: images for one platform and for three (gzip, zstd, uncompressed), an artifact that refers to the
 * image `gzip` and has an empty layer, a nested index, and images with sha512 digests for the layers, also for the config, and
 * also for the manifest.
 */
export async function makeSamples(cleanup: Cleanup): Promise<Samples> {
  const { layout, names } = await makeImages(cleanup);
  const store = memoryStore();
  for (const name of Object.keys(names)) await copy(layoutStore(layout), store, name, { platform: 'all' });
  const [gzip, mixed, platforms] = await Promise.all(['gzip', 'mixed', 'platforms'].map((name) => store.resolve(name)));
  if (!gzip || !mixed || !platforms) throw new Error('Cannot make samples: images are missing');
  await store.tag(await putArtifact(store, gzip), 'artifact');
  await store.tag(await putJson(store, mediaTypes.ociIndex, { manifests: [platforms] }), 'nested');
  const [sha256, sha512] = ['sha256', 'sha512'] as const;
  await store.tag(await withSha512(store, mixed, { config: sha256, manifest: sha256 }), 'sha512-layers');
  await store.tag(await withSha512(store, mixed, { config: sha512, manifest: sha256 }), 'sha512');
  await store.tag(await withSha512(store, mixed, { config: sha512, manifest: sha512 }), 'sha512-manifest');
  const described = await Promise.all(sampleNames.map(async (name) => [name, await store.resolve(name)] as const));
  return { store, descriptors: Object.fromEntries(described) as Record<SampleName, Descriptor> };
}
