import { normalizeRegistry, type Repository } from '../oci/reference.ts';

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
