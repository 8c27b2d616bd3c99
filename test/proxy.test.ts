import { describe, expect, test } from 'vitest';
import { noProxyWarnings, proxyFor, proxyFromEnvironment, proxyProblem, proxyUrl } from '../src/proxy.ts';

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

test.each([
  ['proxy:3128', 'http://proxy:3128'],
  ['http://proxy:3128', 'http://proxy:3128'],
  ['https://joe:pass@proxy', 'https://joe:pass@proxy'],
])('%j is the proxy %s', (written, url) => {
  expect(proxyProblem(written)).toBeUndefined();
  expect(proxyUrl(written)).toBe(url);
});

test.each([
  ['socks5h://joe:hunter2@p:1', 'found "socks5h://***@p:1", SOCKS proxies are not supported'],
  ['ftp://p', 'found "ftp://p", expected an http or https URL, or host:port'],
  ['http://p?token=hunter2', 'found "http://p?***", expected'],
  ['a b', 'found "http://a b", expected'],
  ['http://joe:100%hunter2@p:1', 'found "http://***@p:1", expected "%25" for each "%" of its login'],
  ['http://100%@p:1', 'found "http://***@p:1", expected "%25"'],
  ['joe:hunter2%f@p:1', 'found "http://***@p:1", expected "%25"'],
])('%j is no proxy, and its login is not told', (written, fault) => {
  expect(proxyProblem(written)).toContain(fault);
  expect(proxyProblem(written)).not.toContain('hunter2');
});

test('what exempts nothing from a proxy is told, and nothing else', () => {
  const right = [
    '*',
    'a.example',
    '.a.example',
    '*.a.example',
    'a:5000',
    '10.0.0.1',
    '[::1]:80',
    '::1',
    '10.0.0.0/8',
    'fd00::/8',
  ];
  expect(noProxyWarnings({ no: right })).toEqual([]);
  const wrong = ['10.0.0.0/33', 'https://quay.io', 'quay.io.', 'a:70000', '300.1.1.1', 'a b'];
  expect(noProxyWarnings({ no: [...right, ...wrong] })).toEqual(
    wrong.map(
      (entry) =>
        `proxy.no (NO_PROXY): "${entry}" exempts nothing: expected a host, .domain, host:port, an address, a CIDR block or "*"`,
    ),
  );
});
