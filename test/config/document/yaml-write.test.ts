import fc from 'fast-check';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import type { DocumentNode } from '../../../src/config/document/document.ts';
import { parseYaml, writeYaml } from '../../../src/config/document/yaml.ts';

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
    { numRuns: 2000 },
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
