import { gzipSync } from 'node:zlib';
import { type Descriptor, digestOf, mediaTypes, type Store } from 'ocifetch';
import { create } from 'tar';

/** Folders of this checkout; each becomes a layer. */
const folders = ['docs', 'src', 'test', 'dist'];

/** Pushes an image of this checkout's own files, with an index and a tag. */
export async function pushImage(store: Store, root: string, tag: string): Promise<void> {
  const layers: Descriptor[] = [];
  for (const folder of folders) layers.push(await push(store, mediaTypes.ociLayerGzip, await layerOf(root, folder)));
  const platform = { os: 'linux', architecture: 'amd64' };
  const config = await push(
    store,
    mediaTypes.ociConfig,
    json({ ...platform, rootfs: { type: 'layers', diff_ids: [] } }),
  );
  const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
  const manifest = await push(store, mediaTypes.ociManifest, json(document));
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [{ ...manifest, platform }] };
  await store.tag(await push(store, mediaTypes.ociIndex, json(index)), tag);
}

const json = (document: object): Uint8Array => new TextEncoder().encode(JSON.stringify(document));

async function layerOf(root: string, folder: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of create({ cwd: root, portable: true }, [folder])) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks), { level: 1 });
}

async function push(store: Store, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await store.push(
    descriptor,
    (async function* () {
      yield bytes;
    })(),
  );
  return descriptor;
}
