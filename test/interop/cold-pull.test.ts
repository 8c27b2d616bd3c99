import { layoutStore } from 'ocifetch';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { run as ocifetch } from '../cli/support.ts';
import { createCleanup } from './support/cleanup.ts';
import { addImage, addIndex, writeLayout } from './support/layout.ts';
import { blobsOf } from './support/layout-tools.ts';
import { startNginx, withTokens } from './support/nginx.ts';
import { freePort } from './support/process.ts';
import { openClient } from './support/pull.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { pull as pullWithSkopeo, push } from './support/skopeo.ts';
import { startTokenServer } from './support/token-server.ts';
import { describeWith } from './support/tools.ts';

const login = { username: 'reader', password: 'open sesame' };
const tools = ['docker-registry', 'skopeo', 'nginx', 'htpasswd', 'openssl', 'zstd', 'tar'] as const;
const count = 40;

/** An index of two images with this many layers, which share all but the last. */
async function makeLarge(layout: string): Promise<void> {
  const layer = (content: string) => ({ files: { 'etc/layer': content }, compression: 'gzip' }) as const;
  const shared = Array.from({ length: count - 1 }, (_, place) => layer(`${place}`));
  const image = (architecture: string) => addImage(layout, { layers: [...shared, layer(architecture)], architecture });
  await writeLayout(layout, { large: await addIndex(layout, [await image('amd64'), await image('arm64')]) });
}

/** Requests by kind, in any order: those for layers are sent at the same time. */
function kinds(requests: readonly string[]): Record<string, number> {
  const tally: Record<string, number> = {};
  for (const request of requests) {
    const kind = request
      .replace(/^\d /, '')
      .replace(/sha256:[0-9a-f]{64}/, 'D')
      .replace(/\?\S*/, '')
      .replace(/ with.*/, '');
    tally[kind] = (tally[kind] ?? 0) + 1;
  }
  return tally;
}

const [manifests, blobs] = ['/v2/team/large/manifests', '/v2/team/large/blobs'];
/** The index, the manifest, the config and the layers. */
const cold = {
  [`GET ${manifests}/v1 200`]: 1,
  [`GET ${manifests}/D 200`]: 1,
  [`GET ${blobs}/D 200`]: 1 + count,
};
const platform = 'linux/amd64';

describeWith(tools, `a pull of ${count} layers from an open registry`, () => {
  const cleanup = createCleanup();
  let [folder, layout, reference] = ['', '', ''];
  let registry: RegistryServer;

  beforeAll(async () => {
    [folder, layout] = [await cleanup.folder(), await cleanup.folder()];
    await makeLarge(layout);
    registry = await startRegistry(cleanup);
    reference = `${registry.host}/team/large:v1`;
    await push(folder, layout, 'large', reference);
  });
  afterAll(() => cleanup.close());

  test('a cold pull requests each content once and nothing else; a second pull requests only the tag', async () => {
    const client = openClient(cleanup, {});
    const to = await cleanup.folder();
    await registry.requests();
    await client.pull(reference, { to, platform });
    expect(kinds(await registry.requests())).toEqual(cold);
    expect((await layoutStore(to).verify()).checked).toBe(2 + count);
    await client.pull(reference, { to, platform });
    const again = await registry.requests();
    expect(again).toEqual([expect.stringMatching(/^(?:GET|HEAD) \/v2\/team\/large\/manifests\/v1 200$/)]);
  });

  test('another platform requests only what it does not share: the index again, its manifest, its config and one layer', async () => {
    const client = openClient(cleanup, {});
    const to = await cleanup.folder();
    await client.pull(reference, { to, platform });
    await registry.requests();
    await client.pull(reference, { to, platform: 'linux/arm64', name: 'arm64' });
    expect(kinds(await registry.requests())).toEqual({ ...cold, [`GET ${blobs}/D 200`]: 2 });
  });

  test('all platforms request a manifest, a config and a layer more than one platform', async () => {
    const to = await cleanup.folder();
    await registry.requests();
    await openClient(cleanup, {}).pull(reference, { to, platform: 'all' });
    const requests = kinds(await registry.requests());
    expect(requests).toEqual({ ...cold, [`GET ${manifests}/D 200`]: 2, [`GET ${blobs}/D 200`]: 3 + count });
    expect(await blobsOf(to)).toEqual(await blobsOf(layout));
  });

  test('the command sends no more requests than the library, and both send fewer than skopeo', async () => {
    const to = await cleanup.folder();
    await registry.requests();
    const pulled = await ocifetch(['pull', '--no-discover', '--quiet', '--platform', 'all', reference, to]);
    expect(pulled).toMatchObject({ code: 0, err: [] });
    const ours = await registry.requests();
    expect(await blobsOf(to)).toEqual(await blobsOf(layout));
    await pullWithSkopeo(folder, reference);
    const theirs = await registry.requests();
    expect(ours.length).toBe(1 + 2 * 2 + 1 + count);
    expect(ours.length).toBeLessThan(theirs.length);
  });

  test('a second pull by digest sends no request, except for an index of which only one image was pulled', async () => {
    const { digest } = await layoutStore(layout).resolve('large');
    const client = openClient(cleanup, {});
    const again = async (platform: string): Promise<string[]> => {
      const to = await cleanup.folder();
      const pull = () => client.pull(`${registry.host}/team/large@${digest}`, { to, platform });
      await pull();
      await registry.requests();
      await pull();
      return registry.requests();
    };
    expect(await again('all')).toEqual([]);
    expect(await again(platform)).toEqual([`GET ${manifests}/${digest} 200`]);
  });
});

describeWith(tools, `a pull of ${count} layers from a registry with a token server`, () => {
  const cleanup = createCleanup();
  afterAll(() => cleanup.close());

  test('a cold pull takes one more challenge and token, even with all layers at once; a warm pull takes neither', async () => {
    const [folder, layout] = [await cleanup.folder(), await cleanup.folder()];
    await makeLarge(layout);
    const tokens = await startTokenServer(cleanup, 'EC', login);
    const port = await freePort();
    const host = `127.0.0.1:${port}`;
    const registry = await startRegistry(cleanup, { token: { ...tokens, realm: `http://${host}/token` } });
    const nginx = await startNginx(cleanup, [() => withTokens(registry.url, tokens.realm)], [port]);
    await push(folder, layout, 'large', `${host}/team/large:v1`, { login });
    const client = openClient(cleanup, { config: { credentials: { [host]: login } }, limits: { concurrency: count } });
    const pull = async () => {
      await nginx.requests();
      const to = await cleanup.folder();
      await client.pull(`${host}/team/large:v1`, { to, platform, concurrency: count });
      return kinds(await nginx.requests());
    };
    expect(await pull()).toEqual({ ...cold, [`GET ${manifests}/v1 401`]: 1, 'GET /token 200': 1 });
    expect(await pull()).toEqual(cold);
  });
});
