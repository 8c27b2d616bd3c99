import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { DocumentNode } from '../../../src/config/document/document.ts';
import { parseJson } from '../../../src/config/document/json.ts';
import { expectLinear } from '../../support/linear.ts';
import { runs } from '../../support/runs.ts';
import { problemOf } from '../problem.ts';

/** The plain value of a node; keys in the file's order, as pairs. */
function plain(node: DocumentNode): unknown {
  if (node.kind === 'scalar') return node.value;
  if (node.kind === 'list') return node.items.map(plain);
  return [...node.entries].map(([key, { value }]) => [key, plain(value)]);
}

/** As `plain`, of what JSON.parse gives. */
function pairs(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(pairs);
  if (typeof value !== 'object' || value === null) return value;
  return Object.keys(value).map((key) => [key, pairs(Reflect.get(value, key))]);
}

const read = (text: string): unknown => plain(parseJson(text, 'f.json'));

test('values have the place where they begin, and entries that of their key', () => {
  const root = parseJson('{\n  "a": [true, {"b":\n "é"}]\n}', 'f.json');
  const list = root.entries.get('a')?.value;
  expect(root.at).toEqual({ line: 1, column: 1 });
  expect(root.entries.get('a')?.at).toEqual({ line: 2, column: 3 });
  expect(list?.at).toEqual({ line: 2, column: 8 });
  const table = list?.kind === 'list' ? list.items[1] : undefined;
  expect(table?.kind === 'table' && table.entries.get('b')?.value.at).toEqual({ line: 3, column: 2 });
});

test('keys stay in the order of the file, also those that look like numbers', () => {
  expect(read('{"z":1,"10":2,"2":3,"__proto__":4}')).toEqual([
    ['z', 1],
    ['10', 2],
    ['2', 3],
    ['__proto__', 4],
  ]);
});

test('what JSON.parse reads is read the same', () => {
  fc.assert(
    fc.property(fc.dictionary(fc.string(), fc.jsonValue({ depthSize: 'medium' })), fc.nat(3), (value, indent) => {
      const text = JSON.stringify(value, null, indent);
      expect(read(text)).toEqual(pairs(JSON.parse(text)));
    }),
  );
});

test('what JSON.parse refuses is refused, and nothing else but a key twice', () => {
  const sign = fc.constantFrom(
    ...'{}[]",:\\ \n0123.-+eEtrufalsn"',
    '"a"',
    'true',
    'null',
    '\u0001',
    '\\u00e9',
    '/',
    "'",
  );
  fc.assert(
    fc.property(fc.array(sign, { maxLength: 12 }), (signs) => {
      const text = `{"a":${signs.join('')}}`;
      let isJson = true;
      try {
        JSON.parse(text);
      } catch {
        isJson = false;
      }
      const problem = problemOf(() => parseJson(text, 'f.json'));
      if (isJson && problem?.includes('duplicate key ')) return;
      expect(problem === undefined).toBe(isJson);
    }),
    runs(1000),
  );
});

describe('what is not valid JSON is reported with its place and without its text', () => {
  test.each([
    ['', '1:1: not valid JSON, found the end of the file, expected an object, "{"'],
    ['[]', '1:1: not valid JSON, found "[", expected an object, "{"'],
    ['\ufeff{}', '1:1: not valid JSON, found a byte order mark, expected an object, "{"'],
    ['\ufffd\ufffd{', '1:1: not valid JSON, found bytes that are not UTF-8, expected an object, "{"'],
    ['{"a": hunter2}', '1:7: not valid JSON, found a bare word, expected a value'],
    ['{"a": 01}', '1:8: not valid JSON, found a number, expected "," or "}"'],
    ['{"a": +1}', '1:7: not valid JSON, found "+", expected a value'],
    ['{"a": \u0001}', '1:7: not valid JSON, found a character that is not shown, expected a value'],
    ['{"a": 1,}', '1:8: not valid JSON, found a comma before "}", expected no comma'],
    ['{"a": [1,\n]}', '1:9: not valid JSON, found a comma before "]", expected no comma'],
    ['{"a": [,1]}', '1:8: not valid JSON, found ",", expected a value'],
    ["{'a': 1}", '1:2: not valid JSON, found "\'", expected a key in double quotes'],
    ['{a: 1}', '1:2: not valid JSON, found a bare word, expected a key in double quotes'],
    ['{"a" 1}', '1:6: not valid JSON, found a number, expected ":" after a key'],
    ['{"a": 1\n"b": 2}', '2:1: not valid JSON, found a text, expected "," or "}"'],
    ['{"a": "hunter2', '1:7: not valid JSON, found a text that does not end, expected its closing quotation mark'],
    ['{"a": "hunt\ner2"}', '1:7: not valid JSON, found a text that does not end in its line, expected its closing'],
    [
      '{"a": "hunt\ter2"}',
      '1:12: not valid JSON, found a control character in a text, expected an escape, such as \\t',
    ],
    [
      '{"a": "C:\\\\a\\hunter2"}',
      '1:13: not valid JSON, found an unknown escape, expected one that JSON has, such as \\n',
    ],
    ['{"a": [1 2]}', '1:10: not valid JSON, found a number, expected "," or "]"'],
    ['{} x', '1:4: not valid JSON, found a bare word, expected nothing after the object'],
    ['{\n"a": 1,\n"a": 2}', '3:1: duplicate key "a", first at 2:1'],
    ['// note\n{}', '1:1: not valid JSON, found a comment, expected an object'],
    ['{ # note\n}', '1:3: not valid JSON, found a comment, expected a key in double quotes'],
  ])('%j', (text, problem) => {
    const message = problemOf(() => parseJson(text, 'f.json'));
    expect(message).toContain(`f.json:${problem}`);
    expect(message).not.toContain('hunter2');
  });
});

test('a text that is too long or too deep is refused, in no time', () => {
  const started = performance.now();
  expect(problemOf(() => parseJson(`{"a":"${'x'.repeat(4 * 1024 * 1024)}"}`, 'f.json'))).toContain('4194304');
  expect(problemOf(() => parseJson(`{"a":${'['.repeat(100_000)}`, 'f.json'))).toContain('expected at most 64 levels');
  expect(performance.now() - started).toBeLessThan(2000);
});

test('a long text takes no more than its length', () => {
  const long = (entries: number): string =>
    `{${Array.from({ length: entries }, (_, index) => `"key${index}": ["\\"x", {}, ${index}]`).join(',\n')}}`;
  expectLinear(20_000, (entries) => parseJson(long(entries), 'f.json'));
  expect(problemOf(() => parseJson(`{"a":"${'\\'.repeat(1_000_000)}`, 'f.json'))).toContain('quotation mark');
});
