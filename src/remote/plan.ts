import { credentialsFor } from '../config/credentials.ts';
import { declaredPlace } from '../config/document/document.ts';
import type { Config, OriginConfig, RegistryConfig, TlsConfig } from '../config/model.ts';
import { allCapabilities } from '../config/model.ts';
import { parseConfig } from '../config/parse-config.ts';
import { pemName, readPem } from '../config/pem.ts';
import { matchKey } from '../config/registry-keys.ts';
import { checkRewritten, compileRewrites, type Rewriter } from '../config/rewrite.ts';
import { type Endpoint, redactUrl, type Skipped, type TlsOptions } from '../endpoint.ts';
import { type ConfigProblem, configError, messageOf, problemText, RegistryError } from '../errors.ts';
import { tlsProblems } from '../http/tls.ts';
import { apiOrigin, isLoopbackHost, type Repository, sameRegistry } from '../oci/reference.ts';
import { rootOf } from '../oci/registry.ts';
import { pullScope } from '../oci/scope.ts';
import { noProxyWarnings, proxyFor } from '../proxy.ts';
import { quote } from '../text/quote.ts';

/** The endpoints for a repository, in order. A call does no I/O; certificate files are read when the resolver is made. */
export type Resolver = (repository: Repository) => readonly Endpoint[];

/** The endpoints of a repository, and the configured hosts that are left out, with the reason. */
export interface Hosts {
  readonly endpoints: readonly Endpoint[];
  readonly skipped: readonly Skipped[];
}

export interface HostPlanner {
  hosts(repository: Repository): Hosts;
  /** The TLS settings of the host that is configured at the origin of a URL, or below whose domain it is. */
  tlsFor(url: URL): TlsOptions | undefined;
  /** What in the configuration looks like a mistake. */
  readonly warnings: readonly string[];
}

/** The reason shown for `origin: never`, the switch of k3s, and other settings by which mirrors replace a registry. */
const neverReason = 'the registry itself is never contacted: the configuration allows only its mirrors';

/**
 * The resolver of a configuration: mirrors in their order, then the origin. A wrong configuration is `INVALID_CONFIG` at
 * once; a mirror whose rewrite does not give a repository name is left out.
 */
export function createResolver(config: Config = {}): Resolver {
  const { hosts } = planHosts(parseConfig(config));
  return (repository) => hosts(repository).endpoints;
}

/**
 * As `createResolver`, for a configuration that was checked, with the hosts that are left out. `INVALID_CONFIG` reports all
 * certificates and keys that cannot be used.
 */
export function planHosts({ registries = {}, credentials, proxy = {} }: Config): HostPlanner {
  const compiled = new Map<string, readonly Host[]>();
  const problems: ConfigProblem[] = [];
  for (const [key, config] of Object.entries(registries)) compiled.set(key, compileRegistry(key, config, problems));
  // Several hosts may share a certificate.
  const distinct = [...new Map(problems.map((problem) => [problemText(problem), problem])).values()];
  if (distinct.length > 0) throw configError('use config', distinct);
  const keys = new Set(compiled.keys());
  /** Leaves out a host that is itself a blocked registry. `*` blocks registries without an entry, not mirrors. */
  const unlessBlocked = (endpoint: Endpoint): Endpoint | Skipped => {
    const key = matchKey(keys, ownRepository(endpoint));
    if (key === undefined || key === '*' || !registries[key]?.blocked) return endpoint;
    return { url: endpoint.url, reason: `the registry ${quote(key)} is blocked`, ...declaredAtOf(registries[key]) };
  };
  const hosts = (repository: Repository): Hosts => {
    const key = matchKey(keys, repository);
    const found = key === undefined ? undefined : registries[key];
    const configured = (key === undefined ? undefined : compiled.get(key)) ?? [];
    const all = found?.origin === undefined ? [...configured, defaultOrigin(repository.registry)] : configured;
    const rooted = all.map((host) => ({ ...host, root: host.root ?? ownRoot(repository.registry) }));
    if (found?.blocked) {
      const blocked = { reason: 'the registry is blocked', ...declaredAtOf(found) };
      return { endpoints: [], skipped: rooted.map(({ root }) => ({ url: root, ...blocked })) };
    }
    const endpoints: Endpoint[] = [];
    const skipped: Skipped[] = [];
    for (const host of rooted) {
      const planned = endpointOf(host, repository, { credentials, proxy });
      const result = 'reason' in planned ? planned : unlessBlocked(planned);
      if ('reason' in result) skipped.push(result);
      else endpoints.push(result);
    }
    const own = ownRoot(repository.registry);
    // Unless it is listed as a mirror.
    if (found?.origin === 'never' && !rooted.some(({ root }) => root === own)) {
      skipped.push({ url: own, reason: neverReason, ...declaredAtOf(found) });
    }
    return { endpoints, skipped };
  };
  const tlsFor = tlsByOrigin(compiled);
  return {
    hosts,
    tlsFor,
    warnings: [...hostWarnings(compiled), ...hostlessWarnings(registries), ...noProxyWarnings(proxy)],
  };
}

/** A host's own entry comes before its entries as a mirror of others. That of `*` is for registries, not for whatever they refer to. */
function tlsByOrigin(registries: ReadonlyMap<string, readonly Host[]>): HostPlanner['tlsFor'] {
  const keys = new Set(registries.keys());
  const byOrigin = new Map<string, TlsOptions>();
  for (const { root, tls } of [...registries.values()].flat().reverse()) {
    if (root !== undefined && tls) byOrigin.set(new URL(root).origin, tls);
  }
  return (url) => {
    // Storage below a domain has any port.
    const names = [url.host, url.hostname].map((registry) => matchKey(keys, { registry, name: '' }));
    const own = names.flatMap((key) => (key === undefined || key === '*' ? [] : (registries.get(key) ?? [])));
    const found = own.find(({ root, tls }) => tls && (root === undefined || new URL(root).origin === url.origin));
    return found?.tls ?? byOrigin.get(url.origin);
  };
}

/** Registries without any host that are not `blocked`. */
function hostlessWarnings(registries: NonNullable<Config['registries']>): string[] {
  return Object.entries(registries).flatMap(([key, { mirrors = [], origin, blocked = false, declaredAt }]) => {
    if (blocked || origin !== 'never' || mirrors.length > 0) return [];
    const place = declaredAt === undefined ? '' : ` (${declaredAt})`;
    return [`no host is left for ${quote(key)}: it has no mirrors, and its origin is "never"${place}`];
  });
}

const declaredAtOf = ({ declaredAt }: { readonly declaredAt?: string | undefined } = {}) =>
  declaredAt === undefined ? {} : { declaredAt };

/** An endpoint's host and rewritten repository, as if a reference named the mirror itself. */
const ownRepository = ({ url, repository }: Endpoint): Repository => ({
  registry: new URL(url).host,
  name: repository,
});

function endpointOf(
  { root, config, rewriter, tls }: Host & { readonly root: string },
  { registry, name }: Repository,
  { credentials, proxy = {} }: Pick<Config, 'credentials' | 'proxy'>,
): Endpoint | Skipped {
  const { capabilities = allCapabilities, headers, omitNamespace = false } = config;
  const proxyUrl = proxyFor(new URL(root), proxy);
  const { name: repository, rule } = rewriter.rewrite(name);
  try {
    if (rule) checkRewritten(repository, rule, name);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return { url: root, reason: messageOf(error), code: error.code, ...declaredAtOf(config) };
  }
  const { host } = new URL(root);
  const source = credentialsFor(credentials, host, repository);
  return {
    url: root,
    repository,
    scopes: [pullScope(repository)],
    capabilities,
    ...(!omitNamespace && !sameRegistry(host, registry) && { namespace: registry }),
    ...(rule && { rewrite: { pattern: rule.pattern, replacement: rule.replacement, from: name } }),
    ...(headers && { headers }),
    // Not used over http, which only a host of this machine leaves (upgrade.ts).
    ...(tls && (root.startsWith('https:') || config.url !== undefined || isLoopbackHost(host)) && { tls }),
    ...plainSettings(config),
    ...(source !== undefined && { credentials: source }),
    ...(proxyUrl !== undefined && { proxy: redactUrl(proxyUrl) }),
    ...declaredAtOf(config),
  };
}

/** The settings that an endpoint has as they are configured. */
function plainSettings({
  allowPrivate,
  connectTimeout,
  requestsPerSecond,
  concurrency,
}: OriginConfig): Partial<Endpoint> {
  return {
    ...(allowPrivate && { allowPrivate }),
    ...(connectTimeout !== undefined && { connectTimeout }),
    ...(requestsPerSecond !== undefined && { requestsPerSecond }),
    ...(concurrency !== undefined && { concurrency }),
  };
}

/** A configured host with its rewrites compiled and its certificates read. */
interface Host {
  /** Its API root; undefined for the registry itself if the configuration is for many registries. */
  readonly root: string | undefined;
  readonly config: OriginConfig;
  readonly rewriter: Rewriter;
  readonly tls: TlsOptions | undefined;
}

/** The API root of the registry itself. Whoever configures certificates for a host of this machine means https. */
const ownRoot = (registry: string, { ca, cert }: Pick<TlsConfig, 'ca' | 'cert'> = {}): string =>
  rootOf({ url: apiOrigin(registry, (ca ?? cert) !== undefined) });

/** The registry itself, with nothing configured. */
const defaultOrigin = (registry: string): Host => ({
  root: ownRoot(registry),
  config: {},
  rewriter: compileRewrites([], registry),
  tls: undefined,
});

/** The hosts of a registry; problems with its TLS settings are added to `problems`. */
function compileRegistry(key: string, { mirrors = [], origin }: RegistryConfig, problems: ConfigProblem[]): Host[] {
  const path = `registries[${JSON.stringify(key)}]`;
  const [registry = ''] = key.split('/');
  const compile = (config: OriginConfig, hostPath: string): Host => {
    const { url, overridePath } = config;
    const own = key.startsWith('*') ? undefined : ownRoot(registry, config.tls);
    const hostRoot = url === undefined ? own : rootOf({ url, overridePath });
    return {
      root: hostRoot,
      config,
      rewriter: compileRewrites(config.rewrites ?? [], hostRoot === undefined ? hostPath : `${hostPath} (${hostRoot})`),
      tls: config.tls && readTls(config.tls, { path: `${hostPath}.tls`, declaredAt: config.declaredAt }, problems),
    };
  };
  const hosts = mirrors.map((mirror, index) => compile(mirror, `${path}.mirrors[${index}]`));
  return origin === undefined || origin === 'never' ? hosts : [...hosts, compile(origin, `${path}.origin`)];
}

/** Where TLS settings are declared. */
interface TlsPlace {
  readonly path: string;
  readonly declaredAt: string | undefined;
}

/** TLS settings as PEM texts; a file that cannot be used is a problem. */
function readTls(config: TlsConfig, { path, declaredAt }: TlsPlace, problems: ConfigProblem[]): TlsOptions {
  const { ca, cert, key, insecureSkipVerify, declaredAt: places = {} } = config;
  const report = (setting: string, written: string, found: string): void => {
    const place = places[setting];
    const location = place === undefined ? { file: declaredAt, key: `${path}.${setting}` } : declaredPlace(place);
    problems.push({ ...location, found: `${pemName(written)}: ${found}` });
  };
  const read = (setting: string, written: string): string | undefined => {
    const pem = readPem(written);
    if ('text' in pem) return pem.text;
    report(setting, written, pem.found);
    return undefined;
  };
  const authorities = ca?.flatMap((written, index) => {
    const text = read(`ca[${index}]`, written);
    const [problem] = text === undefined ? [] : tlsProblems({ ca: [text] });
    if (problem) report(`ca[${index}]`, written, problem.found);
    return text ?? [];
  });
  const own = {
    ...(cert !== undefined && { cert: read('cert', cert) }),
    ...(key !== undefined && { key: read('key', key) }),
  };
  const known = Object.fromEntries(Object.entries(own).filter(([, text]) => text !== undefined));
  const isWhole = Object.keys(known).length === Object.keys(own).length;
  for (const { setting, found } of tlsProblems(known, { isWhole }))
    report(setting, (setting === 'key' ? key : cert) ?? '', found);
  return {
    ...(authorities && { ca: authorities }),
    ...known,
    ...(insecureSkipVerify !== undefined && { insecureSkipVerify }),
  };
}

/** Warnings about rewrites, and about hosts whose certificate is not checked, one for each host. */
function hostWarnings(registries: ReadonlyMap<string, readonly Host[]>): string[] {
  const rewrites: string[] = [];
  const lenient = new Map<string, (string | undefined)[]>();
  for (const [key, hosts] of registries) {
    for (const { root, config, rewriter, tls } of hosts) {
      rewrites.push(...rewriter.warnings);
      const subject = root ?? `every registry that matches ${quote(key)}`;
      if (tls?.insecureSkipVerify && !subject.startsWith('http:')) {
        const place = config.tls?.declaredAt?.insecureSkipVerify ?? config.declaredAt;
        lenient.set(subject, [...(lenient.get(subject) ?? []), place]);
      }
    }
  }
  const unchecked = [...lenient].map(([subject, places]) => {
    const [first, ...others] = new Set(places.filter((place) => place !== undefined));
    const more = others.length === 0 ? '' : `, and ${others.length} more`;
    return `the certificate of ${subject} is not checked: insecureSkipVerify${first === undefined ? '' : ` (${first}${more})`}`;
  });
  return [...rewrites, ...unchecked];
}
