import { redactUrl } from '../endpoint.ts';
import { cannot, type ErrorCode, isError, RegistryError } from '../errors.ts';
import { safeText } from '../redaction.ts';

/** The code of our own time limit for a connection. */
export const connectTimeout = 'CONNECT_TIMEOUT';

/** The runtime's code for what a connection failed with, `ECONNREFUSED`; empty if there is none. */
export function causeCode(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown } };
  return String(cause?.code ?? '');
}

/** The code of a response that is not read. */
export const invalidResponse = 'INVALID_RESPONSE';

/** A response that is not read, and why; `connectionError` names its URL. */
export const cannotRead = (found: string): Error =>
  Object.assign(new Error(`the response cannot be read: ${found}`), { code: invalidResponse });

/** A connection that was closed too early; the same as one that was reset. */
export const endedEarly = (where: string): Error =>
  Object.assign(new Error(`the connection was closed ${where}`), { code: 'ECONNRESET' });

const refused = new Set([
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EHOSTDOWN',
  'ETIMEDOUT',
  'ENOTFOUND',
  'EAI_AGAIN',
  'UND_ERR_CONNECT_TIMEOUT',
  connectTimeout,
]);

/** Whether the code of an error says so. */
export const isRefusal = (code: unknown): boolean => refused.has(String(code));

/** Whether there was no connection at all: it was refused, or not made in time. */
export const isUnreachable = (error: unknown): boolean =>
  error instanceof RegistryError &&
  (error.code === 'UNAVAILABLE' || error.code === 'TIMEOUT') &&
  refused.has(causeCode(error));

/**
 * Why a connection failed, in words, on one line; the runtime's own error is the cause. A name with several addresses
 * fails once for each, and the runtime leaves the message of all of them empty.
 */
export function connectionError(error: unknown, code: ErrorCode, verb: string, url: string | URL): RegistryError {
  if (error instanceof RegistryError) return error;
  const several = isError(error) && error.message === '' && 'errors' in error ? error.errors : undefined;
  const found = (Array.isArray(several) ? several : [error]).map(wordsOf);
  const { host } = new URL(url);
  return cannot(code, `${verb} "${redactUrl(url)}"`, [...new Set(found)].join('; '), { host, cause: error });
}

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
]);

function wordsOf(error: unknown): string {
  if (!isError(error)) return cleaned(String(error));
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  const message = cleaned(error.message || error.name);
  if (untrusted.has(String(code))) {
    return `its certificate is not signed by a trusted authority (${message}); tls.ca of this host takes the certificate of its authority`;
  }
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired';
  if (code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `its certificate is for other names: ${typeof reason === 'string' ? cleaned(reason) : message}`;
  }
  const tls = tlsReason(error);
  if (tls === undefined) return message;
  return notTls.has(tls) ? 'it does not speak TLS' : `TLS failed: ${cleaned(tls)}`;
}

/** What OpenSSL reports when no TLS comes back; its versions differ. */
const notTls = new Set([
  'wrong version number',
  'packet length too long',
  'http request',
  'record layer failure',
  'unknown protocol',
]);

/** `80:error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:../deps/…:1605:` */
const openssl = /error:[0-9A-F]+:[^:]* routines:[^:]*:([^:]+)/;

/** OpenSSL's reason, which Node gives as fields, except for a write that failed: `EPROTO` has it only in its message. */
function tlsReason(error: Error): string | undefined {
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  const [, name] = /^ERR_(?:OS)?SSL_(.+)/.exec(String(code)) ?? [];
  if (name !== undefined) return typeof reason === 'string' ? reason : name.toLowerCase().replaceAll('_', ' ');
  return code === 'EPROTO' ? openssl.exec(error.message)?.[1] : undefined;
}

const longest = 300;

function cleaned(text: string): string {
  const line = safeText(text).replace(/\s+/g, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}
