import { apiOrigin } from '../../oci/reference.ts';
import { asciiText } from '../../text/quote.ts';
import {
  fileTls,
  firsts,
  keyPath,
  type Loss,
  type ReportLoss,
  reportLimits,
  reportUnrelated,
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
 * If the origin of a registry is "never", its last mirror becomes the `server`: the format has no other way.
 */
export function writeHostsToml(config: Config): WrittenFiles {
  const losses: Loss[] = [];
  const report: ReportLoss = (path, why, registry) => void losses.push({ path, why, registry });
  const registries = config.registries ?? {};
  const hasDefault = Object.hasOwn(registries, '*');
  const files = Object.entries(registries).flatMap(([key, registry]) => {
    const path = keyPath('registries', key);
    const directory = directoryName(key);
    if (directory === undefined) report(path, 'it has directories for hosts, not for paths or domains');
    else if (registry.blocked) report(path, 'it cannot block a registry, which would be contacted');
    else {
      // A directory without a file would be passed over for `_default`.
      const text =
        hostsToml(withAddress(registry, key), path, report) ||
        (hasDefault && key !== '*' ? `server = "${apiOrigin(key)}"\n` : '');
      return text === '' ? [] : [{ path: `${directory}/hosts.toml`, text }];
    }
    return [];
  });
  reportUnrelated(config, report);
  return { files, losses };
}

/** Adds the address of the registry itself as `server`, without which fewer settings are possible. */
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

function hostsToml({ mirrors = [], origin }: RegistryConfig, path: string, report: ReportLoss): string {
  const placed = distinct(
    mirrors.map((host, index) => ({ host, path: `${path}.mirrors[${index}]` })),
    report,
  );
  const last = origin === 'never' ? placed.pop() : undefined;
  if (origin === 'never' && !last) {
    report(`${path}.origin`, 'it cannot express "never" without a mirror; the registry would be contacted');
    return '';
  }
  const server = last ?? (typeof origin === 'object' ? { host: origin, path: `${path}.origin` } : undefined);
  const parts = [
    ...(server ? rootLines(server, report) : []),
    ...placed.flatMap(({ host, path: at }) => {
      const table = `host.${tomlText(host.url)}`;
      return ['', `[${table}]`, ...settings({ host, path: at }, `${table}.`, report)];
    }),
  ];
  return parts.length === 0 ? '' : `${parts.join('\n').trim()}\n`;
}

/** Without a `server`, the format takes only TLS, headers and the time limit for the registry itself. */
function rootLines(server: PlacedHost<OriginConfig>, report: ReportLoss): string[] {
  const { url, capabilities, rewrites, ...host } = server.host;
  if (url !== undefined) return [`server = ${tomlText(url)}`, ...settings(server, '', report)];
  if (capabilities) report(`${server.path}.capabilities`, 'without a server, the registry itself has all capabilities');
  if (rewrites?.length) report(`${server.path}.rewrites`, 'without a server, names are not rewritten');
  return settings({ host, path: server.path }, '', report);
}

/** Hosts with different URLs and at least one capability. */
function distinct(all: readonly PlacedHost[], report: ReportLoss): PlacedHost[] {
  const seen = new Set<string>();
  return all.filter(({ host: { url, capabilities }, path }) => {
    const isKnown = seen.has(url);
    if (isKnown) report(path, 'a host can be listed once; left out');
    // No capability written means all of them.
    else if (capabilities?.length === 0) report(path, 'it cannot express a host without capabilities; left out');
    seen.add(url);
    return !isKnown && capabilities?.length !== 0;
  });
}

const list = (texts: readonly string[]): string => `[${texts.map(tomlText).join(', ')}]`;

function settings({ host, path }: PlacedHost<OriginConfig>, prefix: string, report: ReportLoss): string[] {
  const { capabilities, overridePath, connectTimeout, headers, rewrites } = host;
  reportLimits(host, path, report);
  return [
    ...(capabilities ? [`capabilities = ${list(capabilities)}`] : []),
    ...tlsLines({ host, path }, report),
    ...(overridePath ? ['override_path = true'] : []),
    ...(connectTimeout === undefined ? [] : [`dial_timeout = "${Math.ceil(connectTimeout)}ms"`]),
    ...table(`${prefix}header`, Object.entries(headers ?? {})),
    ...table(
      `${prefix}rewrite`,
      (rewrites ?? []).map(({ pattern, replacement }) => [pattern, replacement]),
    ),
  ];
}

function tlsLines({ host: { url, tls }, path }: PlacedHost<OriginConfig>, report: ReportLoss): string[] {
  if (!tls) return [];
  if (url?.startsWith('http:')) {
    // containerd would contact such a host over https.
    report(`${path}.tls`, 'not used, the host is contacted over http');
    return [];
  }
  const { ca, cert, key, insecureSkipVerify } = fileTls(tls, `${path}.tls`, report);
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
