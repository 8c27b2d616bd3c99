import type { SecureContext, SecureContextOptions } from 'node:tls';
import type { TlsOptions } from '../endpoint.ts';
import { cannot } from '../errors.ts';
import { builtin } from '../runtime.ts';

/** What is wrong with TLS settings. It contains no part of a certificate or key. */
export interface TlsProblem {
  /** `ca[0]`, `cert` or `key`. */
  readonly setting: string;
  readonly found: string;
  readonly cause?: unknown;
}

/**
 * All problems of TLS settings that the runtime can find; a connection would report some and ignore others. `isWhole` is
 * false if a part could not be read: then a missing counterpart is not a problem.
 */
export function tlsProblems({ ca = [], cert, key }: TlsOptions, { isWhole = true } = {}): readonly TlsProblem[] {
  const authorities = ca.flatMap((text, index) => {
    const problem = authorityProblem(text);
    return problem ? [{ setting: `ca[${index}]`, ...problem }] : [];
  });
  const own = [
    cert === undefined ? undefined : problemOf('cert', { cert }, 'no certificate can be read from it'),
    key === undefined
      ? undefined
      : problemOf('key', { key }, 'no private key can be read from it: it is not one, or it is encrypted'),
  ].filter((problem) => problem !== undefined);
  const pair = own.length > 0 || !isWhole ? undefined : pairProblem(cert, key);
  return [...authorities, ...own, ...(pair ? [pair] : [])];
}

function pairProblem(cert: string | undefined, key: string | undefined): TlsProblem | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (key === undefined) return { setting: 'cert', found: 'it has no key beside it' };
  if (cert === undefined) return { setting: 'key', found: 'it has no cert beside it' };
  return problemOf('key', { cert, key }, 'it is not the key of the certificate in cert');
}

function problemOf(setting: string, own: { cert?: string; key?: string }, found: string): TlsProblem | undefined {
  try {
    // No authorities: reading the default ones would cost more than the rest.
    builtin('node:tls')?.createSecureContext({ ca: [], ...own });
    return undefined;
  } catch (cause) {
    return { setting, found, cause };
  }
}

/** `INVALID_CONFIG` for settings of a host that cannot be used; it names the first that is wrong. */
export function checkTls(tls: TlsOptions | undefined, host: string): void {
  const [problem] = tls ? tlsProblems(tls) : [];
  if (!problem) return;
  const { setting, found, cause } = problem;
  throw cannot('INVALID_CONFIG', `connect to "${host}" with tls.${setting}`, found, { host, cause });
}

/**
 * What another origin, which an endpoint refers to, has of its TLS settings: the authorities, as the storage and the
 * logins of a company have certificates of the same one. Neither a client certificate, nor what is not verified.
 */
export const authoritiesOf = (tls: TlsOptions | undefined): TlsOptions | undefined => tls?.ca && { ca: tls.ca };

const certificates = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]*-----END \1-----/g;

/** A connection reads the authorities up to the first that cannot be read, and does not report it. */
function authorityProblem(text: string): Pick<TlsProblem, 'found' | 'cause'> | undefined {
  const blocks = text.match(certificates) ?? [];
  const begun = text.match(/-----BEGIN (?:X509 |TRUSTED )?CERTIFICATE-----/g) ?? [];
  if (begun.length === 0) return { found: 'there is no certificate in it' };
  const crypto = builtin('node:crypto');
  for (const [index, block] of blocks.entries()) {
    try {
      if (crypto) new crypto.X509Certificate(block);
    } catch (cause) {
      return { found: `certificate ${index + 1} of ${begun.length} in it cannot be read`, cause };
    }
  }
  return blocks.length < begun.length ? { found: 'a certificate in it has no end' } : undefined;
}

/**
 * Options of `node:tls` for connecting to a host as a client does: with the authorities that are configured, Node's own,
 * those of NODE_EXTRA_CA_CERTS and, if Node can read them, the system's. `UNSUPPORTED` in a runtime without `node:tls`.
 * Make them once for many connections: reading a hundred authorities costs more than a connection.
 */
export function tlsConnectOptions({ ca = [], cert, key, insecureSkipVerify }: TlsOptions = {}): {
  secureContext: SecureContext;
  rejectUnauthorized: boolean;
} {
  // Loaded with the first https request only.
  const tls = builtin('node:tls');
  if (!tls) throw cannot('UNSUPPORTED', 'connect by TLS', 'this runtime has no node:tls');
  const own = { ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
  const isUsual = ca.length === 0 && Object.keys(own).length === 0;
  const secureContext = (isUsual ? usual : undefined) ?? createContext(tls, ca, own);
  if (isUsual) usual = secureContext;
  return { secureContext, rejectUnauthorized: !insecureSkipVerify };
}

/** The context without settings, which most pools have. */
let usual: SecureContext | undefined;

function createContext(
  tls: typeof import('node:tls'),
  ca: readonly string[],
  own: SecureContextOptions,
): SecureContext {
  // Configured authorities are trusted in addition to the usual ones. If Node's own are all, it has read them already.
  if (ca.length === 0 && !('getCACertificates' in tls) && !process.env.NODE_EXTRA_CA_CERTS) {
    return tls.createSecureContext(own);
  }
  // Each is trusted as it is, as in Go and curl: it may be an intermediate, or the server's own certificate. On Windows the
  // system also lists intermediates that nobody chose to trust. Without `ca`, Node 20 would trust none.
  const allowPartialTrustChain = ca.length > 0 || process.platform !== 'win32';
  return tls.createSecureContext({ ...own, ca: [...trustedAuthorities(), ...ca], allowPartialTrustChain });
}

let trusted: readonly string[] | undefined;

/**
 * The authorities that Node trusts by default, with those of NODE_EXTRA_CA_CERTS, and the system's if Node can read them
 * (from 22.15). Read on first use: plain http needs none.
 */
function trustedAuthorities(): readonly string[] {
  trusted ??= readAuthorities();
  return trusted;
}

function readAuthorities(): readonly string[] {
  const tls = builtin('node:tls');
  const newer = tls as { getCACertificates?: (type: 'default' | 'system') => string[] } | undefined;
  if (newer?.getCACertificates) {
    return [...new Set([...newer.getCACertificates('default'), ...newer.getCACertificates('system')])];
  }
  const extra = process.env.NODE_EXTRA_CA_CERTS;
  return [...(tls?.rootCertificates ?? []), ...(extra ? readExtra(extra) : [])];
}

/** Node itself only warns about a file that it cannot read. */
function readExtra(file: string): string[] {
  try {
    return [builtin('node:fs')?.readFileSync(file, 'utf8') ?? ''];
  } catch {
    return [];
  }
}
