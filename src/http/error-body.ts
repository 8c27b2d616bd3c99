import { discard, readAll } from '../body.ts';
import { safeText } from '../redaction.ts';
import type { Body } from '../source.ts';
import { readJson } from '../text/json.ts';
import { parseRetryAfter } from './header-fields.ts';
import type { HttpResponse } from './transport.ts';

/** What a response with a bad status reports, as the facts of an error. */
export interface ErrorBody {
  readonly status: number;
  /** On one line, with what the body says, if anything: `status 403, DENIED "pay first"`. */
  readonly found: string;
  /** Codes of the distribution-spec, `MANIFEST_UNKNOWN`. */
  readonly registryErrors: readonly string[];
  /** Milliseconds that the host asks to wait. */
  readonly retryAfter?: number | undefined;
}

/** A body without the encodings of its Content-Encoding field, of at most `limit` bytes. */
export type DecodeBody = (body: Body, field: string | undefined, limit: number) => Promise<Body>;

/** Most bytes of an error's body that are read. */
const errorBytes = 65_536;
/** Most errors of a body that are reported. */
const mostErrors = 8;

/**
 * Reads the JSON of a bad status: `{"errors":[{"code":…,"message":…}]}` of the distribution-spec, or `error` and
 * `error_description` (RFC 6749), `details` or `message` of token servers; or a plain text. The body is read or discarded.
 */
export async function readErrorBody(response: HttpResponse, decode: DecodeBody): Promise<ErrorBody> {
  const { status, headers, body } = response;
  const type = headers['content-type'] ?? '';
  const isJson = /\bjson\b/i.test(type);
  const isText = /^text\/plain\b/i.test(type);
  const read = async (): Promise<Uint8Array> =>
    readAll(await decode(body, headers['content-encoding'], errorBytes), errorBytes, 'an error', 1_000);
  const bytes = isJson || isText ? await read().catch(() => undefined) : undefined;
  if (!bytes) await discard(body);
  const json = bytes && parseObject(bytes);
  const errors = errorsOf(json?.errors);
  const words = errors.map(({ code, message }) => (message ? `${code} "${message}"` : code)).join(', ');
  const retryAfter = parseRetryAfter(headers['retry-after']);
  const wait = retryAfter === undefined ? '' : `asks to wait ${Math.ceil(retryAfter / 1000)} s`;
  const found = [
    `status ${status}`,
    words || tokenServerWords(json) || (isText && bytes ? plainWords(bytes) : ''),
    wait,
  ]
    .filter((part) => part !== '')
    .join(', ');
  return { status, found, registryErrors: errors.map(({ code }) => code), retryAfter };
}

function parseObject(bytes: Uint8Array): Record<string, unknown> | undefined {
  const read = readJson(bytes);
  if ('found' in read || typeof read.value !== 'object' || read.value === null) return undefined;
  return read.value as Record<string, unknown>;
}

function errorsOf(errors: unknown): { code: string; message: string }[] {
  if (!Array.isArray(errors)) return [];
  return errors.slice(0, mostErrors).flatMap((error: unknown) => {
    const { code, message } = (error ?? {}) as Record<string, unknown>;
    if (typeof code !== 'string' || !/^[\w-]{1,64}$/.test(code)) return [];
    return [{ code, message: typeof message === 'string' ? printableText(message) : '' }];
  });
}

function tokenServerWords({ error, error_description, details, message }: Record<string, unknown> = {}): string {
  const text = [error_description, details, message].find((value) => typeof value === 'string' && value !== '');
  const code = typeof error === 'string' && /^[\w-]{1,64}$/.test(error) ? error : '';
  return [code, typeof text === 'string' ? `"${printableText(text)}"` : ''].filter((part) => part !== '').join(' ');
}

/** A text of Go's servers and of proxies: `404 page not found`. */
function plainWords(bytes: Uint8Array): string {
  const words = printableText(new TextDecoder().decode(bytes)).trim();
  return words === '' ? '' : `"${words}"`;
}

/** A server's text, safe for one line of a log. Read before it is cut, as half a secret would not be recognized. */
const printableText = (text: string): string =>
  safeText(text.slice(0, 4_096)).replaceAll('"', "'").replace(/ +/g, ' ').slice(0, 200);
