import ipaddr from 'ipaddr.js';

/** URLs of proxies, by the scheme that is asked for; these may have a login in them. */
export interface ProxyConfig {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  /** For both schemes, where they have none of their own. */
  readonly all?: string | undefined;
  /** Hosts that are asked without a proxy: `host` with all below it, `.domain`, `host:port`, an address, a CIDR block, `*`. */
  readonly no?: readonly string[] | undefined;
}

/**
 * The proxy that a URL is asked through, if any. This machine never is, as Go has it.
 * https://pkg.go.dev/golang.org/x/net/http/httpproxy
 */
export function proxyFor(url: URL, { http, https, all, no = [] }: ProxyConfig): string | undefined {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const proxy = (url.protocol === 'https:' ? https : http) ?? all;
  if (proxy === undefined || isThisMachine(host)) return undefined;
  return no.some((entry) => isExempt(entry.trim().toLowerCase(), host, port)) ? undefined : proxy;
}

function isThisMachine(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}

function isExempt(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (ipaddr.isValidCIDR(entry)) return isInside(entry, host);
  const [, name = '', only] = /^(.*?)(?::(\d+))?$/.exec(ipaddr.isValid(entry) ? `[${entry}]` : entry) ?? [];
  if (name === '' || (only !== undefined && only !== port)) return false;
  const bare = name.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(bare)) return ipaddr.isValid(host) && `${ipaddr.process(bare)}` === `${ipaddr.process(host)}`;
  // A leading dot, or `*.`, means what is below the domain, not the domain.
  if (/^\*?\./.test(bare)) return host.endsWith(bare.replace(/^\*/, ''));
  return host === bare || host.endsWith(`.${bare}`);
}

function isInside(block: string, host: string): boolean {
  if (!ipaddr.isValid(host)) return false;
  const address = ipaddr.process(host);
  const [base, bits] = ipaddr.parseCIDR(block);
  return address.kind() === base.kind() && address.match(base, bits);
}

/** Proxies as the environment names them; lower case wins, as everywhere. HTTP_PROXY does not serve https. */
export function proxyFromEnvironment(environment: Readonly<Record<string, string | undefined>>): ProxyConfig {
  const named = (name: string): string | undefined => {
    const value = environment[name.toLowerCase()] ?? environment[name.toUpperCase()];
    return value === undefined || value.trim() === '' ? undefined : value.trim();
  };
  const withScheme = (value: string | undefined): string | undefined =>
    value === undefined || /^[a-z][a-z0-9+.-]*:\/\//i.test(value) ? value : `http://${value}`;
  const [http, https, all] = ['http_proxy', 'https_proxy', 'all_proxy'].map((name) => withScheme(named(name)));
  const no = named('no_proxy')
    ?.split(/[\s,]+/)
    .filter((entry) => entry !== '');
  return { ...(http && { http }), ...(https && { https }), ...(all && { all }), ...(no && { no }) };
}
