import { readFile } from 'node:fs/promises';
import { cannot, configError } from '../../errors.ts';
import { formatScope } from '../../oci/scope.ts';
import { systemCode } from '../../store/store-error.ts';
import { checkPlain, shown } from '../../text/problems.ts';
import type { AccessCheck } from '../access/check.ts';
import { bearerOf, parameters } from '../access/credentials.ts';
import { covers } from '../access/needed.ts';
import { type FindKey, keysAt } from './key-set-url.ts';
import { keysOfCertificates, parseBundle, parseKeySet } from './keys.ts';
import { type AcceptedTokens, knownAlgorithms, rememberingVerifier } from './verify.ts';

/** Which tokens are accepted, and where clients get them: distribution's section `auth.token`. */
export interface BearerTokensOptions {
  /** URL of the token server; a path is one on the requested host. Not needed with `autoRedirect`. */
  readonly realm?: string | undefined;
  /** The name of this registry: what tokens must be for. */
  readonly service: string;
  /** Who must have issued them. */
  readonly issuer: string;
  /** Path of a PEM file: authorities of the certificates that tokens carry, and keys that sign tokens themselves. */
  readonly rootCertBundle?: string | undefined;
  /** Path, or `http:` or `https:` URL, of a JSON web key set. One at a URL is fetched again for keys that it does not have. */
  readonly jwks?: string | undefined;
  /** Default: all that sign with a private key. */
  readonly signingAlgorithms?: readonly string[] | undefined;
  /** The token server is at `autoRedirectPath` of the requested host, by https unless `X-Forwarded-Proto` says otherwise. Default: false. */
  readonly autoRedirect?: boolean | undefined;
  /** Default: `/auth/token`. */
  readonly autoRedirectPath?: string | undefined;
}

/**
 * Access with JSON web tokens of a token server, for `controlAccess`. Keys of files are read once, when it is made.
 * `INVALID_CONFIG` for options and files that cannot be used. Requests are 400 while the set at a URL was never there.
 */
export async function bearerTokens(options: BearerTokensOptions): Promise<AccessCheck> {
  checkPlain('use tokens', options);
  const { service, issuer, rootCertBundle, jwks, signingAlgorithms: algorithms = knownAlgorithms } = options;
  const problems = optionProblems(options);
  if (problems.length > 0) throw configError('use tokens', problems);
  const roots = rootCertBundle === undefined ? [] : parseBundle(await readText(rootCertBundle), rootCertBundle);
  const ofRoots = await keysOfCertificates(roots);
  const ofSet = jwks === undefined ? undefined : await findIn(jwks);
  const find: FindKey = async (id) => ofRoots.get(id) ?? ofSet?.(id);
  return bearerCheck({ issuer, audience: service, algorithms, roots, find }, (request) => realmOf(request, options));
}

/** Requires a token for each request, and says where it is had. */
export function bearerCheck(accepted: AcceptedTokens, realmAt: (request: Request) => string): AccessCheck {
  const verify = rememberingVerifier(accepted);
  return async ({ request, needed }) => {
    const sent = bearerOf(request);
    const claims = sent === undefined ? undefined : await verify(sent);
    if (claims && needed.every((scope) => covers(claims.access, scope))) {
      return { kind: 'granted', actor: claims.subject };
    }
    const error = sent === undefined ? undefined : claims ? 'insufficient_scope' : 'invalid_token';
    const scope = needed.map(formatScope).join(' ');
    const challenge = parameters({ realm: realmAt(request), service: accepted.audience, scope, error });
    return { kind: 'challenge', challenge: `Bearer ${challenge}` };
  };
}

/** A path is one on the requested host. */
export const resolveRealm = (realm: string, request: Request): string =>
  realm.startsWith('/') ? new URL(realm, request.url).href : realm;

function realmOf(request: Request, { realm = '', autoRedirect, autoRedirectPath }: BearerTokensOptions): string {
  if (!autoRedirect) return resolveRealm(realm, request);
  const forwarded = request.headers.get('x-forwarded-proto') ?? '';
  const scheme = /^https?$/i.test(forwarded) ? forwarded.toLowerCase() : 'https';
  return `${scheme}://${new URL(request.url).host}${autoRedirectPath ?? '/auth/token'}`;
}

function optionProblems(options: BearerTokensOptions): { readonly key?: string; readonly found: string }[] {
  const {
    realm,
    service,
    issuer,
    rootCertBundle,
    jwks,
    signingAlgorithms = [],
    autoRedirect,
    autoRedirectPath,
  } = options;
  const text = (key: string, value: unknown) =>
    typeof value === 'string' && value !== '' ? [] : [{ key, found: `found ${shown(value)}, expected a text` }];
  return [
    ...(autoRedirect ? [] : text('realm', realm)),
    ...text('service', service),
    ...text('issuer', issuer),
    ...(rootCertBundle === undefined && jwks === undefined
      ? [{ found: 'found neither rootCertBundle nor jwks, expected keys that sign tokens' }]
      : []),
    ...signingAlgorithms
      .filter((algorithm) => !knownAlgorithms.includes(algorithm))
      .map((algorithm) => ({
        key: 'signingAlgorithms',
        found: `found ${shown(algorithm)}, expected one of ${knownAlgorithms.join(', ')}`,
      })),
    ...(autoRedirectPath === undefined || autoRedirectPath.startsWith('/')
      ? []
      : [{ key: 'autoRedirectPath', found: `found ${shown(autoRedirectPath)}, expected a path that begins with "/"` }]),
  ];
}

async function findIn(place: string): Promise<FindKey> {
  if (/^https?:\/\//i.test(place)) return keysAt(place);
  const table = await parseKeySet(await readText(place), place);
  if (table.size === 0) throw cannot('INVALID_CONFIG', `use key set "${place}"`, 'it has no key', { value: place });
  return async (id) => table.get(id);
}

/** A file of this machine. */
export const readText = (path: string): Promise<string> =>
  readFile(path, 'utf8').catch((cause: unknown) => {
    const found = `it cannot be read (${systemCode(cause)})`;
    throw cannot('INVALID_CONFIG', `read file "${path}"`, found, { value: path, cause });
  });
