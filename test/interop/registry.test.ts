import { parseDigest } from 'ocifetch';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { certificateFolder, serverCertificate } from './support/certificates.ts';
import { createCleanup } from './support/cleanup.ts';
import { type Images, makeImages } from './support/images.ts';
import { type Nginx, startNginx, withTokens } from './support/nginx.ts';
import { freePort } from './support/process.ts';
import { differences, openClient, pullAll } from './support/pull.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { pull, push } from './support/skopeo.ts';
import { startTokenServer } from './support/token-server.ts';
import { describeWith } from './support/tools.ts';

const login = { username: 'reader', password: 'open sesame' };
const tools = ['docker-registry', 'skopeo', 'nginx', 'htpasswd', 'openssl', 'zstd', 'tar'] as const;

describeWith(tools, 'an open registry', () => {
  const cleanup = createCleanup();
  let folder: string;
  let images: Images;
  let registry: RegistryServer;

  beforeAll(async () => {
    folder = await cleanup.folder();
    images = await makeImages(cleanup);
    registry = await startRegistry(cleanup);
    for (const name of Object.keys(images.names)) {
      await push(folder, images.layout, name, `${registry.host}/team/${name}:v1`);
    }
  });
  afterAll(() => cleanup.close());

  test.each(['gzip', 'zstd', 'mixed', 'platforms', 'platforms-gzip'])(
    'the image %s is pulled as skopeo pulls it',
    async (name) => {
      const reference = `${registry.host}/team/${name}:v1`;
      expect(differences(await pullAll(openClient(cleanup, {}), reference), await pull(folder, reference))).toEqual([]);
    },
  );

  test.each(['gzip', 'platforms-gzip'])(
    'the image "%s" with Docker media types is pulled as skopeo pulls it',
    async (name) => {
      const reference = `${registry.host}/docker/${name}:v1`;
      await push(folder, images.layout, name, reference, { format: 'v2s2' });
      expect(differences(await pullAll(openClient(cleanup, {}), reference), await pull(folder, reference))).toEqual([]);
    },
  );

  test('an image is pulled by digest', async () => {
    const { digest } = images.names.platforms;
    const pulled = await pullAll(openClient(cleanup, {}), `${registry.host}/team/platforms@${digest}`);
    expect(differences(pulled, await pull(folder, `${registry.host}/team/platforms@${digest}`))).toEqual([]);
  });

  test('a cold pull of an image with three layers sends one request for each content', async () => {
    await registry.requests();
    await pullAll(openClient(cleanup, {}), `${registry.host}/team/mixed:v1`);
    const requests = await registry.requests();
    expect(requests.map((request) => request.replace(/sha256:[0-9a-f]{64}/, 'D'))).toEqual([
      ...['config', 'layer', 'layer', 'layer'].map(() => 'GET /v2/team/mixed/blobs/D 200'),
      'GET /v2/team/mixed/manifests/v1 200',
    ]);
  });

  test('a part of a layer is read from its offset', async () => {
    const { content } = await pull(folder, `${registry.host}/team/gzip:v1`);
    const [digest, bytes] = [...content].reduce((a, b) => (b[1].length > a[1].length ? b : a));
    const client = openClient(cleanup, {});
    const fetcher = client.fetcher(`${registry.host}/team/gzip`);
    const layer = await fetcher.fetch({
      mediaType: 'application/octet-stream',
      digest: parseDigest(digest),
      size: bytes.length,
    });
    await layer.seek(1_000_000);
    expect(bytes.subarray(1_000_000, 1_100_000).equals(await layer.read(100_000))).toBe(true);
    await layer.seek(bytes.length - 10);
    expect(bytes.subarray(-10).equals(await layer.read(64))).toBe(true);
    await layer.close();
  });

  test('a name that does not exist is NOT_FOUND', async () => {
    const client = openClient(cleanup, {});
    await expect(client.resolve(`${registry.host}/team/gzip:missing`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    await expect(client.resolve(`${registry.host}/team/nothing:v1`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  });
});

describeWith(tools, 'a registry with Basic authentication', () => {
  const cleanup = createCleanup();
  let folder: string;
  let registry: RegistryServer;

  beforeAll(async () => {
    folder = await cleanup.folder();
    const images = await makeImages(cleanup);
    registry = await startRegistry(cleanup, { login });
    await push(folder, images.layout, 'platforms', `${registry.host}/team/app:v1`, { login });
  });
  afterAll(() => cleanup.close());

  test('an image is pulled as skopeo pulls it', async () => {
    const client = openClient(cleanup, { config: { credentials: { [registry.host]: login } } });
    const reference = `${registry.host}/team/app:v1`;
    expect(differences(await pullAll(client, reference), await pull(folder, reference, { login }))).toEqual([]);
  });

  test.each([
    ['no login', {}],
    ['a wrong password', { username: login.username, password: 'guessed' }],
  ])('%s is UNAUTHORIZED, and no password is reported', async (_, wrong) => {
    const credentials = 'password' in wrong ? { [registry.host]: wrong } : {};
    const client = openClient(cleanup, { config: { credentials } });
    const failed = await client.resolve(`${registry.host}/team/app:v1`).catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 'UNAUTHORIZED' });
    expect(JSON.stringify(failed) + String(failed)).not.toContain('guessed');
  });
});

describeWith(tools, 'a registry with a token server', () => {
  const cleanup = createCleanup();
  let folder: string;
  let images: Images;

  beforeAll(async () => {
    folder = await cleanup.folder();
    images = await makeImages(cleanup);
  });
  afterAll(() => cleanup.close());

  /** nginx serves the registry and its token server at one origin: over http, a realm at another origin is refused. */
  const prepare = async (type: 'RSA' | 'EC'): Promise<{ host: string; requests: Nginx['requests'] }> => {
    const tokens = await startTokenServer(cleanup, type, login);
    const port = await freePort();
    const host = `127.0.0.1:${port}`;
    const registry = await startRegistry(cleanup, { token: { ...tokens, realm: `http://${host}/token` } });
    const nginx = await startNginx(cleanup, [() => withTokens(registry.url, tokens.realm)], [port]);
    await push(folder, images.layout, 'mixed', `${host}/team/app:v1`, { login });
    return { host, requests: nginx.requests };
  };

  test.each(['RSA', 'EC'] as const)('an image is pulled as skopeo pulls it (%s signatures)', async (type) => {
    const { host } = await prepare(type);
    const client = openClient(cleanup, { config: { credentials: { [host]: login } } });
    const reference = `${host}/team/app:v1`;
    expect(differences(await pullAll(client, reference), await pull(folder, reference, { login }))).toEqual([]);
  });

  test('a cold pull takes one challenge and one token; a warm pull takes none', async () => {
    const { host, requests } = await prepare('EC');
    const client = openClient(cleanup, { config: { credentials: { [host]: login } } });
    const statuses = async (): Promise<string[]> =>
      (await requests())
        .map((request) => request.replace(/sha256:.*? |\?.*? /, '… '))
        .map((request) => request.slice(2));
    const parts = [
      ...['config', 'layer', 'layer', 'layer'].map(() => 'GET /v2/team/app/blobs/… 200 with credentials'),
      'GET /v2/team/app/manifests/v1 200 with credentials',
    ];
    await requests();
    await pullAll(client, `${host}/team/app:v1`);
    expect(await statuses()).toEqual(
      ['GET /token… 200 with credentials', ...parts, 'GET /v2/team/app/manifests/v1 401 without credentials'].sort(),
    );
    await pullAll(client, `${host}/team/app:v1`);
    expect(await statuses()).toEqual(parts);
  });

  test('a token server at another port is used without TLS, as the registry is, and receives the login', async () => {
    const tokens = await startTokenServer(cleanup, 'EC', login);
    const registry = await startRegistry(cleanup, { token: tokens });
    const client = openClient(cleanup, { config: { credentials: { [registry.host]: login } } });
    await expect(client.resolve(`${registry.host}/team/app:v1`)).rejects.toMatchObject({ code: 'NOT_FOUND' });
    expect(tokens.requests.length).toBeGreaterThan(0);
  });
});

describeWith(tools, 'a registry with TLS', () => {
  const cleanup = createCleanup();
  let folder: string;
  let ca: string;
  let registry: RegistryServer;

  beforeAll(async () => {
    folder = await cleanup.folder();
    const images = await makeImages(cleanup);
    const certificate = await serverCertificate(folder);
    ca = certificate.ca;
    registry = await startRegistry(cleanup, { tls: certificate });
    const certificates = await certificateFolder(folder, ca);
    await push(folder, images.layout, 'gzip', `${registry.host}/team/app:v1`, { certificates });
  });
  afterAll(() => cleanup.close());

  test('an image is pulled as skopeo pulls it, with the configured CA', async () => {
    const client = openClient(cleanup, {
      config: { registries: { [registry.host]: { origin: { url: registry.url, tls: { ca: [ca] } } } } },
    });
    const reference = `${registry.host}/team/app:v1`;
    const certificates = await certificateFolder(folder, ca);
    expect(differences(await pullAll(client, reference), await pull(folder, reference, { certificates }))).toEqual([]);
  });

  test('without the CA it is UNAVAILABLE', async () => {
    const client = openClient(cleanup, {
      config: { registries: { [registry.host]: { origin: { url: registry.url } } } },
    });
    await expect(client.resolve(`${registry.host}/team/app:v1`)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  });
});
