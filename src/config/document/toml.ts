import { parse, TomlError } from 'smol-toml';
import {
  byPosition,
  checkLength,
  type DocumentEntry,
  type DocumentNode,
  deepest,
  fileError,
  keyAgain,
  type Position,
  placeText,
  positions,
  type TableNode,
  type TellFault,
} from './document.ts';

/**
 * Reads TOML 1.0 to its values and where they stand, tables in the file's order. `INVALID_CONFIG` with
 * `file:line:column` for a text that is no TOML, is nested deeper than 64 levels or longer than 4 Mi characters. A key
 * that comes again is told to `tell`, where there is one, and the first counts.
 */
export function parseToml(written: string, file: string, tell?: TellFault): TableNode {
  checkLength(written, file);
  const { text, value, faults } = readToml(written);
  const position = positions(written);
  const isLegible = value !== undefined && faults.every(({ repeat }) => repeat);
  const problems = faults.map(({ offset, words, repeat }) => {
    const at = position(offset);
    const told = repeat ? keyAgain(repeat.key, position(repeat.first)) : `no TOML, ${words}`;
    if (repeat && isLegible) tell?.(at, told);
    return { at, line: `${placeText(file, at)}: ${told}` };
  });
  if (problems.length > 0 && !(tell && isLegible)) {
    const sorted = problems.sort((a, b) => byPosition(a.at, b.at));
    throw fileError(
      file,
      sorted.map(({ line }) => line),
    );
  }
  const outline = outlineToml(text);
  if (outline.tooDeep !== undefined) {
    const place = placeText(file, position(outline.tooDeep));
    throw fileError(file, [`${place}: found more than ${deepest} levels, expected fewer`]);
  }
  return tableOf(outline.root, value, position);
}

function nodeOf(outline: Outline, value: unknown, position: (offset: number) => Position): DocumentNode {
  const at = position(outline.offset);
  if (outline.kind === 'table') return tableOf(outline, value, position);
  if (outline.kind === 'scalar' || !Array.isArray(value)) return { kind: 'scalar', at, value };
  return { kind: 'list', at, items: outline.items.map((item, index) => nodeOf(item, value[index], position)) };
}

function tableOf(outline: Outline, value: unknown, position: (offset: number) => Position): TableNode {
  const entries = new Map<string, DocumentEntry>();
  for (const [key, entry] of outline.entries) {
    const inner = (value as Record<string, unknown>)[key];
    entries.set(key, { at: position(entry.keyOffset), value: nodeOf(entry, inner, position) });
  }
  return { kind: 'table', at: position(outline.offset), entries };
}

/** What is wrong with a text that should be TOML. */
export interface TomlFault {
  readonly offset: number;
  readonly words: string;
  /** Of a key that comes again, which leaves the rest legible. */
  readonly repeat?: Repeat;
}

/** Faults that are looked for; more of them tell no more. */
const mostFaults = 20;

/**
 * The values of a TOML text and what is wrong with it. A fault is blanked, and the rest read again: a key or table that
 * comes again, or a line that is no TOML by itself. `value` is of what is left, undefined where that is no
 * TOML yet; `text` is that, at the same offsets.
 */
function readToml(written: string): { text: string; value: unknown; faults: readonly TomlFault[] } {
  const faults: TomlFault[] = [];
  const lines = new Set<number>();
  let text = written;
  for (;;) {
    try {
      return { text, value: parse(text, { maxDepth: deepest }), faults };
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const fault = faultOf(error, text);
      // Of one line the first fault is told; what comes after may be of its making.
      if (lines.has(error.line)) return { text, value: undefined, faults };
      lines.add(error.line);
      faults.push(fault);
      const rest = withoutFault(text, fault);
      if (rest === undefined || faults.length >= mostFaults) return { text, value: undefined, faults };
      text = rest;
    }
  }
}

function faultOf(error: TomlError, text: string): TomlFault {
  const offset = lineStart(text, error.line) + error.column - 1;
  if (/redefine/.test(error.message)) {
    const { repeat } = outlineToml(text);
    const isIt = repeat && lineEnd(text, repeat.offset) === lineEnd(text, offset);
    // Where it ends cannot be told of a value that is no TOML either.
    if (isIt && (repeat.isTable || isTomlAlone(text.slice(repeat.offset, repeat.end))))
      return { offset: repeat.offset, words: '', repeat };
  }
  // The message's other lines quote the file, which may hold secrets.
  const [message = ''] = error.message.replace(/^Invalid TOML document: /, '').split('\n');
  return { offset, words: wordsOf(message, text[offset]) };
}

function wordsOf(message: string, letter: string | undefined): string {
  const isOpen = message === 'unfinished string';
  if (isOpen || (/^control characters/.test(message) && /^[\r\n]?$/.test(letter ?? '')))
    return `found a text that does not end${isOpen ? '' : ' in its line'}, expected its closing quotation mark`;
  return message === 'illegal character in key' ? `${message}, expected quotes around it, or "=" behind it` : message;
}

/** The text with spaces in place of a fault; undefined where the rest cannot be told from it. */
function withoutFault(text: string, { offset, repeat }: TomlFault): string | undefined {
  if (repeat) {
    const next = /^[ \t]*\[/gm;
    next.lastIndex = lineEnd(text, repeat.end);
    const end = repeat.isTable ? (next.exec(text)?.index ?? text.length) : repeat.end;
    return blanked(text, repeat.isTable ? lineBefore(text, offset) : offset, end);
  }
  const [start, end] = [lineBefore(text, offset), lineEnd(text, offset)];
  return isTomlAlone(text.slice(start, end)) ? undefined : blanked(text, start, end);
}

function isTomlAlone(line: string): boolean {
  try {
    parse(line, { maxDepth: deepest });
    return true;
  } catch {
    return false;
  }
}

const blanked = (text: string, start: number, end: number): string =>
  text.slice(0, start) + text.slice(start, end).replace(/[^\r\n]/g, ' ') + text.slice(end);

function lineStart(text: string, line: number): number {
  let start = 0;
  for (let before = 1; before < line; before++) start = text.indexOf('\n', start) + 1;
  return start;
}

const lineBefore = (text: string, offset: number): number => text.lastIndexOf('\n', offset - 1) + 1;

function lineEnd(text: string, offset: number): number {
  const end = text.indexOf('\n', offset);
  return end === -1 ? text.length : end;
}

/** Where a value and its key begin. */
export interface Outline {
  readonly kind: 'table' | 'list' | 'scalar';
  readonly offset: number;
  readonly keyOffset: number;
  readonly entries: Map<string, Outline>;
  readonly items: Outline[];
}

/** A key or table that is there already. */
export interface Repeat {
  readonly key: string;
  readonly offset: number;
  /** Behind its value; of a table, behind its name. */
  readonly end: number;
  /** Where it is first. */
  readonly first: number;
  readonly isTable: boolean;
}

interface Scan extends Scanner {
  repeat?: Repeat;
  /** Tables that have a header of their own. */
  readonly headed: Set<Outline>;
  /** Lists and tables around the value that is read. */
  depth: number;
}

const outline = (kind: Outline['kind'], offset: number, keyOffset = offset): Outline => ({
  kind,
  offset,
  keyOffset,
  entries: new Map(),
  items: [],
});

/**
 * Where the keys and values of a text stand, which its parser does not tell; in the file's order, which objects do not
 * keep for keys that look like numbers. The text is TOML already, up to the first `repeat`, whose value may be anything:
 * no other fault is looked for. `tooDeep` is the offset of what has more levels than anyone writes.
 */
function outlineToml(text: string): Pick<Scan, 'tooDeep' | 'repeat'> & { readonly root: Outline } {
  const root = outline('table', 0);
  const scan: Scan = { text, offset: text.startsWith('\ufeff') ? 1 : 0, headed: new Set(), depth: 0 };
  let table = root;
  for (skipBlank(scan); scan.offset < text.length; skipBlank(scan)) {
    if (text[scan.offset] === '[') table = scanHeader(scan, root);
    else scanPair(scan, table);
    if (scan.tooDeep !== undefined || scan.repeat) break;
  }
  return { root, ...scan };
}

/** `[a.b]` or `[[a.b]]`: the table that the following pairs belong to. */
function scanHeader(scan: Scan, root: Outline): Outline {
  const { offset } = scan;
  const isListItem = scan.text[offset + 1] === '[';
  scan.offset += isListItem ? 2 : 1;
  const parts = scanKey(scan);
  scan.offset += isListItem ? 2 : 1;
  const last = parts.pop();
  const parent = descend(root, parts);
  if (!last) return parent;
  const known = parent.entries.get(last.name);
  if (known && (isListItem ? known.kind !== 'list' : known.kind !== 'table' || scan.headed.has(known))) {
    const key = [...parts, last].map(({ name }) => name).join('.');
    const start = parts[0]?.offset ?? last.offset;
    scan.repeat ??= { key, offset: start, end: scan.offset, first: known.keyOffset, isTable: true };
  }
  if (!isListItem) {
    const found = descend(parent, [last]);
    scan.headed.add(found);
    return found;
  }
  const list = known ?? outline('list', last.offset);
  parent.entries.set(last.name, list);
  const item = outline('table', offset);
  list.items.push(item);
  return item;
}

/** `a.b = value`. */
function scanPair(scan: Scan, table: Outline): void {
  const parts = scanKey(scan);
  const last = parts.pop();
  scan.offset++;
  skipBlank(scan);
  const value = scanValue(scan, last?.offset);
  if (!last) return;
  const { entries } = descend(table, parts);
  const known = entries.get(last.name);
  if (known) {
    const { name: key, offset } = last;
    scan.repeat ??= {
      key,
      offset: parts[0]?.offset ?? offset,
      end: scan.offset,
      first: known.keyOffset,
      isTable: false,
    };
  }
  entries.set(last.name, value);
}

/** The table of a dotted key; of a list of tables, its last. */
function descend(table: Outline, parts: readonly KeyPart[]): Outline {
  return parts.reduce((parent, { name, offset }) => {
    const found = parent.entries.get(name) ?? outline('table', offset);
    parent.entries.set(name, found);
    return found.items.at(-1) ?? found;
  }, table);
}

function scanValue(scan: Scan, keyOffset?: number): Outline {
  const { text, offset } = scan;
  const letter = text[offset];
  if (letter === '[' || letter === '{') {
    const found = outline(letter === '[' ? 'list' : 'table', offset, keyOffset);
    if (++scan.depth > deepest) {
      scan.tooDeep ??= offset;
      scan.offset = text.length;
    }
    scan.offset++;
    for (skipBlank(scan); !/[\]}]/.test(text[scan.offset] ?? ']'); skipBlank(scan)) {
      if (letter === '{') scanPair(scan, found);
      else found.items.push(scanValue(scan));
      skipBlank(scan);
      if (text[scan.offset] === ',') scan.offset++;
    }
    scan.offset++;
    scan.depth--;
    return found;
  }
  if (letter === '"' || letter === "'") skipText(scan, letter);
  else while (/[^,\]}#\r\n]/.test(text[scan.offset] ?? '\n')) scan.offset++;
  return outline('scalar', offset, keyOffset);
}

/** A text of TOML, and how far it was read. */
export interface Scanner {
  readonly text: string;
  offset: number;
  /** Where a key of more parts, or a value of more levels, begins than anyone writes. */
  tooDeep?: number;
}

/** A part of a dotted key. */
export type KeyPart = { readonly name: string; readonly offset: number };

/** Spaces, line ends and comments. */
function skipBlank(scan: Scanner): void {
  for (; ; scan.offset++) {
    const letter = scan.text[scan.offset];
    if (letter === '#') {
      const end = scan.text.indexOf('\n', scan.offset);
      scan.offset = end === -1 ? scan.text.length - 1 : end;
    } else if (letter !== ' ' && letter !== '\t' && letter !== '\n' && letter !== '\r') return;
  }
}

/** Up to the `=` or `]` behind it. */
function scanKey(scan: Scanner): KeyPart[] {
  const parts: KeyPart[] = [];
  for (;;) {
    skipBlank(scan);
    const { offset } = scan;
    const letter = scan.text[offset];
    if (letter === '"' || letter === "'") skipText(scan, letter);
    else while (/[A-Za-z0-9_-]/.test(scan.text[scan.offset] ?? '')) scan.offset++;
    const written = scan.text.slice(offset, scan.offset);
    // Only a quoted key in double quotes has escapes.
    parts.push({ name: letter === '"' ? unescaped(written) : unquoted(written), offset });
    if (parts.length > deepest) scan.tooDeep ??= offset;
    skipBlank(scan);
    if (scan.text[scan.offset] !== '.') return parts;
    scan.offset++;
  }
}

/** A key in double quotes; what is none, behind a fault, stays as it is written. */
function unescaped(written: string): string {
  try {
    return String(parse(`key=${written}`).key);
  } catch {
    return written;
  }
}

const unquoted = (key: string): string => (key.startsWith("'") ? key.slice(1, -1) : key);

/** Past a text in either quotes, on one line or on several. */
function skipText(scan: Scanner, mark: '"' | "'"): void {
  const { text } = scan;
  const three = mark.repeat(3);
  const close = text.startsWith(three, scan.offset) ? three : mark;
  scan.offset += close.length;
  while (scan.offset < text.length && !text.startsWith(close, scan.offset)) {
    scan.offset += mark === '"' && text[scan.offset] === '\\' ? 2 : 1;
  }
  scan.offset += close.length;
  // Up to two of the marks before the last three belong to the text.
  for (let more = 0; close === three && more < 2 && text[scan.offset] === mark; more++) scan.offset++;
}
