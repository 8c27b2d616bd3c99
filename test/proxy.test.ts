import { describe, expect, test } from 'vitest';
import { proxyFor, proxyFromEnvironment } from '../src/proxy.ts';

const proxies = { http: 'http://plain:1', https: 'http://secure:2' };

describe('the proxy of a URL', () => {
  test.each([
    ['http://a.example/', {}, undefined],
    ['http://a.example/', proxies, 'http://plain:1'],
    ['https://a.example/', proxies, 'http://secure:2'],
    ['https://a.example/', { http: 'http://plain:1' }, undefined],
    ['https://a.example/', { all: 'http://any:3' }, 'http://any:3'],
    ['http://a.example/', { ...proxies, all: 'http://any:3' }, 'http://plain:1'],
    ['http://localhost:5000/', proxies, undefined],
    ['http://x.localhost/', proxies, undefined],
    ['http://127.8.9.1/', proxies, undefined],
    ['http://[::1]:5000/', proxies, undefined],
  ])('%s through %o is %s', (url, config, expected) => {
    expect(proxyFor(new URL(url), config)).toBe(expected);
  });
});

describe('a host that is exempt', () => {
  test.each([
    ['*', 'https://a.example/', true],
    ['a.example', 'https://a.example/', true],
    ['A.EXAMPLE', 'https://a.example/', true],
    ['a.example', 'https://b.a.example/', true],
    ['a.example', 'https://ba.example/', false],
    ['.a.example', 'https://b.a.example/', true],
    ['.a.example', 'https://a.example/', false],
    ['*.a.example', 'https://b.a.example/', true],
    ['a.example:8443', 'https://a.example:8443/', true],
    ['a.example:8443', 'https://a.example/', false],
    ['a.example:443', 'https://a.example/', true],
    ['10.0.0.0/8', 'https://10.1.2.3/', true],
    ['10.0.0.0/8', 'https://11.1.2.3/', false],
    ['10.0.0.0/8', 'https://ten.example/', false],
    ['10.1.2.3', 'https://10.1.2.3:5000/', true],
    ['10.1.2.3:80', 'https://10.1.2.3:5000/', false],
    ['fd00::/8', 'https://[fd00::5]/', true],
    ['fd00::5', 'https://[fd00::5]:5000/', true],
    ['[fd00::5]:5000', 'https://[fd00::5]:5000/', true],
    ['', 'https://a.example/', false],
    ['10.0.0.0/99', 'https://10.1.2.3/', false],
  ])('by %j is %s: %s', (entry, url, exempt) => {
    expect(proxyFor(new URL(url), { ...proxies, no: [entry] }) === undefined).toBe(exempt);
  });
});

test('the environment names proxies in either case, and the lower one wins', () => {
  const environment = {
    HTTP_PROXY: 'plain:1',
    https_proxy: 'http://joe:pass@secure:2',
    HTTPS_PROXY: 'http://other:9',
    ALL_PROXY: ' ',
    NO_PROXY: 'a.example, .b.example 10.0.0.0/8',
  };
  expect(proxyFromEnvironment(environment)).toEqual({
    http: 'http://plain:1',
    https: 'http://joe:pass@secure:2',
    no: ['a.example', '.b.example', '10.0.0.0/8'],
  });
  expect(proxyFromEnvironment({})).toEqual({});
});
