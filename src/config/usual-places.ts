import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import type { LoadConfigOptions } from './load-options.ts';

import type { ConfigKind } from './read-texts.ts';

export type Environment = Readonly<Record<string, string | undefined>>;
/** A kind of file. */
export type FileKind = Exclude<keyof LoadConfigOptions, 'discover' | 'defaultEndpoint'>;

/** A place to look at. One that was named by the user must be there. */
export interface ConfigPlace {
  readonly path: string;
  readonly named: boolean;
  /** Of `registries.conf`: directories of drop-ins, `path` and `.d` when left out; and whether they count without the file. */
  readonly directories?: readonly string[];
  readonly needsFile?: boolean;
  /** Of `registries.conf`: directories of certificates by host, the first that has one; `certs.d` next to it when left out. */
  readonly certificates?: readonly string[];
}

/** Where the files are when nobody says otherwise; the first of each kind that is there is read. */
export function usualPlaces(environment: Environment): Readonly<Record<FileKind, readonly ConfigPlace[]>> {
  // An empty or relative path is ignored: the latter would depend on the current directory.
  const folder = (name: string): string | undefined => {
    const value = environment[name];
    return value && isAbsolute(value) ? value : undefined;
  };
  const home = folder('HOME') ?? homedir();
  const config = folder('XDG_CONFIG_HOME') ?? join(home, '.config');
  const own = ['json', 'yaml', 'toml'];
  const places = (variable: string | undefined, ...paths: string[]): ConfigPlace[] =>
    variable ? [{ path: resolve(variable), named: true }] : paths.map((path) => ({ path, named: false }));
  const runtime = folder('XDG_RUNTIME_DIR');
  const docker = environment.DOCKER_CONFIG ? resolve(environment.DOCKER_CONFIG) : undefined;
  return {
    file: places(
      environment.OCIFETCH_CONFIG,
      ...own.map((type) => join(config, 'ocifetch', `config.${type}`)),
      ...own.map((type) => `/etc/ocifetch/config.${type}`),
    ),
    hostsDirectory: places(undefined, '/etc/containerd/certs.d', '/etc/docker/certs.d'),
    registriesYaml: places(undefined, '/etc/rancher/k3s/registries.yaml', '/etc/rancher/rke2/registries.yaml'),
    registriesConf: containersPlaces(config, environment.CONTAINERS_REGISTRIES_CONF),
    regctlConfig: places(
      environment.REGCTL_CONFIG,
      join(config, 'regctl/config.json'),
      join(home, '.regctl/config.json'),
    ),
    authFile: places(
      environment.REGISTRY_AUTH_FILE,
      ...(runtime ? [join(runtime, 'containers/auth.json')] : []),
      join(config, 'containers/auth.json'),
    ),
    // DOCKER_CONFIG names a directory, which need not have a file in it.
    dockerConfig: places(undefined, join(docker ?? join(home, '.docker'), 'config.json')),
  };
}

/** As containers' tools have it: the user's file with the user's drop-ins; without one, the system's with both. */
function containersPlaces(config: string, named: string | undefined): ConfigPlace[] {
  const system = '/etc/containers/registries.conf';
  const user = join(config, 'containers/registries.conf');
  const certificates = [join(config, 'containers/certs.d'), '/etc/containers/certs.d', '/etc/docker/certs.d'];
  if (named) return [{ path: resolve(named), named: true, certificates }];
  return [
    { path: user, named: false, needsFile: true, certificates },
    { path: system, named: false, directories: [`${system}.d`, `${user}.d`], certificates },
  ];
}

/** What a configuration file is, by its name or content; undefined if neither shows it. */
export function configKindOf(file: string, text: string): ConfigKind | undefined {
  const name = basename(file).toLowerCase();
  if (name === 'hosts.toml') return 'hosts.toml';
  if (/^registries\.ya?ml$/.test(name)) return 'registries.yaml';
  if (name.endsWith('.conf')) return 'registries.conf';
  if (name === 'auth.json') return 'docker';
  if (basename(dirname(file)) === '.regctl') return 'regctl';
  return signs.find(([, sign]) => sign.test(text))?.[0];
}

const signs: readonly [ConfigKind, RegExp][] = [
  ['docker', /^\s*\{[\s\S]*?"(?:auths|credHelpers|credsStore|HttpHeaders)"\s*:/],
  ['regctl', /^\s*\{[\s\S]*?"(?:hosts|hostDefault)"\s*:/],
  ['registries.conf', /^[ \t]*(?:\[\[registry|unqualified-search-registries[ \t]*=)/m],
  ['hosts.toml', /^[ \t]*(?:\[host\.|server[ \t]*=)/m],
  ['registries.yaml', /^['"]?(?:mirrors|configs)['"]?[ \t]*:/m],
  ['ocifetch', /^[ \t'"[{]*(?:registries|credentials|proxy|shortNames|\$schema)\b/m],
];
