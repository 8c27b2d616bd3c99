import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { Endpoint } from '../../src/endpoint.ts';
import type { Config, HostConfig } from '../../src/index.ts';
import { createClient } from '../../src/remote/client.ts';
import { createResolver, planHosts } from '../../src/remote/plan.ts';
import { certificate } from '../server/certificate.ts';
import { atEnd } from '../support/http.ts';

const mirror = (options: Partial<HostConfig> = {}): HostConfig => ({ url: 'https://mirror.test', ...options });
const plan = (config: Config, reference = 'origin.test/team/app') => createClient({ config }).plan(reference);
const withMirrors = (...mirrors: HostConfig[]): Config => ({ registries: { 'origin.test': { mirrors } } });
const first = (host: HostConfig, reference?: string): Endpoint => {
  const [endpoint] = plan(withMirrors(host), reference).endpoints;
  if (!endpoint) throw new Error('no endpoint');
  return endpoint;
};

test('mirrors come in their order, then the registry itself', () => {
  const { endpoints, skipped, reference } = plan(withMirrors(mirror(), mirror({ url: 'https://second.test:444/' })));
  expect(endpoints.map(({ url }) => url)).toEqual([
    'https://mirror.test/v2',
    'https://second.test:444/v2',
    'https://origin.test/v2',
  ]);
  expect(skipped).toEqual([]);
  expect(reference).toEqual({ registry: 'origin.test', name: 'team/app', tag: 'latest' });
});

test('a registry without a configuration has its own address alone, and may all', () => {
  expect(plan({}).endpoints).toEqual([
    {
      url: 'https://origin.test/v2',
      repository: 'team/app',
      scopes: ['repository:team/app:pull'],
      capabilities: ['pull', 'resolve', 'referrers'],
    },
  ]);
});

test.each([
  ['alpine', 'https://registry-1.docker.io/v2', 'library/alpine'],
  ['index.docker.io/foo/bar', 'https://registry-1.docker.io/v2', 'foo/bar'],
  ['localhost/app', 'http://localhost/v2', 'app'],
  ['localhost:5000/app', 'http://localhost:5000/v2', 'app'],
  ['127.0.0.1:5000/app', 'http://127.0.0.1:5000/v2', 'app'],
  ['[::1]:5000/app', 'http://[::1]:5000/v2', 'app'],
  ['10.0.0.1:5000/app', 'https://10.0.0.1:5000/v2', 'app'],
  ['origin.test:443/app', 'https://origin.test/v2', 'app'],
])('%s is asked for at %s', (reference, url, repository) => {
  expect(plan({}, reference).endpoints).toMatchObject([{ url, repository }]);
});

test.each([
  ['https://mirror.test', undefined, 'https://mirror.test/v2'],
  ['https://mirror.test/', undefined, 'https://mirror.test/v2'],
  ['HTTPS://Mirror.Test:443/', undefined, 'https://mirror.test/v2'],
  ['https://mirror.test/a/b//', undefined, 'https://mirror.test/a/b/v2'],
  ['https://mirror.test/v2/', undefined, 'https://mirror.test/v2'],
  ['https://mirror.test/v2/proxy', undefined, 'https://mirror.test/v2/proxy/v2'],
  ['https://mirror.test/v2/proxy/', true, 'https://mirror.test/v2/proxy'],
  ['http://mirror.test:80/prefix', undefined, 'http://mirror.test/prefix/v2'],
])('the API root of %s (override: %s) is %s', (url, overridePath, root) => {
  expect(first({ url, overridePath }).url).toBe(root);
});

test.each([
  ['origin.test/app', 'https://mirror.test', 'origin.test'],
  ['Origin.Test/app', 'https://mirror.test', 'Origin.Test'],
  ['origin.test/app', 'https://ORIGIN.test', undefined],
  ['origin.test/app', 'https://origin.test:443/prefix', undefined],
  ['origin.test:443/app', 'https://origin.test', undefined],
  ['origin.test/app', 'https://origin.test:444', 'origin.test'],
  ['alpine', 'https://registry-1.docker.io', undefined],
  ['alpine', 'https://docker.io', undefined],
  ['alpine', 'https://mirror.test', 'docker.io'],
  ['localhost:5000/app', 'http://localhost:5000', undefined],
])('%s at %s is asked for with the namespace %s', (reference, url, namespace) => {
  const { endpoints } = plan({ registries: { '*': { mirrors: [{ url }] } } }, reference);
  expect(endpoints[0]?.namespace).toBe(namespace);
  expect(endpoints.at(-1)?.namespace).toBeUndefined();
});

test('the first rule that matches is applied, to the name alone, and told; scopes follow it', () => {
  const rewrites = [
    { pattern: '^nothing$', replacement: 'x' },
    { pattern: '^team/(.*)$', replacement: 'proxy/$1' },
    { pattern: '.*', replacement: 'never' },
  ];
  expect(first(mirror({ rewrites }))).toMatchObject({
    repository: 'proxy/app',
    scopes: ['repository:proxy/app:pull'],
    namespace: 'origin.test',
    rewrite: { pattern: '^team/(.*)$', replacement: 'proxy/$1', from: 'team/app' },
  });
  expect(first(mirror({ rewrites: [{ pattern: '^nothing$', replacement: 'x' }] }))).not.toHaveProperty('rewrite');
});

test('rules belong to their own mirror: not to the next one, not to the registry', () => {
  const rewrites = [{ pattern: '^', replacement: 'proxy/' }];
  const { endpoints } = plan(withMirrors(mirror({ rewrites }), mirror({ url: 'https://second.test' })));
  expect(endpoints.map(({ repository }) => repository)).toEqual(['proxy/team/app', 'team/app', 'team/app']);
});

test.each(['', '..', '/x', 'x?y', 'UPPER', 'a//b', 'a b', 'x/../y'])(
  'a mirror whose rule makes "%s" of the name is left out, with the reason, and the others stay',
  (replacement) => {
    const rewrites = [{ pattern: '^.*$', replacement }];
    const { endpoints, skipped } = plan(withMirrors(mirror({ rewrites }), mirror({ url: 'https://second.test' })));
    expect(endpoints.map(({ url }) => url)).toEqual(['https://second.test/v2', 'https://origin.test/v2']);
    expect(skipped).toEqual([
      {
        url: 'https://mirror.test/v2',
        code: 'INVALID_REWRITE',
        reason: expect.stringContaining(JSON.stringify(replacement)),
      },
    ]);
  },
);

test('an origin of "never" leaves the mirrors alone; one of its own takes the place of the registry', () => {
  const mirrors = [mirror()];
  const at = (config: Config) => plan(config).endpoints.map(({ url, namespace }) => [url, namespace]);
  expect(at({ registries: { 'origin.test': { mirrors, origin: 'never' } } })).toEqual([
    ['https://mirror.test/v2', 'origin.test'],
  ]);
  expect(at({ registries: { 'origin.test': { mirrors, origin: { url: 'http://real.test:81/x' } } } })).toEqual([
    ['https://mirror.test/v2', 'origin.test'],
    ['http://real.test:81/x/v2', 'origin.test'],
  ]);
});

test('a blocked registry has no endpoint, and all its hosts are left out with the reason', () => {
  const { endpoints, skipped } = plan({ registries: { 'origin.test': { mirrors: [mirror()], blocked: true } } });
  expect(endpoints).toEqual([]);
  expect(skipped.map(({ url }) => url)).toEqual(['https://mirror.test/v2', 'https://origin.test/v2']);
  expect(skipped.every(({ reason }) => reason.includes('blocked'))).toBe(true);
});

test('"*" is for registries that have no entry of their own, in any spelling', () => {
  const config: Config = {
    registries: {
      '*': { mirrors: [mirror()] },
      'Origin.Test': { mirrors: [] },
      'index.docker.io': { origin: 'never' },
    },
  };
  const hosts = (reference: string) => plan(config, reference).endpoints.map(({ url }) => new URL(url).host);
  expect(hosts('origin.test/app')).toEqual(['origin.test']);
  expect(hosts('ORIGIN.test/app')).toEqual(['origin.test']);
  expect(hosts('other.test/app')).toEqual(['mirror.test', 'other.test']);
  expect(hosts('alpine')).toEqual([]);
  expect(hosts('constructor.test/app')).toEqual(['mirror.test', 'constructor.test']);
});

test('a plan tells where a login comes from and which headers are sent, and no secret', () => {
  const headers = { 'X-Key': 'secret-header' };
  const config: Config = {
    ...withMirrors(mirror({ headers, capabilities: ['pull'], connectTimeout: 5 })),
    credentials: {
      'mirror.test': { username: 'joe', password: 'secret-password' },
      'origin.test/team': { identityToken: 'secret-token' },
    },
  };
  const { endpoints } = plan(config);
  expect(endpoints).toMatchObject([
    {
      headers: { 'X-Key': '***' },
      capabilities: ['pull'],
      connectTimeout: 5,
      credentials: 'credentials["mirror.test"]',
    },
    { credentials: 'credentials["origin.test/team"]' },
  ]);
  expect(JSON.stringify(plan(config))).not.toContain('secret');
  expect(createResolver(config)({ registry: 'origin.test', name: 'team/app' })[0]?.headers).toEqual(headers);
});

test('a resolver refuses at once what is wrong with its configuration', () => {
  const bad = { registries: { 'origin.test': { mirrors: [{ url: 'ftp://mirror.test' }] } } };
  expect(() => createResolver(bad)).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  const missing = withMirrors(mirror({ tls: { ca: ['/nowhere/ca.pem'] } }));
  expect(() => createResolver(missing)).toThrow(/registries\["origin\.test"\]\.mirrors\[0\]\.tls\.ca\[0\].*nowhere/);
});

test('all certificates and keys that cannot be used are told at once, each with its place, key and file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'resolver-'));
  atEnd(() => rm(folder, { recursive: true }));
  const path = (name: string): string => join(folder, name);
  const garbage = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
  await writeFile(path('words.pem'), 'words');
  await writeFile(path('garbage.pem'), garbage);
  await writeFile(path('good.pem'), certificate.cert);
  const ca = ['good.pem', 'no-ca.pem', 'words.pem', 'garbage.pem'].map(path);
  const config: Config = {
    registries: {
      'a.test': { mirrors: [mirror({ tls: { ca }, declaredAt: '/etc/k3s.yaml:4' })] },
      '*': {
        origin: {
          tls: { cert: path('good.pem'), key: path('no-key.pem') },
          declaredAt: '/certs.d/_default/hosts.toml:1',
        },
      },
      'b.test': { mirrors: [mirror({ tls: { cert: folder, key: path('words.pem') } })] },
      'c.test': { mirrors: [mirror({ tls: { cert: path('good.pem'), key: path('good.pem') } })] },
    },
  };
  const lines = (thrown: unknown): string[] => (thrown as Error).message.replaceAll(folder, '/dir').split('\n');
  let error: unknown;
  try {
    createClient({ config });
  } catch (thrown) {
    error = thrown;
  }
  expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
  expect(lines(error)).toEqual([
    'Cannot use config: 7 problems',
    '  /etc/k3s.yaml:4: registries["a.test"].mirrors[0].tls.ca[1]: file "/dir/no-ca.pem": no such file',
    '  /etc/k3s.yaml:4: registries["a.test"].mirrors[0].tls.ca[2]: file "/dir/words.pem": not PEM',
    '  /etc/k3s.yaml:4: registries["a.test"].mirrors[0].tls.ca[3]: file "/dir/garbage.pem": certificate 1 of 1 in it cannot be read',
    '  /certs.d/_default/hosts.toml:1: registries["*"].origin.tls.key: file "/dir/no-key.pem": no such file',
    '  registries["b.test"].mirrors[0].tls.cert: file "/dir": it is a directory',
    '  registries["b.test"].mirrors[0].tls.key: file "/dir/words.pem": not PEM',
    '  registries["c.test"].mirrors[0].tls.key: file "/dir/good.pem": no private key can be read from it: it is not one, or it is encrypted',
  ]);
});

test('an origin without a URL is the registry itself, with what is said of it', () => {
  const headers = { 'X-Key': 'value' };
  const config: Config = {
    registries: {
      '*': { mirrors: [mirror()], origin: { headers, tls: { insecureSkipVerify: true }, capabilities: ['resolve'] } },
      'one.test': { origin: { concurrency: 1 } },
      'one.test/below': { origin: { concurrency: 2 } },
    },
  };
  const asked = (reference: string) => plan(config, reference).endpoints;
  expect(asked('quay.io/a')).toMatchObject([
    { url: 'https://mirror.test/v2', namespace: 'quay.io' },
    {
      url: 'https://quay.io/v2',
      headers: { 'X-Key': '***' },
      tls: { insecureSkipVerify: true },
      capabilities: ['resolve'],
    },
  ]);
  expect(asked('quay.io/a')[1]).not.toHaveProperty('namespace');
  expect(asked('alpine')[1]).toMatchObject({
    url: 'https://registry-1.docker.io/v2',
    tls: { insecureSkipVerify: true },
  });
  expect(asked('localhost:5000/a')[1]).toMatchObject({ url: 'http://localhost:5000/v2' });
  // Not used over http; it may turn out to speak TLS.
  expect(asked('localhost:5000/a')[1]).toHaveProperty('tls');
  expect(asked('one.test/a')).toMatchObject([{ url: 'https://one.test/v2', concurrency: 1 }]);
  expect(asked('one.test/below/a')).toMatchObject([{ url: 'https://one.test/v2', concurrency: 2 }]);
});

test('a certificate that is not checked is warned of once for each host, with the first place', () => {
  const tls = { insecureSkipVerify: true };
  const texts: string[] = [];
  const config: Config = {
    registries: {
      'a.test': { mirrors: [mirror({ tls, declaredAt: 'one:1' }), mirror({ url: 'https://other.test', tls })] },
      'b.test': { mirrors: [mirror({ tls, declaredAt: 'one:2' })], origin: { tls } },
      'c.test': { mirrors: [mirror({ tls, declaredAt: 'one:3' })] },
      '*': { origin: { tls, declaredAt: 'one:4' } },
    },
  };
  createClient({ config, onEvent: (event) => texts.push(event.type === 'warning' ? event.text : event.type) });
  expect(texts).toEqual([
    'the certificate of https://mirror.test/v2 is not checked: insecureSkipVerify (one:1, and 2 more)',
    'the certificate of https://other.test/v2 is not checked: insecureSkipVerify',
    'the certificate of https://b.test/v2 is not checked: insecureSkipVerify',
    'the certificate of every registry that matches "*" is not checked: insecureSkipVerify (one:4)',
  ]);
});

test('a mirror that is itself a blocked registry is left out, but not where all others are blocked', () => {
  const config: Config = {
    registries: {
      'origin.test': { mirrors: [mirror(), mirror({ url: 'https://second.test' })] },
      'mirror.test/team': { blocked: true, declaredAt: 'one:1' },
      '*': { blocked: true },
    },
  };
  const { endpoints, skipped } = plan(config);
  expect(endpoints.map(({ url }) => url)).toEqual(['https://second.test/v2', 'https://origin.test/v2']);
  expect(skipped).toEqual([
    { url: 'https://mirror.test/v2', reason: 'the registry "mirror.test/team" is blocked', declaredAt: 'one:1' },
  ]);
  expect(plan(config, 'origin.test/other/app').skipped).toEqual([]);
  expect(plan(config, 'mirror.test/other/app').endpoints).toEqual([]);
});

test('a rule that names a group which its pattern has not is warned of', () => {
  const texts: string[] = [];
  const config = withMirrors(mirror({ rewrites: [{ pattern: '^(.*)$', replacement: '$1_x' }] }));
  createClient({ config, onEvent: (event) => texts.push(event.type === 'warning' ? event.text : event.type) });
  expect(texts).toEqual([expect.stringContaining('$1_x')]);
});

test('a registry that its mirrors stand in for is told among those left out, with the line that says so', () => {
  const of = (mirrors: readonly HostConfig[]) =>
    plan({ registries: { 'origin.test': { mirrors, origin: 'never', declaredAt: '/etc/x.yaml:3' } } });
  expect(of([mirror()]).skipped).toEqual([
    {
      url: 'https://origin.test/v2',
      reason: 'the registry itself is never contacted: the configuration allows only its mirrors',
      declaredAt: '/etc/x.yaml:3',
    },
  ]);
  // As a mirror of itself it is asked.
  expect(of([{ url: 'https://origin.test', rewrites: [{ pattern: '^', replacement: 'x/' }] }]).skipped).toEqual([]);
});

test('a registry that no host is left for is a warning, unless it is blocked', () => {
  const warnings = (registry: object) =>
    planHosts({ registries: { 'origin.test': { ...registry, declaredAt: '/etc/x.yaml:3' } } }).warnings;
  expect(warnings({ origin: 'never', mirrors: [] })).toEqual([
    'no host is left for "origin.test": it has no mirrors, and its origin is "never" (/etc/x.yaml:3)',
  ]);
  expect(warnings({ origin: 'never', blocked: true })).toEqual([]);
  expect(warnings({ origin: 'never', mirrors: [mirror()] })).toEqual([]);
});

test('a registry of this machine is requested over https if certificates are configured for it', () => {
  const ca = [certificate.cert];
  const urlOf = (key: string, reference: string, tls: object) =>
    plan({ registries: { [key]: { origin: { tls } } } }, reference).endpoints[0]?.url;
  expect(urlOf('localhost:5000', 'localhost:5000/a', { ca })).toBe('https://localhost:5000/v2');
  expect(urlOf('localhost:80', 'localhost:80/a', { ca })).toBe('https://localhost:80/v2');
  expect(urlOf('localhost:5000', 'localhost:5000/a', { ...certificate })).toBe('https://localhost:5000/v2');
  expect(urlOf('localhost:5000', 'localhost:5000/a', { insecureSkipVerify: true })).toBe('http://localhost:5000/v2');
  expect(urlOf('*', 'localhost:5000/a', { ca })).toBe('http://localhost:5000/v2');
});

test('the TLS settings for an origin are those of its own entry, of its domain, or of a mirror there', () => {
  const named = (cert: string) => ({ ca: [`# ${cert}\n${certificate.cert}`] });
  const of = (name: string) => ({ origin: { tls: named(name) } });
  const mirrors = [{ url: 'https://m.test:9000/prefix', tls: named('mirror') }];
  const { tlsFor } = planHosts({
    registries: {
      'a.test': { mirrors: [...mirrors, { url: 'https://s3.test', tls: named('s3 as a mirror') }] },
      's3.test': of('s3 itself'),
      '*.corp.test': of('domain'),
      '*': of('all'),
    },
  });
  const found = (url: string) => tlsFor(new URL(url))?.ca?.[0]?.split('\n')[0];
  expect(found('https://m.test:9000/x')).toBe('# mirror');
  expect(found('https://m.test/x')).toBeUndefined();
  expect(found('https://s3.test/x')).toBe('# s3 itself');
  expect(found('https://s3.corp.test:9000/x')).toBe('# domain');
  expect(found('https://elsewhere.test/x')).toBeUndefined();
});
