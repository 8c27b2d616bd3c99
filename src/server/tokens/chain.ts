import { type KeyObject, X509Certificate } from 'node:crypto';

/** Most certificates of a chain, without the root. */
const mostCertificates = 8;

/**
 * The key of the first certificate of an `x5c` chain if one of the roots has issued it, directly or by the others; or is it.
 * Undefined for a chain that proves nothing. https://www.rfc-editor.org/rfc/rfc7515#section-4.1.6
 */
export function keyOfChain(
  chain: unknown,
  roots: readonly X509Certificate[],
  now: number = Date.now(),
): KeyObject | undefined {
  if (!Array.isArray(chain) || chain.length === 0 || chain.length > mostCertificates) return undefined;
  try {
    const [leaf, ...others] = chain.map((text) => new X509Certificate(Buffer.from(String(text), 'base64')));
    if (!leaf) return undefined;
    const trusted = roots.filter((root) => isCurrent(root, now));
    /** Certificates that lead to the leaf; each is looked at once. */
    const reached = [leaf];
    for (const certificate of reached) {
      if (!isCurrent(certificate, now)) continue;
      if (trusted.some((root) => root.raw.equals(certificate.raw) || hasIssued(root, certificate)))
        return leaf.publicKey;
      reached.push(...others.filter((other) => !reached.includes(other) && hasIssued(other, certificate)));
    }
  } catch {
    // Not a certificate, or a key that the runtime does not know.
  }
  return undefined;
}

const isCurrent = ({ validFrom, validTo }: X509Certificate, now: number): boolean =>
  Date.parse(validFrom) <= now && now <= Date.parse(validTo);

const hasIssued = (issuer: X509Certificate, certificate: X509Certificate): boolean =>
  issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);
