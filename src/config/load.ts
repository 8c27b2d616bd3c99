import { checkPlain } from '../text/problems.ts';
import type { ConfigFiles, LoadConfigOptions, LoadConfigTextOptions } from './load-options.ts';
import type { Config } from './model.ts';
import type { ConfigText } from './read-texts.ts';

/**
 * The configuration people already have, as the one model. Of several files that name a registry the first has it
 * whole, in the order: ocifetch's own, containerd's, k3s', Podman's, regctl's; of several that have a login for a host
 * the first likewise, Docker's and Podman's after those, and credential helpers last.
 *
 * A file of a usual place may be missing; one that is named may not. `INVALID_CONFIG` for whatever is wrong in any.
 */
export async function loadConfig(options: LoadConfigOptions = {}): Promise<Config> {
  const { config } = await readConfigFiles(options);
  return config;
}

/** As `loadConfig`, with the names of the files that were read. */
export async function readConfigFiles(options: LoadConfigOptions = {}): Promise<ConfigFiles> {
  const { loadFiles } = await import('./load-files.ts');
  return loadFiles(options);
}

/**
 * One file's text, its kind and, of a `hosts.toml`, its registry: what `readConfigTexts` takes. At most 4 MiB; a pipe has
 * 10 s to end. `INVALID_CONFIG` if the file cannot be read, is not UTF-8, or its kind cannot be found.
 */
export async function loadConfigText(path: string, options: LoadConfigTextOptions = {}): Promise<ConfigText> {
  checkPlain('read a configuration', options);
  const { loadText } = await import('./load-files.ts');
  return loadText(path, options);
}
