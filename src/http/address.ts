import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { redactUrl } from '../endpoint.ts';
import { cannot, type RegistryError } from '../errors.ts';
import type { AddressPolicy, HttpRequest, HttpResponse, Wrapper } from './transport.ts';

const privateRanges = new Set(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat', 'deprecatedSiteLocal']);

/** Addresses of clouds' metadata services outside the link-local range: AWS, Google, Alibaba, Azure. */
const metadata = new Set(['fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '168.63.129.16']);

/** `public`, `private` (loopback and sites' own networks), or `reserved` (link-local, multicast and all others). */
export function classOf(address: string): 'public' | 'private' | 'reserved' {
  let parsed = ipaddr.process(address);
  // NAT64: the IPv4 address is in the last 32 bits. RFC 6052
  if (parsed.range() === 'rfc6052') parsed = new ipaddr.IPv4(parsed.toByteArray().slice(12));
  if (metadata.has(parsed.toString())) return 'reserved';
  const range = parsed.range();
  // Of IPv6, only 2000::/3 is allocated. RFC 4291 section 2.4
  if (range === 'unicast')
    return parsed.kind() === 'ipv4' || (parsed.toByteArray()[0] ?? 0) >> 5 === 1 ? 'public' : 'reserved';
  return privateRanges.has(range) ? 'private' : 'reserved';
}

export function isAllowed(address: string, policy: AddressPolicy): boolean {
  if (policy === 'any') return true;
  const found = classOf(address);
  return found === 'public' || (policy === 'private' && found === 'private');
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
  return cannot('UNSAFE_URL', `connect to "${host}"`, `${address} is not a public address`, { host, value: address });
}

/** The check of a transport that does not see addresses: of the host, if it is an address itself. */
export function checkHost({ url, addresses = 'any' }: HttpRequest): void {
  const target = new URL(url);
  const address = addressOf(target);
  if (address !== undefined && !isAllowed(address, addresses)) throw unsafeAddress(target.host, address);
}

/**
 * Refuses requests to a host that is an address itself, or a name of this machine, and that `addresses` does not allow:
 * `UNSAFE_URL`. Only the transport sees the addresses of other names.
 */
export const guard = (): Wrapper => (next) => async (request) => {
  checkHost(request);
  return next(request);
};

/** Which addresses may be connected to. */
export interface AddressRules {
  readonly policy: AddressPolicy;
  /** Only IPv4 or only IPv6. */
  readonly family?: 4 | 6 | undefined;
}

/** Why a host that is an address itself must not be connected to. */
export function addressProblem(host: string, { policy, family }: AddressRules): RegistryError | undefined {
  if (!isAddress(host)) return undefined;
  if (family !== undefined && familyOf(host) !== family) {
    return unavailable(host, `it is an IPv${familyOf(host)} address, and only IPv${family} is used`);
  }
  return isAllowed(host, policy) ? undefined : unsafeAddress(host, host);
}

/**
 * The system's look-up without addresses of another family. It fails if the policy does not allow an address, so a name
 * cannot stand for one. Undefined if every address is allowed.
 */
export function ruledLookup(
  systemLookup: typeof import('node:dns').lookup,
  { policy, family }: AddressRules,
): LookupFunction | undefined {
  if (policy === 'any' && family === undefined) return undefined;
  return (hostname, options, callback) => {
    systemLookup(hostname, { ...options, all: true }, (error, all) => {
      if (error) {
        callback(error, []);
        return;
      }
      const found = all.filter(({ address }) => family === undefined || familyOf(address) === family);
      const refused = found.find(({ address }) => !isAllowed(address, policy));
      const [first] = found;
      if (refused) callback(unsafeAddress(hostname, refused.address), []);
      else if (!first) callback(unavailable(hostname, `it has no IPv${family ?? ''} address`), []);
      else if (options.all) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}

const unavailable = (host: string, found: string): RegistryError =>
  cannot('UNAVAILABLE', `connect to "${host}"`, found, { host });

/** Hosts that are allowed though their addresses are private. */
export type AllowedHosts = readonly string[];

/** Whether `host` or `host:port` is in the list of allowed hosts. */
export function isListed({ protocol, hostname, port }: URL, allowed: AllowedHosts): boolean {
  const names = [hostname, hostname.replace(/^\[|\]$/g, '')];
  names.push(`${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`);
  return allowed.some((entry) => names.includes(entry.toLowerCase()));
}

/** What the response to a request may refer to, as far as the request decides: another origin that no private host referred to, only public addresses. */
export const policyOf = ({ endpoint, addresses = 'any' }: HttpRequest): AddressPolicy =>
  endpoint || addresses === 'private' ? addresses : 'public';

/**
 * What a response may refer to (by a redirect or a token realm): a response from a private address may refer to private
 * ones, as storage inside a company is; one from a public address only to public ones. Link-local addresses, where clouds
 * keep their machines' credentials, only if listed.
 */
export function policyAfter(policy: AddressPolicy, response: HttpResponse): AddressPolicy {
  if (policy === 'public') return 'public';
  const address = response.address ?? addressOf(new URL(response.url));
  return address !== undefined && isAddress(address) && classOf(address) !== 'public' ? 'private' : 'public';
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
