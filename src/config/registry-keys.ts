import ipaddr from 'ipaddr.js';
import type { Repository } from '../oci/reference.ts';
import { hostProblem, normalizeRegistry } from '../oci/registry.ts';

/** What is wrong with a key of `registries`, in words. */
export function registryKeyProblem(key: string): string | undefined {
  const host = key.startsWith('*.') ? key.slice(2) : key;
  if (key === '*' || hostProblem(host) === undefined) return undefined;
  const isBelow = !key.startsWith('*') && credentialKeyProblem(key) === undefined;
  return isBelow ? undefined : 'expected a registry, host or host:port, host/path, "*.domain" or "*"';
}

/** What is wrong with a key of `credentials`, in words. */
export function credentialKeyProblem(key: string): string | undefined {
  const slash = key.indexOf('/');
  const isHost = hostProblem(slash === -1 ? key : key.slice(0, slash)) === undefined;
  const isPath = slash === -1 || /^(?:\/[^\s/?#]+)+\/?$/.test(key.slice(slash));
  return isHost && isPath ? undefined : 'expected host, host:port or host/path';
}

/** What is wrong with an entry of `allowPrivate`, in words. */
export function allowedHostProblem(entry: string): string | undefined {
  const isRange = ipaddr.isValid(entry) || ipaddr.isValidCIDR(entry);
  if (isRange || hostProblem(entry.replace(/^\*?\./, '')) === undefined) return undefined;
  return 'expected a host, host:port, .domain, an address or a CIDR block';
}

/** A key in its one spelling: the host in lower case, Docker Hub's hosts as `docker.io`; a path is kept. */
export function normalizeKey(key: string): string {
  const slash = key.indexOf('/');
  return slash === -1 ? normalizeRegistry(key) : normalizeRegistry(key.slice(0, slash)) + key.slice(slash);
}

/** What is wrong with a URL of a host, in words. It may have no user information. */
export function urlProblem(text: string): string | undefined {
  const parsed = /^https?:\/\/[^\s\\]+$/i.test(text) ? parseUrl(text) : undefined;
  if (!parsed) return 'expected an absolute http or https URL';
  if (/[?#]/.test(text)) return 'expected a URL without query and fragment';
  if (/^[^/]*\/\/[^/]*@/.test(text)) return 'expected a URL without user name and password';
  return undefined;
}

/** Two names that are one header, differing only in case. */
export function sameHeaders(names: readonly string[]): readonly [string, string] | undefined {
  const spelled = new Map<string, string>();
  for (const name of names) {
    const before = spelled.get(name.toLowerCase());
    if (before !== undefined) return [before, name];
    spelled.set(name.toLowerCase(), name);
  }
  return undefined;
}

function parseUrl(text: string): URL | undefined {
  try {
    return new URL(text);
  } catch {
    return undefined;
  }
}

/**
 * The key of `registries` that a repository falls under: its host and the longest path, its host, the longest `*.domain`
 * that its host is below, or `*`. Keys are in their one spelling.
 */
export function matchKey(keys: ReadonlySet<string>, { registry, name }: Repository): string | undefined {
  const host = normalizeRegistry(registry);
  const parts = [host, ...name.split('/')];
  const below = parts.map((_, index) => parts.slice(0, parts.length - index).join('/'));
  const labels = host.split('.');
  const domains = labels.slice(1).map((_, index) => `*.${labels.slice(index + 1).join('.')}`);
  return [...below, ...domains, '*'].find((key) => keys.has(key));
}
