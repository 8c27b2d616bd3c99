import { basename, dirname } from 'node:path';
import { configError } from '../errors.ts';
import { proxyFromEnvironment, proxyProblem } from '../proxy.ts';
import { readHostsDirectory, registryOfDirectory } from './containerd/directory.ts';
import { readRegistriesConfFiles } from './containers/load.ts';
import { allFiles, unreadable } from './document/document.ts';
import { type ReadFiles, textOf } from './files.ts';
import {
  type ConfigFiles,
  checkLoadOptions,
  type LoadConfigOptions,
  type LoadConfigTextOptions,
} from './load-options.ts';
import { type FileRead, mergeReads } from './merge.ts';
import { type ConfigKind, type ConfigText, configKinds, readText } from './read-texts.ts';
import {
  absolute,
  type ConfigPlace,
  configKindOf,
  type Environment,
  type FileKind,
  homeOf,
  usualPlaces,
} from './usual-places.ts';

/** The files of `options`, and of the usual places if wanted. The problems of all files are reported at once. */
export async function loadFiles(
  options: LoadConfigOptions,
  environment: Environment = process.env,
): Promise<ConfigFiles> {
  checkLoadOptions(options);
  const { discover: wanted, defaultEndpoint, ...named } = options;
  const discover = wanted ?? Object.values(named).every((value) => value === undefined);
  const usual = discover ? usualPlaces(environment) : undefined;
  const readers = Object.entries(kinds) as [FileKind, KindReader][];
  const found = await allFiles(
    readers.map(([kind, read]) => {
      const path = named[kind];
      const places = path === undefined ? (usual?.[kind] ?? []) : [{ path: absolute(path), named: true }];
      return first(places, (place) => read(place, { defaultEndpoint }));
    }),
  );
  const reads = found.flatMap((one) => one.reads);
  const proxies = options.discover === false ? [] : [proxiesOf(environment)];
  const config = mergeReads([...reads, ...proxies]);
  const files = found.flatMap((one) => one.files);
  const homeless = discover ? homeOf(environment).problem : undefined;
  return { config, warnings: config.warnings ?? [], files, ...(homeless !== undefined && { homeless }) };
}

/** The environment's proxies, also if files are named: every program is expected to heed them. */
function proxiesOf(environment: Environment): FileRead {
  const { http, https, all, ...rest } = proxyFromEnvironment(environment);
  // Not used, and not checked, if each scheme has its own.
  const others = http && https ? undefined : all;
  for (const [name, url] of Object.entries({ HTTP_PROXY: http, HTTPS_PROXY: https, ALL_PROXY: others })) {
    const problem = url === undefined ? undefined : proxyProblem(url);
    if (problem === undefined) continue;
    throw configError(`use the environment's ${name}`, [{ found: problem }], { reason: 'environment', value: name });
  }
  const proxy = { ...(http && { http }), ...(https && { https }), ...(others && { all: others }), ...rest };
  return { config: { proxy }, warnings: [] };
}

async function first(
  places: readonly ConfigPlace[],
  read: (place: ConfigPlace) => Promise<ReadFiles | undefined>,
): Promise<ReadFiles> {
  const [place, ...others] = places;
  if (!place) return { files: [], reads: [] };
  return (await read(place)) ?? first(others, read);
}

type KindReader = (
  place: ConfigPlace,
  options: Pick<LoadConfigOptions, 'defaultEndpoint'>,
) => Promise<ReadFiles | undefined>;

/** How a file of a kind is read. */
const reads =
  (kind: ConfigKind): KindReader =>
  async (place, options) => {
    const text = await textOf(place);
    if (text === undefined) return undefined;
    return { files: [place.path], reads: [await readText({ text, file: place.path, kind }, options)] };
  };

/** Those that win first. */
const kinds: Readonly<Record<FileKind, KindReader>> = {
  file: reads('ocifetch'),
  hostsDirectory: readHostsDirectory,
  registriesYaml: reads('registries.yaml'),
  registriesConf: readRegistriesConfFiles,
  regctlConfig: reads('regctl'),
  authFile: reads('docker'),
  dockerConfig: reads('docker'),
};

/** See `loadConfigText` in load.ts. */
export async function loadText(path: string, options: LoadConfigTextOptions): Promise<ConfigText> {
  const file = absolute(path);
  const text = (await textOf({ path: file, named: true })) ?? '';
  const kind = options.kind ?? configKindOf(file, text);
  if (!kind) {
    const expected = `expected its kind to be named: ${configKinds.join(', ')}`;
    throw unreadable(file, `neither its name nor its content shows its kind, ${expected}`);
  }
  return { text, file, kind, ...(kind === 'hosts.toml' && { registry: options.registry ?? registryOf(file) }) };
}

/** Outside of a `certs.d` a directory has any name: only what a reference would take for a host is a registry's. */
function registryOf(file: string): string {
  const registry = registryOfDirectory(basename(dirname(file))) ?? '*';
  return registry === 'localhost' || /[.:]/.test(registry) ? registry : '*';
}
