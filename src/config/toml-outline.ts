import { parse } from 'smol-toml';
import { deepest } from './document.ts';

/** Where a value and its key begin. */
export interface Outline {
  readonly kind: 'table' | 'list' | 'scalar';
  readonly offset: number;
  readonly keyOffset: number;
  readonly entries: Map<string, Outline>;
  readonly items: Outline[];
}

interface Scan {
  readonly text: string;
  offset: number;
  tooDeep?: number;
}

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
 * Where the keys and values of a text stand, which its parser does not tell; in the file's order, which objects do not
 * keep for keys that look like numbers. The text is TOML already: no fault is looked for. `tooDeep` is the offset of a
 * dotted key of more parts than anyone writes.
 */
export function outlineToml(text: string): { readonly root: Outline; readonly tooDeep?: number | undefined } {
  const root = outline('table', 0);
  const scan: Scan = { text, offset: text.startsWith('\ufeff') ? 1 : 0 };
  let table = root;
  for (skipBlank(scan); scan.offset < text.length; skipBlank(scan)) {
    if (text[scan.offset] === '[') table = scanHeader(scan, root);
    else scanPair(scan, table);
    if (scan.tooDeep !== undefined) break;
  }
  return { root, tooDeep: scan.tooDeep };
}

/** Spaces, line ends and comments. */
function skipBlank(scan: Scan): void {
  for (; ; scan.offset++) {
    const letter = scan.text[scan.offset];
    if (letter === '#') {
      const end = scan.text.indexOf('\n', scan.offset);
      scan.offset = end === -1 ? scan.text.length - 1 : end;
    } else if (letter !== ' ' && letter !== '\t' && letter !== '\n' && letter !== '\r') return;
  }
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
  if (!isListItem) return descend(parent, [last]);
  const list = parent.entries.get(last.name) ?? outline('list', last.offset);
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
  if (last) descend(table, parts).entries.set(last.name, value);
}

/** The table of a dotted key; of a list of tables, its last. */
function descend(table: Outline, parts: readonly KeyPart[]): Outline {
  return parts.reduce((parent, { name, offset }) => {
    const found = parent.entries.get(name) ?? outline('table', offset);
    parent.entries.set(name, found);
    return found.items.at(-1) ?? found;
  }, table);
}

/** Up to the `=` or `]` behind it. */
function scanKey(scan: Scan): KeyPart[] {
  const parts: KeyPart[] = [];
  for (;;) {
    skipBlank(scan);
    const { offset } = scan;
    const letter = scan.text[offset];
    if (letter === '"' || letter === "'") skipText(scan, letter);
    else while (/[A-Za-z0-9_-]/.test(scan.text[scan.offset] ?? '')) scan.offset++;
    const written = scan.text.slice(offset, scan.offset);
    // Only a quoted key in double quotes has escapes.
    parts.push({ name: letter === '"' ? String(parse(`key=${written}`).key) : unquoted(written), offset });
    if (parts.length > deepest) scan.tooDeep ??= offset;
    skipBlank(scan);
    if (scan.text[scan.offset] !== '.') return parts;
    scan.offset++;
  }
}

const unquoted = (key: string): string => (key.startsWith("'") ? key.slice(1, -1) : key);

function scanValue(scan: Scan, keyOffset?: number): Outline {
  const { text, offset } = scan;
  const letter = text[offset];
  if (letter === '[' || letter === '{') {
    const found = outline(letter === '[' ? 'list' : 'table', offset, keyOffset);
    scan.offset++;
    for (skipBlank(scan); text[scan.offset] !== ']' && text[scan.offset] !== '}'; skipBlank(scan)) {
      if (letter === '{') scanPair(scan, found);
      else found.items.push(scanValue(scan));
      skipBlank(scan);
      if (text[scan.offset] === ',') scan.offset++;
    }
    scan.offset++;
    return found;
  }
  if (letter === '"' || letter === "'") skipText(scan, letter);
  else while (/[^,\]}#\r\n]/.test(text[scan.offset] ?? '\n')) scan.offset++;
  return outline('scalar', offset, keyOffset);
}

/** Past a text in either quotes, on one line or on several. */
function skipText(scan: Scan, mark: '"' | "'"): void {
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
