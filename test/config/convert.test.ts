import fc from 'fast-check';
import { type Config, type ConfigFormat, convertConfig, createResolver, parseConfig, readConfigTexts } from 'ocifetch';
import { expect, test } from 'vitest';
import { runs } from '../support/runs.ts';

/** Letters that formats have a meaning for. */
const odd = fc.string({
  unit: fc.oneof(
    { weight: 8, arbitrary: fc.constantFrom(...'ab/.-$1\\d') },
    fc.constantFrom(...'\'"#=[]{}:,&*!|>%@`<~? \u00e9\u2028\u{1f600}\t\u007f'),
  ),
  maxLength: 12,
});
/** Patterns that are RE2: odd letters quoted, and keys that objects would put first. */
const pattern = fc.oneof(
  odd.map((text) => text.replace(/[\\^$.*+?()[\]{}|]/g, '\\$&')),
  fc.constantFrom('^library/(.*)', '(.*)', '7', '10', '2', '<<', "it's", 'true', 'null', '~', 'x'.repeat(1100)),
);
const rules = fc.array(fc.record({ pattern, replacement: fc.oneof(odd, fc.constantFrom('proj/$1', '$0')) }), {
  maxLength: 4,
});
const url = fc
  .record({
    host: fc.constantFrom('a.test', 'b.test:5000', 'c.test', 'localhost:5000', '[::1]:5000', 'd.test', 'e.test'),
    path: fc.constantFrom('', '/v2', '/prefix', '/prefix/v2', '/a%20b'),
  })
  .map(({ host, path }) => `https://${host}${path}`);
const pem = '-----BEGIN CERTIFICATE-----\nMII\n-----END CERTIFICATE-----\n';
const host = fc.record(
  {
    url,
    overridePath: fc.boolean(),
    capabilities: fc.subarray(['pull', 'resolve', 'referrers'] as const, { minLength: 1 }),
    rewrites: rules,
    headers: fc.dictionary(fc.stringMatching(/^x-[a-z-]{0,6}$/), fc.stringMatching(/^[\x20-\x7e]{0,12}$/), {
      minKeys: 1,
      maxKeys: 2,
      noNullPrototype: true,
    }),
    tls: fc.constant({ insecureSkipVerify: true }),
    connectTimeout: fc.integer({ min: 1, max: 100_000 }),
  },
  { requiredKeys: ['url'] },
);
/** The registry itself, of which every format can say this. */
const itself = host.map(({ headers, tls, connectTimeout }) => ({
  ...(headers && { headers }),
  ...(tls && { tls }),
  ...(connectTimeout !== undefined && { connectTimeout }),
}));
const registry = fc.record(
  {
    mirrors: fc.uniqueArray(host, { maxLength: 4, selector: (one) => new URL(one.url).host }),
    origin: fc.oneof(fc.constant('never' as const), host, itself),
  },
  { requiredKeys: [] },
);
const keys = ['docker.io', 'r.test', 'r.test:5000', '[::1]:5000', '5000', '*'];
const registries = fc.dictionary(fc.constantFrom(...keys), registry, { noNullPrototype: true });

const kindOf = (to: ConfigFormat, path: string) => ({ file: `/etc/x/${path}`, kind: to, registry: registryOf(path) });
const registryOf = (path: string): string => {
  const [directory = ''] = path.split('/');
  return directory === '_default' ? '*' : directory.replace(/_(\d+)_$/, ':$1');
};

async function there(config: Config, to: ConfigFormat) {
  const { files, unexpressed } = await convertConfig(config, to, { secrets: true });
  const back = await readConfigTexts(files.map(({ path, text }) => ({ text, ...kindOf(to, path) })));
  return { files, unexpressed, back };
}

/** What is asked for some names, in order, without where it is written. */
function asked(config: Config): unknown {
  const resolver = createResolver({ registries: config.registries });
  return ['docker.io', 'r.test', 'r.test:5000', '[::1]:5000', '5000', 'other.test'].flatMap((registry) =>
    ['library/alpine', 'a/b', '7', 'true'].map((name) =>
      // Settings for a host of this machine that may turn out to speak TLS: reported as what is lost.
      resolver({ registry, name }).map(({ declaredAt: _, tls, ...endpoint }) => ({
        ...endpoint,
        ...(tls && endpoint.url.startsWith('https:') && { tls }),
      })),
    ),
  );
}

/** The last host of a registry of which no mirror is left has no other name. */
const isSayable = (config: Config): boolean =>
  Object.values(config.registries ?? {}).every(({ mirrors = [], origin }) => origin !== 'never' || mirrors.length > 0);

/** An origin that is one of the mirrors is asked once there. */
const isDistinct = (config: Config): boolean =>
  Object.values(config.registries ?? {}).every(
    ({ mirrors = [], origin }) =>
      typeof origin !== 'object' ||
      origin.url === undefined ||
      mirrors.every((mirror) => new URL(mirror.url).host !== new URL(origin.url ?? '').host),
  );

test('a configuration written as hosts.toml and read again has the same hosts for the same names', async () => {
  await fc.assert(
    fc.asyncProperty(registries, async (given) => {
      const config = { registries: given };
      fc.pre(isSayable(config) && isDistinct(config));
      const { back, unexpressed } = await there(config, 'hosts.toml');
      // This machine at its own address.
      expect(unexpressed.filter((text) => !text.endsWith('the host is contacted over http'))).toEqual([]);
      expect(asked(back)).toEqual(asked(config));
    }),
    runs(30),
  );
});

test('a configuration written as registries.yaml and read again has the same hosts for the same names', async () => {
  const mirror = fc.record({ url });
  const sayable = fc.record({
    mirrors: fc.uniqueArray(mirror, { minLength: 1, maxLength: 4, selector: (one) => new URL(one.url).host }),
    rewrites: rules,
  });
  await fc.assert(
    fc.asyncProperty(fc.dictionary(fc.constantFrom(...keys), sayable, { noNullPrototype: true }), async (given) => {
      const config: Config = {
        registries: Object.fromEntries(
          Object.entries(given).map(([key, { mirrors, rewrites }]) => [
            key,
            { mirrors: mirrors.map((one) => ({ ...one, capabilities: ['pull', 'resolve'], rewrites })) },
          ]),
        ),
      };
      const { back, unexpressed } = await there(config, 'registries.yaml');
      expect(unexpressed).toEqual([]);
      expect(asked(back)).toEqual(asked(config));
    }),
    runs(30),
  );
});

/** Hosts with whatever can be said of them, among them the registries themselves by their names and ports. */
const anyHost = fc
  .record({
    url: fc.oneof(
      url,
      fc.constantFrom(
        'https://r.test',
        'https://r.test:443',
        'https://r.test:5000/v2',
        'http://[::1]:5000',
        'http://5000',
      ),
      fc.constantFrom('https://registry-1.docker.io', 'https://docker.io:443/', 'https://r.test:443/prefix/'),
    ),
    more: host,
  })
  .map(({ url: at, more }) => ({ ...more, url: at }));
const anyRegistry = fc.record(
  {
    mirrors: fc.array(
      fc.oneof(
        anyHost,
        anyHost.map(({ url: at }) => ({ url: at })),
      ),
      { maxLength: 3 },
    ),
    origin: fc.oneof(fc.constant('never' as const), anyHost, itself),
    blocked: fc.boolean(),
  },
  { requiredKeys: [] },
);

test.each(['hosts.toml', 'registries.yaml'] as const)(
  'what is written as %s is asked for as it was, or it is told what is not',
  async (to) => {
    const some = fc.dictionary(fc.constantFrom(...keys, 'r.test/library', '*.test'), anyRegistry, {
      noNullPrototype: true,
      maxKeys: 2,
    });
    await fc.assert(
      fc.asyncProperty(some, async (given) => {
        const config = { registries: given };
        const { back, unexpressed } = await there(config, to);
        if (unexpressed.length === 0) expect(asked(back)).toEqual(asked(config));
      }),
      runs(250),
    );
  },
);

test('a configuration written as ocifetch reads it is the same model', async () => {
  const login = fc.oneof(
    fc.record({ username: odd, password: odd }),
    fc.record({ identityToken: odd }),
    fc.record({ registryToken: odd }),
  );
  const whole = fc.record(
    {
      registries,
      credentials: fc.dictionary(fc.constantFrom('r.test', 'r.test/team', 'docker.io'), login, {
        noNullPrototype: true,
        minKeys: 1,
      }),
      proxy: fc.record({ https: fc.constant('http://user:secret@proxy.test:3128'), no: fc.constant(['.local']) }),
      shortNames: fc.record({ aliases: fc.dictionary(odd, odd, { noNullPrototype: true, minKeys: 1 }) }),
    },
    { requiredKeys: ['credentials'] },
  );
  const bare = (config: unknown): unknown =>
    JSON.parse(JSON.stringify(config, (key, value) => (key === 'declaredAt' ? undefined : value)));
  await fc.assert(
    fc.asyncProperty(whole, async (config) => {
      fc.pre(!JSON.stringify(config).includes('__proto__'));
      const { back, unexpressed } = await there(config, 'ocifetch');
      expect(unexpressed).toEqual([]);
      expect(bare({ registries: {}, ...back })).toEqual(bare({ registries: {}, ...parseConfig(config) }));
    }),
    runs(40),
  );
});

const mirrors = [{ url: 'https://mirror.test/prefix', capabilities: ['pull' as const], connectTimeout: 500 }];

/** A model, a format, and what it has no words for. */
const unsaid: readonly [name: string, to: ConfigFormat, config: Config, told: readonly string[]][] = [
  [
    'a path and a domain',
    'hosts.toml',
    { registries: { 'r.test/team': { mirrors }, '*.test': { mirrors } } },
    [
      'registries["r.test/team"]: it has directories for hosts, not for paths or domains',
      'registries["*.test"]: it has directories for hosts, not for paths or domains',
    ],
  ],
  [
    'what the registry itself is asked for, whichever it is',
    'hosts.toml',
    { registries: { '*': { origin: { capabilities: ['resolve'], rewrites: [{ pattern: 'a', replacement: 'b' }] } } } },
    [
      'registries["*"].origin.capabilities: without a server, the registry itself has all capabilities',
      'registries["*"].origin.rewrites: without a server, names are not rewritten',
    ],
  ],
  [
    'the headers of all, and an endpoint that is itself one of them',
    'registries.yaml',
    {
      registries: {
        '*': {
          mirrors: [{ url: 'https://m.test', capabilities: ['pull', 'resolve'] }],
          origin: { headers: { 'x-a': 'b' }, tls: { insecureSkipVerify: true } },
        },
      },
    },
    [
      'registries["*"].origin.headers: it has no headers',
      'registries["*"].origin.tls: not for images of "m.test" itself, an endpoint with other settings',
    ],
  ],
  [
    'a block',
    'hosts.toml',
    { registries: { 'r.test': { blocked: true } } },
    ['registries["r.test"]: it cannot block a registry, which would be contacted'],
  ],
  [
    'no host at all',
    'hosts.toml',
    { registries: { 'r.test': { origin: 'never' } } },
    ['registries["r.test"].origin: it cannot express "never" without a mirror; the registry would be contacted'],
  ],
  [
    'PEM text',
    'hosts.toml',
    { registries: { 'r.test': { mirrors: [{ url: 'https://m.test', tls: { ca: [pem] } }] } } },
    ['registries["r.test"].mirrors[0].tls.ca[0]: it takes files, not PEM text'],
  ],
  [
    'limits',
    'hosts.toml',
    {
      registries: {
        'r.test': { mirrors: [{ url: 'https://m.test', concurrency: 2, requestsPerSecond: 1, omitNamespace: true }] },
      },
    },
    [
      'registries["r.test"].mirrors[0].omitNamespace: it cannot leave out "ns"',
      'registries["r.test"].mirrors[0].requestsPerSecond: it cannot limit requests',
      'registries["r.test"].mirrors[0].concurrency: it cannot limit requests',
    ],
  ],
  [
    'mirrors for digests only, and instead of the registry',
    'registries.yaml',
    { registries: { 'r.test': { mirrors, origin: 'never' } } },
    [
      'registries["r.test"].mirrors[0]: every mirror is trusted with content and with tags there; left out',
      'registries["r.test"].origin: start k3s with --disable-default-registry-endpoint; otherwise the registry is contacted last',
    ],
  ],
  [
    'rules of a second mirror',
    'registries.yaml',
    {
      registries: {
        'r.test': {
          mirrors: [
            { url: 'https://m.test', capabilities: ['pull', 'resolve'] },
            { url: 'https://n.test', rewrites: [{ pattern: 'a', replacement: 'b' }] },
          ],
        },
      },
    },
    ['registries["r.test"].mirrors[1]: its rewrites differ from those of the first mirror; left out'],
  ],
  [
    'logins of paths and of programs',
    'registries.yaml',
    { credentials: { 'r.test/team': { registryToken: 'secret' } } },
    ['credentials["r.test/team"]: logins are of hosts, not of paths'],
  ],
  [
    'a program that has logins',
    'ocifetch',
    { credentials: () => undefined },
    ['credentials: it cannot express a program that provides logins'],
  ],
  [
    'helpers beside logins',
    'registries.yaml',
    {
      credentials: Object.assign(() => undefined, {
        logins: { 'r.test/team': { registryToken: 'secret' } },
        helpers: [{ credHelpers: { 'z.test': 'fresh' } }, { credsStore: 'desktop' }, { credsStore: 'desktop' }],
      }),
    },
    [
      'credentials["r.test/team"]: logins are of hosts, not of paths',
      'credentials["z.test"]: it cannot express helper docker-credential-fresh',
      'credentials: it cannot express helper docker-credential-desktop',
    ],
  ],
];

test.each(unsaid)('what a format cannot express is reported: %s', async (_name, to, config, told) => {
  expect((await convertConfig(config, to, { secrets: true })).unexpressed).toEqual(told);
});

test('TLS settings of the registry itself, whichever it is, are written and read again', async () => {
  const tls = { insecureSkipVerify: true };
  const mirror = { url: 'https://m.test', capabilities: ['pull' as const, 'resolve' as const] };
  const config: Config = {
    registries: { '*': { mirrors: [mirror], origin: { tls } }, 'r.test': { mirrors: [mirror] } },
  };
  for (const to of ['hosts.toml', 'registries.yaml', 'ocifetch'] as const) {
    const { back } = await there(config, to);
    expect([to, asked(back)]).toEqual([to, asked(config)]);
  }
  const { files } = await there(config, 'registries.yaml');
  expect(files[0]?.text.split('configs:')[1]?.split('\n')).toEqual([
    '',
    "  '*':",
    '    tls:',
    '      insecure_skip_verify: true',
    "  'r.test': {}",
    "  'm.test': {}",
    '',
  ]);
});

test.each(['hosts.toml', 'registries.yaml', 'ocifetch'] as const)(
  'half a character is not written as %s',
  async (to) => {
    const half = (text: string): Config => ({
      registries: {
        'r.test': { mirrors: [{ url: 'https://m.test', rewrites: [{ pattern: text, replacement: 'x' }] }] },
      },
    });
    await expect(convertConfig(half('a\ud800'), to)).rejects.toMatchObject({
      code: 'INVALID_CONFIG',
      message:
        'Cannot write registries["r.test"].mirrors[0].rewrites[0].pattern: half a character in it (a lone surrogate)',
    });
    expect((await convertConfig(half('a\ud83d\ude00'), to)).files).toHaveLength(1);
  },
);

test('secrets are left out and reported, unless requested', async () => {
  const config: Config = {
    registries: { 'r.test': { mirrors: [{ url: 'https://m.test', headers: { 'X-Key': 'hidden' } }] } },
    credentials: { 'r.test': { username: 'user', password: 'hidden' } },
    proxy: { https: 'http://user:hidden@proxy.test' },
  };
  const { files, unexpressed } = await convertConfig(config, 'ocifetch');
  expect(unexpressed).toEqual([
    'registries["r.test"].mirrors[0].headers["X-Key"]: secret, left out',
    'credentials["r.test"]: secret, left out',
    'proxy.https: its URL has a login, left out',
  ]);
  expect(JSON.stringify([files, unexpressed])).not.toContain('hidden');
  expect(JSON.stringify(await convertConfig(config, 'ocifetch', { secrets: true }))).toContain('hidden');
});

test('hosts.toml is written as people write it', async () => {
  const config: Config = {
    registries: {
      'docker.io': {
        mirrors: [
          {
            url: 'https://mirror.test/prefix',
            capabilities: ['pull', 'resolve'],
            rewrites: [{ pattern: '^library/(\\w+)$', replacement: 'hub/$1' }],
            headers: { 'X-Team': 'a "b"' },
            tls: { ca: ['/etc/ca.pem'], cert: '/etc/c.pem', key: '/etc/k.pem' },
            connectTimeout: 1500,
          },
          { url: 'https://last.test/api', overridePath: true, tls: { insecureSkipVerify: true } },
        ],
        origin: 'never',
      },
    },
  };
  const { files } = await convertConfig(config, 'hosts.toml', { secrets: true });
  expect(files.map(({ path, text }) => [path, ...text.split('\n')])).toEqual([
    [
      'docker.io/hosts.toml',
      'server = "https://last.test/api"',
      'skip_verify = true',
      'override_path = true',
      '',
      '[host."https://mirror.test/prefix"]',
      'capabilities = ["pull", "resolve"]',
      'ca = ["/etc/ca.pem"]',
      'client = [["/etc/c.pem", "/etc/k.pem"]]',
      'dial_timeout = "1500ms"',
      '',
      '[host."https://mirror.test/prefix".header]',
      `"X-Team" = 'a "b"'`,
      '',
      '[host."https://mirror.test/prefix".rewrite]',
      `'^library/(\\w+)$' = "hub/$1"`,
      '',
    ],
  ]);
});

test('registries.yaml is written as people write it', async () => {
  const config: Config = {
    registries: {
      'docker.io': {
        mirrors: [
          {
            url: 'https://mirror.test:5000/prefix',
            capabilities: ['pull', 'resolve'],
            rewrites: [{ pattern: '^library/(.*)', replacement: 'hub/$1' }],
            tls: { ca: ['/etc/ca.pem'] },
          },
        ],
      },
    },
    credentials: { 'mirror.test:5000': { username: 'user', password: "it's" } },
  };
  const { files } = await convertConfig(config, 'registries.yaml', { secrets: true });
  expect(files.map(({ path, text }) => [path, ...text.split('\n')])).toEqual([
    [
      'registries.yaml',
      'mirrors:',
      "  'docker.io':",
      '    endpoint:',
      "      - 'https://mirror.test:5000/prefix/v2'",
      '    rewrite:',
      "      '^library/(.*)': 'hub/$1'",
      'configs:',
      "  'mirror.test:5000':",
      '    auth:',
      "      username: 'user'",
      "      password: 'it''s'",
      '    tls:',
      "      ca_file: '/etc/ca.pem'",
      '',
    ],
  ]);
});

test("k3s' own example of rewrites at the registry itself keeps its port and its rewrites", async () => {
  const text = [
    'mirrors:',
    '  registry.example.com:',
    '    endpoint:',
    '      - "https://registry.example.com:443"',
    '    rewrite:',
    '      "^rancher/(.*)": "mirror/$1"',
  ].join('\n');
  const config = await readConfigTexts([{ text, file: '/etc/k3s/registries.yaml', kind: 'registries.yaml' }]);
  const { files, unexpressed } = await convertConfig(config, 'registries.yaml');
  expect(unexpressed).toEqual([]);
  expect(files[0]?.text).toContain("'https://registry.example.com:443'");
  const back = await readConfigTexts([
    { text: files[0]?.text ?? '', file: '/etc/k3s/registries.yaml', kind: 'registries.yaml' },
  ]);
  const urls = (read: Config) =>
    createResolver(read)({ registry: 'registry.example.com', name: 'rancher/a' }).map(
      ({ url, repository }) => `${url} ${repository}`,
    );
  expect(urls(back)).toEqual(urls(config));
  expect(urls(back)).toEqual(['https://registry.example.com/v2 mirror/a', 'https://registry.example.com/v2 rancher/a']);
});

test('a mirror that a format takes for the registry itself is reported', async () => {
  const config: Config = {
    registries: {
      'r.test:5000': {
        mirrors: [
          {
            url: 'https://r.test:5000',
            capabilities: ['pull', 'resolve'],
            rewrites: [{ pattern: '^a/', replacement: 'b/' }],
          },
        ],
      },
    },
  };
  expect((await convertConfig(config, 'registries.yaml')).unexpressed).toEqual([
    'registries["r.test:5000"].mirrors[0]: other settings apply to this host there',
    'registries["r.test:5000"].origin: this host is not contacted at this position there',
  ]);
});
