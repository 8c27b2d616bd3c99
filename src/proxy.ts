import ipaddr from 'ipaddr.js';

/** URLs of proxies, by the scheme of the request; they may have a login in them. */
export interface ProxyConfig {
  readonly http?: string | undefined;
  readonly https?: string | undefined;
  /** For both schemes, unless they have a proxy of their own. */
  readonly all?: string | undefined;
  /** Hosts that need no proxy: `host` with all below it, `.domain`, `host:port`, an address, a CIDR block, `*`. */
  readonly no?: readonly string[] | undefined;
}

/**
 * The proxy for a URL, if any. Never for this machine, as in Go.
 * https://pkg.go.dev/golang.org/x/net/http/httpproxy
 */
export function proxyFor(url: URL, { http, https, all, no = [] }: ProxyConfig): string | undefined {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  const proxy = (url.protocol === 'https:' ? https : http) ?? all;
  if (proxy === undefined || isThisMachine(host)) return undefined;
  return no.some((entry) => isExempt(entry.trim().toLowerCase(), host, port)) ? undefined : proxy;
}

/** The URL of a proxy that is written as a URL, or as `host:port`, which means http. */
export const proxyUrl = (written: string): string =>
  /^[a-z][a-z0-9+.-]*:\/\//i.test(written) ? written : `http://${written}`;

/** What is wrong with the URL of a proxy, without its login; undefined for a valid one. */
export function proxyProblem(written: string): string | undefined {
  const url = proxyUrl(written);
  const shown = JSON.stringify(
    url
      .replace(/^([a-z0-9+.-]*:\/\/).*@/is, '$1***@')
      .replace(/\?.*/s, '?***')
      .slice(0, 300),
  );
  if (/^socks/i.test(url)) return `found ${shown}, SOCKS proxies are not supported, expected an http or https one`;
  try {
    const { protocol, hostname, username, password } = new URL(url);
    if (/^https?:$/.test(protocol) && hostname !== '' && !/[\s\\?#]/.test(url)) {
      return isEscaped(username + password) ? undefined : `found ${shown}, expected "%25" for each "%" of its login`;
    }
  } catch {}
  return `found ${shown}, expected an http or https URL, or host:port`;
}

/** Whether each `%` of a login begins the escape of a character, as it must where the login is used. */
function isEscaped(login: string): boolean {
  try {
    decodeURIComponent(login);
    return true;
  } catch {
    return false;
  }
}

/** Warnings about entries of `no` that cannot be hosts and exempt nothing. */
export const noProxyWarnings = ({ no = [] }: ProxyConfig): string[] =>
  no
    .filter((entry) => !isExemption(entry.trim()))
    .map((entry) => `proxy.no (NO_PROXY): ${JSON.stringify(entry.slice(0, 300))} exempts nothing: ${exemptions}`);

const exemptions = 'expected a host, .domain, host:port, an address, a CIDR block or "*"';

function isExemption(entry: string): boolean {
  if (entry === '*' || ipaddr.isValid(entry) || ipaddr.isValidCIDR(entry)) return true;
  const [, host = '', port = '0'] = /^(.*?)(?::(\d+))?$/.exec(entry) ?? [];
  const bare = host.replace(/^\[(.*)\]$/, '$1');
  const isName = /^(?:\*?\.)?[a-z0-9_-]+(?:\.[a-z0-9_-]+)*$/i.test(host);
  return Number(port) <= 65_535 && (isName ? !/^[\d.]+$/.test(host) || ipaddr.isValid(host) : ipaddr.isValid(bare));
}

function isThisMachine(host: string): boolean {
  if (host === 'localhost' || host.endsWith('.localhost')) return true;
  return ipaddr.isValid(host) && ipaddr.process(host).range() === 'loopback';
}

function isExempt(entry: string, host: string, port: string): boolean {
  if (entry === '*') return true;
  if (ipaddr.isValidCIDR(entry)) return isInBlock(entry, host);
  const [, name = '', only] = /^(.*?)(?::(\d+))?$/.exec(ipaddr.isValid(entry) ? `[${entry}]` : entry) ?? [];
  if (name === '' || (only !== undefined && only !== port)) return false;
  const bare = name.replace(/^\[|\]$/g, '');
  if (ipaddr.isValid(bare)) return ipaddr.isValid(host) && `${ipaddr.process(bare)}` === `${ipaddr.process(host)}`;
  // A leading dot, or `*.`, means what is below the domain, not the domain.
  if (/^\*?\./.test(bare)) return host.endsWith(bare.replace(/^\*/, ''));
  return host === bare || host.endsWith(`.${bare}`);
}

function isInBlock(block: string, host: string): boolean {
  if (!ipaddr.isValid(host)) return false;
  const address = ipaddr.process(host);
  const [base, bits] = ipaddr.parseCIDR(block);
  return address.kind() === base.kind() && address.match(base, bits);
}

/** The proxies of the environment. Lower-case names win, as usual; HTTP_PROXY does not apply to https. */
export function proxyFromEnvironment(environment: Readonly<Record<string, string | undefined>>): ProxyConfig {
  const named = (name: string): string | undefined => {
    const value = environment[name.toLowerCase()] ?? environment[name.toUpperCase()];
    return value === undefined || value.trim() === '' ? undefined : value.trim();
  };
  const [http, https, all] = ['http_proxy', 'https_proxy', 'all_proxy'].map((name) => {
    const value = named(name);
    return value === undefined ? undefined : proxyUrl(value);
  });
  const no = named('no_proxy')
    ?.split(/[\s,]+/)
    .filter((entry) => entry !== '');
  return { ...(http && { http }), ...(https && { https }), ...(all && { all }), ...(no && { no }) };
}
