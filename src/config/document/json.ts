import {
  checkLength,
  type DocumentEntry,
  type DocumentNode,
  deepest,
  duplicateKey,
  fileError,
  type Position,
  positions,
  type ReportProblem,
  refuse,
  standsAt,
  type TableNode,
} from './document.ts';

/** A text being read; `position` converts an offset. */
interface JsonScan {
  readonly text: string;
  readonly file: string;
  readonly position: (offset: number) => Position;
  readonly report: ReportProblem;
  offset: number;
  depth: number;
}

const space = /[ \t\r\n]*/y;
/** The backslash of an escape that JSON does not know, with those before it. */
const badEscape = /(?<!\\)(?:\\\\)*\\(?!["\\/bfnrt]|u[\da-fA-F]{4})/;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const words: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/**
 * Reads a JSON object to its values and their positions, in the file's order. `INVALID_CONFIG` with
 * `file:line:column` for a text that is not RFC 8259's JSON, has a key twice, is nested deeper than 64 levels or longer
 * than 4 Mi characters. The text itself, which may hold secrets, is not shown. A duplicate key is reported to `report`, if
 * given, and the first counts.
 */
export function parseJson(text: string, file: string, report?: ReportProblem): TableNode {
  checkLength(text, file);
  const scan: JsonScan = { text, file, position: positions(text), report: report ?? refuse(file), offset: 0, depth: 0 };
  skip(scan, space);
  if (scan.text[scan.offset] !== '{') throw syntaxError(scan, 'an object, "{"');
  const root = readTable(scan);
  skip(scan, space);
  if (scan.offset < text.length) throw syntaxError(scan, 'nothing after the object');
  return root;
}

function readNode(scan: JsonScan): DocumentNode {
  const start = scan.offset;
  const first = scan.text[start];
  if (first === '{') return readTable(scan);
  if (first === '[') return readList(scan);
  const at = scan.position(start);
  if (first === '"') return { kind: 'scalar', at, value: readText(scan) };
  const digits = skip(scan, number);
  if (digits !== '') return { kind: 'scalar', at, value: Number(digits) };
  for (const [word, value] of words) {
    if (!scan.text.startsWith(word, start)) continue;
    scan.offset += word.length;
    return { kind: 'scalar', at, value };
  }
  throw syntaxError(scan, 'a value');
}

function readTable(scan: JsonScan): TableNode {
  const at = scan.position(scan.offset);
  const entries = new Map<string, DocumentEntry>();
  readItems(scan, '}', () => {
    const keyAt = scan.position(scan.offset);
    if (scan.text[scan.offset] !== '"') throw syntaxError(scan, 'a key in double quotes');
    const key = readText(scan);
    const known = entries.get(key);
    if (known) scan.report(keyAt, duplicateKey(key, known.at));
    skip(scan, space);
    if (scan.text[scan.offset] !== ':') throw syntaxError(scan, '":" after a key');
    scan.offset++;
    skip(scan, space);
    const value = readNode(scan);
    if (!known) entries.set(key, { at: keyAt, value });
  });
  return { kind: 'table', at, entries };
}

function readList(scan: JsonScan): DocumentNode {
  const at = scan.position(scan.offset);
  const items: DocumentNode[] = [];
  readItems(scan, ']', () => items.push(readNode(scan)));
  return { kind: 'list', at, items };
}

/** The items between brackets, separated by commas. */
function readItems(scan: JsonScan, close: string, readItem: () => void): void {
  if (++scan.depth > deepest) throw syntaxError(scan, `at most ${deepest} levels`);
  scan.offset++;
  skip(scan, space);
  if (scan.text[scan.offset] !== close) {
    for (;;) {
      readItem();
      skip(scan, space);
      if (scan.text[scan.offset] !== ',') break;
      const comma = scan.offset++;
      skip(scan, space);
      if (scan.text[scan.offset] !== close) continue;
      scan.offset = comma;
      throw syntaxError(scan, 'no comma', `a comma before "${close}"`);
    }
  }
  if (scan.text[scan.offset] !== close) throw syntaxError(scan, `"," or "${close}"`);
  scan.offset++;
  scan.depth--;
}

function readText(scan: JsonScan): string {
  const start = scan.offset;
  let end = start + 1;
  for (; scan.text[end] !== '"'; end++) {
    const isOpen = end >= scan.text.length;
    if (isOpen || scan.text[end] === '\n') {
      throw syntaxError(scan, 'its closing quotation mark', `a text that does not end${isOpen ? '' : ' in its line'}`);
    }
    if (scan.text[end] === '\\') end++;
  }
  const written = scan.text.slice(start, end + 1);
  try {
    const value: string = JSON.parse(written);
    scan.offset = end + 1;
    return value;
  } catch {
    const control = written.split('').findIndex((character) => character < ' ');
    scan.offset += Math.max(0, control, written.search(badEscape));
    if (control === -1) throw syntaxError(scan, 'one that JSON has, such as \\n', 'an unknown escape');
    throw syntaxError(scan, 'an escape, such as \\t', 'a control character in a text');
  }
}

/** The text that `pattern`, a sticky one, matches here; the offset is after it. */
function skip(scan: JsonScan, pattern: RegExp): string {
  pattern.lastIndex = scan.offset;
  const [found = ''] = pattern.exec(scan.text) ?? [];
  scan.offset += found.length;
  return found;
}

function syntaxError(scan: JsonScan, expected: string, found = standsAt(scan.text, scan.offset)) {
  const at = scan.position(scan.offset);
  return fileError(scan.file, [{ at, found: `not valid JSON, found ${found}, expected ${expected}` }]);
}
