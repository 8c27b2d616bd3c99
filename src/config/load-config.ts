import { readdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { RegistryError } from '../errors.ts';
import { quote } from '../oci/quote.ts';
import { proxyFromEnvironment } from '../proxy.ts';
import { readCertificateFiles } from './certs-directory.ts';
import { readDockerConfig } from './docker-config.ts';
import { urlFault } from './host.ts';
import { readHostsToml } from './hosts-toml.ts';
import type { ConfigFiles, LoadConfigOptions } from './load-options.ts';
import { type FileRead, mergeReads } from './merge.ts';
import { readOwnConfig } from './own-config.ts';
import { readRegctlConfig } from './regctl-config.ts';
import { mergeRegistriesConf, readRegistriesConf } from './registries-conf.ts';
import { readRegistriesYaml } from './registries-yaml.ts';
import { type Environment, type Kind, type Place, usualPlaces } from './usual-places.ts';

interface Found {
  readonly files: readonly string[];
  readonly reads: readonly FileRead[];
}

/** The files of `options`, and of the usual places where they are wanted. */
export async function loadFiles(
  options: LoadConfigOptions,
  environment: Environment = process.env,
): Promise<ConfigFiles> {
  const { discover = Object.values(options).every((value) => value === undefined), ...named } = options;
  const usual = discover ? usualPlaces(environment) : undefined;
  const found: Found[] = [];
  for (const [kind, read] of Object.entries(kinds) as [Kind, (place: Place) => Promise<Found | undefined>][]) {
    const path = named[kind];
    found.push(await first(path === undefined ? (usual?.[kind] ?? []) : [{ path: resolve(path), named: true }], read));
  }
  const reads = found.flatMap((one) => one.reads);
  const proxies = options.discover === false ? [] : [proxiesOf(environment)];
  const config = mergeReads([...reads, ...proxies]);
  return { config, warnings: config.warnings ?? [], files: found.flatMap((one) => one.files) };
}

/** The environment's proxies: also beside files that are named, as every program is expected to heed them. */
function proxiesOf(environment: Environment): FileRead {
  const { http, https, all, ...rest } = proxyFromEnvironment(environment);
  for (const [name, url] of Object.entries({ HTTP_PROXY: http, HTTPS_PROXY: https, ALL_PROXY: all })) {
    const fault = url === undefined ? undefined : urlFault(url, { login: true });
    if (fault === undefined) continue;
    throw new RegistryError('INVALID_CONFIG', `Cannot use the environment's ${name}: ${fault}`);
  }
  const proxy = { ...(http && { http }), ...(https && { https }), ...(all && { all }), ...rest };
  return { config: { proxy }, warnings: [] };
}

/** How each kind is read; those that win first. */
const kinds: Readonly<Record<Kind, (place: Place) => Promise<Found | undefined>>> = {
  file: async (place) =>
    readOne(place, (text) => readOwnConfig(text, { file: place.path, format: formatOf(place.path) })),
  hostsDirectory: readHostsDirectory,
  registriesYaml: (place) => readOne(place, (text) => readRegistriesYaml(text, { file: place.path })),
  registriesConf: readRegistriesConfFiles,
  regctlConfig: (place) => readOne(place, (text) => readRegctlConfig(text, { file: place.path })),
  authFile: (place) => readOne(place, (text) => readDockerConfig(text, { file: place.path })),
  dockerConfig: (place) => readOne(place, (text) => readDockerConfig(text, { file: place.path })),
};

async function first(places: readonly Place[], read: (place: Place) => Promise<Found | undefined>): Promise<Found> {
  const [place, ...others] = places;
  if (!place) return { files: [], reads: [] };
  return (await read(place)) ?? first(others, read);
}

async function readOne(place: Place, read: (text: string) => FileRead): Promise<Found | undefined> {
  const text = await textOf(place);
  return text === undefined ? undefined : { files: [place.path], reads: [read(text)] };
}

async function readHostsDirectory(place: Place): Promise<Found | undefined> {
  const names = await namesIn(place);
  if (!names) return undefined;
  const found: Found[] = [];
  // Of `host_port_` and `host:port` containerd takes the first.
  const inOrder = names.sort((a, b) => Number(b.endsWith('_')) - Number(a.endsWith('_')));
  for (const name of inOrder) found.push(await readRegistryDirectory(place.path, name, inOrder));
  return { files: found.flatMap(({ files }) => files), reads: found.flatMap(({ reads }) => reads) };
}

const registryOf = (name: string): string => (name === '_default' ? '*' : name.replace(/_(\d+)_$/, ':$1'));

async function readRegistryDirectory(parent: string, name: string, all: readonly string[]): Promise<Found> {
  const directory = join(parent, name);
  const registry = registryOf(name);
  const names = await namesIn({ path: directory, named: false });
  if (!names) return { files: [], reads: [] };
  const file = join(directory, 'hosts.toml');
  const text = names.includes('hosts.toml') ? await textOf({ path: file, named: true }) : undefined;
  // As containerd does, an empty file counts as none.
  if (!text) {
    const read = readCertificateFiles(names, { directory, registry });
    // The directory is the registry's even where it says nothing: neither `_default` nor its other spelling is.
    if (!read.config.registries && all.some((other) => other !== name && ['*', registry].includes(registryOf(other)))) {
      const config = { registries: { [registry]: { declaredAt: directory } } };
      return { files: [directory], reads: [{ ...read, config }] };
    }
    return read.config.registries || read.warnings.length > 0
      ? { files: [directory], reads: [read] }
      : { files: [], reads: [] };
  }
  return { files: [file], reads: [readHostsToml(text, { file, directory, registry })] };
}

async function readRegistriesConfFiles(place: Place): Promise<Found | undefined> {
  const dropIns: string[] = [];
  for (const directory of place.directories ?? [`${place.path}.d`]) {
    const names = (await namesIn({ path: directory, named: false })) ?? [];
    dropIns.push(...names.filter((name) => name.endsWith('.conf')).map((name) => join(directory, name)));
  }
  const main = await textOf({ ...place, named: place.named && dropIns.length === 0 });
  if (main === undefined && place.needsFile) return undefined;
  const files = [...(main === undefined ? [] : [place.path]), ...dropIns];
  if (files.length === 0) return undefined;
  const reads: ReturnType<typeof readRegistriesConf>[] = [];
  for (const file of files) {
    const text = file === place.path ? main : await textOf({ path: file, named: true });
    reads.push(readRegistriesConf(text ?? '', { file }));
  }
  const merged = mergeRegistriesConf(reads);
  // The file of that name is read anyway; the others are programs.
  const programs = (merged.credentialHelpers ?? []).filter((name) => name !== 'containers-auth.json');
  return { files, reads: [{ ...merged, helpers: programs.map((credsStore) => ({ credsStore })) }] };
}

function formatOf(path: string): 'json' | 'yaml' | 'toml' {
  if (/\.ya?ml$/i.test(path)) return 'yaml';
  return /\.toml$/i.test(path) ? 'toml' : 'json';
}

/** Undefined for what is not there and need not be. */
async function unlessMissing<T>({ path, named }: Place, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (!named && (code === 'ENOENT' || code === 'ENOTDIR')) return undefined;
    throw new RegistryError('INVALID_CONFIG', `Cannot read config file ${quote(path)}: ${message}`, { cause });
  }
}

const textOf = (place: Place): Promise<string | undefined> => unlessMissing(place, () => readFile(place.path, 'utf8'));

const namesIn = async (place: Place): Promise<string[] | undefined> =>
  (await unlessMissing(place, () => readdir(place.path)))?.sort();
