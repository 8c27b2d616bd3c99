import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { redactUrl } from '../endpoint.ts';
import { cannot, type RegistryError } from '../errors.ts';
import { quote } from '../text/quote.ts';
import type { AddressPolicy, HttpRequest, HttpResponse, Wrapper } from './transport.ts';

const privateRanges = new Set(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat', 'deprecatedSiteLocal']);

/** Addresses of clouds' metadata services outside the link-local range: AWS, Google, Alibaba, Azure. */
const metadata = new Set(['fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '168.63.129.16']);

/** The bytes of a NAT64 address that may hold its IPv4 address, by the length of the network's prefix. RFC 6052 section 2.2 */
const embedded: readonly (readonly number[])[] = [
  [12, 13, 14, 15],
  [9, 10, 11, 12],
  [7, 9, 10, 11],
  [6, 7, 9, 10],
];
/** Prefixes for translation of a network's own choice. RFC 8215 */
const localTranslation = ipaddr.parseCIDR('64:ff9b:1::/48');

type AddressClass = 'public' | 'private' | 'reserved';

/** `public`, `private` (loopback and sites' own networks), or `reserved` (link-local, multicast and all others). */
export function classOf(address: string): AddressClass {
  const parsed = ipaddr.process(address);
  const isLocal = parsed.kind() === 'ipv6' && parsed.match(localTranslation);
  if (isLocal || parsed.range() === 'rfc6052') {
    return classOfAny(parsed.toByteArray(), isLocal ? embedded : embedded.slice(0, 1));
  }
  if (metadata.has(parsed.toString())) return 'reserved';
  const range = parsed.range();
  // Of IPv6, only 2000::/3 is allocated. RFC 4291 section 2.4
  if (range === 'unicast')
    return parsed.kind() === 'ipv4' || (parsed.toByteArray()[0] ?? 0) >> 5 === 1 ? 'public' : 'reserved';
  return privateRanges.has(range) ? 'private' : 'reserved';
}

/** The class of an address that is translated, in whichever of the ways: the least public; 0.0.0.0/8 leads nowhere. */
function classOfAny(bytes: readonly number[], ways: readonly (readonly number[])[]): AddressClass {
  const targets = ways.map((way) => way.map((at) => bytes[at] ?? 0)).filter(([first]) => first !== 0);
  const classes = targets.map((target) => classOf(target.join('.')));
  if (classes.length === 0 || classes.includes('reserved')) return 'reserved';
  return classes.includes('private') ? 'private' : 'public';
}

/** Which addresses may be connected to: those of `addresses`, and those in `ranges`. */
export interface AddressRules {
  readonly policy: AddressPolicy;
  /** CIDR blocks and addresses; other entries are passed over. */
  readonly ranges?: readonly string[] | undefined;
  /** Only IPv4 or only IPv6. */
  readonly family?: 4 | 6 | undefined;
}

export function isAllowed(address: string, { policy, ranges = [] }: AddressRules): boolean {
  if (policy === 'any') return true;
  const found = classOf(address);
  if (found === 'public' || (policy === 'private' && found === 'private')) return true;
  return ranges.some((range) => isIn(address, range));
}

/** Whether an address is in a CIDR block, or is the given address. */
function isIn(address: string, range: string): boolean {
  const one = ipaddr.process(address);
  if (ipaddr.isValid(range)) return one.toString() === ipaddr.process(range).toString();
  if (!ipaddr.isValidCIDR(range)) return false;
  const [base, bits] = ipaddr.parseCIDR(range);
  return one.kind() === base.kind() && one.match(base, bits);
}

/** The family of an address; an IPv4 address in an IPv6 one is connected to over IPv4. */
const familyOf = (address: string): 4 | 6 => (ipaddr.process(address).kind() === 'ipv4' ? 4 : 6);

const isAddress = (host: string): boolean => ipaddr.isValid(host);

/** The host of a URL as an IP address, if it is one or a name of this machine. */
export function addressOf({ hostname }: URL): string | undefined {
  const host = hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  if (host === 'localhost' || host.endsWith('.localhost')) return '127.0.0.1';
  return isAddress(host) ? host : undefined;
}

function unsafeAddress(host: string, address: string): RegistryError {
  const found = `${address} is not a public address, and allowPrivate does not list ${quote(host)} or its address`;
  return cannot('UNSAFE_URL', `connect to "${host}"`, found, { host, value: address, reason: 'private-address' });
}

/** The check of a transport that does not see addresses: of the host, if it is an address itself. */
export function checkHost({ url, addresses: policy = 'any', allowPrivate: ranges }: HttpRequest): void {
  const target = new URL(url);
  const address = addressOf(target);
  if (address !== undefined && !isAllowed(address, { policy, ranges })) throw unsafeAddress(target.host, address);
}

/**
 * Refuses requests to a host that is an address itself, or a name of this machine, and that `addresses` does not allow:
 * `UNSAFE_URL`. Only the transport sees the addresses of other names.
 */
export const guard = (): Wrapper => (next) => async (request) => {
  checkHost(request);
  return next(request);
};

/** Why a host that is an address itself must not be connected to. */
export function addressProblem(host: string, rules: AddressRules): RegistryError | undefined {
  const { family } = rules;
  if (!isAddress(host)) return undefined;
  if (family !== undefined && familyOf(host) !== family) {
    return unavailable(host, `it is an IPv${familyOf(host)} address, and only IPv${family} is used`);
  }
  return isAllowed(host, rules) ? undefined : unsafeAddress(host, host);
}

/**
 * The system's look-up without addresses of another family, and without those that are not allowed: a name cannot stand for
 * them. Undefined if every address is allowed.
 */
export function ruledLookup(
  systemLookup: typeof import('node:dns').lookup,
  rules: AddressRules,
): LookupFunction | undefined {
  const { policy, family } = rules;
  if (policy === 'any' && family === undefined) return undefined;
  return (hostname, options, callback) => {
    systemLookup(hostname, { ...options, all: true }, (error, all) => {
      if (error) {
        callback(error, []);
        return;
      }
      const ofFamily = all.filter(({ address }) => family === undefined || familyOf(address) === family);
      const found = ofFamily.filter(({ address }) => isAllowed(address, rules));
      const [refused] = ofFamily;
      const [first] = found;
      if (refused && !first) callback(unsafeAddress(hostname, refused.address), []);
      else if (!first) callback(unavailable(hostname, `it has no IPv${family ?? ''} address`), []);
      else if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

const unavailable = (host: string, found: string): RegistryError =>
  cannot('UNAVAILABLE', `connect to "${host}"`, found, { host });

/** What may have a private address: `host`, `host:port`, `.domain` or `*.domain` for all below it, an address, a CIDR block. */
export type AllowedHosts = readonly string[];

/** Whether the name in a URL is in the list of allowed hosts. */
export function isListed({ protocol, hostname, port }: URL, allowed: AllowedHosts): boolean {
  const names = [hostname, hostname.replace(/^\[|\]$/g, '')];
  names.push(`${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`);
  return allowed.some((written) => {
    const entry = written.toLowerCase();
    const domain = /^\*?(\..+)$/.exec(entry)?.[1];
    return names.includes(entry) || (domain !== undefined && names.some((name) => name.endsWith(domain)));
  });
}

/** Which addresses a request may be connected to. */
export type Reach = Pick<HttpRequest, 'addresses' | 'allowPrivate'>;

/** What the response to a request may refer to, as far as the request decides: another origin that no private host referred to, only public addresses. */
export const reachOf = ({ endpoint, addresses = 'any', allowPrivate }: HttpRequest): Reach => ({
  addresses: endpoint || addresses === 'private' ? addresses : 'public',
  allowPrivate: endpoint?.allowPrivate ?? allowPrivate,
});

/** Where Clash, sing-box, Surge and others have every name lead to, for themselves to connect to the right place. RFC 2544 */
export const madeUp = '198.18.0.0/15';

/** Whether the name of a host leads to an address that is made up: then all names do, and it says nothing of them. */
export function isMadeUp({ url, address }: Pick<HttpResponse, 'url' | 'address'>): boolean {
  return address !== undefined && isAddress(address) && addressOf(new URL(url)) === undefined && isIn(address, madeUp);
}

/**
 * What a response may refer to (by a redirect or a token realm): a response from a private address may refer to private
 * ones, as storage inside a company is; one from a public address only to public ones, and one from an address that is made
 * up also to such. Link-local addresses, where clouds keep their machines' credentials, only if listed.
 */
export function reachAfter(reach: Reach, response: HttpResponse): Reach {
  const { addresses, allowPrivate = [] } = reach;
  if (addresses === 'public') return reach;
  if (isMadeUp(response)) return { addresses: 'public', allowPrivate: [...allowPrivate, madeUp] };
  const address = response.address ?? addressOf(new URL(response.url));
  const isPrivate = address !== undefined && isAddress(address) && classOf(address) !== 'public';
  return { ...reach, addresses: isPrivate ? 'private' : 'public' };
}

/** The URL in a `Location` or `realm`, or `UNSAFE_URL`: not http(s), or from https to http. User information is dropped. */
export function parseTarget(text: string, base: string, what: string): URL {
  let target: URL;
  try {
    target = new URL(text, base);
  } catch {
    throw cannot('UNSAFE_URL', `follow ${what} of "${redactUrl(base)}"`, 'not a URL', { host: new URL(base).host });
  }
  target.username = '';
  target.password = '';
  const from = new URL(base).protocol;
  const secure = target.protocol === 'https:' || (target.protocol === 'http:' && from !== 'https:');
  if (!secure) {
    const attempted = `follow ${what} of "${redactUrl(base)}" to "${redactUrl(target)}"`;
    throw cannot('UNSAFE_URL', attempted, `from ${from} to ${target.protocol}`, { host: new URL(base).host });
  }
  return target;
}
