import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { SignJWT } from 'jose';
import { cannot } from '../../errors.ts';
import { anything, checkOptions, wholeNumber } from '../../text/problems.ts';
import type { AccessCheck, AllowAccess } from '../access/check.ts';
import type { LoginCheck } from '../access/credentials.ts';
import { type TokenGrant, type TokenIssuer, tokenEndpoint } from '../access/token-endpoint.ts';
import type { Handler } from '../registry/exchange.ts';
import { bearerCheck, readText, resolveRealm } from './bearer.ts';
import { fingerprints } from './keys.ts';
import { type AcceptedTokens, verifyToken } from './verify.ts';

/** A registry's own tokens. */
export interface TokenServerOptions {
  /** Name of the registry in challenges and tokens. */
  readonly service: string;
  /** URL of the token endpoint, as clients reach it; a path is one on the requested host. Default: `/auth/token`. */
  readonly realm?: string | undefined;
  /** Who tokens are from. Default: the service. */
  readonly issuer?: string | undefined;
  /** Whether a login is right: that of `htpasswd`, or any other. */
  readonly login: LoginCheck;
  /**
   * A text that changes with the password of a user, undefined if there is none: with it, a refresh token ends when its user or
   * password does. Without it, each lasts for its whole time.
   */
  readonly stampOf?: ((username: string) => string | undefined | Promise<string | undefined>) | undefined;
  /** Who gets which actions; `accessRules`, or any other. Default: every user everything, and nobody else anything. */
  readonly allow?: AllowAccess | undefined;
  /**
   * Path of a private key in PEM (P-256, P-384, P-521, Ed25519, RSA of 2,048 bits), the same for all processes of a registry.
   * Default: one made now, so that tokens are valid in this process only.
   */
  readonly key?: string | undefined;
  /** Lifetime of access tokens in seconds, at least 60. Default 300. */
  readonly expiresIn?: number | undefined;
  /** That of refresh tokens. Default: 30 days. */
  readonly refreshExpiresIn?: number | undefined;
}

/** The check, and the endpoint whose tokens it accepts. */
export interface TokenServer {
  /** For `controlAccess`. */
  readonly check: AccessCheck;
  /** To be served where `realm` says. https://distribution.github.io/distribution/spec/auth/token/ */
  readonly endpoint: Handler;
  /** The public key as a JSON web key set, for other registries. */
  readonly jwks: { readonly keys: readonly Readonly<Record<string, unknown>>[] };
}

/** Issues signed tokens, which any process with the same key accepts. `INVALID_CONFIG` for options and keys that cannot be used. */
export async function tokenServer(options: TokenServerOptions): Promise<TokenServer> {
  const names = ['service', 'realm', 'issuer', 'login', 'stampOf', 'allow', 'key'].map((name) => [name, anything]);
  const times = { expiresIn: wholeNumber(60), refreshExpiresIn: wholeNumber(60) };
  checkOptions('issue tokens', options, { ...Object.fromEntries(names), ...times });
  const { service, realm = '/auth/token', login, key: path } = options;
  const { issuer = service, allow = (user) => user !== undefined } = options;
  const signing = path === undefined ? madeKey() : readPrivateKey(await readText(path), path);
  const algorithm = algorithmOf(signing) ?? unusable(path);
  const key = createPublicKey(signing);
  const [id] = await fingerprints(key);
  const accepted: AcceptedTokens = {
    issuer,
    audience: service,
    algorithms: [algorithm],
    roots: [],
    find: async (wanted) => (wanted === id ? { key } : undefined),
  };
  const sign = (claims: Record<string, unknown>, to: { readonly audience: string; readonly lifetime: number }) =>
    new SignJWT(claims)
      .setProtectedHeader({ alg: algorithm, typ: 'JWT', kid: id })
      .setIssuer(issuer)
      .setAudience(to.audience)
      .setIssuedAt()
      .setNotBefore('0s')
      .setExpirationTime(`${to.lifetime}s`)
      .setJti(randomUUID())
      .sign(signing);
  return {
    check: bearerCheck(accepted, (request) => resolveRealm(realm, request)),
    endpoint: tokenEndpoint({ service, login, allow, issuer: issuerOf(options, accepted, sign) }),
    jwks: { keys: [{ ...key.export({ format: 'jwk' }), kid: id, alg: algorithm, use: 'sig' }] },
  };
}

type Sign = (
  claims: Record<string, unknown>,
  to: { readonly audience: string; readonly lifetime: number },
) => Promise<string>;

function issuerOf(
  { service, stampOf, ...options }: TokenServerOptions,
  accepted: AcceptedTokens,
  sign: Sign,
): TokenIssuer {
  const { expiresIn = 300, refreshExpiresIn = 30 * 86_400 } = options;
  // Another audience than that of access tokens: neither is ever taken for the other.
  const audience = `refresh:${service}`;
  return {
    expiresIn,
    access: ({ user = '', scopes }: TokenGrant) =>
      sign({ sub: user, access: scopes }, { audience: service, lifetime: expiresIn }),
    refresh: async (user) =>
      sign({ sub: user, stamp: await stampOf?.(user) }, { audience, lifetime: refreshExpiresIn }),
    async userOf(token) {
      const claims = await verifyToken(token, { ...accepted, audience });
      if (claims?.subject === undefined) return undefined;
      if (!stampOf) return claims.subject;
      const stamp = await stampOf(claims.subject);
      return stamp !== undefined && stamp === claims.payload.stamp ? claims.subject : undefined;
    },
  };
}

const madeKey = (): KeyObject => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;

function readPrivateKey(text: string, path: string): KeyObject {
  try {
    return createPrivateKey(text);
  } catch (cause) {
    // The system's own text could quote what it has read.
    void cause;
    throw cannot('INVALID_CONFIG', `read key "${path}"`, 'it has no private key in PEM without a passphrase', {
      value: path,
    });
  }
}

const curves: Readonly<Record<string, string>> = { prime256v1: 'ES256', secp384r1: 'ES384', secp521r1: 'ES512' };

/** How a key signs. */
function algorithmOf({ asymmetricKeyType: type, asymmetricKeyDetails: details }: KeyObject): string | undefined {
  if (type === 'ec') return curves[details?.namedCurve ?? ''];
  if (type === 'rsa') return (details?.modulusLength ?? 0) >= 2_048 ? 'RS256' : undefined;
  return type === 'ed25519' ? 'EdDSA' : undefined;
}

function unusable(path: string | undefined): never {
  const found = 'expected P-256, P-384, P-521, Ed25519, or RSA of at least 2,048 bits';
  throw cannot('INVALID_CONFIG', `use key "${path}"`, found, { value: path });
}
