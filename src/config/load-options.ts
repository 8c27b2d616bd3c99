import { type Check, checkOptions, flag } from '../text/problems.ts';
import type { Config } from './model.ts';
import type { ConfigKind } from './read-texts.ts';

/** Files to read. With none of them, and `discover` left out, the usual places are looked at. */
export interface LoadConfigOptions {
  /** A `certs.d` of containerd: a directory for each registry, with a `hosts.toml` or certificates. */
  readonly hostsDirectory?: string | undefined;
  /** k3s' and RKE2's `registries.yaml`. */
  readonly registriesYaml?: string | undefined;
  /**
   * False if k3s is started with `--disable-default-registry-endpoint`: registries that `registries.yaml` has mirrors
   * for have no other host. It does not affect other files, nor whether the usual places are read.
   */
  readonly defaultEndpoint?: boolean | undefined;
  /** Podman's and skopeo's `registries.conf`; the `*.conf` files of the directory of that name and `.d` are read, too. */
  readonly registriesConf?: string | undefined;
  /** Docker's `config.json`. */
  readonly dockerConfig?: string | undefined;
  /** Podman's `auth.json`. */
  readonly authFile?: string | undefined;
  /** regctl's `config.json`. */
  readonly regctlConfig?: string | undefined;
  /** ocifetch's own: the model itself, as `.json`, `.yaml` or `.toml`. */
  readonly file?: string | undefined;
  /** Also look at the usual places, for the kinds that no path is given for. */
  readonly discover?: boolean | undefined;
}

/** What was read, and where. */
export interface ConfigFiles {
  readonly config: Config;
  /** What files say that has no meaning here, each once. */
  readonly warnings: readonly string[];
  /** The files that were read, those that win first. */
  readonly files: readonly string[];
  /** Why the user has no usual places: without a home directory that is known, only those of the system are looked at. */
  readonly homeless?: string | undefined;
}

/** What is known about a file besides its path. */
export interface LoadConfigTextOptions {
  /** By default found by the name of the file, or by its content. */
  readonly kind?: ConfigKind | undefined;
  /** Of a `hosts.toml`: by default the registry its directory is named after, `*` if that is not a registry. */
  readonly registry?: string | undefined;
}

const path: Check = (value) =>
  typeof value === 'string' && value !== '' && !value.includes('\0') ? undefined : 'expected a path';

const checks: Readonly<Record<keyof LoadConfigOptions, Check>> = {
  file: path,
  hostsDirectory: path,
  registriesYaml: path,
  registriesConf: path,
  regctlConfig: path,
  authFile: path,
  dockerConfig: path,
  discover: flag,
  defaultEndpoint: flag,
};

/** Refuses unknown options and wrong values: `INVALID_CONFIG` with all of them. */
export const checkLoadOptions = (options: unknown): void => checkOptions('load config', options, checks);
