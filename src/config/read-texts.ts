import { load } from '../load.ts';
import type { FileRead } from './merge.ts';
import type { Config } from './model.ts';

/** The kinds of configuration files, by the name that each usually has or the tool that it is of. */
export const configKinds = [
  'hosts.toml',
  'registries.yaml',
  'registries.conf',
  'docker',
  'regctl',
  'ocifetch',
] as const;

/** A kind of configuration file. */
export type ConfigKind = (typeof configKinds)[number];

/** A configuration file that was read. */
export interface ConfigText {
  readonly text: string;
  /** Its absolute path: messages name it, and relative paths in it are relative to its directory. */
  readonly file: string;
  readonly kind: ConfigKind;
  /** Of a `hosts.toml`: the registry that it is for, `*` for all that have none. */
  readonly registry?: string | undefined;
}

/**
 * Reads the texts of configuration files, whatever their names, as `loadConfig` does with files; what comes first wins.
 * No I/O, but for the certificate files that a text names. `INVALID_CONFIG` with all problems of all files.
 */
export async function readConfigTexts(texts: readonly ConfigText[]): Promise<Config> {
  // Loaded when they are needed: they bring their parsers.
  const [{ mergeReads }, { allFiles }] = await Promise.all([import('./merge.ts'), import('./document/document.ts')]);
  return mergeReads(await allFiles(texts.map((text) => readText(text))));
}

/** One of them; `defaultEndpoint` is of k3s' file, as `LoadConfigOptions` has it. Its reader is loaded with its parser. */
export async function readText(
  { text, file, kind, registry = '*' }: ConfigText,
  { defaultEndpoint }: { readonly defaultEndpoint?: boolean | undefined } = {},
): Promise<FileRead> {
  if (kind === 'hosts.toml') {
    const directory = file.slice(0, Math.max(file.lastIndexOf('/'), file.lastIndexOf('\\')));
    return (await load(['smol-toml'], () => import('./containerd/read.ts'))).readHostsToml(text, {
      file,
      directory,
      registry,
    });
  }
  if (kind === 'registries.yaml') {
    return (await load(['yaml'], () => import('./k3s/read.ts'))).readRegistriesYaml(text, { file, defaultEndpoint });
  }
  if (kind === 'docker') return (await import('./docker/read.ts')).readDockerConfig(text, { file });
  if (kind === 'regctl') return (await import('./regctl/read.ts')).readRegctlConfig(text, { file });
  if (kind === 'registries.conf') {
    const { helpersOf, mergeRegistriesConf, readRegistriesConf } = await load(
      ['smol-toml'],
      () => import('./containers/read.ts'),
    );
    const conf = mergeRegistriesConf([readRegistriesConf(text, { file })]);
    return { ...conf, helpers: helpersOf(conf) };
  }
  const format = /\.ya?ml$/i.test(file) ? 'yaml' : /\.toml$/i.test(file) ? 'toml' : 'json';
  return (await load(['yaml', 'smol-toml'], () => import('./own/read.ts'))).readOwnConfig(text, { file, format });
}
