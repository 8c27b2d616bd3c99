import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type OwnConfigPlace, readOwnConfig } from '../../../src/config/own/read.ts';
import { runs } from '../../support/runs.ts';
import { expectCleanPrototype, problemOf, withoutSpots } from '../problem.ts';

type Format = OwnConfigPlace['format'];

const texts: Readonly<Record<Format, string>> = {
  json: `{
  "$schema": "https://example.com/schema.json",
  "registries": {
    "docker.io": {
      "mirrors": [
        { "url": "https://m.example", "capabilities": ["pull"], "tls": { "ca": ["ca.pem", "/abs/ca.pem"] } }
      ],
      "origin": { "url": "https://registry-1.docker.io" }
    },
    "10.0.0.1:5000": { "origin": "never" }
  },
  "credentials": { "m.example/team": { "username": "u", "password": "p" } },
  "proxy": { "all": "http://u:p@proxy:3128" }
}`,
  yaml: `$schema: https://example.com/schema.json

registries:
  docker.io:
    mirrors:
      - url: https://m.example
        capabilities: [pull]
        tls: { ca: [ca.pem, /abs/ca.pem] }
    origin: { url: "https://registry-1.docker.io" }
  "10.0.0.1:5000": { origin: never }
credentials: { m.example/team: { username: u, password: p } }
proxy: { all: "http://u:p@proxy:3128" }
`,
  toml: `"$schema" = "https://example.com/schema.json"
credentials = { "m.example/team" = { username = "u", password = "p" } }
proxy.all = "http://u:p@proxy:3128"
[registries."docker.io"]
origin = { url = "https://registry-1.docker.io" }
[[registries."docker.io".mirrors]]
url = "https://m.example"
capabilities = ["pull"]
tls.ca = ["ca.pem", "/abs/ca.pem"]

[registries."10.0.0.1:5000"]
origin = "never"
`,
};

const formats = Object.keys(texts) as Format[];
const fileOf = (format: Format): string => `/etc/ocifetch/config.${format}`;
const read = (format: Format, text = texts[format]) =>
  withoutSpots(readOwnConfig(text, { file: fileOf(format), format }));
const problem = (format: Format, text: string): string | undefined => problemOf(() => read(format, text));

/** Lines of docker.io, its mirror, its origin, and of the other registry. */
const lines: Readonly<Record<Format, readonly number[]>> = {
  json: [4, 6, 8, 10],
  yaml: [4, 6, 9, 10],
  toml: [4, 6, 5, 11],
};

test.each(formats)('%s says the same as any other format, and where', (format) => {
  const { config, warnings } = read(format);
  const [registry, mirror, origin, other] = lines[format].map((line) => `${fileOf(format)}:${line}`);
  expect(warnings).toEqual([]);
  expect({ ...config.registries }).toEqual({
    'docker.io': {
      mirrors: [
        {
          url: 'https://m.example',
          capabilities: ['pull'],
          tls: { ca: ['/etc/ocifetch/ca.pem', '/abs/ca.pem'] },
          declaredAt: mirror,
        },
      ],
      origin: { url: 'https://registry-1.docker.io', declaredAt: origin },
      declaredAt: registry,
    },
    '10.0.0.1:5000': { origin: 'never', declaredAt: other },
  });
  expect({ ...(config.credentials as object) }).toEqual({ 'm.example/team': { username: 'u', password: 'p' } });
  expect(config.proxy).toEqual({ all: 'http://u:p@proxy:3128' });
});

test('certificates may be in the file itself', () => {
  const pem = '-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n';
  const tls = { ca: [pem], cert: 'me.pem', key: '../me.key' };
  const { config } = read('json', JSON.stringify({ registries: { 'a.b': { origin: { url: 'https://a.b', tls } } } }));
  expect(config.registries?.['a.b']?.origin).toMatchObject({
    tls: { ca: [pem], cert: '/etc/ocifetch/me.pem', key: '/etc/ocifetch/../me.key' },
  });
});

test('a file with only comments is empty', () => {
  for (const format of ['yaml', 'toml'] as const) {
    expect(read(format, '# nothing yet\n')).toEqual({ config: {}, warnings: [] });
  }
});

describe('problems are reported with their places', () => {
  test.each<[Format, string, string]>([
    ['json', '{"registry": {}}', ':1:2: registry: unknown key "registry", did you mean "registries"?'],
    [
      'yaml',
      'registries:\n  a.b:\n    mirors: []\n',
      ':3:5: registries["a.b"].mirors: unknown key "mirors", did you mean',
    ],
    [
      'toml',
      '[[registries."a.b".mirrors]]\nurl = "m"\n',
      ':2:1: registries["a.b"].mirrors[0].url: found "m", expected an abso',
    ],
    [
      'yaml',
      'registries:\n  a.b:\n    mirrors:\n      - capabilities: []\n',
      ':4:9: registries["a.b"].mirrors[0].url: nothing found',
    ],
    [
      'json',
      '{"credentials": {"a.b": {"username": "u",\n"password": ["hunter2"]}}}',
      ':2:1: credentials["a.b"].password: found a value that',
    ],
    ['yaml', 'credentials:\n  a.b: hunter2\n', ':2:3: credentials["a.b"]: found a text that is not shown'],
    ['yaml', 'registries:\n  "a: b.[c": {}\n', ':2:3: registries["a: b.[c"]: expected a registry'],
    ['json', '[]', ':1:1: not valid JSON'],
    ['yaml', '- a\n', ':1:1: found a value that is not shown, expected an object'],
    ['json', '{"__proto__": {"polluted": 1}}', '"__proto__"'],
    ['toml', '[registries.__proto__]\npolluted = 1', '"__proto__"'],
    ['toml', 'a = ', ': not valid TOML'],
    ['json', '{"registries": {"a.b": {}, "A.B": {}}}', ':1:28: registries["A.B"]: the same as "a.b", expected once'],
  ])('%s %j', (format, text, expected) => {
    const message = problem(format, text);
    expect(message).toContain(expected);
    expect(message).toContain(`${fileOf(format)}:`);
    expect(message).not.toContain('hunter2');
  });

  test('all of it at once, in the order of the file', () => {
    const message = problem('yaml', 'registries:\n  a.b: { blocked: 1 }\nproxy: { all: ftp://proxy }\ntypo: 1\n');
    expect(message?.match(/config\.yaml:\d+/g)).toEqual(['config.yaml:2', 'config.yaml:3', 'config.yaml:4']);
  });
});

test('any file is a configuration or INVALID_CONFIG', () => {
  const key = fc.constantFrom(
    'registries',
    'a.b',
    '*',
    'mirrors',
    'origin',
    'url',
    'tls',
    'ca',
    'credentials',
    '__proto__',
    'constructor',
    'rewrites',
    '$schema',
    '1',
  );
  const tree = fc.letrec((tie) => ({
    value: fc.oneof(
      { maxDepth: 5 },
      fc.constantFrom('never', 'https://a.b', true, 3),
      fc.array(tie('value'), { maxLength: 2 }),
      fc.jsonValue({ maxDepth: 2 }),
      fc.dictionary(key, tie('value')),
    ),
  })).value;
  fc.assert(
    fc.property(fc.constantFrom(...formats), fc.oneof(fc.dictionary(key, tree), fc.string()), (format, value) => {
      problem(format, typeof value === 'string' ? value : JSON.stringify(value));
      expectCleanPrototype();
    }),
    runs(250),
  );
});

test('problems are data, too, with the place and the key path of each', () => {
  const read = () =>
    readOwnConfig('{\n"registries": { "q.io": { "blocked": 1 } } }', { file: '/c.json', format: 'json' });
  expect(read).toThrow(
    expect.objectContaining({
      value: '/c.json',
      problems: [
        {
          file: '/c.json',
          line: 2,
          column: 27,
          key: 'registries["q.io"].blocked',
          found: 'found the number 1, expected true or false',
        },
      ],
    }),
  );
});
