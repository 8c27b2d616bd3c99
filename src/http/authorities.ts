import { builtin } from '../runtime.ts';

let trusted: readonly string[] | undefined;

/**
 * The authorities that Node trusts by itself, with those of NODE_EXTRA_CA_CERTS, and the system's where Node can read
 * them (from 22.15 on). Read when they are first wanted: plain http needs none.
 */
export function trustedAuthorities(): readonly string[] {
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
  return [...(tls?.rootCertificates ?? []), ...(extra ? read(extra) : [])];
}

/** Node itself only warns of a file that it cannot read. */
function read(file: string): string[] {
  try {
    return [builtin('node:fs')?.readFileSync(file, 'utf8') ?? ''];
  } catch {
    return [];
  }
}
