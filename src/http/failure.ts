import { redactUrl } from '../endpoint.ts';
import { cannot, type ErrorCode, RegistryError } from '../errors.ts';

/** The codes of a connection's error and of its causes, as the runtime names them: `ECONNREFUSED`. */
export function causeCode(error: unknown): string {
  const { cause } = error as { cause?: { code?: unknown } };
  return String(cause?.code ?? '');
}

/**
 * What a connection failed of, in words, on one line; the runtime's own error is the cause. A name with several
 * addresses fails once for each, and the runtime leaves the message of all of them empty.
 */
export function connectionError(error: unknown, code: ErrorCode, verb: string, url: string | URL): RegistryError {
  if (error instanceof RegistryError) return error;
  const isEmpty = error instanceof AggregateError && error.message === '';
  const told = (isEmpty ? error.errors : [error]).map(wordsOf);
  const { host } = new URL(url);
  return cannot(code, `${verb} "${redactUrl(url)}"`, [...new Set(told)].join('; '), { host, cause: error });
}

const untrusted = new Set([
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'CERT_UNTRUSTED',
]);

/** What OpenSSL finds where no TLS comes back; its versions differ. */
const noTls = /wrong version number|packet length too long|http request|record layer failure|unknown protocol/;
/** `error:0A000410:SSL routines:ssl3_read_bytes:sslv3 alert handshake failure:../deps/…:1605:` */
const openssl = /error:[0-9A-F]+:([^:]*) routines:[^:]*:([^:]+)/;

function wordsOf(error: unknown): string {
  if (!(error instanceof Error)) return oneLine(String(error));
  const { code, reason } = error as { code?: unknown; reason?: unknown };
  const message = oneLine(error.message || error.name);
  if (untrusted.has(String(code))) {
    return `its certificate is signed by nobody that is trusted (${message}); tls.ca of this host takes the certificate of its authority`;
  }
  if (code === 'CERT_HAS_EXPIRED') return 'its certificate has expired';
  if (code === 'CERT_NOT_YET_VALID') return 'its certificate is not valid yet';
  if (code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return `its certificate is for other names: ${typeof reason === 'string' ? oneLine(reason) : message}`;
  }
  const [, library, found] = openssl.exec(error.message) ?? [];
  if (found === undefined) return message;
  return library === 'SSL' && noTls.test(found) ? 'it does not speak TLS' : `TLS failed: ${oneLine(found)}`;
}

const longest = 300;

function oneLine(text: string): string {
  const line = text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return line.length > longest ? `${line.slice(0, longest)}…` : line;
}
