import { redactUrl } from '../../endpoint.ts';
import { cannot } from '../../errors.ts';
import { quote } from '../../text/quote.ts';

/** Fields with one value that something is decided by. A list (`Link`, `Content-Encoding`) may have several. RFC 9110 section 5.3 */
const single = new Set([
  'content-length',
  'content-range',
  'content-type',
  'docker-content-digest',
  'etag',
  'location',
  'oci-subject',
  'retry-after',
]);

/** Those of them whose value has no comma, so that two values in one line are seen. */
const withoutComma = new Set(['content-length', 'content-range', 'docker-content-digest', 'oci-subject']);

/** Most copies of a value in one line that are recognized. */
const mostCopies = 4;

/**
 * The fields of a response by their names in lower case. Of a field with one value, lines that are equal count as one, also
 * if something on the way has joined them; different ones are `BAD_RESPONSE`, as it is not known which is right. The lines
 * of other fields are joined by `, `. A Location in raw UTF-8 is read as that.
 */
export function joinLines(
  fields: Iterable<readonly [name: string, lines: string | readonly string[] | undefined]>,
  url: string,
): Record<string, string> {
  const headers: Record<string, string> = {};
  for (const [name, lines = ''] of fields) {
    const [value = '', other] = valuesOf(name, typeof lines === 'string' ? [lines] : lines);
    if (other !== undefined) {
      const found = `its header ${name} has the values ${shown(value)} and ${shown(other)}`;
      throw cannot('BAD_RESPONSE', `read the response of "${redactUrl(url)}"`, found, { host: new URL(url).host });
    }
    headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  }
  return headers;
}

/** The value of a field; several if it should have only one. */
function valuesOf(name: string, lines: readonly string[]): readonly string[] {
  const isList = !single.has(name);
  if (isList && name !== 'content-encoding') return [lines.join(', ')];
  // In one line, "gzip, gzip" says that it was encoded twice.
  const different = [...new Set(lines.map((line) => (isList ? line.trim() : uncopied(line.trim()))))];
  if (isList) return [different.join(', ')];
  if (withoutComma.has(name)) return different.join(',').split(',', 2);
  return name === 'location' ? different.map(fromUtf8) : different;
}

/** A value that was joined with copies of itself: `a, a` is `a`. */
function uncopied(text: string): string {
  for (let copies = 2; copies <= mostCopies && text.includes(','); copies += 1) {
    const pattern = text.slice(0, (text.length - 2 * (copies - 1)) / copies);
    if (pattern !== '' && Array(copies).fill(pattern).join(', ') === text) return pattern;
  }
  return text;
}

const shown = (value: string): string => quote(value.trim(), 100);

const decoder = new TextDecoder('utf-8', { fatal: true });

/** Bytes of a header are characters up to 255; those that are UTF-8 together are read as that. */
function fromUtf8(text: string): string {
  if (!/[\x80-\xff]/.test(text)) return text;
  try {
    return decoder.decode(Uint8Array.from(text, (letter) => letter.charCodeAt(0)));
  } catch {
    return text;
  }
}
