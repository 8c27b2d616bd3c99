import { derivedBody } from '../body.ts';
import { cannot, type RegistryError } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { quote } from '../oci/quote.ts';
import { type ClosedRange, parseContentRange } from '../oci/range.ts';
import type { Body, FetchOptions } from '../source.ts';
import { decode, type Encodings, parseEncodings } from './decode.ts';

/** How many bytes may be dropped to reach a range: more than the client's limit where the caller says so and nobody else is left. */
export const discardLimit = ({ discard, more }: FetchOptions, discardBytes: number): number =>
  more ? discardBytes : (discard ?? discardBytes);

export interface OpenOptions {
  readonly encodings: Encodings;
  /** Most bytes read and thrown away before the range begins, where a host answers with the whole. */
  readonly discardBytes: number;
}

const bad = (found: string): RegistryError => cannot('BAD_RESPONSE', 'use the answer', found);

/**
 * The bytes of a good answer, decoded and cut to the range that was asked for, or an error that says why this host's
 * answer cannot be them. https://www.rfc-editor.org/rfc/rfc9110#section-15.3.7
 */
export async function openAnswer(
  response: HttpResponse,
  { size }: Pick<Descriptor, 'size'>,
  range: ClosedRange | undefined,
  options: OpenOptions,
): Promise<Body> {
  if (range && response.status === 206) return openPart(response, size, range);
  if (response.status !== 200) throw bad(`status ${response.status}`);
  return range ? openCut(response, size, range, options) : openWhole(response, size, options);
}

function openPart({ headers, body }: HttpResponse, size: number, range: ClosedRange): Body {
  const encoding = headers['content-encoding'];
  // Offsets of an encoded answer count encoded bytes: not those that were asked for.
  if (parseEncodings(encoding).length > 0) throw bad(`a range with content encoding ${quote(encoding)}`);
  const field = headers['content-range'] ?? '';
  const found = parseContentRange(field);
  const asked = `${range.start}-${range.end - 1}`;
  if (found?.start !== range.start || found.end > range.end) throw bad(`range ${quote(field)} to bytes ${asked}`);
  if (found.size !== undefined && found.size !== size) throw bad(`range ${quote(field)} of content of ${size} bytes`);
  const length = lengthOf(headers);
  if (length !== undefined && length !== found.end - found.start)
    throw bad(`${length} bytes for range ${quote(field)}`);
  return body;
}

async function openWhole({ headers, body }: HttpResponse, size: number, { encodings }: OpenOptions): Promise<Body> {
  const encoding = headers['content-encoding'];
  const length = lengthOf(headers);
  if (parseEncodings(encoding).length === 0 && length !== undefined && length !== size) {
    const code = length > size ? 'TOO_LARGE' : 'UNEXPECTED_END';
    throw cannot(code, 'use the answer', `${length} bytes for content of ${size}`);
  }
  return decode(body, encoding, encodings, size);
}

/** A host that does not know ranges sends the whole; what comes before is dropped, if it is not too much. */
async function openCut(response: HttpResponse, size: number, range: ClosedRange, options: OpenOptions): Promise<Body> {
  if (range.start > options.discardBytes) {
    throw bad(`the whole content to a range from ${range.start}, over the limit of ${options.discardBytes} to discard`);
  }
  const whole = await openWhole(response, size, options);
  return derivedBody(whole, (body) => cut(body, range));
}

async function* cut(body: Body, { start, end }: ClosedRange): AsyncGenerator<Uint8Array> {
  let at = 0;
  for await (const chunk of body) {
    const from = Math.max(start - at, 0);
    const to = end - at;
    at += chunk.length;
    if (from < Math.min(to, chunk.length)) yield chunk.subarray(from, to);
    if (at >= end) return;
  }
}

/** Content-Length, where there is a whole number. */
export function lengthOf(headers: HttpResponse['headers']): number | undefined {
  const field = headers['content-length'] ?? '';
  return /^\d{1,15}$/.test(field) ? Number(field) : undefined;
}
