import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { mergeRegistriesConf, readRegistriesConf } from '../../../src/config/containers/read.ts';
import { compileRewrites } from '../../../src/config/rewrite.ts';
import { planHosts } from '../../../src/remote/plan.ts';
import { expectLinear } from '../../support/linear.ts';
import { runs } from '../../support/runs.ts';
import { expectCleanPrototype, problemOf } from '../problem.ts';

const place = { file: '/etc/containers/registries.conf' };
const read = (text: string, file = place.file) => readRegistriesConf(text, { file });
const problem = (text: string): string | undefined => problemOf(() => read(text));
const registriesOf = (text: string) => ({ ...read(text).config.registries });

test("the manual's example is read as the manual says", () => {
  const { config, warnings } = read(`unqualified-search-registries = ["example.com"]

[[registry]]
prefix = "example.com/foo"
insecure = false
blocked = false
location = "internal-registry-for-example.com/bar"

[[registry.mirror]]
location = "example-mirror-0.local/mirror-for-foo"

[[registry.mirror]]
location = "example-mirror-1.local/mirrors/foo"
insecure = true

[[registry]]
location = "registry.com"

[[registry.mirror]]
location = "mirror.registry.com"
`);
  const pattern = '^foo(/.+)?$';
  expect({ ...config.registries }).toEqual({
    'example.com/foo': {
      mirrors: [
        {
          url: 'https://example-mirror-0.local',
          rewrites: [{ pattern, replacement: 'mirror-for-foo$1' }],
          omitNamespace: true,
          declaredAt: '/etc/containers/registries.conf:9',
        },
        {
          url: 'https://example-mirror-1.local',
          rewrites: [{ pattern, replacement: 'mirrors/foo$1' }],
          omitNamespace: true,
          tls: { insecureSkipVerify: true },
          declaredAt: '/etc/containers/registries.conf:12',
        },
      ],
      origin: {
        url: 'https://internal-registry-for-example.com',
        rewrites: [{ pattern, replacement: 'bar$1' }],
        omitNamespace: true,
        declaredAt: '/etc/containers/registries.conf:3',
      },
      declaredAt: '/etc/containers/registries.conf:3',
    },
    'registry.com': {
      mirrors: [
        {
          url: 'https://mirror.registry.com',
          omitNamespace: true,
          declaredAt: '/etc/containers/registries.conf:19',
        },
      ],
      origin: { url: 'https://registry.com', declaredAt: '/etc/containers/registries.conf:16' },
      declaredAt: '/etc/containers/registries.conf:16',
    },
  });
  expect(config.shortNames).toEqual({ search: ['example.com'] });
  expect(warnings).toEqual([
    '/etc/containers/registries.conf:14: registry[0].mirror[1].insecure: certificates of "example-mirror-1.local" are not verified; it is never contacted over http',
  ]);
});

describe('a repository is renamed by its prefix and location', () => {
  test.each([
    ['a.b', 'c.d', 'team/app', 'team/app'],
    ['a.b', 'c.d/x.y', 'team/app', 'x.y/team/app'],
    ['a.b/te.am', 'c.d', 'te.am/app', 'app'],
    ['a.b/te.am', 'c.d/x', 'te.am/app', 'x/app'],
    ['a.b/team/app', 'c.d/x', 'team/app', 'x'],
    ['a.b/team', 'c.d', 'team', ''],
    ['a.b/team', 'c.d/team', 'team/app', 'team/app'],
    ['*.b', 'c.d/x', 'team/app', 'x/team/app'],
  ])('%s at %s: %s is %s', (prefix, location, name, renamed) => {
    const [registry] = Object.values(registriesOf(`[[registry]]\nprefix = "${prefix}"\nlocation = "${location}"`));
    const origin = registry?.origin;
    if (typeof origin !== 'object') throw new Error('no origin');
    expect(origin.url).toBe('https://c.d');
    expect(compileRewrites(origin.rewrites ?? [], 'test').rewrite(name).name).toBe(renamed);
  });
});

test('a dot of a prefix is a dot, and a prefix ends where a component ends', () => {
  const { origin } = registriesOf('[[registry]]\nprefix = "a.b/te.am"\nlocation = "c.d/x"')['a.b/te.am'] ?? {};
  const rewrites = typeof origin === 'object' ? (origin.rewrites ?? []) : [];
  const rewriter = compileRewrites(rewrites, 'test');
  for (const name of ['teXam/app', 'te.ammo/app', 'x/te.am/app']) expect(rewriter.rewrite(name).name).toBe(name);
});

test('mirrors are trusted with what the file says', () => {
  const mirrors = registriesOf(`[[registry]]
location = "a.b"
mirror = [
  { location = "m1.b" },
  { location = "m2.b", pull-from-mirror = "all" },
  { location = "m3.b", pull-from-mirror = "digest-only" },
  { location = "m4.b", pull-from-mirror = "tag-only" },
]`)['a.b']?.mirrors;
  expect(mirrors?.map(({ url, capabilities }) => [url, capabilities])).toEqual([
    ['https://m1.b', undefined],
    ['https://m2.b', undefined],
    ['https://m3.b', ['pull']],
    ['https://m4.b', ['resolve']],
  ]);
  const byDigest = registriesOf(
    '[[registry]]\nlocation = "a.b"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.b"',
  );
  expect(byDigest['a.b']?.mirrors?.map(({ capabilities }) => capabilities)).toEqual([['pull']]);
});

test('blocked registries, wildcards and Docker Hub are read', () => {
  const registries = registriesOf(`[[registry]]
prefix = "*.Example.com"
blocked = true
[[registry.mirror]]
location = "m.b/x/"
[[registry]]
location = "docker.io/library/"`);
  expect(registries['*.example.com']).toMatchObject({
    origin: 'never',
    mirrors: [{ url: 'https://m.b', rewrites: [{ pattern: '^(.+)$', replacement: 'x/$1' }] }],
  });
  expect(registries['*.example.com']).not.toHaveProperty('blocked');
  expect(registries['docker.io/library']?.origin).toEqual({
    url: 'https://registry-1.docker.io',
    declaredAt: '/etc/containers/registries.conf:6',
  });
});

test('a block is of the name that a host has itself: not of its mirrors, but of a mirror that is blocked', () => {
  const { config } = readRegistriesConf(
    `[[registry]]
location = "a.example"
blocked = true
[[registry]]
location = "mirrors.example/old"
blocked = true
[[registry]]
location = "b.example"
[[registry.mirror]]
location = "mirrors.example"
[[registry]]
location = "c.example"
blocked = true
[[registry.mirror]]
location = "mirrors.example"`,
    { file: '/etc/containers/registries.conf' },
  );
  const { hosts } = planHosts(config);
  const asked = (registry: string, name: string) => {
    const { endpoints, skipped } = hosts({ registry, name });
    return [...endpoints.map(({ url }) => url), ...skipped.map(({ url, reason }) => `not ${url}: ${reason}`)];
  };
  expect(asked('a.example', 'x')).toEqual(['not https://a.example/v2: the registry is blocked']);
  expect(asked('b.example', 'x')).toEqual(['https://mirrors.example/v2', 'https://b.example/v2']);
  expect(asked('b.example', 'old/x')).toEqual([
    'https://b.example/v2',
    'not https://mirrors.example/v2: the registry "mirrors.example/old" is blocked',
  ]);
  expect(asked('c.example', 'x')).toEqual([
    'https://mirrors.example/v2',
    'not https://c.example/v2: the registry itself is never contacted: the configuration allows only its mirrors',
  ]);
});

test('only this machine is contacted over http, and only if it is insecure', () => {
  const urls = Object.values(
    registriesOf(`[[registry]]
location = "localhost:5000"
insecure = true
[[registry]]
location = "127.0.0.1:5001"
[[registry]]
location = "10.0.0.1:5002"
insecure = true`),
  ).map(({ origin }) => (typeof origin === 'object' ? [origin.url, origin.tls] : origin));
  expect(urls).toEqual([
    ['http://localhost:5000', undefined],
    ['https://127.0.0.1:5001', undefined],
    ['https://10.0.0.1:5002', { insecureSkipVerify: true }],
  ]);
});

test('short names and helpers are read; a mode, which needs a prompt, is a warning', () => {
  const { config, warnings, credentialHelpers, erasedAliases } = read(`short-name-mode = "enforcing"
unqualified-search-registries = ["registry.fedoraproject.org", "localhost:5000"]
credential-helpers = ["containers-auth.json", "pass"]
additional-layer-store-auth-helper = "x"
[aliases]
"fedora" = "registry.fedoraproject.org/fedora"
"team/app" = "docker.io/alpine"
"gone" = ""
`);
  expect(config).toEqual({
    shortNames: {
      search: ['registry.fedoraproject.org', 'localhost:5000'],
      aliases: { fedora: 'registry.fedoraproject.org/fedora', 'team/app': 'docker.io/library/alpine' },
    },
  });
  expect(credentialHelpers).toEqual(['containers-auth.json', 'pass']);
  expect(erasedAliases).toEqual(['gone']);
  expect(warnings).toEqual([
    '/etc/containers/registries.conf:1: ["short-name-mode"]: not used, there is no prompt to choose a registry',
    '/etc/containers/registries.conf:4: ["additional-layer-store-auth-helper"]: not used, there is no layer store',
  ]);
});

test('of two tables with the same prefix the first counts, with a warning', () => {
  const { config, warnings } = read('[[registry]]\nlocation = "a.b"\n[[registry]]\nprefix = "A.b"\nlocation = "c.d"\n');
  expect(config.registries?.['a.b']?.origin).toMatchObject({ url: 'https://a.b' });
  expect(warnings).toEqual([`${place.file}:3: registry[1]: not used, "a.b" has a table above`]);
});

describe('all problems are reported with their places', () => {
  test.each([
    ['[registries.search]\nregistries = ["a.b"]', ':1:2: registries: found version 1 of the format'],
    ['[[registries]]\nlocation = "a.b"', 'registries: found version 1 of the format, expected version 2'],
    ['[[registry]]\nlocaton = "a.b"', ':2:1: registry[0].locaton: unknown key "locaton", did you mean "location"?'],
    ['[[registry]]\nblocked = true', 'registry[0]: found neither prefix nor location'],
    ['[[registry]]\nprefix = "a.b"', 'registry[0]: found a prefix without a location'],
    [
      '[[registry]]\nlocation = "https://a.b"',
      ':2:1: registry[0].location: found "https://a.b", expected host or host/path',
    ],
    ['[[registry]]\nlocation = "a.b/c:tag"', 'single tags and digests are not supported'],
    ['[[registry]]\nprefix = "*.a.b/c"\nlocation = "c.d"', 'expected "*.domain" without port and path'],
    ['[[registry]]\nlocation = "a.b/Team"', 'path component "Team" has upper-case letters'],
    ['[[registry]]\nlocation = "a.b"\npull-from-mirror = "all"', 'found in a registry, expected only in mirrors'],
    [
      '[[registry]]\nlocation = "a.b"\n[[registry.mirror]]\ninsecure = true',
      'registry[0].mirror[0]: found no location',
    ],
    ['[[registry]]\nlocation = "a.b"\n[[registry.mirror]]\nlocation = "*.b"', 'expected a host, "*." is for prefixes'],
    [
      '[[registry]]\nlocation = "a.b"\n[[registry.mirror]]\nlocation = "m.b"\npull-from-mirror = "never"',
      'found "never", expected "all"',
    ],
    [
      '[[registry]]\nlocation = "a.b"\nmirror-by-digest-only = true\n[[registry.mirror]]\nlocation = "m.b"\npull-from-mirror = "all"',
      'found "all", expected it without mirror-by-digest-only',
    ],
    [
      '[[registry]]\nlocation = "a.b"\ninsecure = "yes"',
      ':3:12: registry[0].insecure: found the text "yes", expected true or false',
    ],
    [
      '[[registry]]\nlocation="a.b"\n[[registry]]\nprefix="c.d"\nlocation="a.b"\nblocked=true',
      'found another blocked for "a.b"',
    ],
    ['short-name-mode = "ask"', 'found "ask", expected "enforcing", "permissive" or "disabled"'],
    [
      'unqualified-search-registries = ["a.b", "x/y"]',
      '["unqualified-search-registries"][1]: found "x/y", not a host name',
    ],
    ['credential-helpers = ["/bin/x"]', 'found "/bin/x", expected the end of a name'],
    ['[aliases]\n"a.b/c" = "a.b/c"', 'expected a name without registry, tag and digest'],
    ['[aliases]\nfedora = "fedora"', ':2:1: aliases.fedora: found "fedora", expected registry/name'],
    ['[aliases]\nfedora = "a.b/fedora:1"', 'expected registry/name without tag and digest'],
    ['x = ', ': not valid TOML'],
  ])('%j', (text, expected) => {
    expect(problem(text)).toContain(expected);
    expect(problem(text)).toContain('/etc/containers/registries.conf:');
  });
});

test('a later file replaces the settings of an earlier one', () => {
  const merged = mergeRegistriesConf([
    read(
      'unqualified-search-registries = ["a.b"]\ncredential-helpers = ["pass"]\n[[registry]]\nlocation = "a.b"\n[[registry]]\nlocation = "b.b"\n[aliases]\none = "a.b/one"\ntwo = "a.b/two"',
      'main',
    ),
    read('short-name-mode = "disabled"\n[[registry]]\nlocation = "a.b"\nblocked = true\n[aliases]\none = ""', '1.conf'),
    read('unqualified-search-registries = []\n[aliases]\nthree = "a.b/three"', '2.conf'),
  ]);
  expect(Object.entries(merged.config.registries ?? {}).map(([key, { declaredAt }]) => [key, declaredAt])).toEqual([
    ['a.b', '1.conf:2'],
    ['b.b', 'main:5'],
  ]);
  expect(merged.config.shortNames).toEqual({ search: [], aliases: { two: 'a.b/two', three: 'a.b/three' } });
  expect(merged.credentialHelpers).toEqual(['pass']);
  expect(merged.warnings).toHaveLength(1);
  expect(mergeRegistriesConf([])).toEqual({ config: {}, warnings: [], erasedAliases: [] });
});

test('any file is a configuration or INVALID_CONFIG', () => {
  const line = fc.oneof(
    fc.constantFrom('[[registry]]', '[[registry.mirror]]', '[aliases]', '[__proto__]', '[registry]', 'blocked = true'),
    fc
      .tuple(
        fc.constantFrom(
          'location',
          'prefix',
          'insecure',
          '"__proto__"',
          'constructor',
          'pull-from-mirror',
          'short',
          'mirror',
        ),
        fc.oneof(
          fc.constantFrom('"a.b"', '"*.b"', '"a.b/c"', 'true', '[]', '{ polluted = 1 }', '1979-05-27', '"digest-only"'),
          fc.string().map((text) => JSON.stringify(text)),
        ),
      )
      .map(([key, value]) => `${key} = ${value}`),
    fc.string(),
  );
  fc.assert(
    fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
      problem(lines.join('\n'));
      expectCleanPrototype();
    }),
    runs(400),
  );
});

test('a long file takes no more than its length', () => {
  const text = Array.from({ length: 1000 }, (_, index) => `[[registry]]\nlocation = "r${index}.b/${'x/'.repeat(9)}y"`);
  expectLinear(1000, (length) => {
    expect(Object.keys(registriesOf(text.slice(0, length).join('\n')))).toHaveLength(length);
  });
  const started = performance.now();
  expect(problem(`[[registry]]\nlocation = "a.b${'/'.repeat(100_000)}x"`)).toBeDefined();
  expect(problem(`[aliases]\na = "${'a.'.repeat(500_000)}"`)).toBeDefined();
  expect(performance.now() - started).toBeLessThan(8000);
});

test('a table of a registry that no reference can name is not used, and stops nothing else', () => {
  const { config, warnings } = read(
    '[[registry]]\nlocation = "my_registry:5000"\n[[registry]]\nlocation = "a.b"\nblocked = true\n',
  );
  expect(Object.keys(config.registries ?? {})).toEqual(['a.b']);
  expect(warnings).toEqual([expect.stringContaining('registry[0].location: not used, not a host name')]);
});
