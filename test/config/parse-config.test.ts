import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseConfig } from '../../src/config/parse-config.ts';
import { RegistryError } from '../../src/errors.ts';

const mirror = { url: 'https://m.example/prefix' };
const withMirror = (change: object): unknown => ({
  registries: { 'docker.io': { mirrors: [{ ...mirror, ...change }] } },
});

function messageOf(value: unknown, where?: string): string {
  try {
    parseConfig(value, where);
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryError);
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
    return (error as Error).message;
  }
  return 'accepted';
}

const full = {
  registries: {
    'docker.io': {
      mirrors: [
        {
          ...mirror,
          overridePath: true,
          capabilities: ['pull', 'resolve'],
          rewrites: [{ pattern: '^library/(.*)', replacement: 'hub/$1' }],
          headers: { 'X-Key': 'v' },
          tls: { ca: ['/etc/ca.pem'], cert: 'c', key: 'k', insecureSkipVerify: false },
          connectTimeout: 500,
        },
      ],
      origin: 'never',
    },
    'localhost:5000': { mirrors: [], blocked: true },
    '[::1]:5000': { origin: { url: 'http://[::1]:5001' } },
    '*': {},
  },
  credentials: {
    'ghcr.io': { username: 'u', password: 'p' },
    'x.y/team/a': { identityToken: 't' },
    'x.y': { registryToken: 't' },
  },
  proxy: {
    http: 'http://user:pass@proxy:3128',
    https: 'https://proxy',
    all: 'http://proxy',
    no: ['localhost', '.x.y'],
  },
};

test('a configuration with everything in it is read as it is', () => {
  expect(parseConfig(full)).toEqual(full);
  expect(parseConfig({})).toEqual({});
});

test('what is given is not changed', () => {
  const given = structuredClone(full);
  parseConfig(given);
  expect(given).toEqual(full);
});

test('keys get one spelling', () => {
  const parsed = parseConfig({
    registries: { 'Index.Docker.io': {}, 'GHCR.io:443': {} },
    credentials: { 'registry-1.docker.io/Team': { identityToken: 't' } },
  });
  expect(Object.keys(parsed.registries ?? {})).toEqual(['docker.io', 'ghcr.io:443']);
  expect(Object.keys(parsed.credentials ?? {})).toEqual(['docker.io/Team']);
});

test('a function may give the credentials', () => {
  const credentials = () => undefined;
  expect(parseConfig({ credentials }).credentials).toBe(credentials);
});

test('a registry may have the name of a method of objects', () => {
  expect(parseConfig({ registries: {} }).registries?.constructor).toBeUndefined();
  expect(parseConfig({ registries: { constructor: { blocked: true } } }).registries?.constructor).toEqual({
    blocked: true,
  });
});

const at = 'registries["docker.io"].mirrors[0]';

describe('one problem', () => {
  test.each<[unknown, string]>([
    [null, 'config: found'],
    [[], 'config: found'],
    [{ registry: {} }, 'registry: unknown key "registry", did you mean "registries"?'],
    [{ registries: [] }, 'registries: found a list, expected an object of registries'],
    [
      { registries: { 'docker.io': { mirors: [] } } },
      'registries["docker.io"].mirors: unknown key "mirors", did you mean "mirrors"?',
    ],
    [{ registries: { 'docker.io': { zzz: 1 } } }, 'expected one of mirrors, origin, blocked'],
    [
      { registries: { 'docker.io': { mirrors: mirror } } },
      'registries["docker.io"].mirrors: found an object, expected a list of mirrors',
    ],
    [
      { registries: { 'docker.io': { mirrors: ['https://x'] } } },
      `${at}: found the text "https://x", expected an object with a url`,
    ],
    [{ registries: { 'docker.io': { mirrors: [{}] } } }, `${at}.url: nothing found, expected a text`],
    [
      { registries: { 'docker.io': { origin: 'allways' } } },
      'registries["docker.io"].origin: found "allways", expected "never" or an object',
    ],
    [
      { registries: { 'docker.io': { origin: { uri: 'x', url: 'https://x' } } } },
      'registries["docker.io"].origin.uri: unknown key "uri", did you mean "url"?',
    ],
    [
      { registries: { 'docker.io': { blocked: 'yes' } } },
      'registries["docker.io"].blocked: found the text "yes", expected true or false',
    ],
    [
      { registries: { 'docker.io': { origin: { overridePath: true } } } },
      'registries["docker.io"].origin.overridePath: found true, expected a url with it',
    ],
    [
      withMirror({ url: 'https://m', headers: { 'X-Key': 'secret', other: 'x', 'x-key': 'secret' } }),
      `${at}.headers["x-key"]: found a text that is not shown, the same header as "X-Key", expected once`,
    ],
    [
      withMirror({ url: 'https://m', rewrites: [{ pattern: '\ud800', replacement: 'x' }] }),
      `${at}.rewrites[0].pattern: found "\\ud800", expected whole characters, not half of one (a lone surrogate)`,
    ],
    [
      withMirror({ url: 'https://m', rewrites: [{ pattern: 'x', replacement: '\udc00' }] }),
      `${at}.rewrites[0].replacement: found "\\udc00", expected whole characters`,
    ],
    [{ registries: { 'a//b': {} } }, 'registries["a//b"]: expected a registry'],
    [{ registries: { 'https://a': {} } }, 'registries["https://a"]: expected a registry'],
    [{ registries: { '': {} } }, 'registries[""]: expected a registry'],
    [
      { registries: { 'docker.io': {}, 'index.docker.io': {} } },
      'registries["index.docker.io"]: the same as "docker.io", expected once',
    ],
    [{ registries: { 'A.io': {}, 'a.io': {} } }, 'registries["a.io"]: the same as "A.io"'],
    [withMirror({ url: 'm.example' }), `${at}.url: found "m.example", expected an absolute http or https URL`],
    [withMirror({ url: 'ftp://m' }), 'expected an absolute http or https URL'],
    [withMirror({ url: 'https://' }), 'expected an absolute http or https URL'],
    [withMirror({ url: ' https://m' }), 'expected an absolute http or https URL'],
    [withMirror({ url: 'https:\\\\m' }), 'expected an absolute http or https URL'],
    [withMirror({ url: 'https://m/?' }), 'expected a URL without query and fragment'],
    [withMirror({ url: 'https://m/#x' }), 'expected a URL without query and fragment'],
    [withMirror({ url: 'https://u@m/' }), 'expected a URL without user name and password'],
    [
      withMirror({ capabilities: ['push'] }),
      `${at}.capabilities[0]: found "push", expected "pull", "resolve" or "referrers"`,
    ],
    [
      withMirror({ overridepath: true }),
      `${at}.overridepath: unknown key "overridepath", did you mean "overridePath"?`,
    ],
    [withMirror({ connectTimeout: 0 }), `${at}.connectTimeout: found the number 0, expected milliseconds above 0`],
    [withMirror({ connectTimeout: '3s' }), `${at}.connectTimeout: found the text "3s", expected milliseconds`],
    [
      withMirror({ rewrites: [{ pattern: '(', replacement: '' }] }),
      `${at}.rewrites[0].pattern: found "(", expected an RE2 pattern`,
    ],
    [withMirror({ rewrites: [{ pattern: 'a' }] }), `${at}.rewrites[0].replacement: nothing found`],
    [withMirror({ rewrites: [{ pattern: 'a', replacment: '' }] }), 'did you mean "replacement"?'],
    [withMirror({ headers: { 'a b': 'x' } }), `${at}.headers["a b"]: expected a header name`],
    [withMirror({ tls: { cert: 'c.pem' } }), `${at}.tls.key: nothing found, expected one together with cert`],
    [withMirror({ tls: { key: 'k.pem' } }), `${at}.tls.cert: nothing found, expected one together with key`],
    ...['Host', 'content-length', 'Transfer-Encoding', 'connection', 'upgrade', 'TE', 'trailer', 'Range', 'expect'].map(
      (name): [unknown, string] => [
        withMirror({ headers: { [name]: 'm4rk3r' } }),
        `${at}.headers${/-/.test(name) ? `["${name}"]` : `.${name}`}: expected a header that the client does not set itself`,
      ],
    ),
    [withMirror({ tls: { CA: [] } }), `${at}.tls.CA: unknown key "CA", did you mean "ca"?`],
    [
      { credentials: { 'a.io': { username: 'u' } } },
      'expected username and password, or identityToken, or registryToken',
    ],
    [
      { credentials: { 'a.io': { username: 'u', password: 'p', identityToken: 't' } } },
      'expected username and password',
    ],
    [
      { credentials: { 'a.io': { user: 'u' } } },
      'credentials["a.io"].user: unknown key "user", did you mean "username"?',
    ],
    [{ credentials: { 'https://a.io/v1/': { identityToken: 't' } } }, 'expected host, host:port or host/path'],
    [
      { proxy: { http: 'ftp://u:hunter2@p' } },
      'proxy.http: found "ftp://***@p", expected an http or https URL, or host:port',
    ],
    [{ proxy: { all: 'socks5://p:1' } }, 'proxy.all: found "socks5://p:1", SOCKS proxies are not supported'],
    [{ proxy: { no: 'a,b' } }, 'proxy.no: found the text "a,b", expected a list of hosts'],
    [{ proxy: { https_proxy: '' } }, 'proxy.https_proxy: unknown key'],
    [JSON.parse('{"registries":{"__proto__":{"blocked":true}}}'), 'registries.__proto__: unknown key "__proto__"'],
    [JSON.parse('{"__proto__":{"registries":{}}}'), '__proto__: unknown key "__proto__"'],
  ])('of %j is told', (value, problem) => {
    expect(messageOf(value)).toContain('Cannot use config: ');
    expect(messageOf(value)).toContain(problem);
  });
});

test('all problems are reported at once, under the name of the file', () => {
  const value = {
    regs: 1,
    registries: {
      'docker.io': {
        mirors: 1,
        mirrors: [
          { ...mirror, ur: 1 },
          { url: 'x', headers: { a: 1 } },
        ],
      },
      'a b': {},
    },
    credentials: { 'a.io': { user: 'u', pass: 'w' } },
    proxy: { al: '' },
  };
  const lines = messageOf(value, 'file "a.json"').split('\n');
  expect(lines[0]).toBe(`Cannot use file "a.json": ${lines.length - 1} problems`);
  for (const path of [
    'regs',
    'registries["docker.io"].mirors',
    `${at}.ur`,
    'registries["docker.io"].mirrors[1].url',
    'registries["docker.io"].mirrors[1].headers.a',
    'registries["a b"]',
    'credentials["a.io"].user',
    'credentials["a.io"].pass',
    'proxy.al',
  ]) {
    expect(lines.filter((line) => line.startsWith(`  ${path}: `))).toHaveLength(1);
  }
});

test.each<[string, unknown]>([
  ['a password that is no text', { credentials: { 'a.io': { username: 'u', password: 12_345_678 } } }],
  ['a login that is a text', { credentials: { 'a.io': 'hunter2-12345678' } }],
  ['credentials that are a text', { credentials: 'hunter2-12345678' }],
  ['a token beside a pair', { credentials: { 'a.io': { username: 'u', password: 'p', identityToken: '12345678' } } }],
  ['a header', withMirror({ headers: { authorization: 'Basic 12345678\n' } })],
  ['headers that are a text', withMirror({ headers: 'authorization: 12345678' })],
  ['a key', withMirror({ tls: { key: 12_345_678 } })],
  ['tls that is a text', withMirror({ tls: 'PRIVATE KEY 12345678' })],
  ['a URL with a login', withMirror({ url: 'https://user:12345678@m' })],
  ['a URL with a login with a slash', withMirror({ url: 'https://user:/12345678@m?' })],
  ['a URL with a token', withMirror({ url: 'https://m/?token=12345678' })],
  ['a URL without a scheme', withMirror({ url: 'user:12345678@m' })],
  ['a proxy with a login', { proxy: { http: 'ftp://user:12345678@m' } }],
  ['a key that is a URL', { registries: { 'https://user:12345678@m': {} } }],
  ['a file that was not parsed', '{"password": "12345678"}'],
])('%s is not shown', (_, value) => {
  const message = messageOf(value);
  expect(message).toContain('Cannot use config: ');
  expect(message).not.toContain('12345678');
});

test('any JSON is a configuration or INVALID_CONFIG', () => {
  const keys = fc.constantFrom(
    'registries',
    'credentials',
    'proxy',
    'docker.io',
    'mirrors',
    'origin',
    'url',
    'tls',
    'headers',
    'rewrites',
    'pattern',
    '__proto__',
    'constructor',
    'x',
  );
  const { value } = fc.letrec<{ value: unknown }>((tie) => ({
    value: fc.oneof(
      { maxDepth: 6 },
      fc.constantFrom('https://x', 'never', 1, true, null, '('),
      fc.array(tie('value'), { maxLength: 2 }),
      fc.array(fc.tuple(keys, tie('value')), { maxLength: 3 }).map((entries) => Object.fromEntries(entries)),
    ),
  }));
  const kinds = new Set<boolean>();
  fc.assert(
    fc.property(
      fc.oneof(fc.jsonValue(), value, fc.record({ registries: fc.dictionary(keys, value, { maxKeys: 2 }) })),
      (json) => {
        kinds.add(messageOf(json) === 'accepted');
      },
    ),
    { numRuns: 500 },
  );
  expect(kinds).toContain(false);
});

test('an object that holds itself is refused and not followed for ever', () => {
  const value: Record<string, unknown> = {};
  value.registries = value;
  expect(messageOf(value)).toContain('registries');
});
