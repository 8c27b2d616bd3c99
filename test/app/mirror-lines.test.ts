import { readFile } from 'node:fs/promises';
import { createClient, loadConfig, loadConfigText } from 'ocifetch';
import { expect, test } from 'vitest';
import { mirrorFiles, upstreamName } from '../../src/app/mirror-lines.ts';
import { folder } from '../cli/support.ts';

const mirrors = ['docker.io', 'ghcr.io', 'localhost:5001'];

/** The files below a folder, and the path there of each that ends so. */
async function written(url: string) {
  const files = await mirrorFiles(url, mirrors);
  const { path } = await folder(Object.fromEntries(files.map((file) => [file.path.slice(1), file.text])));
  return { files, path };
}

/** URL, repository and `ns` of the first host, and that another one follows. */
async function firstHost(config: Awaited<ReturnType<typeof loadConfig>>, reference: string) {
  await using client = createClient({ config });
  const { endpoints } = client.plan(reference);
  const [first] = endpoints;
  return [first?.url, first?.repository, first?.namespace, endpoints.length];
}

test.each(['http://127.0.0.1:5000', 'https://mirror.example'])('what is printed for %s leads there', async (url) => {
  const { path } = await written(url);
  const byContainerd = await loadConfig({ hostsDirectory: path('etc/containerd/certs.d') });
  const byK3s = await loadConfig({ registriesYaml: path('etc/rancher/k3s/registries.yaml') });
  for (const config of [byContainerd, byK3s]) {
    expect(await firstHost(config, 'alpine:3')).toEqual([`${url}/v2`, 'library/alpine', 'docker.io', 2]);
    expect(await firstHost(config, 'ghcr.io/team/app')).toEqual([`${url}/v2`, 'team/app', 'ghcr.io', 2]);
    expect(await firstHost(config, 'localhost:5001/app')).toEqual([`${url}/v2`, 'app', 'localhost:5001', 2]);
    expect((await firstHost(config, 'quay.io/team/app'))[0]).toBe('https://quay.io/v2');
  }
  const conf = await loadConfig({ registriesConf: path('etc/containers/registries.conf.d/ocifetch.conf') });
  expect(await firstHost(conf, 'docker.io/library/alpine:3')).toEqual([`${url}/v2`, 'library/alpine', undefined, 2]);
  expect(await firstHost(conf, 'ghcr.io/team/app')).toEqual([`${url}/v2`, 'upstream/ghcr.io/team/app', undefined, 2]);
  expect(await firstHost(conf, 'localhost:5001/app')).toEqual([
    `${url}/v2`,
    'upstream/localhost-5001/app',
    undefined,
    2,
  ]);
});

test('every file is read without a problem as what it is', async () => {
  const { files, path } = await written('http://[::1]:5000');
  for (const file of files) {
    const { path: name } = file;
    const registry = name.endsWith('hosts.toml') ? 'docker.io' : undefined;
    await loadConfigText(path(name.slice(1)), { kind: undefined, registry });
  }
  expect(files.map(({ tool, path: name }) => [tool, name])).toEqual([
    ['containerd', '/etc/containerd/certs.d/docker.io/hosts.toml'],
    ['containerd', '/etc/containerd/certs.d/ghcr.io/hosts.toml'],
    ['containerd', '/etc/containerd/certs.d/localhost_5001_/hosts.toml'],
    ['k3s and RKE2', '/etc/rancher/k3s/registries.yaml'],
    ['podman, skopeo and buildah', '/etc/containers/registries.conf.d/ocifetch.conf'],
  ]);
});

test('a path names a registry in one component', () => {
  expect(['ghcr.io', 'localhost:5000', '[::1]:5000'].map(upstreamName)).toEqual([
    'ghcr.io',
    'localhost-5000',
    '1-5000',
  ]);
});

test('docs/recipes.md shows what is printed', async () => {
  const page = await readFile(new URL('../../docs/recipes.md', import.meta.url), 'utf8');
  const files = await mirrorFiles('http://127.0.0.1:5000', ['docker.io', 'ghcr.io']);
  const shown = [...page.matchAll(/<!-- serve: (\S+) -->\n```\w+\n([\s\S]*?)```/g)].map(([, name = '', text]) => [
    name,
    text,
  ]);
  expect(shown).toEqual(
    ['docker.io/hosts.toml', 'registries.yaml', 'ocifetch.conf'].map((name) => [
      name,
      files.find(({ path }) => path.endsWith(name))?.text,
    ]),
  );
});
