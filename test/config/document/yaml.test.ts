import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { DocumentNode } from '../../../src/config/document/document.ts';
import { parseYaml, writeYaml } from '../../../src/config/document/yaml.ts';
import { RegistryError } from '../../../src/errors.ts';
import { expectLinear } from '../../support/linear.ts';
import { runs } from '../../support/runs.ts';
import { outline } from './outline.ts';

function messageOf(text: string): string {
  try {
    parseYaml(text, 'a.yaml');
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryError);
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
    return (error as Error).message;
  }
  return 'accepted';
}

test.each<[name: string, text: string, ...told: string[]]>([
  ['a map', 'a: x\nb:\n  c: 2', '/a(1:1) = x @1:4', '/b(2:1)/c(3:3) = 2 @3:6'],
  ['a list', 'a:\n- x\n- y: true', '/a(1:1)[0] = x @2:3', '/a(1:1)[1]/y(3:3) = true @3:6'],
  ['flow style', '{a: [1, "b"], "c d": null}', '/a(1:2)[0] = 1 @1:6', '/a(1:2)[1] = b @1:9', '/c d(1:15) = null @1:22'],
  ['nothing', 'a:\nb: # none', '/a(1:1) = null @1:3', '/b(2:1) = null @2:4'],
  ['aliases', 'a: &x [1]\nb: *x', '/a(1:1)[0] = 1 @1:8', '/b(2:1)[0] = 1 @1:8'],
  [
    'merges',
    'a: &x {b: 1, c: 2}\nd:\n  <<: *x\n  b: 3',
    '/a(1:1)/b(1:8) = 1 @1:11',
    '/a(1:1)/c(1:14) = 2 @1:17',
    '/d(2:1)/b(4:3) = 3 @4:6',
    '/d(2:1)/c(1:14) = 2 @1:17',
  ],
  [
    'merges of several',
    'a: &x {c: 1}\nb: &y {c: 2, d: 3}\ne:\n  <<: [*x, *y]',
    '/a(1:1)/c(1:8) = 1 @1:11',
    '/b(2:1)/c(2:8) = 2 @2:11',
    '/b(2:1)/d(2:14) = 3 @2:17',
    '/e(3:1)/c(1:8) = 1 @1:11',
    '/e(3:1)/d(2:14) = 3 @2:17',
  ],
  ['texts over lines', 'a: |\n  x: y\nb: "z\n  w"', '/a(1:1) = x: y\n @1:4', '/b(3:1) = z w @3:4'],
  [
    'keys that are no texts',
    '5000: a\ntrue: b\n~: c',
    '/5000(1:1) = a @1:7',
    '/true(2:1) = b @2:7',
    '/~(3:1) = c @3:4',
  ],
  ['line ends of Windows', 'a: 1\r\nb: 2\r\n', '/a(1:1) = 1 @1:4', '/b(2:1) = 2 @2:4'],
  ['JSON', '{\n\t"a": ["\\u0062\\/"]\n}', '/a(2:2)[0] = b/ @2:8'],
  ['an empty text', '', ' = null @1:1'],
  ['comments', '# nothing\n', ' = null @1:1'],
])('the values of %s have their places', (_, text, ...expected) => {
  expect(outline(parseYaml(text, 'a.yaml'))).toEqual(expected);
});

test('keys that look like numbers stay where the file has them', () => {
  const root = parseYaml('z: 1\n10: 1\n9: 1', 'a.yaml');
  expect(root.kind === 'table' && [...root.entries.keys()]).toEqual(['z', '10', '9']);
});

test('a value also has its source', () => {
  expect(parseYaml('0123', 'a.yaml')).toMatchObject({ value: 123, source: '0123' });
});

test('keys that mean something to JavaScript are keys', () => {
  const root = parseYaml('__proto__: {polluted: 1}\nconstructor: {prototype: {polluted: 1}}', 'a.yaml');
  expect(root.kind === 'table' && [...root.entries.keys()]).toEqual(['__proto__', 'constructor']);
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
});

test.each(
  [
    ['a: b: c', 'a.yaml:1:4: not valid YAML, Nested mappings'],
    ['a: 1\nb: [1', 'a.yaml:2:'],
    ['a: 1\na: 2', 'a.yaml:2:1: duplicate key "a", first at 1:1'],
    ['a: *x', 'a.yaml:1:4: found an alias without an anchor'],
    ['a: &x [*x]', 'a.yaml:1:8: found an alias without an anchor'],
    ['a: !!js/function x', 'a.yaml:1:4: not valid YAML, Unresolved tag'],
    ['? [a]\n: b', 'a.yaml:1:3: found a key that is not a text'],
    ['a:\n  <<: x', 'a.yaml:2:3: found no table to merge'],
    ['a: 1\n---\nb: 2', 'a.yaml:2:1: found a second document'],
    ['\ta: 1', 'a.yaml:1:1: not valid YAML'],
    ['['.repeat(100), 'a.yaml:1:66: found more than 64 levels'],
    [Array.from({ length: 100 }, (_, index) => `${' '.repeat(index)}a:`).join('\n'), 'found more than 64 levels'],
    [`a: ${'x'.repeat(512 * 1024)}`, 'found 524291 characters, expected at most 524288'],
  ].map(([text = '', words = '']) => [words, text] as const),
)('what is not valid YAML is refused with its place: %s', (expected, text) => {
  expect(messageOf(text)).toContain(expected);
});

test('all problems of a text are reported', () => {
  expect(messageOf('a: b: c\nd: e: f\n')).toMatch(/a\.yaml:1:4: .*\n {2}a\.yaml:2:4: /);
});

test.each([
  'p: hunter2 }: [',
  'p: "hunter2\\q"',
  'p: "x\\Uhunter"',
  'p: | hunter2',
  'p: ]hunter2',
  'p: `hunter2',
  '&a &hunter2 x',
  'p: "a" hunter2',
])('what cannot be read is not quoted: %s', (text) => {
  expect(messageOf(text)).toContain('Cannot use config file "a.yaml"');
  expect(messageOf(text)).not.toMatch(/hunt/);
});

test('aliases of aliases do not make a small file a large one', () => {
  const lines = Array.from({ length: 30 }, (_, index) => `a${index + 1}: &a${index + 1} [*a${index}, *a${index}]`);
  expect(messageOf(['a0: &a0 [x, x]', ...lines].join('\n'))).toContain('found more than 1000000 values with aliases');
});

test('any text is refused or read', () => {
  const pieces = fc.constantFrom(
    'a',
    ': ',
    '- ',
    '? ',
    '\n',
    '  ',
    '[',
    ']',
    '{',
    '}',
    ',',
    '"',
    "'",
    '|',
    '>',
    '&a ',
    '*a',
    '<<: ',
    '!',
    '!!int ',
    '#',
    '---\n',
    '...\n',
    '%YAML 1.1\n',
    '~',
    '1',
    '\t',
    '\\',
    '__proto__',
    '\r\n',
  );
  const yamlText = fc.array(pieces, { maxLength: 40 }).map((parts) => parts.join(''));
  const check = (text: string): void => {
    const message = messageOf(text);
    if (message !== 'accepted') expect(message).toMatch(/a\.yaml:\d+:\d+: /);
  };
  fc.assert(fc.property(yamlText, check), runs(800));
  fc.assert(fc.property(fc.string({ unit: 'binary' }), check), runs(200));
});

test('what JSON means, YAML means', () => {
  const plain = (node: DocumentNode): unknown => {
    if (node.kind === 'scalar') return node.value;
    if (node.kind === 'list') return node.items.map(plain);
    return Object.fromEntries([...node.entries].map(([key, entry]) => [key, plain(entry.value)]));
  };
  const json = fc.object({
    maxDepth: 4,
    key: fc.string({ maxLength: 8 }),
    values: [fc.string({ maxLength: 8 }), fc.boolean(), fc.constant(null), fc.integer()],
  });
  fc.assert(
    fc.property(json, (value) => {
      expect(plain(parseYaml(JSON.stringify(value), 'a.yaml'))).toEqual(JSON.parse(JSON.stringify(value)));
    }),
    runs(150),
  );
});

test.each<[string, (length: number) => string]>([
  ['keys', (length) => Array.from({ length: length / 10 }, (_, index) => `key${index}: 1`).join('\n')],
  ['a flow map', (length) => `{${Array.from({ length: length / 10 }, (_, index) => `key${index}: 1`).join(', ')}}`],
  ['aliases', (length) => `a: &a x\nb:\n${'- *a\n'.repeat(length / 5)}`],
  ['faults', (length) => '- ]\n'.repeat(length / 4)],
  ['brackets', (length) => '['.repeat(length)],
  ['directives', (length) => '%\n'.repeat(length / 2)],
])('time grows with the length of %s, not with its square', (_, make) => {
  expectLinear(20_000, (length) => messageOf(make(length)));
});

/** Texts that a reader of some YAML takes for something else, or refuses without quotes or escapes. */
const traps = [
  ...[
    '',
    ' ',
    ' a ',
    'y',
    'No',
    'on',
    'true',
    'null',
    '~',
    '1',
    '0123',
    '0o17',
    '0x1f',
    '1_000',
    '1:30',
    '.inf',
    '.nan',
  ],
  ...[
    '2001-01-01',
    '2001-01-01T00:00:00Z',
    '1e3',
    '-',
    '- a',
    '? a',
    'a: b',
    'a #b',
    '#',
    '&a',
    '*a',
    '!a',
    '|',
    '>',
    '%A',
  ],
  ...['@', '`', "it's", '"', '\\n', '{}', '[]', ',', '<<', '=', '---', '...', '__proto__', 'x'.repeat(1100)],
  ...[
    '-----BEGIN CERTIFICATE-----\nMII+/=\n-----END CERTIFICATE-----\n',
    '\n',
    ' \n ',
    'a\n\nb',
    'a\r\nb',
    '\t',
    '\0',
    '\u0007',
  ],
  ...[
    '\u007f',
    '\u0085',
    '\u00a0',
    'é',
    '\u2028',
    '\u2029',
    '\u202e',
    '\ufeff',
    '\ufffe',
    '\u{1f600}',
    '\u{1f600}'.repeat(300),
  ],
];
const text = fc.oneof(fc.constantFrom(...traps), fc.string({ unit: 'binary', maxLength: 20 }));
type Value = string | number | boolean | readonly Value[] | ReadonlyMap<string, Value>;
const { value } = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.boolean(),
    fc.integer(),
    fc.array(tie('value'), { maxLength: 4 }),
    fc.array(fc.tuple(text, tie('value')), { maxLength: 4 }).map((entries) => new Map(entries)),
  ),
}));

function read(node: DocumentNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(read);
  return new Map([...node.entries].map(([key, entry]) => [key, read(entry.value)]));
}

test('what is written is read as it was, in its order, by our reader and by one of YAML 1.1', () => {
  fc.assert(
    fc.property(value, (given) => {
      const written = writeYaml(given);
      expect(written).toMatch(/^[\n\x20-\x7e]*$/);
      expect(read(parseYaml(written, 'a.yaml'))).toEqual(given);
      expect(parse(written, { version: '1.1', mapAsMap: true })).toEqual(given);
    }),
    runs(500),
  );
});

test.each(traps)('a text or a key stays one: %j', (trap) => {
  const given = new Map<string, Value>([[trap, [trap, new Map([['a', trap]])]]]);
  expect(read(parseYaml(writeYaml(given), 'a.yaml'))).toEqual(given);
});

test('only keys that are plain words are without quotes', () => {
  const keys = ['endpoint', 'insecure_skip_verify', 'no', 'Null', '10', 'docker.io', 'a-b'];
  expect(writeYaml(new Map(keys.map((key) => [key, true])))).toBe(
    "endpoint: true\ninsecure_skip_verify: true\n'no': true\n'Null': true\n'10': true\n'docker.io': true\n'a-b': true\n",
  );
});

test('what is undefined or a function is left out, and what is repeated is written again', () => {
  const twice = { ca: ['/ca.pem'] };
  expect(writeYaml({ a: undefined, b: () => 1, c: twice, d: twice, e: {}, f: [] })).toBe(
    "c:\n  ca:\n    - '/ca.pem'\nd:\n  ca:\n    - '/ca.pem'\ne: {}\nf: []\n",
  );
});
