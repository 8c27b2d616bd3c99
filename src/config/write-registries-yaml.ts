import { apiOrigin } from '../oci/reference.ts';
import { rootOf } from './host-parts.ts';
import type { Config, HostConfig, OriginConfig, RegistryConfig } from './model.ts';
import { addLogins, addTls, entryOf, exceptNamed, type HostEntry } from './write-registries-yaml-hosts.ts';
import { type Yaml, yamlLines } from './write-yaml.ts';
import { firsts, keyPath, type Tell, tellLimits, tellOthers, type Written } from './written.ts';

/**
 * Writes a configuration as k3s' `registries.yaml`. Rewrites are there of a registry and not of a mirror, so mirrors
 * whose rules differ from those of the first are left out rather than asked for wrong names; so are mirrors that are not
 * trusted with both content and tags, as every mirror is trusted there.
 */
export function writeRegistriesYaml(config: Config): Written {
  const unexpressed: string[] = [];
  const tell: Tell = (path, why) => void unexpressed.push(`${path}: ${why}`);
  const hosts = new Map<string, HostEntry>();
  const mirrors: [string, Yaml][] = [];
  const registries = config.registries ?? {};
  const hasDefault = Object.hasOwn(registries, '*');
  for (const [key, registry] of Object.entries(registries)) {
    const path = keyPath('registries', key);
    if (key !== '*' && /[*/]/.test(key)) tell(path, 'it has entries for hosts, not for paths or domains');
    else if (registry.blocked) tell(path, 'nothing blocks a registry there; it would be asked');
    else {
      const entry = mirrorOf(registry, { key, path }, hosts, tell);
      tellOrigin(registry, key, path, hosts, tell);
      if (entry) mirrors.push([key, entry]);
      else if (hasDefault && key !== '*') tell(path, 'without mirrors it has no entry, and those of "*" are asked');
    }
  }
  exceptNamed(registries, hosts, tell);
  addLogins(config.credentials, hosts, tell);
  tellOthers(config, tell, true);
  const root = new Map<string, Yaml>([
    ...(mirrors.length > 0 ? [['mirrors', new Map(mirrors)] as const] : []),
    ...(hosts.size > 0
      ? [['configs', new Map([...hosts].map(([host, entry]) => [host, entryOf(entry)]))] as const]
      : []),
  ]);
  const text = root.size === 0 ? '' : `${yamlLines(root).join('\n')}\n`;
  return { files: text === '' ? [] : [{ path: 'registries.yaml', text }], unexpressed };
}

function mirrorOf(
  { mirrors = [] }: RegistryConfig,
  { key, path }: { readonly key: string; readonly path: string },
  hosts: Map<string, HostEntry>,
  tell: Tell,
): Yaml | undefined {
  const rules = rulesOf(mirrors[0]);
  const written = mirrors.filter((host, index) => {
    const at = `${path}.mirrors[${index}]`;
    const fault = faultOf(host, rules);
    if (fault !== undefined) {
      tell(at, `${fault}; left out`);
      return false;
    }
    tellSettings(host, at, tell);
    addTls(host, { name: new URL(host.url).host, path: at }, hosts, tell);
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
function faultOf(host: HostConfig, rules: string): string | undefined {
  const { capabilities = ['pull', 'resolve'] } = host;
  if (rulesOf(host) !== rules) return 'its rewrites differ from those of the first mirror';
  if (!capabilities.includes('pull') || !capabilities.includes('resolve'))
    return 'every mirror is trusted with content and with tags there';
  return new URL(rootOf(host)).pathname === '/' ? 'an API at the root of a host cannot be told' : undefined;
}

/**
 * `/v2` is left out; every other path is the whole API root. What would be taken for the registry itself, which is asked
 * last and without rewrites, is told from it by its port, as k3s' documents do it.
 */
function endpointOf(host: HostConfig, key: string): string {
  const { origin, pathname } = new URL(rootOf({ ...host, url: host.url.replace(/\/+$/, '') }));
  const isItself = pathname === '/v2' && key !== '*' && origin === apiOrigin(key);
  const base = isItself && new URL(origin).port === '' ? `${origin}:${origin.startsWith('http:') ? 80 : 443}` : origin;
  return pathname === '/v2' ? base : base + pathname;
}

function tellSettings(host: OriginConfig, path: string, tell: Tell): void {
  const { capabilities, headers, connectTimeout } = host;
  tellLimits(host, path, tell);
  if (capabilities?.includes('referrers')) tell(`${path}.capabilities`, 'mirrors are asked for no referrers');
  if (headers) tell(`${path}.headers`, 'it has no headers');
  if (connectTimeout !== undefined) tell(`${path}.connectTimeout`, 'it has no time limit');
}

function tellOrigin(
  { origin }: RegistryConfig,
  key: string,
  path: string,
  hosts: Map<string, HostEntry>,
  tell: Tell,
): void {
  const at = `${path}.origin`;
  if (origin === undefined) return;
  if (origin === 'never') {
    tell(at, 'start k3s with --disable-default-registry-endpoint; else the registry is asked last');
    return;
  }
  const { url, overridePath } = origin;
  const isDefault = url === undefined || (key !== '*' && rootOf({ url, overridePath }) === `${apiOrigin(key)}/v2`);
  if (!isDefault) tell(at, 'the last host is always the registry itself');
  else {
    tellSettings(origin, at, tell);
    if (origin.capabilities) tell(`${at}.capabilities`, 'the registry itself is asked for everything');
    if (origin.rewrites?.length) tell(`${at}.rewrites`, 'names are never rewritten for the registry itself');
    addTls(origin, { name: key, path: at }, hosts, tell);
  }
}
