import type { Login } from '../../login.ts';
import { apiOrigin } from '../../oci/reference.ts';
import { rootOf } from '../../oci/registry.ts';

import { writeYaml, type Yaml } from '../document/yaml.ts';
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
import type { Config, HostConfig, OriginConfig, RegistryConfig, TlsConfig } from '../model.ts';

/** What the file says of a host. */
export interface HostEntry {
  readonly auth?: Readonly<Record<string, string>>;
  readonly tls?: TlsConfig;
}

/**
 * Writes a configuration as k3s' `registries.yaml`. Rewrites are there of a registry and not of a mirror, so mirrors
 * whose rules differ from those of the first are left out, as they would get wrong names; so are mirrors that are not
 * trusted with both content and tags, as every mirror is trusted there.
 */
export function writeRegistriesYaml(config: Config): WrittenFiles {
  const losses: Loss[] = [];
  const report: ReportLoss = (path, why, registry) => void losses.push({ path, why, registry });
  const hosts = new Map<string, HostEntry>();
  const mirrors: [string, Yaml][] = [];
  const registries = config.registries ?? {};
  const hasDefault = Object.hasOwn(registries, '*');
  for (const [key, registry] of Object.entries(registries)) {
    const path = keyPath('registries', key);
    if (key !== '*' && /[*/]/.test(key)) report(path, 'it has entries for hosts, not for paths or domains');
    else if (registry.blocked) report(path, 'it cannot block a registry, which would be contacted');
    else {
      const entry = mirrorOf(registry, { key, path }, hosts, report);
      addOrigin(registry, key, path, hosts, report);
      if (entry) mirrors.push([key, entry]);
      else if (hasDefault && key !== '*')
        report(path, 'without mirrors it has no entry, so the mirrors of "*" are used');
    }
  }
  exceptNamed(registries, hosts, report);
  addLogins(config.credentials, hosts, report);
  reportUnrelated(config, report, true);
  const root = new Map<string, Yaml>([
    ...(mirrors.length > 0 ? [['mirrors', new Map(mirrors)] as const] : []),
    ...(hosts.size > 0
      ? [['configs', new Map([...hosts].map(([host, entry]) => [host, entryOf(entry)]))] as const]
      : []),
  ]);
  const text = root.size === 0 ? '' : writeYaml(root);
  return { files: text === '' ? [] : [{ path: 'registries.yaml', text }], losses };
}

function mirrorOf(
  { mirrors = [] }: RegistryConfig,
  { key, path }: { readonly key: string; readonly path: string },
  hosts: Map<string, HostEntry>,
  report: ReportLoss,
): Yaml | undefined {
  const rules = rulesOf(mirrors[0]);
  const written = mirrors.filter((host, index) => {
    const at = `${path}.mirrors[${index}]`;
    const problem = problemOf(host, rules);
    if (problem !== undefined) {
      report(at, `${problem}; left out`);
      return false;
    }
    reportSettings(host, at, report);
    addTls(host, { name: new URL(host.url).host, path: at }, hosts, report);
    return true;
  });
  if (written.length === 0) return undefined;
  const rewrite: [string, string][] = JSON.parse(rules);
  return new Map<string, Yaml>([
    ['endpoint', written.map((host) => endpointOf(host, key))],
    ...(rewrite.length > 0 ? [['rewrite', new Map(rewrite)] as const] : []),
  ]);
}

const rulesOf = (host?: HostConfig): string =>
  JSON.stringify(firsts((host?.rewrites ?? []).map(({ pattern, replacement }) => [pattern, replacement])));

/** Why a mirror cannot be written. */
function problemOf(host: HostConfig, rules: string): string | undefined {
  const { capabilities = ['pull', 'resolve'] } = host;
  if (rulesOf(host) !== rules) return 'its rewrites differ from those of the first mirror';
  if (!capabilities.includes('pull') || !capabilities.includes('resolve'))
    return 'every mirror is trusted with content and with tags there';
  return new URL(rootOf(host)).pathname === '/' ? 'it cannot express an API at the root of a host' : undefined;
}

/**
 * `/v2` is left out; every other path is the whole API root. A mirror that would be taken for the registry itself, which is
 * contacted last and without rewrites, gets an explicit port, as in k3s' documentation.
 */
function endpointOf(host: HostConfig, key: string): string {
  const { origin, pathname } = new URL(rootOf({ ...host, url: host.url.replace(/(?<!\/)\/+$/, '') }));
  const isItself = pathname === '/v2' && key !== '*' && origin === apiOrigin(key);
  const base = isItself && new URL(origin).port === '' ? `${origin}:${origin.startsWith('http:') ? 80 : 443}` : origin;
  return pathname === '/v2' ? base : base + pathname;
}

function addOrigin(
  { origin }: RegistryConfig,
  key: string,
  path: string,
  hosts: Map<string, HostEntry>,
  report: ReportLoss,
): void {
  const at = `${path}.origin`;
  if (origin === undefined) return;
  if (origin === 'never') {
    report(at, 'start k3s with --disable-default-registry-endpoint; otherwise the registry is contacted last');
    return;
  }
  const { url, overridePath } = origin;
  const isDefault = url === undefined || (key !== '*' && rootOf({ url, overridePath }) === `${apiOrigin(key)}/v2`);
  if (!isDefault) report(at, 'the last host is always the registry itself');
  else {
    reportSettings(origin, at, report);
    if (origin.capabilities) report(`${at}.capabilities`, 'the registry itself has all capabilities');
    if (origin.rewrites?.length) report(`${at}.rewrites`, 'names are never rewritten for the registry itself');
    addTls(origin, { name: key, path: at }, hosts, report);
  }
}

function reportSettings(host: OriginConfig, path: string, report: ReportLoss): void {
  const { capabilities, headers, connectTimeout } = host;
  reportLimits(host, path, report);
  if (capabilities?.includes('referrers')) report(`${path}.capabilities`, 'referrers are never requested from mirrors');
  if (headers) report(`${path}.headers`, 'it has no headers');
  if (connectTimeout !== undefined) report(`${path}.connectTimeout`, 'it has no time limit');
}

/** Adds the TLS settings of a host to those of its entry. */
export function addTls(
  host: OriginConfig,
  { name, path }: { readonly name: string; readonly path: string },
  hosts: Map<string, HostEntry>,
  report: ReportLoss,
): void {
  if (!host.tls) return;
  const tls = fileTls(host.tls, `${path}.tls`, report);
  const known = hosts.get(name)?.tls;
  if (host.url?.startsWith('http:')) report(`${path}.tls`, 'not used, the host is contacted over http');
  else if (known && JSON.stringify(known) !== JSON.stringify(tls)) report(`${path}.tls`, 'a host has one TLS setting');
  else if (Object.keys(tls).length > 0) hosts.set(name, { ...hosts.get(name), tls });
  if (tls.ca && tls.ca.length > 1) report(`${path}.tls.ca`, 'it has one ca_file; only the first is written');
}

/**
 * TLS settings of `*` are for all hosts without an entry: those that have other settings get one. An endpoint's own
 * name is then a registry with an entry.
 */
export function exceptNamed(
  registries: NonNullable<Config['registries']>,
  hosts: Map<string, HostEntry>,
  report: ReportLoss,
): void {
  if (!hosts.get('*')?.tls) return;
  for (const key of Object.keys(registries)) if (!/[*/]/.test(key) && !hosts.has(key)) hosts.set(key, {});
  const endpoints = Object.values(registries).flatMap(({ mirrors = [] }) =>
    mirrors.map(({ url }) => new URL(url).host),
  );
  for (const name of new Set(endpoints)) {
    if (!hosts.has(name)) hosts.set(name, {});
    if (Object.hasOwn(registries, name)) continue;
    const words = `not for images of ${JSON.stringify(name)} itself, an endpoint with other settings`;
    report(`${keyPath('registries', '*')}.origin.tls`, words, name);
  }
}

/** Adds logins to the entries of their hosts. */
export function addLogins(credentials: Config['credentials'], hosts: Map<string, HostEntry>, report: ReportLoss): void {
  if (typeof credentials === 'function') return;
  for (const [key, login] of Object.entries(credentials ?? {})) {
    if (key.includes('/')) report(keyPath('credentials', key), 'logins are of hosts, not of paths');
    else hosts.set(key, { ...hosts.get(key), auth: authOf(login) });
  }
}

function authOf(login: Login): Record<string, string> {
  if ('identityToken' in login) return { identity_token: login.identityToken };
  if ('registryToken' in login) return { token: login.registryToken };
  return { username: login.username, password: login.password };
}

/** An entry of `configs`. */
export const entryOf = ({ auth, tls }: HostEntry): Yaml =>
  new Map<string, Yaml>([
    ...(auth ? [['auth', new Map(Object.entries(auth))] as const] : []),
    ...(tls
      ? [
          [
            'tls',
            new Map<string, Yaml>([
              ...(tls.ca?.[0] === undefined ? [] : [['ca_file', tls.ca[0]] as const]),
              ...(tls.cert === undefined ? [] : [['cert_file', tls.cert] as const]),
              ...(tls.key === undefined ? [] : [['key_file', tls.key] as const]),
              ...(tls.insecureSkipVerify ? [['insecure_skip_verify', true] as const] : []),
            ]),
          ] as const,
        ]
      : []),
  ]);
