import type { ClientEvent } from 'ocifetch';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createCleanup } from './support/cleanup.ts';
import { type Images, makeImages } from './support/images.ts';
import { redirecting, startNginx, storage, underPrefix } from './support/nginx.ts';
import { freePort } from './support/process.ts';
import { differences, openClient, pullAll } from './support/pull.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { pull, push } from './support/skopeo.ts';
import { describeWith } from './support/tools.ts';

const login = { username: 'reader', password: 'open sesame' };
const basic = `Basic ${Buffer.from(`${login.username}:${login.password}`).toString('base64')}`;
/** A registry that is never contacted: RFC 2606 reserves its name. */
const elsewhere = 'registry.invalid';

describeWith(['docker-registry', 'skopeo', 'nginx', 'htpasswd', 'zstd', 'tar'], 'mirrors', () => {
  const cleanup = createCleanup();
  let folder: string;
  let images: Images;
  let registry: RegistryServer;

  beforeAll(async () => {
    folder = await cleanup.folder();
    images = await makeImages(cleanup);
    registry = await startRegistry(cleanup);
    await push(folder, images.layout, 'platforms', `${registry.host}/team/app:v1`);
  });
  afterAll(() => cleanup.close());

  test('a pull-through cache gives the same content as its remote, also when the remote is gone', async () => {
    const remote = await startRegistry(cleanup);
    await push(folder, images.layout, 'platforms', `${remote.host}/team/app:v1`);
    const expected = await pull(folder, `${remote.host}/team/app:v1`);
    const cache = await startRegistry(cleanup, { remote: remote.url });
    const config = { registries: { [elsewhere]: { mirrors: [{ url: cache.url }], origin: 'never' as const } } };
    expect(differences(await pullAll(openClient(cleanup, { config }), `${elsewhere}/team/app:v1`), expected)).toEqual(
      [],
    );
    expect((await remote.requests()).length).toBeGreaterThan(0);
    await remote.stop();
    const { digest } = images.names.platforms;
    expect(
      differences(await pullAll(openClient(cleanup, { config }), `${elsewhere}/team/app@${digest}`), expected),
    ).toEqual([]);
  });

  test('a mirror below a path prefix receives the rewritten name', async () => {
    const nginx = await startNginx(cleanup, [() => underPrefix('/mirror', registry.url)]);
    const rewrites = [{ pattern: '^library/(.*)', replacement: 'team/$1' }];
    const client = openClient(cleanup, {
      config: {
        registries: { 'docker.io': { mirrors: [{ url: `${nginx.urls[0]}/mirror`, rewrites }], origin: 'never' } },
      },
    });
    expect(differences(await pullAll(client, 'app:v1'), await pull(folder, `${registry.host}/team/app:v1`))).toEqual(
      [],
    );
    const requests = await nginx.requests();
    expect(requests).toContain('0 GET /mirror/v2/team/app/manifests/v1?ns=docker.io 200 without credentials');
    expect(requests.filter((request) => !request.includes(' /mirror/v2/team/app/'))).toEqual([]);
  });

  test('blobs are fetched from the storage that a registry redirects to, without the login of the registry', async () => {
    const guarded = await startRegistry(cleanup, { login });
    await push(folder, images.layout, 'platforms', `${guarded.host}/team/app:v1`, { login });
    const nginx = await startNginx(cleanup, [
      (urls) => redirecting(guarded.url, urls[1] ?? ''),
      () => storage(guarded.url, basic),
    ]);
    const host = new URL(nginx.urls[0] ?? '').host;
    const events: ClientEvent[] = [];
    const client = openClient(cleanup, {
      config: { credentials: { [host]: login } },
      onEvent: (event) => void events.push(event),
    });
    const pulled = await pullAll(client, `${host}/team/app:v1`);
    const requests = await nginx.requests();
    expect(differences(pulled, await pull(folder, `${guarded.host}/team/app:v1`, { login }))).toEqual([]);
    const manifests = 3;
    const blobs = requests.filter((request) => request.startsWith('1 '));
    expect(blobs).toHaveLength(pulled.content.size - manifests);
    expect(blobs.filter((request) => !request.endsWith('200 without credentials'))).toEqual([]);
    expect(requests.filter((request) => / 307 with credentials$/.test(request))).toHaveLength(blobs.length);
    expect(JSON.stringify(events)).not.toMatch(/signature=secret|open sesame/);
  });

  test('the next mirror is contacted if one is down and one does not have the content', async () => {
    const dead = `http://127.0.0.1:${await freePort()}`;
    const empty = await startRegistry(cleanup);
    const client = openClient(cleanup, {
      config: {
        registries: {
          [elsewhere]: { mirrors: [{ url: dead }, { url: empty.url }, { url: registry.url }], origin: 'never' },
        },
      },
    });
    expect(
      differences(
        await pullAll(client, `${elsewhere}/team/app:v1`),
        await pull(folder, `${registry.host}/team/app:v1`),
      ),
    ).toEqual([]);
    expect((await empty.requests()).filter((request) => !request.endsWith(' 404'))).toEqual([]);
  });
});
