import type { TlsOptions } from '../endpoint.ts';
import { builtin } from '../runtime.ts';

/** What is wrong with TLS settings. Nothing of a certificate or key is in it. */
export interface TlsFault {
  /** `ca[0]`, `cert` or `key`. */
  readonly setting: string;
  readonly found: string;
  readonly cause?: unknown;
}

/**
 * All faults of TLS settings, as far as the runtime can tell; a connection would tell of some, and pass over others.
 * `isWhole` is false where a part could not be read, so that nothing is said of the other part alone.
 */
export function tlsFaults({ ca = [], cert, key }: TlsOptions, { isWhole = true } = {}): readonly TlsFault[] {
  const authorities = ca.flatMap((text, index) => {
    const fault = authorityFault(text);
    return fault ? [{ setting: `ca[${index}]`, ...fault }] : [];
  });
  const own = [
    cert === undefined ? undefined : faultOf('cert', { cert }, 'no certificate can be read from it'),
    key === undefined
      ? undefined
      : faultOf('key', { key }, 'no private key can be read from it: it is none, or encrypted'),
  ].filter((fault) => fault !== undefined);
  const pair = own.length > 0 || !isWhole ? undefined : pairFault(cert, key);
  return [...authorities, ...own, ...(pair ? [pair] : [])];
}

function pairFault(cert: string | undefined, key: string | undefined): TlsFault | undefined {
  if (cert === undefined && key === undefined) return undefined;
  if (key === undefined) return { setting: 'cert', found: 'it has no key beside it' };
  if (cert === undefined) return { setting: 'key', found: 'it has no cert beside it' };
  return faultOf('key', { cert, key }, 'it is not the key of the certificate in cert');
}

function faultOf(setting: string, own: { cert?: string; key?: string }, found: string): TlsFault | undefined {
  try {
    // No authorities: to read the usual ones would cost more than the rest.
    builtin('node:tls')?.createSecureContext({ ca: [], ...own });
    return undefined;
  } catch (cause) {
    return { setting, found, cause };
  }
}

const certificates = /-----BEGIN ((?:X509 |TRUSTED )?CERTIFICATE)-----[^-]*-----END \1-----/g;

/** A connection reads the authorities up to the first that is none, and says nothing. */
function authorityFault(text: string): Pick<TlsFault, 'found' | 'cause'> | undefined {
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
