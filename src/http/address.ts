import ipaddr from 'ipaddr.js';
import { redactUrl } from '../endpoint.ts';
import { cannot, type RegistryError } from '../errors.ts';
import type { AddressPolicy, HttpRequest, HttpResponse } from './transport.ts';

const privateRanges = new Set(['loopback', 'private', 'uniqueLocal', 'carrierGradeNat', 'deprecatedSiteLocal']);

/** Where clouds keep a machine's credentials, outside the link-local range: AWS, Google, Alibaba, Azure. */
const metadata = new Set(['fd00:ec2::254', 'fd20:ce::254', '100.100.100.200', '168.63.129.16']);

/** `public`, `private` (loopback and sites' own networks), or `reserved` (link-local, multicast and all else). */
export function classOf(address: string): 'public' | 'private' | 'reserved' {
  let parsed = ipaddr.process(address);
  // NAT64: the IPv4 address is in the last 32 bits. RFC 6052
  if (parsed.range() === 'rfc6052') parsed = new ipaddr.IPv4(parsed.toByteArray().slice(12));
  if (metadata.has(parsed.toString())) return 'reserved';
  const range = parsed.range();
  // Of IPv6, only 2000::/3 is given out. RFC 4291 section 2.4
  if (range === 'unicast')
    return parsed.kind() === 'ipv4' || (parsed.toByteArray()[0] ?? 0) >> 5 === 1 ? 'public' : 'reserved';
  return privateRanges.has(range) ? 'private' : 'reserved';
}

export function isAllowed(address: string, policy: AddressPolicy): boolean {
  if (policy === 'any') return true;
  const found = classOf(address);
  return found === 'public' || (policy === 'private' && found === 'private');
}

/** Of an address; an IPv4 address in an IPv6 one is connected to over IPv4. */
export const familyOf = (address: string): 4 | 6 => (ipaddr.process(address).kind() === 'ipv4' ? 4 : 6);

export const isAddress = (host: string): boolean => ipaddr.isValid(host);

/** The host of a URL as an IP address, where it is one or is a name of this machine. */
export function addressOf({ hostname }: URL): string | undefined {
  const host = hostname.replace(/^\[|\]$|\.$/g, '').toLowerCase();
  if (host === 'localhost' || host.endsWith('.localhost')) return '127.0.0.1';
  return ipaddr.isValid(host) ? host : undefined;
}

export function refuseAddress(host: string, address: string): RegistryError {
  return cannot('UNSAFE_URL', `connect to "${host}"`, `${address} is not a public address`, { host, value: address });
}

/** What a transport that does not see addresses can check: the host, where it is an address itself. */
export function checkHost({ url, addresses = 'any' }: HttpRequest): void {
  const target = new URL(url);
  const address = addressOf(target);
  if (address !== undefined && !isAllowed(address, addresses)) throw refuseAddress(target.host, address);
}

export type Listed = readonly string[];

/** Whether `host` or `host:port` is on the list of hosts allowed though private. */
export function isListed({ protocol, hostname, port }: URL, listed: Listed): boolean {
  const names = [hostname, hostname.replace(/^\[|\]$/g, '')];
  names.push(`${hostname}:${port || (protocol === 'https:' ? '443' : '80')}`);
  return listed.some((entry) => names.includes(entry.toLowerCase()));
}

/** What a request's answer may name, as far as the asking tells: a stranger that was not sent by a private place, only public addresses. */
export const policyOf = ({ endpoint, addresses = 'any' }: HttpRequest): AddressPolicy =>
  endpoint || addresses === 'private' ? addresses : 'public';

/**
 * Where an answer may send its asker (a redirect, a token realm): who answered from a private address may name private
 * ones, as storage inside a company is; who answered from a public one may name only public ones. Link-local
 * addresses, where clouds keep their machines' credentials, only when listed.
 */
export function policyAfter(policy: AddressPolicy, response: HttpResponse): AddressPolicy {
  if (policy === 'public') return 'public';
  const address = response.address ?? addressOf(new URL(response.url));
  return address !== undefined && isAddress(address) && classOf(address) !== 'public' ? 'private' : 'public';
}

/** The address named by a `Location` or `realm`, or `UNSAFE_URL`: not http(s), or from https to http. User information is dropped. */
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
