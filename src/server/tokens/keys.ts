import { createHash, createPublicKey, type JsonWebKey, type KeyObject, X509Certificate } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { cannot } from '../../errors.ts';

/** A key that tokens may be signed with. */
export interface TrustedKey {
  readonly key: KeyObject;
  /** The only algorithm it is for, if its document says so. */
  readonly algorithm?: string | undefined;
}

/** Trusted keys by each id that a token may name them by. */
export type KeyTable = ReadonlyMap<string, TrustedKey>;

/** Most keys of a set. */
const mostKeys = 1_000;

/** Certificates of a PEM bundle, at least one. */
export function parseBundle(text: string, path: string): X509Certificate[] {
  const blocks = text.split('-----BEGIN CERTIFICATE-----').slice(1);
  const refuse = (found: string, cause?: unknown) =>
    cannot('INVALID_CONFIG', `read certificates "${path}"`, found, { value: path, cause });
  if (blocks.length === 0) throw refuse('it has none in PEM');
  return blocks.map((block, index) => {
    const [body = ''] = block.split('-----END CERTIFICATE-----');
    try {
      return new X509Certificate(Buffer.from(body, 'base64'));
    } catch (cause) {
      throw refuse(`certificate ${index + 1} cannot be read`, cause);
    }
  });
}

/** The keys of certificates. */
export const keysOfCertificates = (certificates: readonly X509Certificate[]): Promise<KeyTable> =>
  tableOf(certificates.map(({ publicKey }) => ({ key: publicKey })));

/** The keys of a JSON web key set. Those that are not for signatures, or of kinds that Node does not know, are left out. */
export async function parseKeySet(text: string, place: string): Promise<KeyTable> {
  const refuse = (found: string) => cannot('INVALID_CONFIG', `read key set "${place}"`, found, { value: place });
  let set: unknown;
  try {
    set = JSON.parse(text);
  } catch {
    throw refuse('it is not JSON');
  }
  const listed = typeof set === 'object' && set !== null && 'keys' in set ? set.keys : undefined;
  if (!Array.isArray(listed)) throw refuse('it has no list "keys"');
  if (listed.length > mostKeys) throw refuse(`it has more than ${mostKeys} keys`);
  return tableOf(listed.map(readKey).filter((key) => key !== undefined));
}

/** A public key of a document; undefined if it cannot be one. */
export function readKey(jwk: unknown): NamedKey | undefined {
  if (typeof jwk !== 'object' || jwk === null || ('use' in jwk && jwk.use !== 'sig')) return undefined;
  const { alg, kid } = jwk as { readonly alg?: unknown; readonly kid?: unknown };
  try {
    const key = createPublicKey({ key: jwk as JsonWebKey, format: 'jwk' });
    return { key, algorithm: typeof alg === 'string' ? alg : undefined, id: typeof kid === 'string' ? kid : undefined };
  } catch {
    return undefined;
  }
}

interface NamedKey extends TrustedKey {
  readonly id?: string | undefined;
}

/** The ids of keys: their own, and the fingerprints of both generations of registries. */
async function tableOf(keys: readonly NamedKey[]): Promise<KeyTable> {
  const table = new Map<string, TrustedKey>();
  for (const { id, ...trusted } of keys) {
    for (const fingerprint of await fingerprints(trusted.key)) table.set(fingerprint, trusted);
  }
  // A name that a document gives wins over a fingerprint.
  for (const { id, ...trusted } of keys) if (id !== undefined) table.set(id, trusted);
  return table;
}

/** RFC 7638, as in distribution 3, and libtrust's (`ABCD:EFGH:…`), as in 2.8. */
export async function fingerprints(key: KeyObject): Promise<readonly [thumbprint: string, libtrust: string]> {
  const hash = createHash('sha256')
    .update(key.export({ type: 'spki', format: 'der' }))
    .digest();
  const groups = base32(hash.subarray(0, 30)).match(/.{4}/g) ?? [];
  return [await calculateJwkThumbprint(key.export({ format: 'jwk' }) as { kty: string }), groups.join(':')];
}

/** RFC 4648, of as many bytes as need no padding. */
function base32(bytes: Uint8Array): string {
  const bits = [...bytes].map((byte) => byte.toString(2).padStart(8, '0')).join('');
  const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567';
  return (bits.match(/.{5}/g) ?? []).map((five) => letters[Number.parseInt(five, 2)]).join('');
}
