import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { hash } from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createClient } from '../../src/index.ts';
import { htpasswd } from '../../src/server/htpasswd/index.ts';
import { accessRules, controlAccess, layoutRegistry, listen, type ServerEvent, serve } from '../../src/server/index.ts';
import { bearerTokens, tokenServer } from '../../src/server/tokens/index.ts';
import { testRegistry } from '../../src/testing/index.ts';
import { createCleanup } from './support/cleanup.ts';
import { type Containerd, startContainerd } from './support/containerd.ts';
import { blobsOf, type LayoutTools, linesOf, openTools } from './support/layout-tools.ts';
import { run } from './support/process.ts';
import { startRegistry } from './support/registry.ts';
import { registryClients } from './support/registry-clients.ts';
import { startTokenServer } from './support/token-server.ts';
import { describeWith } from './support/tools.ts';

// Other clients log in to our servers, push, pull and delete: with a login in each request, and with tokens.
const programs = [
  'docker-registry',
  'openssl',
  'skopeo',
  'crane',
  'regctl',
  'oras',
  'containerd',
  'ctr',
  'podman',
] as const;
const password = 'canary öne:two';
const user = ['-u', 'ann', '-p', password] as const;

describeWith(programs, 'clients that log in', () => {
  const cleanup = createCleanup();
  let containerd: Containerd;
  let layout: string;

  beforeAll(async () => {
    containerd = await startContainerd(cleanup);
    const files = { 'etc/': '', 'etc/name': 'logins', 'opt/data': { size: 200_000 } };
    await using described = await testRegistry({
      images: { 'team/app:v1': { layers: [{ files }], platforms: ['linux/amd64', 'linux/arm64'] } },
    });
    layout = join(await cleanup.folder(), 'layout');
    await using client = createClient();
    await client.pull(described.images['team/app:v1'].reference, { to: layout, platform: 'all' });
  }, 60_000);
  afterAll(() => cleanup.close(), 30_000);

  const allow = accessRules({
    rules: [
      { repositories: ['public/**'], anonymous: true, actions: ['pull'] },
      { repositories: ['**'], users: ['ann'], actions: ['*'] },
    ],
  });

  /** A registry of two users, one of whom may do all. */
  async function startServer(kind: 'logins' | 'tokens') {
    const path = join(await cleanup.folder(), 'users');
    await writeFile(path, `ann:${await hash(password, 10)}\nbob:${await hash('bob', 4)}\n`);
    const users = await htpasswd({ path, allow });
    cleanup.add(users.close);
    const events: ServerEvent[] = [];
    const registry = serve(layoutRegistry(await cleanup.folder()), { onEvent: (event) => events.push(event) });
    const tokens = await tokenServer({ service: 'registry.test', allow, login: users.login, stampOf: users.stampOf });
    const api = controlAccess(kind === 'tokens' ? tokens.check : users.check)(registry);
    const server = await listen((request, connection) =>
      kind === 'tokens' && new URL(request.url).pathname === '/auth/token'
        ? tokens.endpoint(request, connection)
        : api(request, connection),
    );
    cleanup.add(server.close);
    return { host: new URL(server.url).host, events };
  }

  describe.each(['logins', 'tokens'] as const)('by %s', (kind) => {
    let host: string;
    let tools: LayoutTools;
    let clients: ReturnType<typeof registryClients>;
    let contents: string[];
    let events: ServerEvent[];

    beforeAll(async () => {
      ({ host, events } = await startServer(kind));
      tools = await openTools(cleanup, host);
      clients = registryClients(cleanup, tools, containerd);
      contents = await blobsOf(layout);
    }, 60_000);

    const logIn = {
      skopeo: (...who: readonly string[]) => tools.skopeo('login', '--tls-verify=false', ...who, host),
      crane: (...who: readonly string[]) => tools.crane('auth', 'login', ...who, host),
      regctl: (...who: readonly string[]) => tools.regctl('registry', 'login', ...who, host),
      oras: (...who: readonly string[]) => tools.oras('login', '--plain-http', ...who, host),
    } as const;

    test.each(['skopeo', 'crane', 'regctl', 'oras'] as const)(
      '%s is refused without a login and with a wrong one, then pushes, pulls, lists and deletes',
      async (name) => {
        // A home of its own: a login of one tool is not that of another.
        tools = await openTools(cleanup, host);
        clients = registryClients(cleanup, tools, containerd);
        const client = clients[name];
        const target = `${host}/team/${name}:v1`;
        await expect(client.push({ layout, staged: '' }, target)).rejects.toThrow();
        // crane only writes the login down.
        const wrong = logIn[name]('-u', 'ann', '-p', 'wrong');
        if (name === 'crane') await wrong;
        else await expect(wrong).rejects.toThrow();
        await expect(client.push({ layout, staged: '' }, target)).rejects.toThrow();
        await logIn[name](...user);
        await client.push({ layout, staged: '' }, target);
        await client.copy(target, `${host}/public/${name}:v1`);
        expect(await client.pull(target)).toEqual(contents);
        expect(await client.tags(`${host}/team/${name}`)).toEqual(['v1']);
        await client.remove(target);
        await expect(client.pull(target)).rejects.toThrow();
        expect(new Set(events.filter(({ action }) => action !== 'none').map(({ actor }) => actor))).toEqual(
          new Set(['ann']),
        );
        events.splice(0);
      },
      120_000,
    );

    test.each(['skopeo', 'crane', 'regctl', 'oras'] as const)(
      '%s pulls without a login what everyone may',
      async (name) => {
        const known = await openTools(cleanup, host);
        const anonymous = registryClients(cleanup, known, containerd);
        tools = known;
        await logIn.skopeo(...user);
        await known.skopeo(
          'copy',
          '--all',
          '--preserve-digests',
          `oci:${layout}:v1`,
          `docker://${host}/public/${name}:open`,
        );
        await known.skopeo('logout', host);
        expect(await anonymous[name].pull(`${host}/public/${name}:open`)).toEqual(contents);
        await expect(anonymous[name].pull(`${host}/team/${name}:open`)).rejects.toThrow();
        events.splice(0);
      },
      120_000,
    );

    test('containerd pulls and pushes with a login, and not without', async () => {
      tools = await openTools(cleanup, host);
      await logIn.skopeo(...user);
      const staged = `${host}/team/staged:v1`;
      await tools.skopeo('copy', '--all', '--preserve-digests', `oci:${layout}:v1`, `docker://${staged}`);
      const login = ['--plain-http', '--user', `ann:${password}`];
      const [from, into] = [`${kind}-from`, `${kind}-into`];
      await expect(
        containerd.ctr(from, 'content', 'fetch', '--plain-http', '--all-platforms', staged),
      ).rejects.toThrow();
      await containerd.ctr(from, 'content', 'fetch', ...login, '--all-platforms', staged);
      const target = `${host}/team/containerd:v1`;
      await expect(containerd.ctr(from, 'images', 'push', '--plain-http', target, staged)).rejects.toThrow();
      await containerd.ctr(from, 'images', 'push', ...login, target, staged);
      await containerd.ctr(into, 'content', 'fetch', ...login, '--all-platforms', target);
      expect(linesOf(await containerd.ctr(into, 'content', 'ls', '-q')).sort()).toEqual(contents);
    }, 120_000);

    test('podman logs in, pulls, pushes, and is refused after it has logged out', async () => {
      tools = await openTools(cleanup, host);
      await logIn.skopeo(...user);
      await tools.skopeo('copy', '--all', '--preserve-digests', `oci:${layout}:v1`, `docker://${host}/team/staged:v1`);
      const folder = await cleanup.folder();
      const storage = ['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'];
      const env = {
        PATH: process.env.PATH,
        HOME: folder,
        TMPDIR: folder,
        REGISTRY_AUTH_FILE: join(folder, 'auth.json'),
      };
      const podman = (command: string, ...args: readonly string[]) =>
        run('podman', [...storage, command, ...args], { env, cwd: folder });
      const plain = '--tls-verify=false';
      await expect(podman('pull', plain, `${host}/team/staged:v1`)).rejects.toThrow();
      await expect(podman('login', plain, '-u', 'ann', '-p', 'wrong', host)).rejects.toThrow();
      await podman('login', plain, ...user, host);
      await podman('pull', plain, `${host}/team/staged:v1`);
      await podman('push', plain, `${host}/team/staged:v1`, `docker://${host}/team/podman:v1`);
      expect(JSON.parse(await tools.skopeo('list-tags', `docker://${host}/team/podman`)).Tags).toEqual(['v1']);
      await podman('logout', host);
      await expect(podman('pull', plain, `${host}/team/podman:v1`)).rejects.toThrow();
    }, 120_000);
  });

  test.each(['RSA', 'EC'] as const)(
    'one token server, with %s, is that of docker-registry and of ours',
    async (type) => {
      const tokens = await startTokenServer(cleanup, type, { username: 'ann', password });
      const { realm, service, issuer, cert } = tokens;
      const check = await bearerTokens({ realm, service, issuer, rootCertBundle: cert });
      const server = await listen(controlAccess(check)(serve(layoutRegistry(await cleanup.folder()))));
      cleanup.add(server.close);
      const { host: theirs } = await startRegistry(cleanup, { token: tokens });
      const ours = new URL(server.url).host;
      const tools = await openTools(cleanup, theirs, ours);
      const image = `oci:${layout}:v1`;
      await expect(tools.skopeo('copy', '--all', image, `docker://${ours}/a/b:v1`)).rejects.toThrow();
      for (const host of [theirs, ours]) await tools.skopeo('login', '--tls-verify=false', ...user, host);
      await tools.skopeo('copy', '--all', '--preserve-digests', image, `docker://${theirs}/a/b:v1`);
      await tools.skopeo('copy', '--all', '--preserve-digests', `docker://${theirs}/a/b:v1`, `docker://${ours}/a/b:v1`);
      const pulled = join(await cleanup.folder(), 'layout');
      await tools.skopeo('copy', '--all', '--preserve-digests', `docker://${ours}/a/b:v1`, `oci:${pulled}:v1`);
      expect(await blobsOf(pulled)).toEqual(await blobsOf(layout));
      await tools.skopeo('delete', `docker://${ours}/a/b:v1`);
    },
    120_000,
  );
});
