import { deepest } from './document.ts';
import { type KeyPart, type Scanner, scanKey, skipBlank, skipText } from './toml-scan.ts';

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
export function outlineToml(text: string): Pick<Scan, 'tooDeep' | 'repeat'> & { readonly root: Outline } {
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
