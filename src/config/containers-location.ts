import { isLoopbackHost, nameFault, normalizeRegistry } from '../oci/reference.ts';
import { hostFault } from '../oci/registry.ts';
import type { RewriteRule } from './rewrite.ts';

/** `host[:port][/path]` of registries.conf; `*.domain` for a prefix. */
export interface Location {
  readonly host: string;
  /** Without slashes around it; empty for the whole host. */
  readonly path: string;
}

/** Reads a location, or what is wrong with it in words. `isPrefix` allows `*.domain`. */
export function parseLocation(text: string, isPrefix = false): Location | { readonly fault: string } {
  if (/^https?:\/\//i.test(text)) return { fault: 'expected host or host/path, without a scheme' };
  const trimmed = text.replace(/(?<!\/)\/+$/, '');
  const slash = trimmed.indexOf('/');
  const host = slash === -1 ? trimmed : trimmed.slice(0, slash);
  const path = slash === -1 ? '' : trimmed.slice(slash + 1);
  const isWildcard = host.startsWith('*.');
  if (isWildcard && (!isPrefix || path !== '' || host.includes(':'))) {
    return { fault: isPrefix ? 'expected "*.domain" without port and path' : 'expected a host, "*." is for prefixes' };
  }
  const fault = hostFault(isWildcard ? host.slice(2) : host);
  if (fault !== undefined) return { fault };
  if (/[:@]/.test(path))
    return { fault: 'expected a prefix of repositories, single tags and digests are not supported' };
  const wrong = slash === -1 ? undefined : nameFault(path);
  return wrong === undefined ? { host: normalizeRegistry(host), path } : { fault: wrong };
}

export const locationText = ({ host, path }: Location): string => (path === '' ? host : `${host}/${path}`);

/**
 * Where a location is asked. https, as containers' tools do; http where it is this machine and `insecure`, as nothing
 * falls back from https to http here.
 */
export function locationUrl({ host }: Location, isInsecure: boolean): string {
  const asked = host === 'docker.io' ? 'registry-1.docker.io' : host;
  return `${isInsecure && isLoopbackHost(host) ? 'http' : 'https'}://${asked}`;
}

/**
 * The rule that puts a location's path where a prefix's path stands at the beginning of a repository's name. It matches
 * every name below the prefix; one of which nothing is left is no name, and the host is left out.
 */
export function remap({ path: from }: Location, { path: to }: Location): RewriteRule | undefined {
  if (from === to) return undefined;
  // A path has no sign that means something to a pattern but the dot, and none that does to a replacement.
  const escaped = from.replaceAll('.', '\\.');
  if (from === '') return { pattern: '^(.+)$', replacement: `${to}/$1` };
  if (to === '') return { pattern: `^${escaped}(?:/(.+))?$`, replacement: '$1' };
  return { pattern: `^${escaped}(/.+)?$`, replacement: `${to}$1` };
}
