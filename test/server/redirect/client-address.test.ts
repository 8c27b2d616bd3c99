import { expect, test } from 'vitest';
import { type ClientRule, clientBy } from '../../../src/server/redirect/client-address.ts';

/** The client of a request with this header, from this socket. */
function clientOf(rule: ClientRule, header: string | undefined, remoteAddress: string | undefined): string | undefined {
  const headers = header === undefined ? {} : { 'x-forwarded-for': header };
  const found = clientBy(rule)(new Request('http://front.test/', { headers }), { remoteAddress });
  return 'problem' in found ? found.problem : found.address;
}

test.each([
  [undefined, '192.0.2.1'],
  ['8.8.8.8,8.8.8.9', '8.8.8.8'],
  ['127.0.0.1, 8.8.8.8, 8.8.8.9', '8.8.8.8'],
  ['junk,,8.8.8.8,8.8.8.9', '8.8.8.8'],
  ['8.8.8.8', 'invalid X-Forwarded-For value: 8.8.8.8'],
  ['2001:db8::1, 2001:db8::2', '2001:db8::1'],
  ['8.8.8.8 8.8.8.9', '8.8.8.8'],
  ['junk, 8.8.8.9', 'invalid address in X-Forwarded-For: junk'],
])('of %s, the second address from the end is the client', (header, expected) => {
  expect(clientOf('second-from-end', header, '192.0.2.1')).toBe(expected);
});

test('the socket’s address is the client if the header is not read, whatever it says', () => {
  expect(clientOf('socket', '8.8.8.8, 8.8.8.9', '192.0.2.1')).toBe('192.0.2.1');
  expect(clientOf('socket', '8.8.8.8, 8.8.8.9', undefined)).toBe(undefined);
});

const proxies = ['10.0.0.0/8', '2001:db8:ffff::/48', '192.0.2.7'];

test.each([
  ['a client that is connected itself', '8.8.8.8', '203.0.113.5', '203.0.113.5'],
  ['one proxy', '8.8.8.8', '10.0.0.1', '8.8.8.8'],
  ['a proxy without the header', undefined, '10.0.0.1', '10.0.0.1'],
  ['two proxies, and what the client has sent before them', '1.1.1.1, 8.8.8.8, 10.1.1.1', '10.0.0.1', '8.8.8.8'],
  ['proxies of both families', '2001:db8::5, 2001:db8:ffff::1', '::ffff:192.0.2.7', '2001:db8::5'],
  ['only proxies', '10.2.2.2, 10.1.1.1', '10.0.0.1', '10.2.2.2'],
  ['a port after the address', '8.8.8.8:443', '10.0.0.1', '8.8.8.8'],
  ['a port after an IPv6 address', '[2001:db8::5]:443', '10.0.0.1', '2001:db8::5'],
  ['brackets without a port', '[2001:db8::5]', '10.0.0.1', '2001:db8::5'],
  ['an address that the proxy does not know', '8.8.8.8, unknown', '10.0.0.1', undefined],
  ['an empty part', '8.8.8.8, ', '10.0.0.1', '8.8.8.8'],
  ['a socket without an address', '8.8.8.8', undefined, undefined],
])('behind trusted proxies: %s', (_, header, socket, expected) => {
  expect(clientOf({ proxies }, header, socket)).toBe(expected);
});
