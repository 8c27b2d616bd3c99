import { redactUrl } from '../../endpoint.ts';
import { cannot } from '../../errors.ts';
import type { HttpRequest } from '../transport.ts';

/** A request as it is written. */
export interface WrittenRequest {
  readonly method: string;
  /** For the errors of its response. */
  readonly url: URL;
  readonly bytes: Uint8Array;
}

/** Fields that say how a message is framed: only the transport knows that. */
const framing = new Set(['content-length', 'transfer-encoding', 'trailer', 'upgrade', 'expect']);

/** Methods whose requests have a body, if only an empty one. RFC 9110 section 8.6 */
const withBody = new Set(['POST', 'PUT', 'PATCH']);

/**
 * A request as HTTP/1.1 has it. `UNAVAILABLE` for a method or header that cannot be sent; the error does not have its value,
 * which may be a secret.
 */
export function writeRequest({ method, headers = {}, body }: HttpRequest, url: URL): WrittenRequest {
  const refuse = (found: string): Error =>
    cannot('UNAVAILABLE', `request "${redactUrl(url)}"`, found, { host: url.host, cause: { code: 'INVALID_REQUEST' } });
  if (!isToken(method)) throw refuse('its method is not a token');
  const content = Buffer.from(body ?? '');
  const length = content.length > 0 || withBody.has(method) ? { 'content-length': String(content.length) } : {};
  const lines = [`${method} ${url.pathname}${url.search} HTTP/1.1`];
  for (const name of Object.keys(headers)) {
    if (framing.has(name)) throw refuse(`the transport itself sets ${name}`);
  }
  for (const [name, value] of Object.entries({ host: url.host, connection: 'keep-alive', ...headers, ...length })) {
    if (!isToken(name) || !isValue(value)) throw refuse('one of its headers cannot be sent');
    lines.push(`${name}: ${value}`);
  }
  const head = Buffer.from(`${lines.join('\r\n')}\r\n\r\n`, 'latin1');
  return { method, url, bytes: content.length > 0 ? Buffer.concat([head, content]) : head };
}

/** RFC 9110 section 5.6.2 */
const isToken = (text: string): boolean => /^[!#$%&'*+.^_`|~0-9A-Za-z-]+$/.test(text);

const isValue = (value: unknown): boolean => typeof value === 'string' && /^[\t\x20-\x7e\x80-\xff]*$/.test(value);
