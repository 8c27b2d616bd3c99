import { homedir } from 'node:os';
import { basename, dirname, isAbsolute, join, resolve } from 'node:path';
import { cannot } from '../errors.ts';
import { quote } from '../text/quote.ts';
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

/** The user's home directory, or why there is none. */
interface Home {
  readonly path?: string;
  readonly problem?: string;
}

/**
 * Only an absolute path is a home: by another one, files of the current directory would be the user's, with logins and
 * helpers. A uid without an entry in the system's list of users has none, as in OpenShift.
 */
export function homeOf({ HOME }: Environment): Home {
  if (HOME !== undefined) {
    return isAbsolute(HOME) ? { path: HOME } : { problem: `HOME is ${quote(HOME)}, which is not an absolute path` };
  }
  try {
    const path = homedir();
    if (isAbsolute(path)) return { path };
  } catch {
    // The system's error is raw: `uv_os_homedir returned ENOENT`.
  }
  return { problem: 'HOME is not set, and the system does not know this user' };
}

/**
 * Where the files are when nobody says otherwise; the first of each kind that is there is read. A variable that names a
 * file, and Docker's DOCKER_CONFIG, may be relative to the current directory, as in their own tools.
 */
export function usualPlaces(environment: Environment): Readonly<Record<FileKind, readonly ConfigPlace[]>> {
  // An empty or relative path is ignored: the latter would depend on the current directory.
  const folder = (name: string): string | undefined => {
    const value = environment[name];
    return value && isAbsolute(value) ? value : undefined;
  };
  const { path: home } = homeOf(environment);
  const config = folder('XDG_CONFIG_HOME') ?? below(home, '.config');
  const own = ['json', 'yaml', 'toml'];
  const places = (variable: string | undefined, ...paths: (string | undefined)[]): ConfigPlace[] =>
    variable
      ? [{ path: absolute(variable), named: true }]
      : paths.filter((path) => path !== undefined).map((path) => ({ path, named: false }));
  const docker = environment.DOCKER_CONFIG ? absolute(environment.DOCKER_CONFIG) : below(home, '.docker');
  return {
    file: places(
      environment.OCIFETCH_CONFIG,
      ...own.map((type) => below(config, 'ocifetch', `config.${type}`)),
      ...own.map((type) => `/etc/ocifetch/config.${type}`),
    ),
    hostsDirectory: places(undefined, '/etc/containerd/certs.d', '/etc/docker/certs.d'),
    registriesYaml: places(undefined, '/etc/rancher/k3s/registries.yaml', '/etc/rancher/rke2/registries.yaml'),
    registriesConf: containersPlaces(config, environment.CONTAINERS_REGISTRIES_CONF),
    regctlConfig: places(
      environment.REGCTL_CONFIG,
      below(config, 'regctl/config.json'),
      below(home, '.regctl/config.json'),
    ),
    authFile: places(
      environment.REGISTRY_AUTH_FILE,
      below(folder('XDG_RUNTIME_DIR'), 'containers/auth.json'),
      below(config, 'containers/auth.json'),
    ),
    // DOCKER_CONFIG names a directory, which need not have a file in it.
    dockerConfig: places(undefined, below(docker, 'config.json')),
  };
}

/** A path that may be relative. `STORE_ERROR` if the current directory was removed, which the system reports in its own words. */
export function absolute(path: string): string {
  try {
    return resolve(path);
  } catch (cause) {
    const found = 'the current directory no longer exists';
    throw cannot('STORE_ERROR', `find ${quote(path)}`, found, { value: path, cause });
  }
}

const below = (folder: string | undefined, ...parts: string[]): string | undefined =>
  folder === undefined ? undefined : join(folder, ...parts);

/** As containers' tools have it: the user's file with the user's drop-ins; without one, the system's with both. */
function containersPlaces(config: string | undefined, named: string | undefined): ConfigPlace[] {
  const system = '/etc/containers/registries.conf';
  const own = below(config, 'containers');
  const user = below(own, 'registries.conf');
  const certificates = [...(own ? [join(own, 'certs.d')] : []), '/etc/containers/certs.d', '/etc/docker/certs.d'];
  if (named) return [{ path: absolute(named), named: true, certificates }];
  const dropIns = [`${system}.d`, ...(user ? [`${user}.d`] : [])];
  return [
    ...(user ? [{ path: user, named: false, needsFile: true, certificates }] : []),
    { path: system, named: false, directories: dropIns, certificates },
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
  ['ocifetch', /^[ \t'"[{]*(?:registries|credentials|proxy|shortNames|timeouts|retries|limits|\$schema)\b/m],
];
