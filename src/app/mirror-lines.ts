import { type Config, convertConfig } from '../index.ts';

/** The name of an upstream in the paths `upstream/NAME/…`: `localhost:5000` is `localhost-5000`. */
export const upstreamName = (registry: string): string =>
  registry
    .toLowerCase()
    .split(/[^a-z0-9.]+/)
    .filter((part) => part !== '')
    .join('-');

/** What another program needs in order to use the mirror. */
export interface MirrorFile {
  /** Whose file it is. */
  readonly tool: string;
  readonly path: string;
  readonly text: string;
}

/**
 * The files that make containerd, k3s and podman use a mirror at a URL: their lines, which the readers of this package read back
 * to the same hosts. Podman sends no `ns`, so all registries but the first are named in its paths.
 */
export async function mirrorFiles(url: string, mirrors: readonly string[]): Promise<readonly MirrorFile[]> {
  const host = { url, capabilities: ['pull', 'resolve'] as const };
  const registries = Object.fromEntries(
    mirrors.map((registry) => [registry, { mirrors: [{ ...host, capabilities: [...host.capabilities] }] }]),
  );
  const config: Config = { registries };
  const [containerd, k3s] = [await convertConfig(config, 'hosts.toml'), await convertConfig(config, 'registries.yaml')];
  return [
    ...containerd.files.map(({ path, text }) => ({
      tool: 'containerd',
      path: `/etc/containerd/certs.d/${path}`,
      text,
    })),
    ...k3s.files.map(({ text }) => ({ tool: 'k3s and RKE2', path: '/etc/rancher/k3s/registries.yaml', text })),
    {
      tool: 'podman, skopeo and buildah',
      path: '/etc/containers/registries.conf.d/ocifetch.conf',
      text: mirrors.map((registry, index) => registriesConf(url, registry, index === 0)).join('\n'),
    },
  ];
}

function registriesConf(url: string, registry: string, isFirst: boolean): string {
  const { host, protocol } = new URL(url);
  const lines = [
    '[[registry]]',
    `location = ${JSON.stringify(registry)}`,
    '[[registry.mirror]]',
    `location = ${JSON.stringify(isFirst ? host : `${host}/upstream/${upstreamName(registry)}`)}`,
    ...(protocol === 'http:' ? ['insecure = true'] : []),
  ];
  return `${lines.join('\n')}\n`;
}
