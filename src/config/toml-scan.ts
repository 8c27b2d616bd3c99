import { parse } from 'smol-toml';
import { deepest } from './document.ts';

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
export function skipBlank(scan: Scanner): void {
  for (; ; scan.offset++) {
    const letter = scan.text[scan.offset];
    if (letter === '#') {
      const end = scan.text.indexOf('\n', scan.offset);
      scan.offset = end === -1 ? scan.text.length - 1 : end;
    } else if (letter !== ' ' && letter !== '\t' && letter !== '\n' && letter !== '\r') return;
  }
}

/** Up to the `=` or `]` behind it. */
export function scanKey(scan: Scanner): KeyPart[] {
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
export function skipText(scan: Scanner, mark: '"' | "'"): void {
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
