import fc from 'fast-check';
import ipaddr from 'ipaddr.js';
import { expect, test } from 'vitest';
import { addressTable, isAddress, isPrefix } from '../../../src/server/redirect/address-table.ts';
import { failsWith } from '../../support/http.ts';

test('the longest prefix counts, and of two equal ones the first', () => {
  const find = addressTable([
    ['10.0.0.0/8', 'wide'],
    ['10.1.0.0/16', 'narrow'],
    ['10.1.0.0/16', 'second'],
    ['10.1.2.3', 'one'],
    ['0.0.0.0/0', 'any'],
    ['2001:db8::/32', 'six'],
    ['2001:db8:8000::/33', 'upper half'],
    ['2001:db8::1', 'single'],
  ]);
  const found = ['10.2.3.4', '10.1.9.9', '10.1.2.3', '11.0.0.0', '2001:db8:7fff::', '2001:db8:ffff::', '2001:db8::1'];
  expect(found.map(find)).toEqual(['wide', 'narrow', 'one', 'any', 'six', 'upper half', 'single']);
  expect(find('2001:db9::')).toBe(undefined);
});

test('a prefix counts whatever its other bits are', () => {
  const find = addressTable([
    ['10.1.2.3/9', 'four'],
    ['2001:db8::ffff/61', 'six'],
  ]);
  expect([find('10.127.0.0'), find('10.128.0.0')]).toEqual(['four', undefined]);
  expect([find('2001:db8:0:7::'), find('2001:db8:0:8::')]).toEqual(['six', undefined]);
});

test('an IPv4 address in an IPv6 one is the IPv4 address, in prefixes too', () => {
  const find = addressTable([
    ['192.0.2.0/24', 'plain'],
    ['::ffff:198.51.100.0/120', 'mapped'],
    ['::/0', 'six'],
  ]);
  expect(['192.0.2.1', '::ffff:192.0.2.1', '::ffff:c000:201'].map(find)).toEqual(['plain', 'plain', 'plain']);
  expect(['198.51.100.9', '::ffff:198.51.100.9'].map(find)).toEqual(['mapped', 'mapped']);
  expect(['203.0.113.1', '::1', 'fe80::1%eth0'].map(find)).toEqual([undefined, 'six', 'six']);
});

test.each([
  '',
  'x',
  '8.8.8',
  '010.8.8.8',
  '0x7f.1',
  '134744072',
  '8.8.8.8 ',
  '[::1]',
  '1::2::3',
  '::ffff:0x7f.1',
  'localhost',
])('"%s" is not an address, and is in no prefix', (text) => {
  expect(isAddress(text)).toBe(false);
  expect(
    addressTable([
      ['0.0.0.0/0', 'four'],
      ['::/0', 'six'],
    ])(text),
  ).toBe(undefined);
});

test.each(['', '10.0.0.0/33', '10.0.0.0/', '10/8', '::/129', '10.0.0.0/-1', '10.0.0.0/8/8', 'x/8'])(
  '"%s" is not a prefix, and is refused',
  (text) => {
    expect(isPrefix(text)).toBe(false);
    expect(() => addressTable([[text, 1]])).toThrow(failsWith('INVALID_CONFIG', { value: text }));
  },
);

/** Texts that are nearly addresses. */
const nearly = fc.oneof(
  fc.array(fc.constantFrom(':', '::', '.', '1', 'ff', '0', '255', '256', '010', '%', 'g', '1.2.3.4'), {
    maxLength: 20,
  }),
  fc
    .array(fc.constantFrom('1', 'ffff', '0', '12345', '', '1.2.3.4'), { maxLength: 9 })
    .map((parts) => [parts.join(':')]),
);

test('an address is what ipaddr.js takes for one, besides IPv4 in other forms', () => {
  const isValid = (text: string): boolean =>
    ipaddr.IPv4.isValidFourPartDecimal(text) || (text.includes(':') && ipaddr.IPv6.isValid(text));
  const isSame = (text: string): void => {
    expect([text, isAddress(text)]).toEqual([text, isValid(text)]);
  };
  for (const text of ['::', '1::', '::1', '1:2:3:4:5:6:7:8', '1:2:3:4:5:6:7::', '::2:3:4:5:6:7:8', '1::8:1.2.3.4'])
    isSame(text);
  for (const text of [':::', '1:', ':1', '1:2:3:4:5:6:7:8:9', '1.2.3.4::', '1:2:3:4:5:6:7:8::', '::1.2.3.4:5'])
    isSame(text);
  // A zone may be anything here, and the library reads octal in an IPv6 address.
  const isUsual = (text: string): boolean => !/%|(?:^|[:.])0\d/.test(text);
  fc.assert(fc.property(nearly.map((parts) => parts.join('')).filter(isUsual), isSame), { numRuns: 2_000 });
});

const four = fc.uint8Array({ minLength: 4, maxLength: 4 });
const six = fc.uint8Array({ minLength: 16, maxLength: 16 });
// Few bits differ, so that prefixes contain each other and addresses are in some.
const near = (bytes: Uint8Array): Uint8Array => bytes.map((byte, index) => (index === 0 ? 32 + (byte & 1) : byte & 3));
const textOf = (bytes: Uint8Array): string => ipaddr.fromByteArray([...bytes]).toString();
const address = fc.oneof(four, six).map((bytes) => textOf(near(bytes)));
const prefix = fc.tuple(address, fc.nat()).map(([base, bits]) => `${base}/${bits % (base.includes(':') ? 129 : 33)}`);

test('a look-up finds what a search through all prefixes finds', () => {
  fc.assert(
    fc.property(fc.array(prefix, { maxLength: 30 }), address, (prefixes, wanted) => {
      const one = ipaddr.parse(wanted);
      const lengths = prefixes
        .map((text) => ipaddr.parseCIDR(text))
        .filter(([base, bits]) => base.kind() === one.kind() && one.match(base, bits))
        .map(([, bits]) => bits);
      const find = addressTable(prefixes.map((text) => [text, { bits: ipaddr.parseCIDR(text)[1] }] as const));
      expect(find(wanted)?.bits).toBe(lengths.length === 0 ? undefined : Math.max(...lengths));
    }),
  );
});
