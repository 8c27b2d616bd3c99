import { cannot, type RegistryError } from '../errors.ts';
import { quote } from './quote.ts';

const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * A JSON object in UTF-8. `BAD_RESPONSE` for anything else, and for a key that stands twice in one object: readers
 * differ in which of the two they believe, so that one digest would mean two contents.
 */
export function parseDocumentText(bytes: Uint8Array): Record<string, unknown> {
  const text = decode(bytes);
  if (/^\s*</.test(text)) throw bad(`HTML or XML, ${quote(text.slice(0, 40))}`);
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw bad(`not JSON, ${quote(text.slice(0, 40))}`, cause);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw bad('JSON, but not an object');
  const twice = duplicateKey(text);
  if (twice !== undefined) throw bad(`key ${quote(twice)} stands twice in one object`);
  return value as Record<string, unknown>;
}

function decode(bytes: Uint8Array): string {
  if (bytes.length === 0) throw bad('no bytes');
  try {
    const text = decoder.decode(bytes);
    if (!text.startsWith('\uFEFF')) return text;
  } catch (cause) {
    throw bad('not UTF-8', cause);
  }
  throw bad('a byte order mark, which JSON must not have');
}

/** The first key that an object of this valid JSON text has twice. No regular expression: texts may be large. */
function duplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  for (let position = 0; position < text.length; position++) {
    const character = text[position];
    if (character === '{') open.push(new Set());
    else if (character === '}') open.pop();
    else if (character === '"') {
      const end = endOfString(text, position);
      const keys = isKey(text, end) ? open.at(-1) : undefined;
      if (keys) {
        const key: string = JSON.parse(text.slice(position, end));
        if (keys.has(key)) return key;
        keys.add(key);
      }
      position = end - 1;
    }
  }
  return undefined;
}

/** The position after the quotation mark that ends the string beginning at `start`. */
function endOfString(text: string, start: number): number {
  for (let quotation = text.indexOf('"', start + 1); ; quotation = text.indexOf('"', quotation + 1)) {
    let backslashes = 0;
    while (text[quotation - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return quotation + 1;
  }
}

function isKey(text: string, end: number): boolean {
  let position = end;
  while (/[ \t\r\n]/.test(text[position] ?? '')) position++;
  return text[position] === ':';
}

const bad = (found: string, cause?: unknown): RegistryError =>
  cannot('BAD_RESPONSE', 'read manifest', found, { cause });
