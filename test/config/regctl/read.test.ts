import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readRegctlConfig } from '../../../src/config/regctl/read.ts';
import { runs } from '../../support/runs.ts';
import { expectCleanPrototype, problemOf, withoutSpots } from '../problem.ts';

const place = { file: '/home/me/.regctl/config.json' };
const read = (value: unknown) => withoutSpots(readRegctlConfig(JSON.stringify(value, null, 2), place));
const problem = (text: string): string | undefined => problemOf(() => readRegctlConfig(text, place));
const at = (line: number): string => `/home/me/.regctl/config.json:${line}`;

test('hosts with their certificates, limits, logins and helpers are read', () => {
  const { config, helpers, warnings } = read({
    version: 1,
    hosts: {
      'reg.example:5000': {
        tls: 'enabled',
        regcert: '-----BEGIN CERTIFICATE-----\nca',
        clientCert: '-----BEGIN CERTIFICATE-----\nme',
        clientKey: '-----BEGIN PRIVATE KEY-----\nkey',
        user: 'u',
        pass: 'p',
        reqPerSec: 2.5,
        reqConcurrent: 4,
        repoAuth: true,
      },
      insecure: { tls: 'insecure', hostname: '10.0.0.1:5000', token: 'refresh' },
      'localhost:5001': { tls: 'disabled', credHelper: 'docker-credential-pass' },
      'docker.io': { user: 'hub', pass: 'x', credHost: 'https://index.docker.io/v1/' },
    },
    hostDefault: { credHelper: 'docker-credential-desktop' },
  });
  expect({ ...config.registries }).toEqual({
    'reg.example:5000': {
      mirrors: [],
      origin: {
        url: 'https://reg.example:5000',
        tls: {
          ca: ['-----BEGIN CERTIFICATE-----\nca'],
          cert: '-----BEGIN CERTIFICATE-----\nme',
          key: '-----BEGIN PRIVATE KEY-----\nkey',
        },
        requestsPerSecond: 2.5,
        concurrency: 4,
        declaredAt: at(4),
      },
      declaredAt: at(4),
    },
    insecure: {
      mirrors: [],
      origin: { url: 'https://10.0.0.1:5000', tls: { insecureSkipVerify: true }, declaredAt: at(15) },
      declaredAt: at(15),
    },
  });
  expect({ ...(config.credentials as object) }).toEqual({
    'reg.example:5000': { username: 'u', password: 'p' },
    '10.0.0.1:5000': { identityToken: 'refresh' },
    'docker.io': { username: 'hub', password: 'x' },
  });
  expect(helpers).toEqual({ credsStore: 'desktop', credHelpers: { 'localhost:5001': 'pass' } });
  expect(warnings).toEqual([]);
});

test('mirrors go by priority, lowest first, then as they are written; the registry is after those of its own', () => {
  const { config } = read({
    hosts: {
      'docker.io': { mirrors: ['late', 'b.example', 'first', 'a.example'], priority: 5 },
      first: { hostname: 'first.example', pathPrefix: '/hub/', tls: 'disabled' },
      late: { hostname: 'late.example', priority: 9 },
      'a.example': { priority: 5 },
      'b.example': { priority: 5 },
    },
  });
  const hub = config.registries?.['docker.io'];
  expect(hub?.mirrors?.map(({ url, rewrites }) => [url, rewrites?.[0]?.replacement])).toEqual([
    ['http://first.example', 'hub/$1'],
    ['https://b.example', undefined],
    ['https://a.example', undefined],
    ['https://registry-1.docker.io', undefined],
    ['https://late.example', undefined],
  ]);
  expect(hub?.origin).toBe('never');
});

test('a mirror needs no entry of its own', () => {
  const { config } = read({ hosts: { 'docker.io': { mirrors: ['m.example', 'http://n.example:5000'] } } });
  expect(config.registries?.['docker.io']).toEqual({
    mirrors: [
      { url: 'https://m.example', declaredAt: at(5) },
      { url: 'http://n.example:5000', declaredAt: at(6) },
    ],
    origin: { url: 'https://registry-1.docker.io', declaredAt: at(3) },
    declaredAt: at(3),
  });
});

test('a login of a host with a path prefix is for what is below it', () => {
  const { config, warnings } = read({
    hosts: {
      one: { hostname: 'm.example', pathPrefix: 'hub', user: 'a', pass: '1' },
      two: { hostname: 'm.example', user: 'b', pass: '2' },
      three: { hostname: 'm.example', user: 'c', pass: '3' },
    },
  });
  expect({ ...(config.credentials as object) }).toEqual({
    'm.example/hub': { username: 'a', password: '1' },
    'm.example': { username: 'b', password: '2' },
  });
  expect(warnings).toEqual([`${at(14)}: hosts.three: its login is not used, "m.example" has one above`]);
});

test('defaults are for the hosts of the file; a login and a name are not', () => {
  const { config, warnings } = read({
    hosts: { 'a.example': { reqPerSec: 1 }, 'b.example': {} },
    hostDefault: { tls: 'insecure', reqPerSec: 7, user: 'u', pass: 'hunter2', hostname: 'x', mirrors: ['m.example'] },
  });
  const skip = { tls: { insecureSkipVerify: true } };
  expect(config.registries?.['a.example']?.origin).toMatchObject({ ...skip, requestsPerSecond: 1 });
  expect(config.registries?.['b.example']?.mirrors).toMatchObject([{ ...skip, url: 'https://m.example' }]);
  expect(config.registries?.['*']).toMatchObject({ mirrors: [{ url: 'https://m.example' }], declaredAt: at(14) });
  expect(config).not.toHaveProperty('credentials');
  expect(warnings).toEqual([
    `${at(11)}: hostDefault.user: not used, a login belongs to one host`,
    `${at(12)}: hostDefault.pass: not used, a login belongs to one host`,
    `${at(13)}: hostDefault.hostname: not used, each host has its own`,
    `${at(9)}: hostDefault.tls: used for the hosts of this file only`,
    `${at(10)}: hostDefault.reqPerSec: used for the hosts of this file only`,
  ]);
});

test('what is only for pushing or for regctl is a warning', () => {
  const { config, warnings } = read({
    hosts: {
      'a.example': {
        blobChunk: 1,
        blobMax: -1,
        api: 'oci',
        apiOpts: { disableHead: 'true' },
        credExpire: '1h',
        credHost: 'https://x',
        credHelper: '/usr/bin/helper',
        clientCert: '-----BEGIN CERTIFICATE-----',
        user: 'u',
        scheme: 'http',
        dns: [],
        reqConcurrent: 0,
      },
    },
    blobLimit: 1,
    incDockerCred: false,
  });
  expect(config).toEqual({});
  expect(warnings).toHaveLength(13);
  expect(warnings).toContain(
    `${at(12)}: hosts["a.example"].credHelper: not used, only programs named docker-credential-* on PATH are run`,
  );
  expect(warnings).toContain(`${at(3)}: hosts["a.example"]: clientCert and clientKey are used together only`);
});

describe('all problems are reported with their places', () => {
  test.each([
    ['{"host": {}}', ':1:2: host: unknown key "host", did you mean "hosts"?'],
    ['{"version": 2}', ':1:2: version: found "2", expected 1, the only version that is known'],
    ['{"hosts": {"docker.io": {}, "registry-1.docker.io": {}}}', 'found "registry-1.docker.io", a duplicate host'],
    ['{"hosts": {"a.b": {"tls": "off"}}}', ':1:20: hosts["a.b"].tls: found "off", expected "enabled"'],
    ['{"hosts": {"a.b": {"hostname": "x/y"}}}', 'hosts["a.b"].hostname: found "x/y", not a host name'],
    [
      '{"hosts": {"a.b": {"pathPrefix": "Up"}}}',
      'hosts["a.b"].pathPrefix: found "Up", path component "Up" has upper-case',
    ],
    ['{"hosts": {"a.b": {"mirrors": ["x y"]}}}', ':1:32: hosts["a.b"].mirrors[0]: found "x y", not a host name'],
    ['{"hosts": {"a.b": {"reqPerSec": -1}}}', 'found "-1", expected a number above 0'],
    [
      '{"hosts": {"a.b": {"pass": ["hunter2"]}}}',
      ':1:28: hosts["a.b"].pass: found a value that is not shown, expected a text',
    ],
    ['{"hosts": {"a.b": {"passwort": "hunter2"}}}', 'unknown key "passwort", did you mean "pass"?'],
    ['{"hosts": {"__proto__": {"polluted": 1}}}', 'unknown key "polluted"'],
  ])('%s', (text, expected) => {
    expect(problem(text)).toContain(expected);
    expect(problem(text)).not.toContain('hunter2');
  });
});

test('an empty file is read as an empty configuration', () => {
  for (const text of ['', '{}', '{"hosts": {}}', '{"hosts": null}']) {
    expect(readRegctlConfig(text, place)).toEqual({ config: {}, warnings: [], helpers: {} });
  }
});

test('any file is a configuration or INVALID_CONFIG', () => {
  const key = fc.constantFrom(
    'hosts',
    'hostDefault',
    'a.b',
    'docker.io',
    '__proto__',
    'constructor',
    'tls',
    'hostname',
    'mirrors',
    'priority',
    'pathPrefix',
    'reqConcurrent',
  );
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.constantFrom('a.b', 'm.b', 'insecure', ['a.b', 'x'], 3, 2.5, 1e300, ''),
      fc.jsonValue(),
      fc.dictionary(key, tie('value')),
    ),
  })).value;
  fc.assert(
    fc.property(fc.dictionary(key, tree), (value) => {
      problem(JSON.stringify(value));
      expectCleanPrototype();
    }),
    runs(150),
  );
});

test('keys are read in any letter case, and a name that is not a host is not used', () => {
  const json = '{"Hosts": {"my_registry:5000": {"user": "x"}, "a.example": {"User": "u", "PASS": "p"}}}';
  const { config, warnings } = readRegctlConfig(json, place);
  expect({ ...(config.credentials as object) }).toEqual({ 'a.example': { username: 'u', password: 'p' } });
  expect(warnings.some((text) => text.includes('hosts["my_registry:5000"]: not used, not a host name'))).toBe(true);
});
