import { cannot } from '../errors.ts';

/** Most levels of lists and objects: what is read is also walked and written, and both recurse. */
const deepest = 1_000;

/** What a JSON text says, or why it is refused: without the parser's error, which quotes the text. */
export type JsonRead = { readonly value: unknown } | { readonly found: string };

/** Reads JSON from outside: refused if it is not JSON, or nested deeper than a thousand levels. */
export function readJson(text: string | Uint8Array): JsonRead {
  const written = typeof text === 'string' ? text : new TextDecoder().decode(text);
  try {
    const value: unknown = JSON.parse(written);
    return isDeep(written) ? { found: `JSON with more than ${deepest} levels` } : { value };
  } catch {
    return { found: 'not JSON' };
  }
}

/** No regular expression: texts may be large. */
function isDeep(text: string): boolean {
  let level = 0;
  for (let position = 0; position < text.length; position++) {
    const character = text[position];
    if (character === '"') position = endOfString(text, position) - 1;
    else if (character === '[' || character === '{') level += 1;
    else if (character === ']' || character === '}') level -= 1;
    if (level > deepest) return true;
  }
  return false;
}

/** The position after the quotation mark that ends the string beginning at `start`, in valid JSON. */
export function endOfString(text: string, start: number): number {
  for (let quotation = text.indexOf('"', start + 1); ; quotation = text.indexOf('"', quotation + 1)) {
    let backslashes = 0;
    while (text[quotation - 1 - backslashes] === '\\') backslashes++;
    if (backslashes % 2 === 0) return quotation + 1;
  }
}

/** Most values of a document. A valid one of 4 MiB has fewer; one that a limit was raised for may have up to twice as many. */
const mostValues = 200_000;

export const mostJsonValues = ({ length }: Uint8Array): number =>
  Math.min(2 * mostValues, Math.max(mostValues, Math.ceil(length / 20)));

/** `TOO_LARGE` for JSON of too many values, which takes a hundred times its bytes. Counted is what comes before one, also in texts. */
export function checkValueCount(json: Uint8Array, attempted: string, most: number): void {
  let count = 0;
  for (const byte of json) if (byte === 0x2c || byte === 0x5b || byte === 0x7b) count += 1;
  if (count > most) throw cannot('TOO_LARGE', attempted, `more than ${most} values`, { reason: 'limit' });
}
