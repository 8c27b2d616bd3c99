import { apiOrigin } from '../../oci/reference.ts';
import { asciiText } from '../../text/quote.ts';
import {
  fileTls,
  firsts,
  keyPath,
  type Loss,
  type Tell,
  tellLimits,
  tellOthers,
  type WrittenFiles,
} from '../losses.ts';
import type { Config, HostConfig, OriginConfig, RegistryConfig } from '../model.ts';

/** A host and its key path. */
interface PlacedHost<Host extends OriginConfig = HostConfig> {
  readonly host: Host;
  readonly path: string;
}

/**
 * Writes a configuration as containerd's `certs.d`: a `hosts.toml` for each registry. Rewrites are for k3s' containerd.
 * Of a registry whose mirrors stand in for it, the last mirror is the `server`, as there is no other way to say so.
 */
export function writeHostsToml(config: Config): WrittenFiles {
  const losses: Loss[] = [];
  const tell: Tell = (path, why, registry) => void losses.push({ path, why, registry });
  const registries = config.registries ?? {};
  const hasDefault = Object.hasOwn(registries, '*');
  const files = Object.entries(registries).flatMap(([key, registry]) => {
    const path = keyPath('registries', key);
    const directory = directoryName(key);
    if (directory === undefined) tell(path, 'it has directories for hosts, not for paths or domains');
    else if (registry.blocked) tell(path, 'nothing blocks a registry there; it would be asked');
    else {
      // A directory without a file would be passed over for `_default`.
      const text =
        hostsToml(withAddress(registry, key), path, tell) ||
        (hasDefault && key !== '*' ? `server = "${apiOrigin(key)}"\n` : '');
      return text === '' ? [] : [{ path: `${directory}/hosts.toml`, text }];
    }
    return [];
  });
  tellOthers(config, tell);
  return { files, losses };
}

/** With the address of the registry itself, where it is one: without a `server` less can be said of it. */
function withAddress(registry: RegistryConfig, key: string): RegistryConfig {
  const { origin } = registry;
  if (key === '*' || typeof origin !== 'object' || origin.url !== undefined) return registry;
  return { ...registry, origin: { ...origin, url: apiOrigin(key) } };
}

/** As containerd finds it on any system; undefined for what it has no directory for. */
function directoryName(key: string): string | undefined {
  if (key === '*') return '_default';
  if (/[*/]/.test(key)) return undefined;
  return key.replace(/^(.+):(\d+)$/, '$1_$2_');
}

function hostsToml({ mirrors = [], origin }: RegistryConfig, path: string, tell: Tell): string {
  const placed = distinct(
    mirrors.map((host, index) => ({ host, path: `${path}.mirrors[${index}]` })),
    tell,
  );
  const last = origin === 'never' ? placed.pop() : undefined;
  if (origin === 'never' && !last) {
    tell(`${path}.origin`, 'without a mirror there is no way to say "never"; the registry would be asked');
    return '';
  }
  const server = last ?? (typeof origin === 'object' ? { host: origin, path: `${path}.origin` } : undefined);
  const parts = [
    ...(server ? rootLines(server, tell) : []),
    ...placed.flatMap(({ host, path: at }) => {
      const table = `host.${tomlText(host.url)}`;
      return ['', `[${table}]`, ...settings({ host, path: at }, `${table}.`, tell)];
    }),
  ];
  return parts.length === 0 ? '' : `${parts.join('\n').trim()}\n`;
}

/** The registry itself is what has no `server`; of it the format takes TLS, headers and the time limit alone. */
function rootLines(server: PlacedHost<OriginConfig>, tell: Tell): string[] {
  const { url, capabilities, rewrites, ...host } = server.host;
  if (url !== undefined) return [`server = ${tomlText(url)}`, ...settings(server, '', tell)];
  if (capabilities) tell(`${server.path}.capabilities`, 'without a server the registry itself is asked for everything');
  if (rewrites?.length) tell(`${server.path}.rewrites`, 'without a server names are not rewritten');
  return settings({ host, path: server.path }, '', tell);
}

/** Hosts that can be told from each other, and are asked at all. */
function distinct(all: readonly PlacedHost[], tell: Tell): PlacedHost[] {
  const seen = new Set<string>();
  return all.filter(({ host: { url, capabilities }, path }) => {
    const isKnown = seen.has(url);
    if (isKnown) tell(path, 'a host can be listed once; left out');
    // No capability written means all of them.
    else if (capabilities?.length === 0) tell(path, 'a host that is asked for nothing cannot be told; left out');
    seen.add(url);
    return !isKnown && capabilities?.length !== 0;
  });
}

const list = (texts: readonly string[]): string => `[${texts.map(tomlText).join(', ')}]`;

function settings({ host, path }: PlacedHost<OriginConfig>, prefix: string, tell: Tell): string[] {
  const { capabilities, overridePath, connectTimeout, headers, rewrites } = host;
  tellLimits(host, path, tell);
  return [
    ...(capabilities ? [`capabilities = ${list(capabilities)}`] : []),
    ...tlsLines({ host, path }, tell),
    ...(overridePath ? ['override_path = true'] : []),
    ...(connectTimeout === undefined ? [] : [`dial_timeout = "${Math.ceil(connectTimeout)}ms"`]),
    ...table(`${prefix}header`, Object.entries(headers ?? {})),
    ...table(
      `${prefix}rewrite`,
      (rewrites ?? []).map(({ pattern, replacement }) => [pattern, replacement]),
    ),
  ];
}

function tlsLines({ host: { url, tls }, path }: PlacedHost<OriginConfig>, tell: Tell): string[] {
  if (!tls) return [];
  if (url?.startsWith('http:')) {
    // containerd would ask such a host over https.
    tell(`${path}.tls`, 'not used, the host is asked over http');
    return [];
  }
  const { ca, cert, key, insecureSkipVerify } = fileTls(tls, `${path}.tls`, tell);
  return [
    ...(ca ? [`ca = ${list(ca)}`] : []),
    ...(cert !== undefined && key !== undefined ? [`client = [${list([cert, key])}]`] : []),
    ...(insecureSkipVerify ? ['skip_verify = true'] : []),
  ];
}

function table(name: string, entries: readonly (readonly [string, string])[]): string[] {
  if (entries.length === 0) return [];
  return ['', `[${name}]`, ...firsts(entries).map(([key, value]) => `${tomlText(key)} = ${tomlText(value)}`)];
}

/** A text for TOML; a literal one if possible, so that patterns stay legible. */
const tomlText = (text: string): string =>
  /^[\x20-\x7e]*$/.test(text) && /["\\]/.test(text) && !text.includes("'") ? `'${text}'` : asciiText(text);
