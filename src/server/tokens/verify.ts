import { createHash, type KeyObject, type X509Certificate } from 'node:crypto';
import { type JWTHeaderParameters, jwtVerify } from 'jose';
import { remember } from '../../bounded-map.ts';
import { cannot, RegistryError } from '../../errors.ts';
import type { Scope } from '../../oci/scope.ts';
import { keyOfChain } from './chain.ts';
import type { FindKey } from './key-set-url.ts';
import { fingerprints, readKey, type TrustedKey } from './keys.ts';

/** Signatures with public keys. What is signed with a shared secret, or not at all, is never a token. */
export const knownAlgorithms: readonly string[] = [
  ...['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512'],
  ...['ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519'],
];

/** Seconds by which clocks may differ. */
const leeway = 60;
/** Most characters of a token, and entries of its access. */
const mostCharacters = 65_536;
const mostEntries = 10_000;

/** What tokens are accepted. */
export interface AcceptedTokens {
  readonly issuer: string;
  readonly audience: string;
  readonly algorithms: readonly string[];
  /** Of `x5c` chains. */
  readonly roots: readonly X509Certificate[];
  readonly find: FindKey;
}

/** What a valid token says. */
export interface TokenClaims {
  readonly subject: string | undefined;
  readonly access: readonly Scope[];
  /** The other claims. */
  readonly payload: Readonly<Record<string, unknown>>;
}

/** Milliseconds for which a token is not verified again, how many, and of what length: each is sent many times. */
const rememberedTime = 60_000;
const mostRemembered = 1_000;
const longestRemembered = 16_384;

/**
 * `verifyToken`, which costs up to a millisecond with a chain of certificates, as seldom as possible. A key that is trusted no
 * more is so for a minute at most.
 */
export function rememberingVerifier(
  options: AcceptedTokens,
  now: () => number = Date.now,
): (token: string) => Promise<TokenClaims | undefined> {
  const valid = new Map<string, { readonly claims: TokenClaims; readonly end: number }>();
  return async (token) => {
    if (token.length > longestRemembered) return verifyToken(token, options);
    const key = createHash('sha256').update(token).digest('base64');
    const known = valid.get(key);
    if (known && now() < known.end) return known.claims;
    const claims = await verifyToken(token, options);
    if (claims) {
      const end = Math.min(now() + rememberedTime, (Number(claims.payload.exp) + leeway) * 1_000);
      remember(valid, key, { claims, end }, mostRemembered);
    }
    return claims;
  };
}

/**
 * What a token says; undefined unless it is signed by a trusted key, of this issuer, for this audience, and valid now. Rejects
 * only if keys cannot be had. https://distribution.github.io/distribution/spec/auth/jwt/
 */
export async function verifyToken(token: string, options: AcceptedTokens): Promise<TokenClaims | undefined> {
  if (token.length > mostCharacters) return undefined;
  const { issuer, audience, algorithms } = options;
  try {
    const { payload } = await jwtVerify(token, (header) => signingKey(header, options), {
      issuer,
      audience,
      algorithms: [...algorithms],
      clockTolerance: leeway,
      requiredClaims: ['exp'],
    });
    const access = readAccess(payload.access);
    const subject = typeof payload.sub === 'string' && payload.sub !== '' ? payload.sub : undefined;
    return access && { subject, access, payload };
  } catch (error) {
    if (error instanceof RegistryError && error.code !== 'UNAUTHORIZED') throw error;
    // All that the library refuses, by whatever class of error.
    return undefined;
  }
}

/** The key that a header leads to, if it is trusted: by a chain of certificates, as a whole, or by its id. */
async function signingKey(header: JWTHeaderParameters, { roots, find }: AcceptedTokens): Promise<KeyObject> {
  const { alg, kid, jwk } = header as { alg: string; kid?: unknown; jwk?: { kid?: unknown; x5c?: unknown } };
  const chain = header.x5c ?? jwk?.x5c;
  if (chain !== undefined) return keyOfChain(chain, roots) ?? untrusted();
  const found = jwk === undefined ? await findNamed(kid, find) : await findWhole(jwk, find);
  const isFor = found?.algorithm === undefined || found.algorithm === alg;
  return found && isFor ? found.key : untrusted();
}

const findNamed = async (id: unknown, find: FindKey): Promise<TrustedKey | undefined> =>
  typeof id === 'string' ? find(id) : undefined;

/** The trusted key that a token brings along: only as good as the trusted one of the same id. */
async function findWhole(jwk: { readonly kid?: unknown }, find: FindKey): Promise<TrustedKey | undefined> {
  const named = await findNamed(jwk.kid, find);
  if (named) return named;
  const read = readKey(jwk);
  if (!read || read.key.asymmetricKeyType === undefined) return undefined;
  return find((await fingerprints(read.key))[0]);
}

const untrusted = (): never => {
  throw cannot('UNAUTHORIZED', 'verify a token', 'its key is not trusted');
};

/** The claim `access`; undefined if it has another form. */
function readAccess(access: unknown): Scope[] | undefined {
  if (access === undefined || access === null) return [];
  if (!Array.isArray(access) || access.length > mostEntries) return undefined;
  const scopes = access.map(readEntry).filter((scope) => scope !== undefined);
  return scopes.length === access.length ? scopes : undefined;
}

function readEntry(entry: unknown): Scope | undefined {
  if (typeof entry !== 'object' || entry === null) return undefined;
  const { type, name, actions } = entry as {
    readonly type?: unknown;
    readonly name?: unknown;
    readonly actions?: unknown;
  };
  if (typeof type !== 'string' || typeof name !== 'string') return undefined;
  const list: unknown = actions ?? [];
  const isList = Array.isArray(list) && list.every((action): action is string => typeof action === 'string');
  return isList ? { type, name, actions: list } : undefined;
}
