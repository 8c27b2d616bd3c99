import { parse, TomlError } from 'smol-toml';
import {
  byPosition,
  checkLength,
  type DocumentEntry,
  type DocumentNode,
  deepest,
  duplicateKey,
  type FileProblem,
  fileError,
  type Position,
  positions,
  type ReportProblem,
  refuse,
  type TableNode,
} from './document.ts';

/** Duplicate keys that are looked for; more of them say no more. */
const mostDuplicates = 20;

/**
 * Reads TOML to its values and their positions, tables in the file's order. `INVALID_CONFIG` with `file:line:column` for
 * the first error of a text that is not TOML, is nested deeper than 64 levels or longer than 4 Mi characters. A duplicate
 * key or table is reported to `report`, if given, and the first counts.
 */
export function parseToml(written: string, file: string, report: ReportProblem = refuse(file)): TableNode {
  checkLength(written, file);
  const position = positions(written);
  const { text, value, duplicates } = readToml(written, file, position);
  for (const { at, found } of duplicates) report(at, found);
  const { root, tooDeep } = outlineToml(text);
  if (tooDeep !== undefined) refuse(file)(position(tooDeep), `found more than ${deepest} levels, expected fewer`);
  return tableOf(root, value, position);
}

/** The values of a text; `text` is the same with spaces in place of duplicates. */
function readToml(written: string, file: string, position: (offset: number) => Position) {
  const problems: (FileProblem & { readonly at: Position })[] = [];
  for (let text = written; ; ) {
    try {
      return { text, value: parse(text, { maxDepth: deepest }), duplicates: problems };
    } catch (error) {
      if (!(error instanceof TomlError)) throw error;
      const at = { line: error.line, column: error.column };
      const duplicate = duplicateAt(at, text, position);
      const found = duplicate ? duplicateKey(duplicate.key, position(duplicate.first)) : syntaxProblem(error, text);
      problems.push({ at, found });
      if (!duplicate || problems.length === mostDuplicates) throw fileError(file, problems);
      text = withoutDuplicate(text, duplicate);
    }
  }
}

/** A table's pairs go with its header. */
function withoutDuplicate(text: string, { start, end }: Duplicate): string {
  const next = /^[ \t]*\[/gm;
  next.lastIndex = end;
  const rest = text[start] === '[' ? (next.exec(text)?.index ?? text.length) : end;
  return text.slice(0, start) + text.slice(start, rest).replace(/[^\r\n]/g, ' ') + text.slice(rest);
}

/** The duplicate key or table that begins at a parser's error; the parser does not report where the first is. */
function duplicateAt(at: Position, text: string, position: (offset: number) => Position): Duplicate | undefined {
  const { duplicate } = outlineToml(text);
  if (!duplicate || byPosition(position(duplicate.keyOffset), at) !== 0) return undefined;
  try {
    parse(text.slice(duplicate.start, duplicate.end), { maxDepth: deepest });
    return duplicate;
  } catch {
    // It is not TOML by itself either, so that the outline may be wrong about it.
    return undefined;
  }
}

/** What the parser's message lacks; the lines after its first quote the file, which may hold secrets. */
function syntaxProblem({ message, line, column }: TomlError, text: string): string {
  const [words = ''] = message.replace(/^Invalid TOML document: /, '').split('\n');
  const letter = text.split('\n', line).at(-1)?.[column - 1] ?? '\n';
  const isLineEnd = words.startsWith('control characters') && /[\r\n]/.test(letter);
  if (isLineEnd || words === 'unfinished string') {
    return `not valid TOML, found a text that does not end${isLineEnd ? ' in its line' : ''}, expected its closing quotation mark`;
  }
  return `not valid TOML, ${words}${words === 'illegal character in key' ? ', expected quotes around it, or "=" behind it' : ''}`;
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

/** Where a value and its key begin. */
interface Outline {
  readonly kind: 'table' | 'list' | 'scalar';
  readonly offset: number;
  readonly keyOffset: number;
  readonly entries: Map<string, Outline>;
  readonly items: Outline[];
}

interface Duplicate {
  readonly key: string;
  readonly keyOffset: number;
  /** Of its pair, or of its table's header. */
  readonly start: number;
  readonly end: number;
  /** Where it is first. */
  readonly first: number;
}

interface TomlScan {
  readonly text: string;
  offset: number;
  /** Lists and tables around the value that is read. */
  depth: number;
  /** Tables that have a header of their own. */
  readonly headed: Set<Outline>;
  duplicate?: Duplicate;
  /** Where a key of more parts, or a value of more levels, begins than anyone writes. */
  tooDeep?: number;
}

const afterBlank = /[^ \t\r\n]/g;
const afterBareKey = /[^\w-]/g;
const afterScalar = /[,\]}#\r\n]/g;
const lineFeed = /\n/g;

/** A part of a dotted key. */
type KeyPart = { readonly name: string; readonly offset: number };

const outline = (kind: Outline['kind'], offset: number, keyOffset = offset): Outline => ({
  kind,
  offset,
  keyOffset,
  entries: new Map(),
  items: [],
});

/**
 * Where the keys and values of a text stand, which its parser does not report; in the file's order, which objects do not
 * keep for keys that look like numbers. The text is TOML already, or is up to `duplicate`: no other error is looked for.
 */
function outlineToml(text: string): Pick<TomlScan, 'tooDeep' | 'duplicate'> & { readonly root: Outline } {
  const root = outline('table', 0);
  const scan: TomlScan = { text, offset: text.startsWith('\ufeff') ? 1 : 0, depth: 0, headed: new Set() };
  let table = root;
  for (skipBlank(scan); scan.offset < text.length; skipBlank(scan)) {
    if (text[scan.offset] === '[') table = scanHeader(scan, root);
    else scanPair(scan, table);
    if (scan.tooDeep !== undefined || scan.duplicate) break;
  }
  return { root, ...scan };
}

/** `[a.b]` or `[[a.b]]`: the table that the following pairs belong to. */
function scanHeader(scan: TomlScan, root: Outline): Outline {
  const { offset: start } = scan;
  const brackets = scan.text[start + 1] === '[' ? 2 : 1;
  scan.offset += brackets;
  const { path, last } = scanKey(scan);
  scan.offset += brackets;
  const parent = descend(root, path);
  const known = parent.entries.get(last.name);
  if (brackets === 1) {
    if (known && (known.kind !== 'table' || scan.headed.has(known))) noteDuplicate(scan, known, start, [...path, last]);
    const table = descend(parent, [last]);
    scan.headed.add(table);
    return table;
  }
  if (known && known.kind !== 'list') noteDuplicate(scan, known, start, [...path, last]);
  const list = known ?? outline('list', last.offset);
  parent.entries.set(last.name, list);
  const item = outline('table', start);
  list.items.push(item);
  return item;
}

/** `a.b = value`. */
function scanPair(scan: TomlScan, table: Outline): void {
  const { offset: start } = scan;
  const { path, last } = scanKey(scan);
  scan.offset++;
  skipBlank(scan);
  const value = scanValue(scan, last.offset);
  const { entries } = descend(table, path);
  const known = entries.get(last.name);
  if (known) noteDuplicate(scan, known, start, [last]);
  entries.set(last.name, value);
}

function noteDuplicate(scan: TomlScan, known: Outline, start: number, named: readonly KeyPart[]): void {
  const key = named.map(({ name }) => name).join('.');
  const keyOffset = scan.text[start] === '[' ? (named[0]?.offset ?? start) : start;
  scan.duplicate ??= { key, keyOffset, start, end: scan.offset, first: known.keyOffset };
}

/** The table of a dotted key; of a list of tables, its last. */
function descend(table: Outline, path: readonly KeyPart[]): Outline {
  return path.reduce((parent, { name, offset }) => {
    const found = parent.entries.get(name) ?? outline('table', offset);
    parent.entries.set(name, found);
    return found.items.at(-1) ?? found;
  }, table);
}

function scanValue(scan: TomlScan, keyOffset?: number): Outline {
  const { text, offset } = scan;
  const letter = text[offset];
  if (letter === '"' || letter === "'") skipText(scan, letter);
  else if (letter !== '[' && letter !== '{') scan.offset = endOf(afterScalar, scan);
  else {
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
  return outline('scalar', offset, keyOffset);
}

/** Up to the `=` or `]` behind it. */
function scanKey(scan: TomlScan): { readonly path: readonly KeyPart[]; readonly last: KeyPart } {
  const path: KeyPart[] = [];
  for (;;) {
    skipBlank(scan);
    const { offset } = scan;
    const letter = scan.text[offset];
    if (letter === '"' || letter === "'") skipText(scan, letter);
    else scan.offset = endOf(afterBareKey, scan);
    const last = { name: nameOf(scan.text.slice(offset, scan.offset)), offset };
    if (path.length >= deepest) scan.tooDeep ??= offset;
    skipBlank(scan);
    if (scan.text[scan.offset] !== '.') return { path, last };
    path.push(last);
    scan.offset++;
  }
}

/** A key without its quotes and escapes; what is not TOML, behind an error, stays as it is written. */
function nameOf(written: string): string {
  if (!/^["']/.test(written)) return written;
  try {
    return String(parse(`key=${written}`).key);
  } catch {
    return written;
  }
}

/** Spaces, line ends and comments. */
function skipBlank(scan: TomlScan): void {
  for (;;) {
    scan.offset = endOf(afterBlank, scan);
    if (scan.text[scan.offset] !== '#') return;
    scan.offset = endOf(lineFeed, scan);
  }
}

/** Past a text in either quotes, on one line or on several. */
function skipText(scan: TomlScan, mark: '"' | "'"): void {
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

/** Where the first of some characters is, from here on. */
function endOf(characters: RegExp, { text, offset }: TomlScan): number {
  characters.lastIndex = offset;
  return characters.exec(text)?.index ?? text.length;
}
