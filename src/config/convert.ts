import { cannot } from '../errors.ts';
import { load } from '../load.ts';
import { apiOrigin } from '../oci/reference.ts';
import { rootOf } from '../oci/registry.ts';
import { checkPlain, pathText } from '../text/problems.ts';

import { firsts, keyPath, type Loss, type Written, type WrittenFiles, writtenCredentials } from './losses.ts';
import type { Config, OriginConfig } from './model.ts';
import { allCapabilities } from './model.ts';
import { isPath } from './pem.ts';
import type { ConfigKind } from './read-texts.ts';
import { matchKey } from './registry-keys.ts';
import { isWellFormed } from './rewrite.ts';

/** Formats that a configuration can be written in: containerd's, k3s', and the model itself as YAML. */
export type ConfigFormat = 'hosts.toml' | 'registries.yaml' | 'ocifetch';

/** How to write a configuration. */
export interface ConvertOptions {
  /** Also writes logins, header values and the logins of proxies, which are left out otherwise. */
  readonly secrets?: boolean | undefined;
  /** Also writes, as `ocifetch`, where each registry and host was declared. */
  readonly places?: boolean | undefined;
}

/**
 * Writes a configuration in a format, and reports what that format cannot express. Reading what was written gives the
 * same hosts in the same order, except for what is reported. `INVALID_CONFIG` for half characters (lone surrogates), which no
 * file can hold. No I/O.
 */
export async function convertConfig(config: Config, to: ConfigFormat, options?: ConvertOptions): Promise<Written> {
  checkPlain('write a configuration', config);
  checkPlain('write a configuration', options);
  const { secrets = false, places = false } = options ?? {};
  checkText(config);
  const { credentials, unwritten } = writtenCredentials(config.credentials);
  const stated = { ...config, credentials };
  const { config: allowed, left } = secrets ? { config: stated, left: [] } : withoutSecrets(stated);
  const written = await write(allowed, to, places);
  const losses = [...written.losses, ...(to === 'ocifetch' ? [] : await unreportedLosses(allowed, written, to))];
  const unexpressed = losses.map(({ path, why }) => `${path}: ${why}`);
  return { files: written.files, unexpressed: [...left, ...unexpressed, ...unwritten] };
}

/** Refuses texts that would not be read as they were written. Values may be secret, so only their keys are reported. */
function checkText(value: unknown, path: PropertyKey[] = []): void {
  if (typeof value === 'object' && value !== null) {
    for (const [key, inner] of Object.entries(value)) {
      checkText(key, path);
      checkText(inner, [...path, Array.isArray(value) ? Number(key) : key]);
    }
  } else if (typeof value === 'string' && !isWellFormed(value)) {
    const place = pathText(path) || 'config';
    throw cannot('INVALID_CONFIG', `write ${place}`, 'half a character in it (a lone surrogate)');
  }
}

const secret = 'secret, left out';

function withoutSecrets(config: Config): { config: Config; left: string[] } {
  const left: string[] = [];
  const { registries = {}, credentials, proxy, ...rest } = config;
  const bare = <Host extends OriginConfig>(host: Host, path: string): Host => {
    const { headers, tls } = host;
    for (const name of Object.keys(headers ?? {})) left.push(`${keyPath(`${path}.headers`, name)}: ${secret}`);
    const { key, ...others } = tls ?? {};
    const isSecret = key !== undefined && !isPath(key);
    if (isSecret) left.push(`${path}.tls.key: ${secret}`);
    return { ...host, headers: undefined, ...(isSecret && { tls: others }) };
  };
  const kept = Object.entries(registries).map(([key, registry]) => {
    const path = keyPath('registries', key);
    const { mirrors, origin } = registry;
    return [
      key,
      {
        ...registry,
        ...(mirrors && { mirrors: mirrors.map((host, index) => bare(host, `${path}.mirrors[${index}]`)) }),
        ...(typeof origin === 'object' && { origin: bare(origin, `${path}.origin`) }),
      },
    ] as const;
  });
  if (typeof credentials === 'object')
    left.push(...Object.keys(credentials).map((key) => `${keyPath('credentials', key)}: ${secret}`));
  const proxies = Object.entries(proxy ?? {}).filter(([name, url]) => {
    const hasLogin = typeof url === 'string' && /\/\/[^/]*@/.test(url);
    if (hasLogin) left.push(`proxy.${name}: its URL has a login, left out`);
    return !hasLogin;
  });
  return {
    config: {
      ...rest,
      registries: Object.fromEntries(kept),
      ...(typeof credentials === 'function' && { credentials }),
      ...(proxies.length > 0 && { proxy: Object.fromEntries(proxies) }),
    },
    left,
  };
}

async function write(config: Config, to: ConfigFormat, places: boolean): Promise<WrittenFiles> {
  if (to === 'hosts.toml') return (await import('./containerd/write.ts')).writeHostsToml(config);
  if (to === 'registries.yaml')
    return (await load(['yaml'], () => import('./k3s/write.ts'))).writeRegistriesYaml(config);
  return (await load(['yaml'], () => import('./own/write.ts'))).writeOwnConfig(config, { places });
}

/**
 * Losses that a writer does not report, found by reading its files again: in these formats hosts share settings and
 * identity with others, and a writer sees one host at a time.
 */
async function unreportedLosses(config: Config, { files, losses }: WrittenFiles, kind: ConfigFormat & ConfigKind) {
  const { readConfigTexts } = await import('./read-texts.ts');
  const texts = files.map(({ path, text }) => ({ text, file: `/${path}`, kind, registry: registryOf(path) }));
  return changedHosts(config, await readConfigTexts(texts), losses);
}

/** Whose directory of `certs.d` a file is in. */
function registryOf(path: string): string {
  const [directory = ''] = path.split('/');
  return directory === '_default' ? '*' : directory.replace(/_(\d+)_$/, ':$1');
}

/** The hosts that would be contacted differently after reading `back`, except those that a writer has reported. */
function changedHosts(config: Config, back: Config, reported: readonly Loss[]): Loss[] {
  const keys = new Set([...Object.keys(config.registries ?? {}), ...Object.keys(back.registries ?? {})]);
  return [...keys].flatMap((key) => {
    const path = keyPath('registries', key);
    const isReported = (at: string): boolean =>
      reported.some((loss) => isWithin(loss.path, at) || loss.path === path || loss.registry === key);
    return changesOf(contactedHosts(config, key), contactedHosts(back, key), path, isReported);
  });
}

/** Whether a key path is another one, or below it. */
const isWithin = (path: string, outer: string): boolean =>
  path === outer || path.startsWith(`${outer}.`) || path.startsWith(`${outer}[`);

function changesOf(
  wanted: readonly ContactedHost[],
  found: readonly ContactedHost[],
  path: string,
  isReported: (path: string) => boolean,
): Loss[] {
  const lost: Loss[] = [];
  let next = 0;
  for (const one of wanted) {
    const candidate = found[next];
    const isKept = candidate?.root === one.root;
    if (isKept) next += 1;
    if (isKept && candidate.settings === one.settings) continue;
    const why = isKept
      ? 'other settings apply to this host there'
      : 'this host is not contacted at this position there';
    if (!isReported(one.path)) lost.push({ path: one.path, why });
  }
  const added = found[next];
  const isExplained =
    lost.length > 0 || [path, `${path}.origin`, ...wanted.map((one) => one.path)].some((at) => isReported(at));
  if (added && !isExplained) lost.push({ path, why: `${added.root} is contacted there, too` });
  return lost;
}

/** A host that is contacted for a registry. */
interface ContactedHost {
  /** Its key path. */
  readonly path: string;
  readonly root: string;
  /** All its settings that a request depends on, as JSON. */
  readonly settings: string;
}

/** The hosts of a registry, mirrors first; those of `*` if the configuration does not name it. */
function contactedHosts({ registries = {} }: Config, key: string): ContactedHost[] {
  const [registry = '', ...path] = key.split('/');
  const isOne = !key.startsWith('*');
  const name = path.length > 0 ? path.join('/') : 'a';
  const found = isOne ? matchKey(new Set(Object.keys(registries)), { registry, name }) : key;
  const { mirrors = [], origin = {}, blocked = false } = registries[found ?? ''] ?? {};
  if (blocked) return [];
  const where = keyPath('registries', found ?? key);
  const itself = isOne ? apiOrigin(registry) : 'the registry itself';
  const hosts = [
    ...mirrors.map((host, index) => ({ host, path: `${where}.mirrors[${index}]` })),
    ...(origin === 'never' ? [] : [{ host: origin, path: `${where}.origin` }]),
  ];
  return hosts.map(({ host, path: at }) => {
    const root = host.url === undefined && !isOne ? itself : rootOf({ ...host, url: host.url ?? itself });
    return { path: at, root, settings: settingsOf(host, root) };
  });
}

function settingsOf(host: OriginConfig, root: string): string {
  const { capabilities = allCapabilities, rewrites = [], headers = {}, tls = {}, connectTimeout } = host;
  const { ca = [], cert, key, insecureSkipVerify = false } = root.startsWith('http:') ? {} : tls;
  return JSON.stringify([
    allCapabilities.filter((capability) => capabilities.includes(capability)),
    firsts(rewrites.map(({ pattern, replacement }) => [pattern, replacement])),
    Object.entries(headers),
    [ca, cert, key, insecureSkipVerify],
    connectTimeout === undefined ? undefined : Math.ceil(connectTimeout),
    host.requestsPerSecond,
    host.concurrency,
    host.allowPrivate ?? [],
    host.omitNamespace ?? false,
  ]);
}
