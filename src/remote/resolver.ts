import { parseConfig } from '../config/config.ts';
import { credentialsFor } from '../config/credentials.ts';
import { rootOf } from '../config/host-parts.ts';
import { matchKey } from '../config/match.ts';
import type { Config, HostConfig, RegistryConfig } from '../config/model.ts';
import { readPem } from '../config/pem.ts';
import { checkRewritten, compileRewrites, type Rewriter } from '../config/rewrite.ts';
import { type Capability, type Endpoint, redactUrl, type Skipped, type TlsOptions } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import { checkTls } from '../http/tls-fault.ts';
import { apiOrigin, type Repository, sameRegistry } from '../oci/reference.ts';
import { pullScope } from '../oci/scope.ts';
import { proxyFor } from '../proxy.ts';

/** Where to ask for a repository, in order. No I/O. */
export type Resolver = (repository: Repository) => readonly Endpoint[];

/** The endpoints of a repository, and the configured hosts that are none, with the reason. */
export interface Hosts {
  readonly endpoints: readonly Endpoint[];
  readonly skipped: readonly Skipped[];
}

/** A configured host, its rules compiled and its files read. */
interface Host {
  readonly root: string;
  readonly config: HostConfig;
  readonly rewriter: Rewriter;
  readonly tls: TlsOptions | undefined;
}

export interface HostPlanner {
  hosts(repository: Repository): Hosts;
  /** What the configuration says that cannot have been meant. */
  readonly warnings: readonly string[];
}

const everything: readonly Capability[] = ['pull', 'resolve', 'referrers'];

/**
 * The resolver of a configuration: mirrors in their order, then the origin. `INVALID_CONFIG` at once for whatever is
 * wrong with it; a mirror whose rewrite gives no repository name is left out.
 */
export function createResolver(config: Config = {}): Resolver {
  const { hosts } = planHosts(parseConfig(config));
  return (repository) => hosts(repository).endpoints;
}

/** As `createResolver`, of a configuration that was checked, and with what is left out. */
export function planHosts({ registries = {}, credentials, proxy = {} }: Config): HostPlanner {
  const compiled = new Map<string, { config: RegistryConfig; hosts: readonly Host[] }>();
  for (const [key, config] of Object.entries(registries)) {
    compiled.set(key, { config, hosts: compileRegistry(key, config) });
  }
  const keys = new Set(compiled.keys());
  const hosts = (repository: Repository): Hosts => {
    const key = matchKey(keys, repository);
    const found = key === undefined ? undefined : compiled.get(key);
    const mirrors = found?.hosts ?? [];
    const all = found?.config.origin === undefined ? [...mirrors, defaultOrigin(repository.registry)] : mirrors;
    if (found?.config.blocked) {
      const { declaredAt } = found.config;
      const blocked = { reason: 'the registry is blocked', ...(declaredAt !== undefined && { declaredAt }) };
      return { endpoints: [], skipped: all.map(({ root }) => ({ url: root, ...blocked })) };
    }
    const endpoints: Endpoint[] = [];
    const skipped: Skipped[] = [];
    for (const host of all) {
      const endpoint = endpointOf(host, repository, { credentials, proxy });
      if ('reason' in endpoint) skipped.push(endpoint);
      else endpoints.push(endpoint);
    }
    return { endpoints, skipped };
  };
  return { hosts, warnings: [...compiled.values()].flatMap((found) => found.hosts.flatMap(warningsOf)) };
}

function warningsOf({ root, tls, rewriter, config: { declaredAt } }: Host): readonly string[] {
  const told = declaredAt === undefined ? '' : ` (${declaredAt})`;
  const lenient = `the certificate of ${root} is not checked: insecureSkipVerify${told}`;
  return tls?.insecureSkipVerify ? [...rewriter.warnings, lenient] : rewriter.warnings;
}

function compileRegistry(key: string, { mirrors = [], origin }: RegistryConfig): Host[] {
  const where = `registries[${JSON.stringify(key)}]`;
  const hosts = mirrors.map((mirror, index) => compileHost(mirror, `${where}.mirrors[${index}]`));
  return origin === undefined || origin === 'never' ? hosts : [...hosts, compileHost(origin, `${where}.origin`)];
}

function compileHost(config: HostConfig, where: string): Host {
  const { rewrites = [], tls } = config;
  const root = rootOf(config);
  const { ca, cert, key, insecureSkipVerify } = tls ?? {};
  return {
    root,
    config,
    rewriter: compileRewrites(rewrites, `${where} (${root})`),
    tls:
      tls &&
      checkTls(
        {
          ...(ca && { ca: ca.map((text, index) => readPem(text, `${where}.tls.ca[${index}]`)) }),
          ...(cert !== undefined && { cert: readPem(cert, `${where}.tls.cert`) }),
          ...(key !== undefined && { key: readPem(key, `${where}.tls.key`) }),
          ...(insecureSkipVerify !== undefined && { insecureSkipVerify }),
        },
        `${where}.tls`,
      ),
  };
}

/** The registry itself. No rule is ever applied to it. */
function defaultOrigin(registry: string): Host {
  return compileHost({ url: apiOrigin(registry) }, registry);
}

function endpointOf(
  { root, config, rewriter, tls }: Host,
  { registry, name }: Repository,
  { credentials, proxy = {} }: Pick<Config, 'credentials' | 'proxy'>,
): Endpoint | Skipped {
  const { capabilities = everything, headers, connectTimeout, requestsPerSecond, concurrency, declaredAt } = config;
  const through = proxyFor(new URL(root), proxy);
  const { name: repository, rule } = rewriter.rewrite(name);
  try {
    if (rule) checkRewritten(repository, rule, name);
  } catch (error) {
    if (!(error instanceof RegistryError)) throw error;
    return { url: root, reason: error.message, code: error.code, ...(declaredAt !== undefined && { declaredAt }) };
  }
  const { host } = new URL(root);
  const source = credentialsFor(credentials, host, repository);
  return {
    url: root,
    repository,
    scopes: [pullScope(repository)],
    capabilities,
    ...(!sameRegistry(host, registry) && { namespace: registry }),
    ...(rule && { rewrite: { pattern: rule.pattern, replacement: rule.replacement, from: name } }),
    ...(headers && { headers }),
    ...(tls && { tls }),
    ...(connectTimeout !== undefined && { connectTimeout }),
    ...(source !== undefined && { credentials: source }),
    ...(requestsPerSecond !== undefined && { requestsPerSecond }),
    ...(concurrency !== undefined && { concurrency }),
    ...(through !== undefined && { proxy: redactUrl(through) }),
    ...(declaredAt !== undefined && { declaredAt }),
  };
}
