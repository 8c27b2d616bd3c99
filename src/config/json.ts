import {
  type DocumentEntry,
  type DocumentNode,
  deepest,
  type Position,
  positions,
  type TableNode,
} from './document.ts';
import { checkLength, fileError, placeText } from './file-problems.ts';

/** A text being read; `position` is where an offset of it stands. */
interface Scan {
  readonly text: string;
  readonly file: string;
  readonly position: (offset: number) => Position;
  offset: number;
  depth: number;
}

const space = /[ \t\r\n]*/y;
const number = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const words: ReadonlyMap<string, unknown> = new Map<string, unknown>([
  ['true', true],
  ['false', false],
  ['null', null],
]);

/**
 * Reads a JSON object to its values and where they stand, in the file's order. `INVALID_CONFIG` with
 * `file:line:column` for a text that is not RFC 8259's JSON, has a key twice, is nested deeper than 64 levels or longer
 * than 4 Mi characters. The text itself, which may hold secrets, is not told.
 */
export function parseJson(text: string, file: string): TableNode {
  checkLength(text, file);
  const scan: Scan = { text, file, position: positions(text), offset: 0, depth: 0 };
  skip(scan, space);
  if (scan.text[scan.offset] !== '{') throw fault(scan, 'an object, "{"');
  const root = readTable(scan);
  skip(scan, space);
  if (scan.offset < text.length) throw fault(scan, 'nothing after the object');
  return root;
}

function readNode(scan: Scan): DocumentNode {
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
  throw fault(scan, 'a value');
}

function readTable(scan: Scan): TableNode {
  const at = scan.position(scan.offset);
  const entries = new Map<string, DocumentEntry>();
  readItems(scan, '}', () => {
    const keyAt = scan.position(scan.offset);
    if (scan.text[scan.offset] !== '"') throw fault(scan, 'a key in double quotes');
    const key = readText(scan);
    if (entries.has(key)) throw fileError(scan.file, [`${placeText(scan.file, keyAt)}: found the same key again`]);
    skip(scan, space);
    if (scan.text[scan.offset] !== ':') throw fault(scan, '":" after a key');
    scan.offset++;
    skip(scan, space);
    entries.set(key, { at: keyAt, value: readNode(scan) });
  });
  return { kind: 'table', at, entries };
}

function readList(scan: Scan): DocumentNode {
  const at = scan.position(scan.offset);
  const items: DocumentNode[] = [];
  readItems(scan, ']', () => items.push(readNode(scan)));
  return { kind: 'list', at, items };
}

/** What stands between brackets, divided by commas. */
function readItems(scan: Scan, close: string, readItem: () => void): void {
  if (++scan.depth > deepest) throw fault(scan, `at most ${deepest} levels`);
  scan.offset++;
  skip(scan, space);
  if (scan.text[scan.offset] !== close) {
    for (;;) {
      readItem();
      skip(scan, space);
      if (scan.text[scan.offset] !== ',') break;
      scan.offset++;
      skip(scan, space);
    }
  }
  if (scan.text[scan.offset] !== close) throw fault(scan, `"," or "${close}"`);
  scan.offset++;
  scan.depth--;
}

function readText(scan: Scan): string {
  const start = scan.offset;
  let end = start + 1;
  for (; scan.text[end] !== '"'; end++) {
    if (end >= scan.text.length) throw fault(scan, 'a text with its closing quotation mark');
    if (scan.text[end] === '\\') end++;
  }
  try {
    const value: string = JSON.parse(scan.text.slice(start, end + 1));
    scan.offset = end + 1;
    return value;
  } catch {
    throw fault(scan, 'a text without bare control characters and unknown escapes');
  }
}

/** The text that `pattern`, a sticky one, matches here; the offset is after it. */
function skip(scan: Scan, pattern: RegExp): string {
  pattern.lastIndex = scan.offset;
  const [found = ''] = pattern.exec(scan.text) ?? [];
  scan.offset += found.length;
  return found;
}

function fault(scan: Scan, expected: string) {
  const place = placeText(scan.file, scan.position(scan.offset));
  const found = scan.offset < scan.text.length ? 'something else' : 'the end of the file';
  return fileError(scan.file, [`${place}: no JSON, found ${found}, expected ${expected}`]);
}
