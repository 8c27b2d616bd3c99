import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** Pulls an image from a registry in the process into a layout, reads a layer, and gets an error for what is not there. */
export async function scenario(api, { listen, serve }) {
  const { createClient, digestOf, layoutStore, loadConfig, mediaTypes, memoryStore, readConfigTexts, RegistryError } =
    api;
  const store = memoryStore();
  const push = async (mediaType, bytes) => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    await store.push(descriptor, [bytes]);
    return descriptor;
  };
  const json = (value) => new TextEncoder().encode(JSON.stringify(value));
  const layer = await push(mediaTypes.ociLayer, new Uint8Array(300_000).fill(7));
  const platform = { os: 'linux', architecture: 'amd64' };
  const config = await push(mediaTypes.ociConfig, json({ ...platform, rootfs: { type: 'layers', diff_ids: [] } }));
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
  await store.tag(await push(mediaTypes.ociManifest, json(manifest)), '1');
  const server = await listen(serve(() => store));
  const repository = `${new URL(server.url).host}/app`;
  const folder = await mkdtemp(join(tmpdir(), 'toolchains-'));
  const mirrors = 'mirrors: { docker.io: { endpoint: ["https://mirror.test"] } }';
  const { registries } = await readConfigTexts([{ text: mirrors, file: '/registries.yaml', kind: 'registries.yaml' }]);
  const client = createClient({ config: { ...(await loadConfig()), registries } });
  try {
    await client.pull(`${repository}:1`, { to: join(folder, 'layout') });
    const { checked, wrong } = await layoutStore(join(folder, 'layout')).verify();
    const bytes = await (await client.fetcher(repository).fetch(layer)).bytes();
    const error = await client.resolve(`${repository}:none`).catch((thrown) => thrown);
    return {
      bytes: bytes.length,
      checked,
      wrong: wrong.length,
      code: error.code,
      mirrored: Object.keys(registries).join(),
      ours: error instanceof RegistryError,
    };
  } finally {
    await client.close();
    await server.close();
    await rm(folder, { recursive: true, force: true });
  }
}
