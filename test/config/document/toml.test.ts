import fc from 'fast-check';
import { parse } from 'smol-toml';
import { describe, expect, test } from 'vitest';
import type { DocumentNode } from '../../../src/config/document/document.ts';
import { parseToml } from '../../../src/config/document/toml.ts';
import { RegistryError } from '../../../src/errors.ts';
import { expectLinear } from '../../support/linear.ts';
import { fuzzRuns, runs } from '../../support/runs.ts';
import { outline } from './outline.ts';

/** The values alone, as the TOML parser gives them. */
function values(node: DocumentNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(values);
  return Object.fromEntries([...node.entries].map(([key, entry]) => [key, values(entry.value)]));
}

function messageOf(text: string): string {
  try {
    parseToml(text, 'a.toml');
  } catch (error) {
    expect(error).toBeInstanceOf(RegistryError);
    expect(error).toMatchObject({ code: 'INVALID_CONFIG' });
    return (error as Error).message;
  }
  return 'accepted';
}

test.each<[name: string, text: string, ...told: string[]]>([
  ['a pair', 'a = 1', '/a(1:1) = 1 @1:5'],
  ['a comment with a key in it', '# a = 1\n  b = "#" # c', '/b(2:3) = # @2:7'],
  ['dotted keys', 'a.b."c.d" = true', '/a(1:1)/b(1:3)/c.d(1:5) = true @1:13'],
  ['tables', '[a]\nb = 1\n[a.c]\nd = 2', '/a(1:2)/b(2:1) = 1 @2:5', '/a(1:2)/c(3:4)/d(4:1) = 2 @4:5'],
  [
    'an inline table',
    'a = { b = [1, 2], c.d = "x" }',
    '/a(1:1)/b(1:7)[0] = 1 @1:12',
    '/a(1:1)/b(1:7)[1] = 2 @1:15',
    '/a(1:1)/c(1:19)/d(1:21) = x @1:25',
  ],
  [
    'lists of tables',
    '[[a]]\nb = 1\n[[a]]\nb = 2\n[a.c]\nd = 3',
    '/a(1:3)[0]/b(2:1) = 1 @2:5',
    '/a(1:3)[1]/b(4:1) = 2 @4:5',
    '/a(1:3)[1]/c(5:4)/d(6:1) = 3 @6:5',
  ],
  [
    'texts over lines',
    'a = """\nx"]=\\""""\nb = \'\'\'y\'\'\'\'\nc = 1',
    '/a(1:1) = x"]=" @1:5',
    "/b(3:1) = y' @3:5",
    '/c(4:1) = 1 @4:5',
  ],
  [
    'a list over lines',
    'a = [ # [\n  "]", # ,\n  2,\n]\nb = 1.5',
    '/a(1:1)[0] = ] @2:3',
    '/a(1:1)[1] = 2 @3:3',
    '/b(5:1) = 1.5 @5:5',
  ],
  ['line ends of Windows', 'a = 1\r\n[b]\r\nc = 2\r\n', '/a(1:1) = 1 @1:5', '/b(2:2)/c(3:1) = 2 @3:5'],
  ['escapes in keys', '"a\\u0062" = 1\n\'c\\d\' = 2', '/ab(1:1) = 1 @1:13', '/c\\d(2:1) = 2 @2:9'],
  ['a byte order mark', '\ufeffa = 1', '/a(1:2) = 1 @1:6'],
])('the values of %s have their places', (_, text, ...expected) => {
  expect(outline(parseToml(text, 'a.toml'))).toEqual(expected);
});

test('keys that look like numbers stay where the file has them', () => {
  expect([...parseToml('z = 1\n10 = 1\n9 = 1\n[a]\n[8]', 'a.toml').entries.keys()]).toEqual(['z', '10', '9', 'a', '8']);
});

test('keys that mean something to JavaScript are keys', () => {
  const { entries } = parseToml('__proto__ = 1\n[constructor.prototype]\npolluted = 2', 'a.toml');
  expect([...entries.keys()]).toEqual(['__proto__', 'constructor']);
  expect(Object.hasOwn(Object.prototype, 'polluted')).toBe(false);
});

test.each(
  [
    ['a = ', 'a.toml:1:5: not valid TOML, invalid value'],
    ['a = 1\n[b\nc = 1', 'a.toml:2:'],
    ['a = 1\na = 2', 'a.toml:2:1: duplicate key "a", first at 1:1'],
    ['[a]\n[a]', 'a.toml:2:2: duplicate key "a", first at 1:2'],
    ['a = 1\nb = é\na = 2\nc = yes', '"a.toml": a.toml:2:5: not valid TOML, invalid value'],
    ['a = 1\na = { "x\nb = 1', 'a.toml:2:1: not valid TOML, trying to redefine an already defined table or value'],
    [
      `a = 1\na = ${'['.repeat(100_000)}`,
      'a.toml:2:1: not valid TOML, trying to redefine an already defined table or value',
    ],
    [
      `a = 1\na = ${'{b='.repeat(100_000)}`,
      'a.toml:2:1: not valid TOML, trying to redefine an already defined table or value',
    ],
    ['a = "x\ny"', 'a.toml:1:'],
    [`a = ${'['.repeat(100)}`, 'excessively nested'],
    [`${'a.'.repeat(100)}b = 1`, 'a.toml:1:129: found more than 64 levels'],
    [`a = "${'x'.repeat(4 * 1024 * 1024)}"`, 'found 4194310 characters, expected at most 4194304'],
  ].map(([text = '', words = '']) => [words, text] as const),
)('what is not valid TOML is refused with its place: %s', (expected, text) => {
  expect(messageOf(text)).toContain(expected);
});

test('what cannot be read is not quoted', () => {
  expect(messageOf('password = "hunter2" "hunter3"')).not.toMatch(/hunter/);
});

describe('any text', () => {
  const pieces = fc.constantFrom(
    'a',
    '1',
    '"',
    "'",
    '"""',
    "'''",
    '[',
    ']',
    '[[',
    ']]',
    '{',
    '}',
    '.',
    '=',
    ',',
    '\n',
    '\r\n',
    ' ',
    '#',
    '\\',
    '\\"',
    'true',
    '1.5',
    '__proto__',
    '"a b"',
    "'c'",
  );
  const tomlText = fc.array(pieces, { maxLength: 60 }).map((parts) => parts.join(''));

  test('is refused, or read as the TOML parser reads it', () => {
    const check = (text: string): void => {
      let expected: unknown;
      try {
        expected = parse(text);
      } catch {
        expect(messageOf(text)).toMatch(/^Cannot use config file "a\.toml": (?:\d+ problems\n {2})?a\.toml:/);
        return;
      }
      expect(JSON.stringify(sorted(values(parseToml(text, 'a.toml'))))).toBe(JSON.stringify(sorted(expected)));
    };
    fc.assert(fc.property(tomlText, check), runs(600));
    fc.assert(fc.property(fc.string({ unit: 'binary' }), check), runs(200));
  });

  test('of values that nest is read as the TOML parser reads it', () => {
    const key = fc.constantFrom('a', 'b', '"c d"', "'e.f'", 'a.b', '1', '__proto__');
    const { value } = fc.letrec<{ value: string }>((tie) => ({
      value: fc.oneof(
        { maxDepth: 3 },
        fc.constantFrom('1', 'true', '"x\\"]"', "'y]}'", '"""z\n"]"""', "'''w'''", '1.5e3', '0x1f'),
        fc.array(tie('value'), { maxLength: 3 }).map((items) => `[ ${items.join(' ,\n # ]\n')} ]`),
        fc.dictionary(key, tie('value'), { maxKeys: 3 }).map(
          (table) =>
            `{ ${Object.entries(table)
              .map(([name, item]) => `${name} = ${item}`)
              .join(', ')} }`,
        ),
      ),
    }));
    const line = fc.oneof(
      fc.tuple(key, value).map(([name, item]) => `${name} = ${item}`),
      key.map((name) => `[${name}]`),
      key.map((name) => `[[ ${name} ]]`),
    );
    let read = 0;
    fc.assert(
      fc.property(fc.array(line, { maxLength: 6 }), (lines) => {
        const text = lines.join('\n');
        let expected: unknown;
        try {
          expected = parse(text);
        } catch {
          return;
        }
        read++;
        expect(JSON.stringify(sorted(values(parseToml(text, 'a.toml'))))).toBe(JSON.stringify(sorted(expected)));
      }),
      runs(600),
    );
    expect(read).toBeGreaterThan(200 * fuzzRuns);
  });
});

/** With keys in one order, as an object that was read has its own. */
function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null || value instanceof Date) return value;
  return Object.entries(value)
    .map(([key, inner]) => [key, sorted(inner)])
    .sort(([a], [b]) => (String(a) < String(b) ? -1 : 1));
}

test.each<[string, (length: number) => string]>([
  ['keys', (length) => Array.from({ length: length / 10 }, (_, index) => `key${index} = 1`).join('\n')],
  ['tables', (length) => Array.from({ length: length / 10 }, (_, index) => `[a.key${index}]`).join('\n')],
  ['a list', (length) => `a = [${'1,'.repeat(length / 2)}]`],
  ['a long text', (length) => `a = """${'x\\n"\n'.repeat(length / 5)}"""`],
  ['comments', (length) => '#\n'.repeat(length / 2)],
  ['brackets', (length) => `a = ${'['.repeat(length)}`],
])('time grows with the length of %s, not with its square', (_, make) => {
  expectLinear(80_000, (length) => messageOf(make(length)));
});

test('duplicate keys are reported on request, and the first count; too many of them end it', () => {
  const told: string[] = [];
  const tell = ({ line, column }: { line: number; column: number }, words: string) =>
    told.push(`${line}:${column} ${words}`);
  const text = '[a]\nx = { y = 1, y = 2 }\nz.b = 3\nz.b = [\n4 ]\n[c]\n[a]\nx = 5\n[d]\ne = 6\n';
  const root = parseToml(text, 'a.toml', tell);
  expect(told).toEqual([
    '2:14 duplicate key "y", first at 2:7',
    '4:1 duplicate key "b", first at 3:3',
    '7:2 duplicate key "a", first at 1:2',
  ]);
  expect(JSON.stringify(values(root))).toBe('{"a":{"x":{"y":1},"z":{"b":3}},"c":{},"d":{"e":6}}');
  const many = 'a = { b = 1 }\n'.repeat(30);
  expect(() => parseToml(many, 'a.toml', () => {})).toThrow(/20 problems/);
});
