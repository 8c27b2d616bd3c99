import { join } from 'node:path';
import { createClient, type Registry } from 'ocifetch';
import {
  cached,
  type Handler,
  layoutRegistry,
  listen,
  memoryRegistry,
  pullThrough,
  readOnly,
  redirectFront,
  serve,
} from 'ocifetch/server';
import { testRegistry } from 'ocifetch/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createCleanup } from './support/cleanup.ts';
import { type Containerd, startContainerd } from './support/containerd.ts';
import { blobsOf, type LayoutTools, linesOf, openTools } from './support/layout-tools.ts';
import { openClient } from './support/pull.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { clientNames, type RegistryClient, registryClients } from './support/registry-clients.ts';
import { describeWith } from './support/tools.ts';

// Other clients against each of our servers: push, pull, copy, list and delete, as far as the server offers it.
const programs = ['docker-registry', 'skopeo', 'crane', 'regctl', 'oras', 'umoci', 'containerd', 'ctr'] as const;

describeWith(programs, 'clients of our servers', () => {
  const cleanup = createCleanup();
  let containerd: Containerd;
  /** Has the image of every server. */
  let origin: RegistryServer;

  beforeAll(async () => {
    containerd = await startContainerd(cleanup);
    origin = await startRegistry(cleanup);
  });
  afterAll(() => cleanup.close());

  /** An image of its own, in a layout and in the origin: what containerd has it does not pull again. */
  async function imageFor(name: string, tools: LayoutTools) {
    const files = { 'etc/': '', 'etc/name': name, 'opt/data': { size: 200_000 } };
    const layers = [{ files }, { files: { 'opt/more': name.repeat(500) }, compression: 'zstd' }] as const;
    await using described = await testRegistry({
      images: { 'team/app:v1': { layers, platforms: ['linux/amd64', 'linux/arm64'] } },
    });
    const layout = join(await cleanup.folder(), 'layout');
    await using client = createClient();
    await client.pull(described.images['team/app:v1'].reference, { to: layout, platform: 'all' });
    const staged = `${origin.host}/${name}/app:v1`;
    await tools.skopeo('copy', '--all', '--preserve-digests', `oci:${layout}:v1`, `docker://${staged}`);
    const { digest } = described.images['team/app:v1'].descriptor;
    return { layout, staged, digest, contents: await blobsOf(layout) };
  }

  const listening = async (handler: Handler) => {
    const server = await listen(handler);
    cleanup.add(server.close);
    return server;
  };

  async function digestAt(reference: string): Promise<string | undefined> {
    const [, host, name, tag] = /^([^/]+)\/(.+):([^:]+)$/.exec(reference) ?? [];
    const response = await fetch(`http://${host}/v2/${name}/manifests/${tag}`, {
      method: 'HEAD',
      headers: { accept: 'application/vnd.oci.image.index.v1+json' },
    });
    return response.headers.get('docker-content-digest') ?? undefined;
  }

  describe.each([
    ['memory', async () => memoryRegistry()],
    ['layouts', async (folder: string) => layoutRegistry(folder)],
  ])('a registry in %s', (kind, open) => {
    let folder: string;
    let host: string;
    let tools: LayoutTools;
    let clients: ReturnType<typeof registryClients>;
    let image: Awaited<ReturnType<typeof imageFor>>;

    beforeAll(async () => {
      folder = await cleanup.folder();
      host = new URL((await listening(serve(await open(folder)))).url).host;
      tools = await openTools(cleanup, host, origin.host);
      clients = registryClients(cleanup, tools, containerd);
      image = await imageFor(kind, tools);
    });

    test.each(clientNames)('%s pushes, copies, pulls, lists and removes', async (name) => {
      const client: RegistryClient = clients[name];
      const [first, second] = [`${host}/${name}/app:v1`, `${host}/${name}/copied:v2`];
      await client.push(image, first);
      await client.copy(first, second);
      expect([await digestAt(first), await digestAt(second)]).toEqual([image.digest, image.digest]);
      expect(await client.pull(second)).toEqual(image.contents);
      if (client.tags) expect(await client.tags(`${host}/${name}/copied`)).toEqual(['v2']);
      const both = [`${name}/app`, `${name}/copied`];
      if (client.repositories) expect(await client.repositories(host)).toEqual(expect.arrayContaining(both));
      if (!client.remove) return;
      await client.remove(second);
      expect([await digestAt(first), await digestAt(second)]).toEqual([image.digest, undefined]);
    });

    if (kind === 'layouts')
      test('umoci changes the layout of a repository, and what it made is pushed and pulled', async () => {
        const own = join(await cleanup.folder(), 'own');
        await tools.umoci('init', '--layout', own);
        await tools.umoci('new', '--image', `${own}:v1`);
        await tools.umoci('config', '--image', `${own}:v1`, '--config.cmd', 'sh');
        await clients.skopeo.push({ layout: own, staged: '' }, `${host}/umoci/app:v1`);
        const pushed = await digestAt(`${host}/umoci/app:v1`);
        expect(await blobsOf(own)).toContain(pushed);
        const repository = join(folder, 'umoci+app');
        await tools.umoci('tag', '--image', `${repository}:v1`, 'v2');
        expect(await digestAt(`${host}/umoci/app:v2`)).toBe(pushed);
        await tools.umoci('config', '--image', `${repository}:v1`, '--config.cmd', 'ls');
        const changed = await digestAt(`${host}/umoci/app:v1`);
        expect(await clients.crane.pull(`${host}/umoci/app:v1`)).toContain(changed);
        expect(changed).not.toBe(pushed);
        await tools.umoci('rm', '--image', `${repository}:v2`);
        expect(await clients.regctl.tags(`${host}/umoci/app`)).toEqual(['v1']);
        expect(linesOf(await tools.umoci('ls', '--layout', repository))).toEqual(['v1']);
      });
  });

  /** Servers that get what they have from docker-registry; and docker-registry, which gets it from ours. */
  const readable: Readonly<Record<string, () => Promise<string>>> = {
    'our client before docker-registry': async () => (await listening(serve(remote()))).url,
    'our cache before docker-registry': async () =>
      (await listening(serve(cached(remote(), layoutRegistry(await cleanup.folder()))))).url,
    'our mirror before docker-registry': async () => {
      const mirror = pullThrough({ store: await cleanup.folder(), upstream: origin.host });
      cleanup.add(mirror.close);
      return (await listening(serve(mirror))).url;
    },
    'a front that redirects to docker-registry': async () =>
      (await listening(redirectFront({ upstream: origin.url }))).url,
    'docker-registry before ours': async () => {
      const ours = await listening(serve(readOnly(remote())));
      return (await startRegistry(cleanup, { remote: ours.url })).url;
    },
  };
  const remote = (): Registry => {
    const client = openClient(cleanup, {});
    return ({ name }) => client.fetcher(`${origin.host}/${name}`).source;
  };

  describe.each(Object.entries(readable))('%s', (kind, open) => {
    let host: string;
    let repository: string;
    let clients: ReturnType<typeof registryClients>;
    let image: Awaited<ReturnType<typeof imageFor>>;

    beforeAll(async () => {
      host = new URL(await open()).host;
      const tools = await openTools(cleanup, host, origin.host);
      clients = registryClients(cleanup, tools, containerd);
      repository = kind.toLowerCase().replace(/\W+/g, '-');
      image = await imageFor(repository, tools);
    });

    test.each(clientNames)('%s pulls and lists', async (name) => {
      const client: RegistryClient = clients[name];
      expect(await client.pull(`${host}/${repository}/app:v1`)).toEqual(image.contents);
      if (client.tags) expect(await client.tags(`${host}/${repository}/app`)).toEqual(['v1']);
      expect(await client.pull(`${host}/${repository}/app@${image.digest}`)).toEqual(image.contents);
    });

    test('pushes and deletes are refused, and nothing changes', async () => {
      await expect(clients.crane.push(image, `${host}/${repository}/other:v1`)).rejects.toThrow();
      await expect(clients.regctl.remove(`${host}/${repository}/app:v1`)).rejects.toThrow();
      expect(await digestAt(`${origin.host}/${repository}/other:v1`)).toBeUndefined();
      expect(await digestAt(`${host}/${repository}/app:v1`)).toBe(image.digest);
    });
  });
});
