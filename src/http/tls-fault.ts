import type { TlsOptions } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import { builtin } from '../runtime.ts';

/** What is wrong with TLS settings. Nothing of a certificate or key is in it. */
export interface TlsFault {
  /** `ca[0]`, `cert` or `key`. */
  readonly setting: string;
  readonly found: string;
  readonly cause?: unknown;
}

/** TLS settings that can be used, or `INVALID_CONFIG`; `where` is their key path. */
export function checkTls(tls: TlsOptions, where: string): TlsOptions {
  const fault = tlsFault(tls);
  if (!fault) return tls;
  const { setting, found, cause } = fault;
  throw new RegistryError('INVALID_CONFIG', `Cannot use ${where}.${setting}: ${found}`, { cause });
}

/** The first fault of TLS settings, as far as the runtime can tell; a connection would tell of some, and pass over others. */
export function tlsFault({ ca = [], cert, key }: TlsOptions): TlsFault | undefined {
  for (const [index, text] of ca.entries()) {
    const fault = authorityFault(text);
    if (fault) return { setting: `ca[${index}]`, ...fault };
  }
  if (cert !== undefined && key === undefined) return { setting: 'cert', found: 'it has no key beside it' };
  if (key !== undefined && cert === undefined) return { setting: 'key', found: 'it has no cert beside it' };
  if (cert === undefined || key === undefined) return undefined;
  return (
    faultOf('cert', { cert }, 'no certificate can be read from it') ??
    faultOf('key', { key }, 'no private key can be read from it: it is none, or encrypted') ??
    faultOf('key', { cert, key }, 'it is not the key of the certificate in cert')
  );
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
