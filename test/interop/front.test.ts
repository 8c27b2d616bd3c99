import { afterAll, beforeAll, expect, test } from 'vitest';
import { listen } from '../../src/server/listen.ts';
import { redirectFront } from '../../src/server/redirect/front.ts';
import { createCleanup } from './support/cleanup.ts';
import { type Images, makeImages } from './support/images.ts';
import { openTools } from './support/layout-tools.ts';
import { differences, openClient, pullAll } from './support/pull.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { pull, push } from './support/skopeo.ts';
import { describeWith } from './support/tools.ts';

describeWith(['docker-registry', 'skopeo', 'crane', 'regctl', 'zstd', 'tar'], 'a redirecting front', () => {
  const cleanup = createCleanup();
  let folder: string;
  let images: Images;
  let registry: RegistryServer;
  let host: string;

  beforeAll(async () => {
    folder = await cleanup.folder();
    images = await makeImages(cleanup);
    registry = await startRegistry(cleanup);
    await push(folder, images.layout, 'platforms', `${registry.host}/project/team/app:v1`);
    // A registry is a bucket, too, if its path is the repository's.
    const buckets = [{ url: registry.url }];
    const front = redirectFront({
      upstream: registry.url,
      prefix: 'project',
      buckets,
      bucketPath: 'v2/project/team/app/blobs',
      client: 'socket',
    });
    const server = await listen(front);
    cleanup.add(server.close);
    host = new URL(server.url).host;
  }, 60_000);
  afterAll(() => cleanup.close(), 30_000);

  test('skopeo and our client pull through it what the registry has', async () => {
    const expected = await pull(folder, `${registry.host}/project/team/app:v1`);
    const pulled = await pull(folder, `${host}/team/app:v1`);
    expect(pulled.manifest.equals(expected.manifest)).toBe(true);
    expect([...pulled.content.keys()].sort()).toEqual([...expected.content.keys()].sort());
    expect(differences(await pullAll(openClient(cleanup, {}), `${host}/team/app:v1`), expected)).toEqual([]);
  });

  test('crane and regctl resolve, list and pull through it', async () => {
    const tools = await openTools(cleanup, host);
    const { digest } = images.names.platforms;
    expect((await tools.crane('digest', `${host}/team/app:v1`)).trim()).toBe(digest);
    expect((await tools.regctl('image', 'digest', `${host}/team/app:v1`)).trim()).toBe(digest);
    expect((await tools.crane('ls', `${host}/team/app`)).trim()).toBe('v1');
    const layout = await cleanup.folder();
    await tools.crane('pull', '--format=oci', `${host}/team/app:v1`, layout);
    await expect(tools.crane('catalog', host)).rejects.toThrow();
  });
});
