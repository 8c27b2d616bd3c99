import { cannot } from '../errors.ts';
import type { CredentialProvider, Login } from '../login.ts';
import { normalizeRegistry } from '../oci/reference.ts';
import { quote } from '../text/quote.ts';
import type { Config, ShortNames } from './model.ts';

type Credentials = Config['credentials'];

/** Looks a login up as the configuration has it. Hosts are matched whole: a login never goes to another host. */
export function loginFrom(credentials: Credentials): CredentialProvider {
  if (typeof credentials === 'function') return credentials;
  return (host, { repository = '' } = {}) => {
    const key = credentials && keyFor(credentials, host, repository);
    return key === undefined ? undefined : credentials?.[key];
  };
}

/** Where the login of a host comes from, in words: a key of the configuration, the provider, or nowhere. */
export function credentialsFor(credentials: Credentials, host: string, repository: string): string | undefined {
  if (typeof credentials === 'function') {
    return credentials.describe ? credentials.describe(host, repository) : 'credentials provider';
  }
  const key = credentials && keyFor(credentials, host, repository);
  return key === undefined ? undefined : `credentials[${JSON.stringify(key)}]`;
}

/**
 * Several credentials as one: they are tried in turn until one has a login. Use it to add a function of your own to files:
 * `{ ...config, credentials: credentialsInTurn(mine, config.credentials) }`. What one of them throws is not passed over.
 */
export function credentialsInTurn(...given: readonly Credentials[]): CredentialProvider {
  const providers = given.map(loginFrom);
  const inTurn: CredentialProvider = async (host, context) => {
    for (const provider of providers) {
      const login = await provider(host, context);
      if (login) return login;
    }
    return undefined;
  };
  const describe = (host: string, repository: string): string | undefined => {
    const sources = given.map((credentials) => credentialsFor(credentials, host, repository));
    return sources.filter((text) => text !== undefined).join(', else ') || undefined;
  };
  const logins = given.map((each) => (typeof each === 'function' ? each.logins : each)).reverse();
  const helpers = given.flatMap((each) => (typeof each === 'function' ? (each.helpers ?? []) : []));
  return Object.assign(inTurn, { describe, logins: Object.assign(Object.create(null), ...logins), helpers });
}

/** The key whose login a host gets for a repository: its own host, the longest path that the repository is below. */
function keyFor(credentials: Readonly<Record<string, Login>>, host: string, repository: string): string | undefined {
  const normalized = normalizeRegistry(host);
  const matching = Object.keys(credentials)
    .map((key) => ({ key, ...parseKey(key) }))
    // The host comes from a URL, which has no default port; a key is as its user wrote it.
    .filter((entry) => [entry.host, portless(entry.host)].includes(normalized))
    .filter((entry) => `${repository}/`.startsWith(entry.path === '' ? '' : `${entry.path}/`));
  const isExact = ({ host }: { host: string }): number => Number(host === normalized);
  return matching.sort((a, b) => b.path.length - a.path.length || isExact(b) - isExact(a))[0]?.key;
}

/** Docker's own file names Docker Hub `https://index.docker.io/v1/`: scheme, version and case do not count. */
function parseKey(key: string): { host: string; path: string } {
  const [host = '', ...path] = key
    .replace(/^https?:\/\//i, '')
    .replace(/\/(?:v[12]\/?)?$/, '')
    .split('/');
  return { host: normalizeRegistry(host), path: path.join('/') };
}

/** The host without the two ports that a URL leaves out. */
const portless = (host: string): string => normalizeRegistry(host.replace(/:(?:443|80)$/, ''));

/**
 * Adds the registry to a reference without one: that of an alias, or the one registry that is searched.
 * `INVALID_REFERENCE` if several are searched, as the choice would be a guess.
 */
export function expandShortName(reference: string, { aliases = {}, search }: ShortNames = {}): string {
  const [, name = '', suffix = ''] = /^([^:@]*)(.*)/s.exec(reference) ?? [];
  const [first = ''] = name.split('/');
  // "docker" is an alias of many machines, but not in "docker://".
  if (suffix.startsWith('://')) return reference;
  // `localhost` and whatever has a dot or a port is a registry, as in references.
  if (name === '' || first.includes('.') || /^localhost$/i.test(first) || hasPort(reference)) return reference;
  if (Object.hasOwn(aliases, name)) return `${aliases[name]}${suffix}`;
  if (!search || search.length === 0) return reference;
  if (search.length > 1) {
    const found = `it has no registry, and ${search.length} are searched (${search.join(', ')}): name one`;
    throw cannot('INVALID_REFERENCE', `parse reference ${quote(reference)}`, found);
  }
  return `${search[0]}/${name}${suffix}`;
}

const hasPort = (reference: string): boolean => /^[^/@]*:\d+\//.test(reference);
