import type { Login } from '../../login.ts';
import { isLoopbackHost, normalizeRegistry } from '../../oci/reference.ts';
import { quote } from '../../text/quote.ts';
import type { Named, Placed } from '../document/decoders.ts';
import { createFileReport, type FileReport, type KeyPlace, type ParsedFile } from '../document/file-report.ts';
import { apiHost, readRules, shownUrl } from '../document/parts.ts';
import { parseYaml } from '../document/yaml.ts';
import type { Config, HostConfig, RegistryConfig, TlsConfig } from '../model.ts';
import { urlProblem } from '../registry-keys.ts';
import { type HostSettings, type MirrorTable, readRoot, readSettings } from './tables.ts';

/** Where a `registries.yaml` was found, and what its cluster was started with. */
export interface RegistriesYamlPlace {
  /** As messages name it; its relative paths are relative to its directory. */
  readonly file: string;
  /** False for k3s' `--disable-default-registry-endpoint`: registries with mirrors have no other host. */
  readonly defaultEndpoint?: boolean | undefined;
}

interface RegistriesYamlContext {
  readonly report: FileReport;
  readonly hosts: ReadonlyMap<string, HostSettings>;
  readonly hasDefault: boolean;
}

/**
 * Reads the `registries.yaml` of k3s and RKE2: the endpoints of each mirror in their order, then the registry itself,
 * which no rewrite is applied to. `configs` belong to the hosts of endpoints and to registries at their own addresses,
 * `"*"` to those that have none of their own.
 * `INVALID_CONFIG` with all problems. https://docs.k3s.io/installation/private-registry
 */
export function readRegistriesYaml(yaml: string, place: RegistriesYamlPlace): ParsedFile {
  const report = createFileReport(place.file);
  const { mirrors = [], configs = [] } = readRoot(parseYaml(yaml, place.file, report.duplicate), report);
  const hosts = readSettings(configs, place.file, report);
  const context = { report, hosts, hasDefault: place.defaultEndpoint ?? true };
  const registries = new Map<string, RegistryConfig>();
  for (const mirror of mirrors) {
    const key = normalizeRegistry(mirror.key);
    if (registries.has(key)) report.problem(mirror, 'found a duplicate registry, expected it once');
    registries.set(key, readMirror(mirror, context));
  }
  addUnlisted(registries, context);
  return report.end(configOf(registries, context));
}

function readMirror(mirror: Named<MirrorTable>, context: RegistriesYamlContext): RegistryConfig {
  const { report, hasDefault } = context;
  const { endpoint, rewrite } = mirror.value;
  const own = mirror.key === '*' ? undefined : defaultEndpoint(mirror.key);
  const rewrites = readRules(rewrite?.value ?? [], report);
  const written = endpoint?.value ?? [];
  if (rewrite && written.length === 0) report.warn(rewrite, 'not used, there is no endpoint to rewrite for');
  const seen = new Set<string>();
  const mirrors = written.flatMap((found, index): HostConfig[] => {
    const parsed = parseEndpoint(found, report);
    if (!parsed) return [];
    if (seen.has(parsed.identity)) {
      report.warn(found, 'duplicate, already listed above');
      return [];
    }
    seen.add(parsed.identity);
    if (!hasDefault || parsed.identity !== own?.identity) return [readEndpoint(parsed, rewrites, context)];
    const isAsWritten = rewrites.length === 0 && index === written.length - 1;
    if (!isAsWritten) report.warn(found, 'the default endpoint is contacted last and without rewrites');
    return [];
  });
  return {
    ...(mirrors.length > 0 && { mirrors }),
    ...(hasDefault ? readOrigin(mirror.key, context) : { origin: 'never' as const }),
    declaredAt: report.line(mirror),
  };
}

function readEndpoint(
  endpoint: EndpointUrl,
  rewrites: HostConfig['rewrites'],
  context: RegistriesYamlContext,
): HostConfig {
  const host = context.hosts.has(endpoint.written) ? endpoint.written : endpoint.host;
  return {
    url: endpoint.url,
    ...(endpoint.overridePath && { overridePath: true }),
    // What k3s trusts a mirror with.
    capabilities: ['pull', 'resolve'],
    ...(rewrites && rewrites.length > 0 && { rewrites }),
    ...withTls(endpoint, host, context),
    declaredAt: context.report.line(endpoint.place),
  };
}

/** The registry itself, if its TLS is configured. */
function readOrigin(registry: string, context: RegistriesYamlContext): RegistryConfig {
  const settings = settingsOf(context, registry);
  if (!settings?.tls) return {};
  const declaredAt = context.report.line(settings.at);
  if (registry === '*') return { origin: { tls: settings.tls, declaredAt } };
  const endpoint = defaultEndpoint(registry, settings.at);
  return { origin: { url: endpoint.url, ...withTls(endpoint, registry, context), declaredAt } };
}

function withTls(endpoint: EndpointUrl, host: string, context: RegistriesYamlContext): { readonly tls?: TlsConfig } {
  const settings = settingsOf(context, host);
  if (!settings?.tls) return {};
  if (!endpoint.url.startsWith('http:')) return { tls: settings.tls };
  context.report.warn(settings.at, `its tls is not used for ${endpoint.url}, which is contacted over http`);
  return {};
}

/** What is configured of a host, or of all that have no entry. */
const settingsOf = ({ hosts }: RegistriesYamlContext, host: string): HostSettings | undefined =>
  hosts.get(host) ?? hosts.get('*');

/** Adds the registries that only `configs` has: the settings of `*` are not for them. */
function addUnlisted(registries: Map<string, RegistryConfig>, context: RegistriesYamlContext): void {
  const { report, hosts } = context;
  const others = hosts.get('*');
  if (others?.tls && !registries.has('*')) {
    registries.set('*', { ...readOrigin('*', context), declaredAt: report.line(others.at) });
  }
  const all = registries.get('*');
  const endpoints = new Set([...registries.values()].flatMap(({ mirrors = [] }) => mirrors.map(hostOf)));
  for (const [host, { login, tls, at }] of hosts) {
    if (registries.has(host) || host === '*') continue;
    const declaredAt = report.line(at);
    if (login || tls) {
      // What k3s makes of it, a directory of containerd's of its own, hides the one for all others.
      if (all?.mirrors && !endpoints.has(host)) {
        report.warn(at, 'with this entry, the mirrors of "*" are not used for it; list it under mirrors to use them');
      }
      if (all || tls) registries.set(host, { ...readOrigin(host, context), declaredAt });
    } else if (all && others?.tls) {
      // An entry that says nothing is how k3s' documents take a registry out of the TLS settings of all others.
      const { origin, ...kept } = all;
      registries.set(host, { ...kept, ...(origin === 'never' && { origin }), declaredAt });
    }
  }
}

const hostOf = ({ url }: HostConfig): string => normalizeRegistry(new URL(url).host);

function configOf(registries: ReadonlyMap<string, RegistryConfig>, { hosts, report }: RegistriesYamlContext): Config {
  const credentials = new Map<string, Login>();
  for (const [host, { login, at }] of hosts) {
    if (login && host === '*')
      report.warn(at, 'its login is not sent to any host, as logins are looked up by host: name the hosts');
    else if (login) credentials.set(host, login);
  }
  return {
    ...(registries.size > 0 && { registries: Object.fromEntries(registries) }),
    ...(credentials.size > 0 && { credentials: Object.fromEntries(credentials) }),
  };
}

/** An endpoint as k3s understands it. */
export interface EndpointUrl {
  readonly url: string;
  readonly overridePath: boolean;
  /** `host[:port]` as it is written, for which k3s looks among `configs`; its default port counts. */
  readonly written: string;
  /** The same without a default port. */
  readonly host: string;
  /** Two endpoints with the same are one to k3s, which compares what is written. */
  readonly identity: string;
  readonly place: KeyPlace;
}

/** Reads an endpoint; anything but a URL is a problem. */
export function parseEndpoint(found: Placed<string>, report: FileReport): EndpointUrl | undefined {
  const url = withScheme(found.value);
  const problem = urlProblem(url);
  if (problem === undefined) return endpointOf(url, found);
  report.problem(found, `found ${quote(shownUrl(found.value))}, ${problem}`);
  return undefined;
}

/** For an endpoint that is not in the file. */
const nowhere: KeyPlace = { at: { line: 1, column: 1 }, path: [] };

/** The endpoint of a registry for which nothing is configured. */
export const defaultEndpoint = (registry: string, place: KeyPlace = nowhere): EndpointUrl =>
  endpointOf(withScheme(registry), place);

function endpointOf(written: string, place: KeyPlace): EndpointUrl {
  const { origin, pathname, host } = apiHost(new URL(written));
  const [, scheme = '', authority = ''] = /^([a-z]+):\/\/([^/]*)/i.exec(written) ?? [];
  const registry = normalizeRegistry(authority);
  // Every other path is the API's root, and nothing is appended to it.
  const overridePath = !['', '/', '/v2'].includes(pathname);
  const path = overridePath ? pathname : '/v2';
  return {
    url: overridePath ? origin + pathname : origin,
    overridePath,
    written: registry,
    host: normalizeRegistry(host),
    identity: `${scheme.toLowerCase()}://${registry}${path}`,
    place,
  };
}

/** http for this machine with a port other than 443, else https. */
function withScheme(endpoint: string): string {
  if (endpoint.includes('://')) return endpoint;
  const [authority = ''] = endpoint.split('/', 1);
  const [, port] = /:(\d+)$/.exec(authority) ?? [];
  return `${port !== undefined && port !== '443' && isLoopbackHost(authority) ? 'http' : 'https'}://${endpoint}`;
}
