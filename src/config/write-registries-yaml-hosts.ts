import type { Login } from '../login.ts';
import type { Config, OriginConfig, TlsConfig } from './model.ts';
import type { Yaml } from './write-yaml.ts';
import { fileTls, keyPath, type Tell } from './written.ts';

/** What the file says of a host. */
export interface HostEntry {
  readonly auth?: Readonly<Record<string, string>>;
  readonly tls?: TlsConfig;
}

/** Adds the TLS settings of a host to those of its entry. */
export function addTls(
  host: OriginConfig,
  { name, path }: { readonly name: string; readonly path: string },
  hosts: Map<string, HostEntry>,
  tell: Tell,
): void {
  if (!host.tls) return;
  const tls = fileTls(host.tls, `${path}.tls`, tell);
  const known = hosts.get(name)?.tls;
  if (host.url?.startsWith('http:')) tell(`${path}.tls`, 'not used, the host is asked over http');
  else if (known && JSON.stringify(known) !== JSON.stringify(tls)) tell(`${path}.tls`, 'a host has one TLS setting');
  else if (Object.keys(tls).length > 0) hosts.set(name, { ...hosts.get(name), tls });
  if (tls.ca && tls.ca.length > 1) tell(`${path}.tls.ca`, 'it has one ca_file; only the first is written');
}

/**
 * TLS settings of `*` are for all hosts without an entry: those that have other settings get one. An endpoint's own
 * name is then a registry with an entry.
 */
export function exceptNamed(
  registries: NonNullable<Config['registries']>,
  hosts: Map<string, HostEntry>,
  tell: Tell,
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
    tell(`${keyPath('registries', '*')}.origin.tls`, words);
  }
}

/** Adds logins to the entries of their hosts. */
export function addLogins(credentials: Config['credentials'], hosts: Map<string, HostEntry>, tell: Tell): void {
  if (typeof credentials === 'function') return;
  for (const [key, login] of Object.entries(credentials ?? {})) {
    if (key.includes('/')) tell(keyPath('credentials', key), 'logins are of hosts, not of paths');
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
