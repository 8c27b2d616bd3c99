import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { readDockerConfig } from '../../../src/config/docker/read.ts';
import { expectLinear } from '../../support/linear.ts';
import { runs } from '../../support/runs.ts';
import { expectCleanPrototype, problemOf } from '../problem.ts';

const place = { file: '/home/me/.docker/config.json' };
const read = (value: unknown) => readDockerConfig(JSON.stringify(value, null, 2), place);
const loginsOf = (value: unknown) => ({ ...(read(value).config.credentials as object) });
const basic = (pair: string): string => Buffer.from(pair).toString('base64');
const problem = (text: string): string | undefined => problemOf(() => readDockerConfig(text, place));

test('logins, helpers and the default proxies are read', () => {
  const { config, helpers, warnings } = read({
    auths: {
      'https://index.docker.io/v1/': { auth: basic('me:pa:ss') },
      'ghcr.io': { username: 'u', password: 'p' },
      'https://my.azurecr.io': { identitytoken: 'refresh', auth: basic('00000000:') },
      'plain.example:5000/': { registrytoken: 'bearer' },
      'http://old.example/v1/': { auth: basic('old:x') },
    },
    credHelpers: { 'gcr.io': 'gcloud', 'https://index.docker.io/v1/': 'desktop', 'none.example': '' },
    credsStore: 'osxkeychain',
    proxies: { default: { httpProxy: 'http://u:p@proxy:3128', httpsProxy: '', noProxy: '*.test, 127.0.0.0/8,' } },
  });
  expect({ ...(config.credentials as object) }).toEqual({
    'docker.io': { username: 'me', password: 'pa:ss' },
    'ghcr.io': { username: 'u', password: 'p' },
    'my.azurecr.io': { identityToken: 'refresh' },
    'plain.example:5000': { registryToken: 'bearer' },
    'old.example': { username: 'old', password: 'x' },
  });
  expect(helpers).toEqual({
    credsStore: 'osxkeychain',
    credHelpers: { 'gcr.io': 'gcloud', 'docker.io': 'desktop', 'none.example': '' },
  });
  expect(config.proxy).toEqual({ http: 'http://u:p@proxy:3128', no: ['*.test', '127.0.0.0/8'] });
  expect(warnings).toEqual([]);
});

test("Podman's keys with a path stay apart, as its manual's example has them", () => {
  expect(
    loginsOf({
      auths: {
        'my-registry.local/foo/bar/image': { auth: basic('a:1') },
        'my-registry.local/foo': { auth: basic('b:2') },
        'my-registry.local': { auth: basic('c:3') },
      },
    }),
  ).toEqual({
    'my-registry.local/foo/bar/image': { username: 'a', password: '1' },
    'my-registry.local/foo': { username: 'b', password: '2' },
    'my-registry.local': { username: 'c', password: '3' },
  });
});

test("Docker's markers next to a helper are not logins, and its own logins are not the registry's", () => {
  const { config, helpers, warnings } = read({
    auths: {
      'https://index.docker.io/v1/': {},
      'https://index.docker.io/v1/access-token': {},
      'https://index.docker.io/v1/refresh-token': { auth: basic('me:own') },
    },
    credsStore: 'desktop',
  });
  expect(config).toEqual({});
  expect(helpers).toEqual({ credsStore: 'desktop' });
  expect(warnings).toEqual([
    '/home/me/.docker/config.json:4: auths["https://index.docker.io/v1/access-token"]: not used, a login of Docker for itself',
    '/home/me/.docker/config.json:5: auths["https://index.docker.io/v1/refresh-token"]: not used, a login of Docker for itself',
  ]);
});

test('of several keys of one host, that which Docker asks for counts', () => {
  const { config, warnings } = read({
    auths: {
      'https://docker.io/v2/': { auth: basic('c:3') },
      'docker.io': { auth: basic('b:2') },
      'https://index.docker.io/v1/': { auth: basic('a:1') },
    },
  });
  expect(config.credentials).toMatchObject({ 'docker.io': { username: 'a', password: '1' } });
  expect(warnings).toEqual([
    '/home/me/.docker/config.json:6: auths["docker.io"]: not used, "docker.io" has another login',
    '/home/me/.docker/config.json:3: auths["https://docker.io/v2/"]: not used, "docker.io" has another login',
  ]);
});

test('what is for registries and has no meaning here is a warning, the rest is not', () => {
  const { config, warnings } = read({
    auths: { 'a.example': {}, 'b.example': null },
    HttpHeaders: { 'X-Meta': 'hunter2' },
    proxies: { 'tcp://daemon:2375': { httpProxy: 'http://p:1' }, default: { ftpProxy: 'ftp://p' } },
    credHelpers: { 'c.example/team': 'pass' },
    detachKeys: 'ctrl-e,e',
    psFormat: 'table {{.ID}}',
    plugins: { compose: { a: 'b' } },
    currentContext: 'desktop-linux',
    features: { hooks: 'true' },
  });
  expect(config).toEqual({});
  expect(warnings.map((line) => line.replace('/home/me/.docker/config.json:', ''))).toEqual([
    '6: HttpHeaders: not used, Docker sends them to its daemon; a host of a registry has headers of its own',
    '18: credHelpers["c.example/team"]: not used, helpers are for hosts and not for paths',
    '3: auths["a.example"]: not used, it holds no login',
    '10: proxies["tcp://daemon:2375"]: not used, it is for one Docker daemon; those named "default" are',
    '14: proxies.default.ftpProxy: not used, registries do not speak ftp',
  ]);
});

test('an empty file is read as an empty configuration', () => {
  expect(readDockerConfig(' \n', place)).toEqual({ config: {}, warnings: [], helpers: {} });
  expect(readDockerConfig('{}', place)).toEqual({ config: {}, warnings: [], helpers: {} });
});

test('keys are read in any letter case, as Go reads them; an exact one counts first', () => {
  const { config, helpers, warnings } = read({
    credSstore: 'desktop',
    CREDHELPERS: { 'gcr.io': 'gcloud' },
    Auths: {
      'a.example': { Username: 'u', PASSWORD: 'p' },
      'b.example': { USERNAME: 'no', username: 'b', password: 'x' },
    },
    Proxies: { default: { HTTPProxy: 'http://p:1' } },
    PSFORMAT: 'table',
  });
  expect(helpers).toEqual({ credsStore: 'desktop', credHelpers: { 'gcr.io': 'gcloud' } });
  expect(config).toEqual({
    credentials: { 'a.example': { username: 'u', password: 'p' }, 'b.example': { username: 'b', password: 'x' } },
    proxy: { http: 'http://p:1' },
  });
  expect(warnings).toEqual([]);
  for (const stores of [
    { credSstore: 'no', credsStore: 'yes' },
    { credsStore: 'yes', credSstore: 'no' },
  ]) {
    expect(read(stores).helpers).toEqual({ credsStore: 'yes' });
  }
});

test('what Docker ignores is a warning, and the other logins stay', () => {
  const odd = ['*.jfrog.io', 'my_registry:5000', '', 'a b', 'https://u:hunter2@h/', '__proto__'];
  const auths = JSON.stringify({ 'a.example': { auth: basic('a:b'), pasword: 'hunter2' } });
  const entries = odd.map((key) => `,${JSON.stringify(key)}:{"auth":"hunter2!"}`).join('');
  const json = `{"auths":${auths.slice(0, -1)}${entries}},"credHelpers":{"*.x.io":"ecr"},"auth":{},"psFromat":1,"__proto__":{}}`;
  const { config, helpers, warnings } = readDockerConfig(json, place);
  expect({ ...(config.credentials as object) }).toEqual({ 'a.example': { username: 'a', password: 'b' } });
  expect(helpers).toEqual({});
  expect(warnings.map((line) => line.replace('/home/me/.docker/config.json:1: ', '')).sort()).toEqual(
    [
      '__proto__: not used, unknown key "__proto__", expected auths, credHelpers, credsStore, HttpHeaders, proxies, or another of Docker\'s',
      'auth: not used, unknown key "auth", did you mean "auths"?',
      'psFromat: not used, unknown key "psFromat", did you mean "psFormat"?',
      'auths["a.example"].pasword: not used, unknown key "pasword", did you mean "password"?',
      ...odd.map((key) => {
        const name = key === '__proto__' ? '.__proto__' : `["${key.replace('u:hunter2', '***')}"]`;
        return `auths${name}: not used, expected host, host:port or host/path`;
      }),
      'credHelpers["*.x.io"]: not used, expected host, host:port or host/path',
    ].sort(),
  );
});

describe('all problems are reported with their places', () => {
  test.each([
    ['{"auths": []}', ':1:11: auths: found a list, expected a table'],
    [
      '{"auths": {"a.example": {"auth": 7}}}',
      ':1:34: auths["a.example"].auth: found a value that is not shown, expected',
    ],
    ['{"auths": {"a.example": {"auth": "hunter2!"}}}', 'expected user:password in base64'],
    [`{"auths": {"a.example": {"auth": "${basic('hunter2')}"}}}`, 'expected user:password in base64'],
    [`{"auths": {"a.example": {"auth": "${basic(':hunter2')}"}}}`, 'expected user:password in base64'],
    ['{"credsStore": "../evil"}', ':1:2: credsStore: found "../evil", expected the end of a name'],
    ['{"credHelpers": {"a.example": "a b"}}', 'credHelpers["a.example"]: found "a b", expected the end of a name'],
    ['{"credHelpers": {"a.example": 1}}', ':1:31: credHelpers["a.example"]: found the number 1, expected a text'],
    [
      '{"proxies": {"default": {"httpProxy": "ftp://u:hunter2@proxy"}}}',
      'found "ftp://***@proxy", expected an http or https URL',
    ],
  ])('%s', (text, expected) => {
    const message = problem(text);
    expect(message).toContain(expected);
    expect(message).toContain('/home/me/.docker/config.json:');
    expect(message).not.toContain('hunter2');
  });

  test('at once', () => {
    const message = problem('{"auths": 1,\n"credsStore": "/x",\n"typo": 2}');
    expect(message?.split('\n').map((line) => line.replace(/^ +\/home\/me\/.docker\//, ''))).toEqual([
      'Cannot use config file "/home/me/.docker/config.json": 2 problems',
      'config.json:1:11: auths: found the number 1, expected a table',
      'config.json:2:1: credsStore: found "/x", expected the end of a name, docker-credential-*, without a path',
    ]);
  });
});

test('a host may have the name of a method of objects', () => {
  const credentials = loginsOf({ auths: { constructor: { auth: basic('a:b') } } });
  expect(Object.hasOwn(credentials, 'constructor')).toBe(true);
});

test('a long file takes no more than its length', () => {
  const all = Array.from({ length: 2_000 }, (_, index) => [`host${index}.example`, { auth: basic('u:p') }]);
  expectLinear(2_000, (length) => {
    const hosts = Object.fromEntries(all.slice(0, length));
    expect(Object.keys(loginsOf({ auths: hosts }))).toHaveLength(length);
    expect(read(hosts).warnings.at(-1)).toContain(`and ${length - 100} more`);
  });
  const started = performance.now();
  for (const key of ['/'.repeat(1_000_000), `a${'/'.repeat(1_000_000)}b`, 'a-'.repeat(500_000)]) {
    expect(read({ auths: { [key]: {} } }).warnings).toHaveLength(1);
  }
  expect(performance.now() - started).toBeLessThan(8000);
});

test('any file is a configuration or INVALID_CONFIG', () => {
  const key = fc.constantFrom(
    'auths',
    'auth',
    'credHelpers',
    'credsStore',
    'proxies',
    'default',
    '__proto__',
    'constructor',
    'a.b',
    'username',
    'password',
  );
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 4 },
      fc.jsonValue(),
      fc.string(),
      fc.dictionary(key, tie('value'), { noNullPrototype: true }),
    ),
  })).value;
  fc.assert(
    fc.property(
      fc.oneof(
        fc.dictionary(key, tree).map((value) => JSON.stringify(value)),
        fc.string(),
      ),
      (text) => {
        problem(text);
        expectCleanPrototype();
      },
    ),
    runs(150),
  );
});
