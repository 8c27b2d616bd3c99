import { createHash } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import { bytesBody, type Descriptor, digestOf, type Store } from 'ocifetch';

const prefix = 'application/vnd.oci.image';

async function put(store: Store, mediaType: string, bytes: Uint8Array): Promise<Descriptor> {
  const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
  await store.push(descriptor, bytesBody(bytes));
  return descriptor;
}

const putJson = (store: Store, mediaType: string, value: object): Promise<Descriptor> =>
  put(store, mediaType, Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...value })));

/**
 * Puts an index with one image of one layer into the store, under the tag `v1`. Its bytes depend on `content`: a
 * containerd does not request what it already has.
 */
export async function putSmallImage(store: Store, content: string): Promise<Descriptor> {
  const platform = { os: 'linux', architecture: 'amd64' };
  const plain = Buffer.from(content);
  const diff = `sha256:${createHash('sha256').update(plain).digest('hex')}`;
  const config = { ...platform, config: {}, rootfs: { type: 'layers', diff_ids: [diff] } };
  const manifest = await putJson(store, `${prefix}.manifest.v1+json`, {
    config: await put(store, `${prefix}.config.v1+json`, Buffer.from(JSON.stringify(config))),
    layers: [await put(store, `${prefix}.layer.v1.tar+gzip`, gzipSync(plain))],
  });
  const index = await putJson(store, `${prefix}.index.v1+json`, { manifests: [{ ...manifest, platform }] });
  await store.tag(index, 'v1');
  return index;
}
