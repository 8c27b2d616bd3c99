import ipaddr from 'ipaddr.js';
import { cannot } from '../../errors.ts';
import { quote } from '../../text/quote.ts';

type Address = ReturnType<typeof ipaddr.process>;
type Family = ReturnType<Address['kind']>;

/** Looks up an address in a table; undefined for one that is in no prefix, and for what is not an address. */
export type AddressLookup<Value> = (address: string) => Value | undefined;

/**
 * Makes a table of address prefixes: `192.0.2.0/24`, `2001:db8::/32`, or an address alone. The longest prefix that an address is
 * in counts; of two equal ones the first. A look-up takes as many steps as the table has different lengths of prefixes.
 * `INVALID_CONFIG` for what is not a prefix.
 */
export function addressTable<Value extends NonNullable<unknown>>(
  entries: Iterable<readonly [prefix: string, value: Value]>,
): AddressLookup<Value> {
  /** By family, and by the number of bits. */
  const tables: Record<Family, Map<number, Map<string, Value>>> = { ipv4: new Map(), ipv6: new Map() };
  for (const [text, value] of entries) {
    const prefix = parsePrefix(text);
    if (!prefix) throw cannot('INVALID_CONFIG', `use address prefix ${quote(text)}`, 'not a prefix', { value: text });
    const [base, bits] = prefix;
    const byLength = tables[base.kind()];
    const values = byLength.get(bits) ?? new Map<string, Value>();
    byLength.set(bits, values);
    const key = leading(octetsOf(base), bits);
    if (!values.has(key)) values.set(key, value);
  }
  const longestFirst = (family: Family) => [...tables[family]].sort(([a], [b]) => b - a);
  const ordered = { ipv4: longestFirst('ipv4'), ipv6: longestFirst('ipv6') };
  return (text) => {
    const address = parseAddress(text);
    if (!address) return undefined;
    const octets = octetsOf(address);
    for (const [bits, values] of ordered[address.kind()]) {
      const found = values.get(leading(octets, bits));
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

/** Whether a text is an IP address; IPv4 as four decimal numbers only, as the other forms are read differently elsewhere. */
export const isAddress = (text: string): boolean =>
  ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(':') && ipaddr.IPv6.isValid(text));

/** Whether a text is an address prefix, or an address. */
export const isPrefix = (text: string): boolean => parsePrefix(text) !== undefined;

/** An IPv4 address in an IPv6 one is the IPv4 address: so a socket of both families has it. */
const parseAddress = (text: string): Address | undefined => (isAddress(text) ? ipaddr.process(text) : undefined);

/** Bits before the IPv4 address in an IPv6 one. RFC 4291 section 2.5.5.2 */
const mapped = 96;

function parsePrefix(text: string): readonly [base: Address, bits: number] | undefined {
  const slash = text.indexOf('/');
  if (slash === -1) {
    const address = parseAddress(text);
    return address && [address, address.kind() === 'ipv4' ? 32 : 128];
  }
  if (!isAddress(text.slice(0, slash)) || !ipaddr.isValidCIDR(text)) return undefined;
  const [base, bits] = ipaddr.parseCIDR(text);
  if (base.kind() === 'ipv4' || bits < mapped) return [base, bits];
  const processed = ipaddr.process(base.toString());
  return [processed, processed.kind() === 'ipv4' ? bits - mapped : bits];
}

/** A character for each byte: texts are compared and hashed by value. */
const octetsOf = (address: Address): string => String.fromCharCode(...address.toByteArray());

/** The first bits of an address. */
function leading(octets: string, bits: number): string {
  const whole = bits >> 3;
  const rest = bits & 7;
  const bytes = octets.slice(0, whole);
  return rest === 0 ? bytes : bytes + String.fromCharCode(octets.charCodeAt(whole) & (0xff00 >> rest));
}
