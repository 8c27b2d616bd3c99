import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { certsDirectoryNames, readCertificateFiles } from '../../../src/config/containerd/directory.ts';
import { parseGoDuration, readHostsToml } from '../../../src/config/containerd/read.ts';

import type { HostConfig, RegistryConfig } from '../../../src/config/model.ts';
import { RegistryError } from '../../../src/errors.ts';
import { planHosts } from '../../../src/remote/plan.ts';
import { expectLinear } from '../../support/linear.ts';
import { runs } from '../../support/runs.ts';
import { mutationsOf } from '../mutations.ts';
import { withoutSpots } from '../problem.ts';

const place = { file: 'hosts.toml', directory: '/certs.d/docker.io', registry: 'docker.io' };

function read(toml: string, registry = 'docker.io') {
  const { config: whole, warnings } = readHostsToml(toml, { ...place, registry });
  const config = withoutSpots(whole);
  const found: RegistryConfig = config.registries?.[registry] ?? {};
  return { ...found, mirrors: found.mirrors ?? [], warnings, config };
}

function messageOf(toml: string): string {
  try {
    readHostsToml(toml, place);
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryError);
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
    return (error as Error).message;
  }
  return 'accepted';
}

/** The API roots that are asked for an image, in order, each with what it is trusted with. */
function asked(toml: string, registry = 'docker.io'): string[] {
  const { config } = read(toml, registry);
  const { endpoints } = planHosts(config).hosts({
    registry: registry === '*' ? 'quay.io' : registry,
    name: 'team/app',
  });
  return endpoints.map(({ url, capabilities }) => `${url} ${capabilities.join('+')}`);
}

const all = 'pull+resolve+referrers';
const hub = `https://registry-1.docker.io/v2 ${all}`;

describe("containerd's own examples", () => {
  test.each<[name: string, registry: string, toml: string, ...asked: string[]]>([
    [
      'the default for Docker',
      'docker.io',
      'server = "https://docker.io"\n\n[host."https://registry-1.docker.io"]\n  capabilities = ["pull", "resolve"]',
      'https://registry-1.docker.io/v2 pull+resolve',
      'https://registry-1.docker.io/v2 referrers',
    ],
    [
      'a local mirror for Docker',
      'docker.io',
      `server = "https://registry-1.docker.io"    # Exclude this to not use upstream
[host."https://public-mirror.example.com"]
  capabilities = ["pull"]                  # Requires less trust, won't resolve tag to digest from this host
[host."https://docker-mirror.internal"]
  capabilities = ["pull", "resolve"]`,
      'https://public-mirror.example.com/v2 pull',
      'https://docker-mirror.internal/v2 pull+resolve',
      hub,
    ],
    [
      'a default mirror for all registries',
      '*',
      '[host."https://registry.example.com"]\n  capabilities = ["pull", "resolve"]',
      'https://registry.example.com/v2 pull+resolve',
      `https://quay.io/v2 ${all}`,
    ],
    ['only a mirror', '*', 'server = "https://registry.example.com"', `https://registry.example.com/v2 ${all}`],
    [
      'an API that is elsewhere',
      'docker.io',
      '[host."https://non-compliant-mirror.registry/v2/upstream"]\n  capabilities = ["pull"]\n  override_path = true',
      'https://non-compliant-mirror.registry/v2/upstream pull',
      hub,
    ],
  ])('%s', (_, registry, toml, ...expected) => {
    expect(asked(toml, registry)).toEqual(expected);
  });

  test('verification is skipped over https, and a warning says when it is not used', () => {
    const text = (scheme: string): string =>
      `server = "https://registry-1.docker.io"\n\n[host."${scheme}://192.168.31.250:5000"]\n  capabilities = ["pull", "resolve", "push"]\n  skip_verify = true\n`;
    expect(read(text('https')).mirrors[0]?.tls).toEqual({ insecureSkipVerify: true });
    expect(read(text('http')).mirrors[0]).toEqual({
      url: 'http://192.168.31.250:5000',
      capabilities: ['pull', 'resolve'],
      declaredAt: 'hosts.toml:3',
    });
    expect(read(text('http')).warnings).toEqual([
      'hosts.toml:5: host["http://192.168.31.250:5000"].skip_verify: not used, the URL of the host is http',
    ]);
  });

  test('all its kinds of hosts', () => {
    const { mirrors, warnings } = read(`
[host."https://mirror.registry"]
  capabilities = ["pull"]
  ca = "/etc/certs/mirror.pem"
  skip_verify = false
  [host."https://mirror.registry".header]
    x-custom-2 = ["value1", "value2"]

[host."https://mirror-bak.registry/us"]
  capabilities = ["pull"]
  skip_verify = true

[host."http://mirror.registry"]
  capabilities = ["pull"]

[host."https://test-1.registry"]
  capabilities = ["pull", "resolve", "push"]
  ca = ["/etc/certs/test-1-ca.pem", "special.pem"]
  client = [["/etc/certs/client.cert", "/etc/certs/client.key"],["/etc/certs/client.pem", ""]]

[host."https://test-2.registry"]
  client = "/etc/certs/client.pem"

[host."https://test-3.registry"]
  client = ["client-1.pem", "/etc/certs/client-2.pem"]
  dial_timeout = "1s"
`);
    const line = (number: number) => ({ declaredAt: `hosts.toml:${number}` });
    const expected: HostConfig[] = [
      {
        url: 'https://mirror.registry',
        capabilities: ['pull'],
        headers: { 'x-custom-2': 'value1, value2' },
        tls: { ca: ['/etc/certs/mirror.pem'] },
        ...line(2),
      },
      { url: 'https://mirror-bak.registry/us', capabilities: ['pull'], tls: { insecureSkipVerify: true }, ...line(9) },
      { url: 'http://mirror.registry', capabilities: ['pull'], ...line(13) },
      {
        url: 'https://test-1.registry',
        capabilities: ['pull', 'resolve'],
        tls: {
          ca: ['/etc/certs/test-1-ca.pem', '/certs.d/docker.io/special.pem'],
          cert: '/etc/certs/client.cert',
          key: '/etc/certs/client.key',
        },
        ...line(16),
      },
      {
        url: 'https://test-2.registry',
        tls: { cert: '/etc/certs/client.pem', key: '/etc/certs/client.pem' },
        ...line(21),
      },
      {
        url: 'https://test-3.registry',
        tls: { cert: '/certs.d/docker.io/client-1.pem', key: '/certs.d/docker.io/client-1.pem' },
        connectTimeout: 1000,
        ...line(24),
      },
    ];
    expect(mirrors).toEqual(expected);
    expect(warnings).toEqual([
      'hosts.toml:19: host["https://test-1.registry"].client: only the first client certificate is used',
      'hosts.toml:25: host["https://test-3.registry"].client: only the first client certificate is used',
    ]);
  });
});

test.each<[name: string, toml: string, ...urls: string[]]>([
  [
    'in the order of the file',
    '[host."https://z"]\n[host."https://a"]\n[host."https://z".header]\n',
    'https://z',
    'https://a',
  ],
  [
    'whose names look like numbers',
    '[host."https://z"]\n[host.10]\n[host.9]\n',
    'https://z',
    'https://0.0.0.10',
    'https://0.0.0.9',
  ],
  ['as inline tables', 'host = { "https://z" = {}, "https://a" = { skip_verify = true } }', 'https://z', 'https://a'],
  [
    'as dotted keys',
    'host."https://z".capabilities = ["pull"]\nhost."https://a".skip_verify = true',
    'https://z',
    'https://a',
  ],
  ['below a table', '[host]\n"https://z" = {}\n"https://a".ca = "x"', 'https://z', 'https://a'],
  [
    'without a scheme',
    '[host."m.example:5000/p"]\n[host."httpbin.example"]',
    'https://m.example:5000/p',
    'https://httpbin.example',
  ],
  ['with a path that is not clean', '[host."https://m//a/../b/"]', 'https://m/b'],
])('hosts are read %s', (_, toml, ...urls) => {
  expect(read(toml).mirrors.map(({ url }) => url)).toEqual(urls);
});

test.each([
  ['https://m', 'https://m/v2'],
  ['https://m/', 'https://m/v2'],
  ['https://m/v2', 'https://m/v2'],
  ['https://m/v2/', 'https://m/v2'],
  ['https://m/p', 'https://m/p/v2'],
  ['https://m/p/v2', 'https://m/p/v2'],
  ['https://m/v2/p', 'https://m/v2/p/v2'],
])('the API of %s is at %s', (url, root) => {
  expect(asked(`[host."${url}"]`)[0]).toBe(`${root} ${all}`);
});

test.each([
  ['https://m', 'https://m'],
  ['https://m/v2/p/', 'https://m/v2/p'],
])('with override_path the API of %s is at %s', (url, root) => {
  expect(asked(`[host."${url}"]\noverride_path = true`)[0]).toBe(`${root} ${all}`);
});

test.each<[name: string, toml: string, ...asked: string[]]>([
  ['the registry itself where there is no server', '', hub],
  ['the registry itself where the server is empty', 'server = ""', hub],
  ['the server', 'server = "https://s"', `https://s/v2 ${all}`],
  ['the server, for less', 'server = "https://s"\ncapabilities = ["Pull", "push"]', 'https://s/v2 pull'],
  [
    'the server once where it is a host, too',
    'server = "https://a"\n[host."https://a"]\n[host."https://b"]',
    `https://a/v2 ${all}`,
    `https://b/v2 ${all}`,
  ],
  [
    'the server for what it is not trusted with as a host',
    'server = "https://a"\n[host."https://a/v2"]\ncapabilities = ["pull"]',
    'https://a/v2 pull',
    'https://a/v2 resolve+referrers',
  ],
  [
    'a server twice that is a host with rewrites',
    'server = "https://a"\n[host."https://a".rewrite]\n"^team" = "x"',
    `https://a/v2 ${all}`,
    `https://a/v2 ${all}`,
  ],
])('the last host is %s', (_, toml, ...expected) => {
  expect(asked(toml)).toEqual(expected);
});

test('settings before the hosts are those of the registry itself if there is no server', () => {
  const { origin, warnings } = read(
    'ca = "x.pem"\ncapabilities = ["pull"]\ndial_timeout = "2s"\n[header]\nX-Key = "v"',
  );
  expect(origin).toEqual({
    url: 'https://registry-1.docker.io',
    tls: { ca: ['/certs.d/docker.io/x.pem'] },
    headers: { 'X-Key': 'v' },
    connectTimeout: 2000,
    declaredAt: 'hosts.toml:1',
  });
  expect(warnings).toEqual(['hosts.toml:2: capabilities: not used without a server']);
});

test('in `_default` they are for the registry itself, whichever it is', () => {
  const { origin, warnings } = read('ca = "/x.pem"\nheader = { X-Key = "a" }\n[host."https://m"]', '*');
  expect(origin).toEqual({ tls: { ca: ['/x.pem'] }, headers: { 'X-Key': 'a' }, declaredAt: 'hosts.toml:1' });
  expect(warnings).toEqual([]);
});

test.each(['capabilities = ["pull"]', 'override_path = true'])(
  'without a server, %s has no use in `_default` either',
  (line) => {
    const { origin, warnings } = read(line, '*');
    expect(origin).toBeUndefined();
    expect(warnings).toEqual([expect.stringContaining('not used without a server')]);
  },
);

test('rewrites are those of a host, in the order of the file', () => {
  const { mirrors } = read(
    '[host."https://m".rewrite]\n"^z/(.*)" = "b/$1"\n"^10" = "ten"\n\'^9\\.\' = "nine"\n[host."https://n"]',
  );
  expect(mirrors.map(({ rewrites }) => rewrites)).toEqual([
    [
      { pattern: '^z/(.*)', replacement: 'b/$1' },
      { pattern: '^10', replacement: 'ten' },
      { pattern: '^9\\.', replacement: 'nine' },
    ],
    undefined,
  ]);
});

test.each([
  ['server = 1', 'hosts.toml:1:10: server: found the number 1, expected a text'],
  ['server = "ftp://x"', 'hosts.toml:1:1: server: found "ftp://x", expected an absolute http or https URL'],
  ['servre = "x"', 'hosts.toml:1:1: servre: unknown key "servre", did you mean "server"?'],
  [
    '[host."https://m"]\ncapabilties = []',
    'hosts.toml:2:1: host["https://m"].capabilties: unknown key "capabilties", did you mean "capabilities"?',
  ],
  [
    '[host."https://m"]\ncapabilities = ["pul"]',
    'hosts.toml:2:17: host["https://m"].capabilities[0]: found "pul", did you mean "pull"?',
  ],
  [
    '[host."https://m"]\ncapabilities = "pull"',
    'hosts.toml:2:16: host["https://m"].capabilities: found the text "pull", expected a list',
  ],
  ['[host."https://m"]\nca = [1]', 'hosts.toml:2:7: host["https://m"].ca[0]: found the number 1, expected a text'],
  [
    '[host."https://m"]\nclient = [["a", "b", "c"]]',
    'hosts.toml:2:11: host["https://m"].client[0]: expected a file or a pair of files',
  ],
  [
    '[host."https://m"]\nskip_verify = "yes"',
    'hosts.toml:2:15: host["https://m"].skip_verify: found the text "yes", expected true or false',
  ],
  ['dial_timeout = "10"', 'hosts.toml:1:1: dial_timeout: found "10", expected a duration above 0'],
  ['dial_timeout = "-1s"', 'found "-1s", expected a duration above 0'],
  [
    '[host."https://m".rewrite]\n"(" = "x"',
    'hosts.toml:2:1: host["https://m"].rewrite["("]: found "(", expected an RE2 pattern',
  ],
  [
    '[host."https://m".header]\n"a b" = "x"',
    'hosts.toml:2:1: host["https://m"].header["a b"]: found "a b", expected a header name',
  ],
  ['[header]\na = "x"\nA = "y"', 'hosts.toml:3:1: header.A: found a duplicate header'],
  ['host = ["https://m"]', 'hosts.toml:1:8: host: found a list, expected a table'],
  ['[host."https://m"', 'hosts.toml:1:2: not valid TOML'],
  ['[host."https://m"]\n[host."https://m"]', 'hosts.toml:2:2: duplicate key "host.https://m", first at 1:7'],
])('%s is refused', (toml, expected) => {
  expect(messageOf(toml)).toContain(expected);
});

test('all problems are reported at once', () => {
  expect(messageOf('servre = "x"\nskip_verify = 1\n[host."m m"]')).toBe(
    'Cannot use config file "hosts.toml": 3 problems\n' +
      '  hosts.toml:1:1: servre: unknown key "servre", did you mean "server"?\n' +
      '  hosts.toml:2:15: skip_verify: found the number 1, expected true or false\n' +
      '  hosts.toml:3:7: host["m m"]: found "m m", expected an absolute http or https URL',
  );
});

test.each([
  ['[host."https://me:hunter2@m"]\nx = 1'],
  ['[host."me:hunter2@m"]\nx = 1'],
  ['[host."https://m/?token=hunter2"]\nx = 1'],
  ['server = "me:hunter2@m"'],
  ['[header]\nAuthorization = ["Bearer hunter2", 1]'],
  ['[header]\nAuthorization = "Bearer hunter2\\u0001"'],
])('%s is refused without telling the secret in it', (toml) => {
  expect(messageOf(toml)).toContain('Cannot use config file');
  expect(messageOf(toml)).not.toContain('hunter2');
});

test('a host cannot be without a time limit', () => {
  const { mirrors, warnings } = read('[host."https://m"]\ndial_timeout = "0"');
  expect(mirrors).toEqual([{ url: 'https://m', declaredAt: 'hosts.toml:1' }]);
  expect(warnings).toEqual([expect.stringMatching(/^hosts\.toml:2: .*not used/)]);
});

test.each<[text: string, milliseconds: number | undefined]>([
  ['0', 0],
  ['300ms', 300],
  ['1.5s', 1500],
  ['.5s', 500],
  ['2h45m', 9_900_000],
  ['1m0.5s', 60_500],
  ['-1.5h', -5_400_000],
  ['+2s', 2000],
  ['1000us', 1],
  ['1000\u00b5s', 1],
  ['1000\u03bcs', 1],
  ['1000000ns', 1],
  ['', undefined],
  ['10', undefined],
  ['s', undefined],
  ['.s', undefined],
  ['1d', undefined],
  ['1s ', undefined],
  ['1s-1s', undefined],
])('the duration %j is %s milliseconds', (text, milliseconds) => {
  expect(parseGoDuration(text)).toBe(milliseconds);
});

// As containerd's hostDirectory and hostPaths have them.
test.each([
  ['docker.io', 'docker.io', '_default'],
  ['myregistry.io:5000', 'myregistry.io_5000_', 'myregistry.io:5000', '_default'],
  ['[::1]:5000', '[::1]_5000_', '[::1]:5000', '_default'],
  ['[::1]', '[:_1]_', '[::1]', '_default'],
])('%s is looked for in its directories', (registry, ...names) => {
  expect(certsDirectoryNames(registry)).toEqual(names);
});

describe('a directory without hosts.toml', () => {
  const at = { directory: '/certs.d/r.example', registry: 'r.example' };

  test.each<[names: string[], tls: unknown, ...warnings: string[]]>([
    [['ca.crt', 'README', 'b.crt'], { ca: ['/certs.d/r.example/b.crt', '/certs.d/r.example/ca.crt'] }],
    [['c.key', 'c.cert'], { cert: '/certs.d/r.example/c.cert', key: '/certs.d/r.example/c.key' }],
    [['c.cert'], { cert: '/certs.d/r.example/c.cert', key: '/certs.d/r.example/c.cert' }],
    [
      ['b.cert', 'a.cert', 'b.key'],
      { cert: '/certs.d/r.example/a.cert', key: '/certs.d/r.example/a.cert' },
      '/certs.d/r.example/b.cert: not used, a.cert is the client certificate',
    ],
    [['c.key'], undefined, '/certs.d/r.example/c.key: not used, there is no c.cert'],
    [[], undefined],
  ])('of the files %j', (names, tls, ...warnings) => {
    const read = readCertificateFiles(names, at);
    const origin = read.config.registries?.['r.example']?.origin;
    expect(typeof origin === 'object' ? origin : undefined).toEqual(
      tls && { url: 'https://r.example', tls, declaredAt: '/certs.d/r.example' },
    );
    expect(read.warnings).toEqual(warnings);
  });

  test('in `_default` is for the registry itself, whichever it is', () => {
    const { config, warnings } = readCertificateFiles(['ca.crt'], { directory: '/certs.d/_default', registry: '*' });
    const tls = { ca: ['/certs.d/_default/ca.crt'] };
    const declaredAt = '/certs.d/_default';
    expect(config.registries).toEqual({ '*': { origin: { tls, declaredAt }, declaredAt } });
    expect(warnings).toEqual([]);
  });
});

const valid = `server = "https://s/p"
ca = ["a", "b"]
[host."https://m"]
  capabilities = ["pull", "resolve"]
  client = [["a", "b"]]
  dial_timeout = "1m30s"
  override_path = true
  header = { X-Key = ["a", "b"] }
  [host."https://m".rewrite]
  "^(.*)$" = "x/$1"
`;

test('any text is refused or read', () => {
  const check = (text: string): void => {
    const message = messageOf(text);
    if (message !== 'accepted') expect(message).toContain('Cannot use config file "hosts.toml": ');
    expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
  };
  const pieces = fc.constantFrom(
    '"',
    '[',
    ']',
    '{}',
    '=',
    '\n',
    '.',
    'x',
    '1',
    'host',
    '__proto__',
    'polluted',
    'constructor',
    '"https://m"',
  );
  const mutated = mutationsOf(valid, pieces);
  expect(messageOf(valid)).toBe('accepted');
  fc.assert(fc.property(mutated, check), runs(400));
  fc.assert(fc.property(fc.string({ unit: 'binary' }), check), runs(100));
});

test.each([
  [
    'hosts',
    (length: number) => Array.from({ length: length / 20 }, (_, index) => `[host."https://m${index}"]`).join('\n'),
  ],
  ['capabilities', (length: number) => `capabilities = [${'"x",'.repeat(length / 4)}]`],
  ['slashes', (length: number) => `server = "https://m${'/'.repeat(length)}x"`],
  ['a duration', (length: number) => `dial_timeout = "${'1'.repeat(length)}"`],
  ['unknown keys', (length: number) => Array.from({ length: length / 10 }, (_, index) => `key${index} = 1`).join('\n')],
])('time grows with the length of %s, not with its square', (_, make) => {
  expectLinear(40_000, (length) => messageOf(make(length)));
});
