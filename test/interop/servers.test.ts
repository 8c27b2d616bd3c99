import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificateFolder, serverCertificate } from './support/certificates.ts';
import { createCleanup } from './support/cleanup.ts';
import { type Images, makeImages } from './support/images.ts';
import { redirecting, startNginx, storage, underPrefix } from './support/nginx.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { pull, push } from './support/skopeo.ts';
import { startTokenServer } from './support/token-server.ts';
import { describeWith } from './support/tools.ts';

const login = { username: 'reader', password: 'open sesame' };

// What the other files rely on: the servers are as strict as they should be.
describeWith(['docker-registry', 'skopeo', 'nginx', 'htpasswd', 'openssl', 'zstd', 'tar'], 'the servers', () => {
  const cleanup = createCleanup();
  let folder: string;
  let images: Images;
  let open: RegistryServer;

  beforeAll(async () => {
    folder = await cleanup.folder();
    images = await makeImages(cleanup);
    open = await startRegistry(cleanup);
    for (const name of Object.keys(images.names)) {
      await push(folder, images.layout, name, `${open.host}/team/${name}:v1`);
    }
  }, 60_000);
  afterAll(() => cleanup.close(), 30_000);

  test('the registry returns an image with the digest that it was made with', async () => {
    for (const [name, { digest }] of Object.entries(images.names)) {
      const response = await fetch(`${open.url}/v2/team/${name}/manifests/${digest}`, {
        headers: { accept: images.names[name as keyof Images['names']].mediaType },
      });
      expect([name, response.status]).toEqual([name, 200]);
      await response.arrayBuffer();
    }
  });

  test('skopeo pulls every manifest and blob of an image for three platforms', async () => {
    const { content } = await pull(folder, `${open.host}/team/platforms:v1`);
    expect(content.size).toBe(3 + 3 + 1 + 3); // manifests, configs, the shared layer, their own layers
  });

  test('the registry with an htpasswd file requires Basic', async () => {
    const server = await startRegistry(cleanup, { login });
    const response = await fetch(`${server.url}/v2/`);
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([401, 'Basic realm="interop"']);
    await push(folder, images.layout, 'gzip', `${server.host}/team/gzip:v1`, { login });
    expect((await pull(folder, `${server.host}/team/gzip:v1`, { login })).content.size).toBe(3);
  });

  test.each(['RSA', 'EC'] as const)('the registry with a token server accepts its tokens (%s)', async (type) => {
    const tokens = await startTokenServer(cleanup, type, login);
    const server = await startRegistry(cleanup, { token: tokens });
    const response = await fetch(`${server.url}/v2/`);
    expect([response.status, response.headers.get('www-authenticate')]).toEqual([
      401,
      `Bearer realm="${tokens.realm}",service="interop registry"`,
    ]);
    await push(folder, images.layout, 'gzip', `${server.host}/team/gzip:v1`, { login });
    expect((await pull(folder, `${server.host}/team/gzip:v1`, { login })).content.size).toBe(3);
    expect(tokens.requests).toContain('GET repository:team/gzip:pull as reader');
  });

  test('the registry with TLS is trusted only with its own CA', async () => {
    const certificate = await serverCertificate(folder);
    const server = await startRegistry(cleanup, { tls: certificate });
    await expect(fetch(`${server.url}/v2/`)).rejects.toThrow('fetch failed');
    const certificates = await certificateFolder(folder, certificate.ca);
    await push(folder, images.layout, 'zstd', `${server.host}/team/zstd:v1`, { certificates });
    expect((await pull(folder, `${server.host}/team/zstd:v1`, { certificates })).content.size).toBe(2);
  });

  test('the pull-through cache serves content that only its remote has', async () => {
    const server = await startRegistry(cleanup, { remote: open.url });
    expect((await pull(folder, `${server.host}/team/mixed:v1`)).content.size).toBe(4);
  });

  test('nginx serves the registry below a prefix, and nothing else', async () => {
    const { urls } = await startNginx(cleanup, [() => underPrefix('/mirror', open.url)]);
    const statuses = await Promise.all(
      ['/mirror/v2/', '/mirror/v2/team/gzip/tags/list', '/v2/'].map(async (path) => {
        const response = await fetch(`${urls[0]}${path}`);
        await response.arrayBuffer();
        return response.status;
      }),
    );
    expect(statuses).toEqual([200, 200, 404]);
  });

  test('the storage behind the redirecting front refuses credentials, and requests without a signature', async () => {
    const nginx = await startNginx(cleanup, [(urls) => redirecting(open.url, urls[1] ?? ''), () => storage(open.url)]);
    const { digest } = images.names.gzip;
    const front = await fetch(`${nginx.urls[0]}/v2/team/gzip/blobs/${digest}`, { redirect: 'manual' });
    const location = front.headers.get('location') ?? '';
    await front.arrayBuffer();
    expect([front.status, location]).toEqual([307, `${nginx.urls[1]}/team/gzip/${digest}?signature=secret`]);
    const withCredentials = await fetch(location, { headers: { authorization: 'Basic Zm9vOmJhcg==' } });
    const unsigned = await fetch(location.replace('secret', 'guessed'));
    expect([withCredentials.status, unsigned.status]).toEqual([400, 403]);
    expect((await pull(folder, `${new URL(nginx.urls[0] ?? '').host}/team/gzip:v1`)).content.size).toBe(3);
    expect(await nginx.requests()).toContainEqual(
      expect.stringMatching(/^1 GET \/team\/gzip\/.* 200 without credentials$/),
    );
  });
});
