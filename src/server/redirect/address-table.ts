import { cannot } from '../../errors.ts';
import { quote } from '../../text/quote.ts';

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
  /** By the bytes of an address, 4 or 16, and by the number of bits. */
  const tables = new Map<number, Map<number, Map<string, Value>>>();
  for (const [text, value] of entries) {
    const prefix = parsePrefix(text);
    if (!prefix) throw cannot('INVALID_CONFIG', `use address prefix ${quote(text)}`, 'not a prefix', { value: text });
    const { octets, bits } = prefix;
    const lengths = tables.get(octets.length) ?? new Map<number, Map<string, Value>>();
    const values = lengths.get(bits) ?? new Map<string, Value>();
    tables.set(octets.length, lengths.set(bits, values));
    const key = leading(octets, bits);
    if (!values.has(key)) values.set(key, value);
  }
  const ordered = new Map([...tables].map(([size, lengths]) => [size, [...lengths].sort(([a], [b]) => b - a)]));
  return (text) => {
    const octets = parseAddress(text);
    for (const [bits, values] of ordered.get(octets?.length ?? 0) ?? []) {
      const found = values.get(leading(octets ?? '', bits));
      if (found !== undefined) return found;
    }
    return undefined;
  };
}

/** Whether a text is an IP address; IPv4 as four decimal numbers only, as the other forms are read differently elsewhere. */
export const isAddress = (text: string): boolean => allOctets(text) !== undefined;

/** Whether a text is an address prefix, or an address. */
export const isPrefix = (text: string): boolean => parsePrefix(text) !== undefined;

/** An IPv4 address in an IPv6 one, as a socket of both families has it. RFC 4291 section 2.5.5.2 */
const mapped = `${'\0'.repeat(10)}\u00ff\u00ff`;

/** The bytes of an address, one that is mapped as the IPv4 address. */
function parseAddress(text: string): string | undefined {
  const octets = allOctets(text);
  return octets?.startsWith(mapped) ? octets.slice(mapped.length) : octets;
}

interface Prefix {
  readonly octets: string;
  readonly bits: number;
}

function parsePrefix(text: string): Prefix | undefined {
  const [address = '', length, ...more] = text.split('/');
  const octets = allOctets(address);
  if (octets === undefined || more.length > 0) return undefined;
  const bits = length === undefined ? octets.length * 8 : /^\d{1,3}$/.test(length) ? Number(length) : Number.NaN;
  if (!(bits <= octets.length * 8)) return undefined;
  const isMapped = octets.startsWith(mapped) && bits >= mapped.length * 8;
  return isMapped ? { octets: octets.slice(mapped.length), bits: bits - mapped.length * 8 } : { octets, bits };
}

/**
 * The bytes of an address as characters, so that they are compared and hashed by value; a zone is dropped. ipaddr.js takes 100 µs
 * for an IPv6 address, a hundred times as long as the look-up: it checks with regular expressions, several times.
 */
function allOctets(text: string): string | undefined {
  if (!text.includes(':')) return fourOctets(text);
  const [address = ''] = text.slice(0, 128).split('%', 1);
  const halves = address.split('::');
  const parts = halves.map((half, index) => octetsOf(half, index === halves.length - 1));
  if (parts.includes(undefined) || halves.length > 2) return undefined;
  const [head = '', tail = ''] = parts;
  const left = 16 - head.length - tail.length;
  if (halves.length === 1) return left === 0 ? head : undefined;
  // "::" stands for at least one group.
  return left >= 2 ? head + '\0'.repeat(left) + tail : undefined;
}

/** The bytes of groups of four digits; the last may be an IPv4 address. */
function octetsOf(half: string, isLast: boolean): string | undefined {
  const groups = half === '' ? [] : half.split(':');
  const octets = groups.map((group, index) => {
    if (isLast && index === groups.length - 1 && group.includes('.')) return fourOctets(group);
    const value = /^[0-9a-f]{1,4}$/i.test(group) ? Number.parseInt(group, 16) : undefined;
    return value === undefined ? undefined : String.fromCharCode(value >> 8, value & 255);
  });
  return octets.includes(undefined) ? undefined : octets.join('');
}

function fourOctets(text: string): string | undefined {
  const parts = text.split('.');
  const isPlain = parts.length === 4 && parts.every((part) => /^(?:0|[1-9]\d{0,2})$/.test(part) && Number(part) < 256);
  return isPlain ? String.fromCharCode(...parts.map(Number)) : undefined;
}

/** The first bits of an address. */
function leading(octets: string, bits: number): string {
  const whole = bits >> 3;
  const rest = bits & 7;
  const bytes = octets.slice(0, whole);
  return rest === 0 ? bytes : bytes + String.fromCharCode(octets.charCodeAt(whole) & (0xff00 >> rest));
}
