import { quote } from '../oci/quote.ts';
import { apiOrigin } from '../oci/reference.ts';
import { urlFault } from './host.ts';
import { apiHost, rootOf, shownUrl } from './host-parts.ts';
import { everything, type HostTable, readRoot, readSettings } from './hosts-toml-tables.ts';
import type { HostConfig, OriginConfig } from './model.ts';
import type { Read } from './read.ts';
import { again, type Place, type Reading, startReading } from './reading.ts';
import { parseToml } from './toml.ts';

/** Where a `hosts.toml` was found. */
export interface HostsTomlPlace {
  /** As messages name it. */
  readonly file: string;
  /** What its relative paths are relative to. */
  readonly directory: string;
  /** The registry that it is for; `*` for the one in `_default`. */
  readonly registry: string;
}

interface Context extends HostsTomlPlace {
  readonly reading: Reading;
}

/**
 * Reads containerd's `hosts.toml`: its hosts in the file's order, then `server`, or the registry itself where it has
 * none. A `server` that is one of the hosts too is asked once. Rewrites are those of k3s' containerd. `INVALID_CONFIG`
 * with all problems: containerd passes over a file that it cannot read and asks the registry itself.
 * https://github.com/containerd/containerd/blob/main/docs/hosts.md
 */
export function readHostsToml(toml: string, place: HostsTomlPlace): Read {
  const context = { ...place, reading: startReading(place.file) };
  const { server, host, ...table } = readRoot(parseToml(toml, place.file, again(context.reading)), context.reading);
  const mirrors = (host?.value ?? []).flatMap((entry) => readHost(entry.key, entry, entry.value, context) ?? []);
  const origin =
    server === undefined || server.value === ''
      ? readDefaultOrigin(table, context)
      : withoutRepeat(readHost(server.value, server, table, context), mirrors);
  const registry = {
    ...(mirrors.length > 0 && { mirrors }),
    ...(origin !== undefined && { origin }),
    declaredAt: `${place.file}:1`,
  };
  return context.reading.end({ registries: { [place.registry]: registry } });
}

function readHost(written: string, place: Place, table: HostTable, context: Context): HostConfig | undefined {
  const { reading, directory } = context;
  const url = readUrl(written, place, reading);
  const { tls, ...settings } = readSettings(table, directory, reading);
  const isHttp = url?.startsWith('http:');
  for (const found of isHttp ? [table.ca, table.client, table.skip_verify] : []) {
    if (found) reading.warn(found, 'not used, the host is asked over http, as its URL says');
  }
  return url === undefined
    ? undefined
    : { url, ...settings, ...(tls && !isHttp && { tls }), declaredAt: reading.line(place) };
}

/** With a scheme, and its path clean. The resolver appends `/v2` where it is not there. */
function readUrl(written: string, place: Place, reading: Reading): string | undefined {
  const url = written.includes('://') ? written : `https://${written}`;
  const fault = urlFault(url);
  if (fault !== undefined) {
    reading.problem(place, `found ${quote(shownUrl(written))}, ${fault}`);
    return undefined;
  }
  const { origin, pathname } = apiHost(new URL(url));
  return origin + pathname.replace(/\/{2,}/g, '/').replace(/\/$/, '');
}

/**
 * The registry itself, where keys that stand before the hosts say something of it. In `_default` that is whichever
 * registry is asked for, at its own address.
 * https://github.com/containerd/containerd/blob/main/core/remotes/docker/config/hosts.go
 */
function readDefaultOrigin(
  table: HostTable,
  { registry, directory, reading, file }: Context,
): OriginConfig | undefined {
  for (const found of [table.capabilities, table.override_path, table.rewrite]) {
    if (found) reading.warn(found, 'not used without a server');
  }
  const { tls, headers, connectTimeout } = readSettings(table, directory, reading);
  const settings = { ...(tls && { tls }), ...(headers && { headers }), ...(connectTimeout && { connectTimeout }) };
  if (Object.keys(settings).length === 0) return undefined;
  return { ...(!registry.includes('*') && { url: apiOrigin(registry) }), ...settings, declaredAt: `${file}:1` };
}

/** A server that is one of the hosts is asked for what it is not asked for there; `never` where that is nothing. */
function withoutRepeat(
  server: HostConfig | undefined,
  mirrors: readonly HostConfig[],
): HostConfig | 'never' | undefined {
  if (!server || server.rewrites) return server;
  const same = mirrors.filter((mirror) => rootOf(mirror) === rootOf(server) && !mirror.rewrites);
  if (same.length === 0) return server;
  const asked = same.flatMap(({ capabilities = everything }) => capabilities);
  const capabilities = (server.capabilities ?? everything).filter((capability) => !asked.includes(capability));
  return capabilities.length === 0 ? 'never' : { ...server, capabilities };
}
