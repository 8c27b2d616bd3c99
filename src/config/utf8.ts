import { type Position, positions } from './document.ts';
import { fileError, placeText } from './file-problems.ts';

/**
 * The text of a file's bytes, with a byte order mark where it has one. `INVALID_CONFIG` for bytes that are not UTF-8, with
 * the place of the first; none of them is told, as they may be a secret's.
 */
export function decodeText(bytes: Uint8Array, file: string): string {
  if (isUtf16(bytes))
    throw fileError(file, [`${placeText(file, { line: 1, column: 1 })}: found UTF-16, expected UTF-8`]);
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch {
    throw fileError(file, [`${placeText(file, firstWrong(bytes))}: found bytes that are not UTF-8, expected UTF-8`]);
  }
}

/** By its byte order mark, or by every other byte of what should be two letters being zero. */
function isUtf16([first, second, third, fourth]: Uint8Array): boolean {
  if ((first === 0xff && second === 0xfe) || (first === 0xfe && second === 0xff)) return true;
  const zeros = [first, second, third, fourth].map((byte) => byte === 0);
  return zeros[0] !== zeros[1] && zeros[0] === zeros[2] && zeros[1] === zeros[3];
}

/** The place of the first byte that is not UTF-8, for which a decoder that forgives puts U+FFFD. */
function firstWrong(bytes: Uint8Array): Position {
  const text = new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes);
  let end = 0;
  let offset = 0;
  for (let at = text.indexOf('\ufffd'); at !== -1; at = text.indexOf('\ufffd', end)) {
    offset += new TextEncoder().encode(text.slice(end, at)).length;
    const [first, second, third] = bytes.subarray(offset, offset + 3);
    // One that was written.
    if (first !== 0xef || second !== 0xbf || third !== 0xbd) return positions(text)(at);
    offset += 3;
    end = at + 1;
  }
  return { line: 1, column: 1 };
}
