import type { Capability } from '../../endpoint.ts';
import { isLoopbackHost, nameProblem, normalizeRegistry } from '../../oci/reference.ts';
import { hostProblem } from '../../oci/registry.ts';
import { quote } from '../../text/quote.ts';
import { type Decoded, flag, listOf, type Placed, tableOf, text } from '../document/decoders.ts';
import type { FileReport, KeyPlace } from '../document/file-report.ts';
import type { HostConfig, RegistryConfig } from '../model.ts';
import type { RewriteRule } from '../rewrite.ts';

const mirror = { location: text, insecure: flag, 'pull-from-mirror': text };

/** A `[[registry]]` table. */
export const containersRegistry = {
  prefix: text,
  location: text,
  insecure: flag,
  blocked: flag,
  'mirror-by-digest-only': flag,
  'pull-from-mirror': text,
  mirror: listOf(tableOf(mirror)),
};

type ContainersRegistry = Placed<Decoded<typeof containersRegistry>>;
type ContainersMirror = Placed<Decoded<typeof mirror>>;

/** Capabilities by `pull-from-mirror`. */
const modes: ReadonlyMap<string, readonly Capability[] | undefined> = new Map([
  ['', undefined],
  ['all', undefined],
  ['digest-only', ['pull']],
  ['tag-only', ['resolve']],
]);

/** Tables by prefix. Of two with the same prefix the first counts, as those tools have it. */
export function readRegistries(
  tables: readonly ContainersRegistry[],
  report: FileReport,
): Record<string, RegistryConfig> | undefined {
  const registries = new Map<string, RegistryConfig>();
  const places = new Map<string, ContainersRegistry>();
  for (const table of tables) {
    checkSame(table, places, report);
    const prefix = prefixOf(table, report);
    if (!prefix) continue;
    const key = locationText(prefix);
    if (registries.has(key)) report.warn(table, `not used, ${quote(key)} has a table above`);
    else registries.set(key, registryOf(table, prefix, report));
  }
  return registries.size > 0 ? Object.fromEntries(registries) : undefined;
}

/** Tables of one location must agree in what they allow. */
function checkSame(table: ContainersRegistry, places: Map<string, ContainersRegistry>, report: FileReport): void {
  const place = table.value.location?.value || table.value.prefix?.value;
  if (place === undefined) return;
  const before = places.get(place);
  if (!before) places.set(place, table);
  for (const key of before ? (['insecure', 'blocked'] as const) : []) {
    if ((before?.value[key]?.value ?? false) === (table.value[key]?.value ?? false)) continue;
    report.problem(table.value[key] ?? table, `found another ${key} for ${quote(place)} than above, expected the same`);
  }
}

/** `isTable`: the registry that a table is for; if no reference can have its host, no pull needs the table. */
function located(
  found: Placed<string> | undefined,
  report: FileReport,
  { isPrefix = false, isTable = false } = {},
): Location | undefined {
  if (!found?.value) return undefined;
  const location = parseLocation(found.value, isPrefix);
  if (!('problem' in location)) return location;
  if (location.isNoHost && isTable) report.warn(found, `not used, ${location.problem}`);
  else report.problem(found, `found ${quote(found.value)}, ${location.problem}`);
  return undefined;
}

/** The table's prefix, else its location; undefined if it is wrong. */
function prefixOf(table: ContainersRegistry, report: FileReport): Location | undefined {
  const { prefix, location } = table.value;
  if (!prefix?.value && !location?.value) {
    report.problem(table, 'found neither prefix nor location, expected one of them');
    return undefined;
  }
  if (!prefix?.value) return located(location, report, { isTable: true });
  const parsed = located(prefix, report, { isPrefix: true, isTable: true });
  if (parsed && !location?.value && !parsed.host.startsWith('*.')) {
    report.problem(table, 'found a prefix without a location, expected both unless the prefix is "*.domain"');
  }
  return parsed;
}

function registryOf(table: ContainersRegistry, prefix: Location, report: FileReport): RegistryConfig {
  const { location, insecure, blocked, mirror: mirrors } = table.value;
  const byDigest = table.value['mirror-by-digest-only']?.value ?? false;
  const forMirrors = table.value['pull-from-mirror'];
  if (forMirrors) report.problem(forMirrors, 'found in a registry, expected only in mirrors');
  const origin = located(table.value.prefix?.value ? location : undefined, report) ?? (location && prefix);
  if (!origin && insecure?.value) report.warn(insecure, 'not used for the registries themselves, only for a location');
  const hosts = mirrors?.value.flatMap((entry) => readMirror(entry, prefix, byDigest, report)) ?? [];
  const host = origin && hostOf(origin, prefix, table, insecure, report);
  // Only the registry itself is blocked: its mirrors are contacted.
  const isReplaced = blocked?.value === true && hosts.length > 0;
  return {
    ...(hosts.length > 0 && { mirrors: hosts }),
    ...(isReplaced ? { origin: 'never' as const } : host && { origin: host }),
    ...(blocked?.value && !isReplaced && { blocked: true }),
    declaredAt: report.line(table),
  };
}

function readMirror(table: ContainersMirror, prefix: Location, byDigest: boolean, report: FileReport): HostConfig[] {
  const { location, insecure, 'pull-from-mirror': from } = table.value;
  if (!location?.value) report.problem(table, 'found no location, expected one');
  if (from?.value && byDigest) {
    report.problem(from, `found ${quote(from.value)}, expected it without mirror-by-digest-only`);
  } else if (from && !modes.has(from.value)) {
    report.problem(from, `found ${quote(from.value)}, expected "all", "digest-only" or "tag-only"`);
  }
  const parsed = located(location, report);
  if (!parsed) return [];
  const capabilities = modes.get(byDigest ? 'digest-only' : (from?.value ?? ''));
  return [{ ...hostOf(parsed, prefix, table, insecure, report), ...(capabilities && { capabilities }) }];
}

function hostOf(
  location: Location,
  prefix: Location,
  place: KeyPlace,
  insecure: Placed<boolean> | undefined,
  report: FileReport,
): HostConfig {
  const isInsecure = insecure?.value ?? false;
  const rule = remap(prefix, location);
  const skipVerify = isInsecure && !isLoopbackHost(location.host);
  if (skipVerify && insecure) {
    report.warn(insecure, `certificates of ${quote(location.host)} are not verified; it is never contacted over http`);
  }
  return {
    url: locationUrl(location, isInsecure),
    ...(rule && { rewrites: [rule] }),
    // Those tools send none.
    ...(location.host !== prefix.host && { omitNamespace: true }),
    ...(skipVerify && { tls: { insecureSkipVerify: true } }),
    declaredAt: report.line(place),
  };
}

/** `host[:port][/path]` of registries.conf; `*.domain` for a prefix. */
export interface Location {
  readonly host: string;
  /** Without slashes around it; empty for the whole host. */
  readonly path: string;
}

interface LocationProblem {
  readonly problem: string;
  readonly isNoHost?: boolean;
}

/** Reads a location, or what is wrong with it in words. `isPrefix` allows `*.domain`. */
function parseLocation(text: string, isPrefix: boolean): Location | LocationProblem {
  if (/^https?:\/\//i.test(text)) return { problem: 'expected host or host/path, without a scheme' };
  const trimmed = text.replace(/(?<!\/)\/+$/, '');
  const slash = trimmed.indexOf('/');
  const host = slash === -1 ? trimmed : trimmed.slice(0, slash);
  const path = slash === -1 ? '' : trimmed.slice(slash + 1);
  const isWildcard = host.startsWith('*.');
  if (isWildcard && (!isPrefix || path !== '' || host.includes(':'))) {
    return {
      problem: isPrefix ? 'expected "*.domain" without port and path' : 'expected a host, "*." is for prefixes',
    };
  }
  const problem = hostProblem(isWildcard ? host.slice(2) : host);
  if (problem !== undefined) return { problem, isNoHost: true };
  if (/[:@]/.test(path))
    return { problem: 'expected a prefix of repositories, single tags and digests are not supported' };
  const wrong = slash === -1 ? undefined : nameProblem(path);
  return wrong === undefined ? { host: normalizeRegistry(host), path } : { problem: wrong };
}

const locationText = ({ host, path }: Location): string => (path === '' ? host : `${host}/${path}`);

/**
 * The URL of a location. https, as containers' tools do; http for this machine if `insecure`, as nothing
 * falls back from https to http here.
 */
export function locationUrl({ host }: Location, isInsecure: boolean): string {
  const apiHost = host === 'docker.io' ? 'registry-1.docker.io' : host;
  return `${isInsecure && isLoopbackHost(host) ? 'http' : 'https'}://${apiHost}`;
}

/**
 * The rule that replaces a prefix's path at the beginning of a repository's name with a location's path. It matches
 * every name below the prefix; if nothing is left of a name, the host is left out.
 */
function remap({ path: from }: Location, { path: to }: Location): RewriteRule | undefined {
  if (from === to) return undefined;
  // A path has no sign that means something to a pattern but the dot, and none that does to a replacement.
  const escaped = from.replaceAll('.', '\\.');
  if (from === '') return { pattern: '^(.+)$', replacement: `${to}/$1` };
  if (to === '') return { pattern: `^${escaped}(?:/(.+))?$`, replacement: '$1' };
  return { pattern: `^${escaped}(/.+)?$`, replacement: `${to}$1` };
}
