const hostAndPort = /^(\[[0-9a-fA-F:]+\]|[^:]*)(?::(\d+))?$/;
const label = /^[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?$/;
const hub = 'docker.io';
const hubHosts: ReadonlySet<string> = new Set([hub, 'index.docker.io', 'registry-1.docker.io']);

/**
 * What is wrong with a registry, `host[:port]`, in words; undefined if nothing is. Names, IPv4 addresses, and IPv6
 * addresses in brackets without a zone, as https://github.com/distribution/reference has them.
 */
export function hostProblem(registry: string): string | undefined {
  const [, host, port] = hostAndPort.exec(registry) ?? [];
  if (host === undefined) return 'not host or host:port';
  if (host === '') return 'empty host';
  if (port !== undefined && Number(port) > 65_535) return 'port above 65535';
  if (!host.startsWith('[') && !host.split('.').every((part) => label.test(part))) return 'not a host name';
  // What only a URL parser knows: the forms of an address, 1.2.3.999, [1::2::3].
  return addressOf(host) === undefined ? 'not a host that a URL can have' : undefined;
}

/** A registry in its one spelling: lower case, and Docker Hub's hosts as `docker.io`. A port is kept. */
export function normalizeRegistry(registry: string): string {
  const lower = registry.toLowerCase();
  return hubHosts.has(lower) ? hub : lower;
}

/**
 * Whether both are one registry: any case, and Docker Hub by any of its names. Where one has no port, the other's may
 * be 443 or 80, the two that a URL leaves out.
 */
export function sameRegistry(a: string, b: string): boolean {
  const [one, other] = [portless(a), portless(b)];
  return one.host === other.host && (one.port === other.port || one.port === '' || other.port === '');
}

/** `port` is empty if the registry has none; any port but a default one stays with `host`. */
function portless(registry: string): { host: string; port: string } {
  const [, host = '', port = ''] = /^(.*):(443|80)$/.exec(registry) ?? [undefined, registry];
  return { host: normalizeRegistry(host), port };
}

/**
 * Where a registry answers when nothing else is configured: http for loopback hosts, https for all others;
 * `docker.io` at `https://registry-1.docker.io`. With certificates configured, it is https for all.
 */
export function apiOrigin(registry: string, hasCertificates = false): string {
  if (normalizeRegistry(registry.replace(/:443$/, '')) === hub) return 'https://registry-1.docker.io';
  const isPlain = isLoopbackHost(registry) && !hasCertificates;
  return new URL(`${isPlain ? 'http' : 'https'}://${registry}`).origin;
}

/** Whether a host, with or without a port, is this machine by name or address: localhost, *.localhost, 127.0.0.0/8, [::1]. */
export function isLoopbackHost(host: string): boolean {
  const address = addressOf(host);
  if (address === undefined) return false;
  return /(?:^|\.)localhost$/.test(address) || /^127\.\d+\.\d+\.\d+$/.test(address) || address === '[::1]';
}

/** As a URL spells it: `127.1` is 127.0.0.1, and `[0:0:0:0:0:0:0:1]` is [::1]. */
function addressOf(host: string): string | undefined {
  try {
    return new URL(`http://${host}`).hostname;
  } catch {
    return undefined;
  }
}

/**
 * The API root of a host, without a slash at its end: its URL and `/v2`, or the URL as it is. A path that ends in `/v2` is
 * taken for a root that is written out.
 */
export function rootOf({
  url,
  overridePath = false,
}: {
  readonly url: string;
  readonly overridePath?: boolean | undefined;
}): string {
  const { origin, pathname } = new URL(url);
  let end = pathname.length;
  while (pathname[end - 1] === '/') end -= 1;
  const path = pathname.slice(0, end);
  return origin + (overridePath || path.endsWith('/v2') ? path : `${path}/v2`);
}
