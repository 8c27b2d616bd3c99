import { formatScope } from '../../oci/scope.ts';
import { checkPlain } from '../../text/problems.ts';
import { wrapHandler } from '../direct.ts';
import type { Handler } from '../registry/exchange.ts';
import { noteActor } from './actor.ts';
import { isUser, type Users } from './basic.ts';
import type { AllowAccess } from './check.ts';
import { bearerOf, parameters, unauthorized } from './credentials.ts';
import { accessOf, covers, routeOf } from './needed.ts';
import { type TokenGrant, type TokenIssuer, tokenEndpoint } from './token-endpoint.ts';

/** Who may do what with `tokenAccess`. */
export interface TokenAccessOptions {
  /** URL of the token endpoint, as clients reach it; `/token` is relative to the requested host. */
  readonly realm: string;
  /** Name of this registry in challenges and token requests. */
  readonly service: string;
  readonly users?: Users;
  /**
   * Whether a user, undefined without a login, may do this in a repository; in `registry:catalog` the action `*` lists all
   * repositories. Default: each of `users` everything; without `users`, everyone.
   */
  readonly allow?: AllowAccess;
  /** Lifetime of a token in seconds. Default 300. */
  readonly expiresIn?: number;
  /** Most tokens that are valid at a time; the oldest are dropped first. Default 10,000. */
  readonly tokens?: number;
}

/** The two sides of access by tokens: the check, and the endpoint that issues them. */
export interface TokenAccess {
  /**
   * Passes only requests with a token for what they do: `pull` for GET and HEAD, `delete` for DELETE, `pull` and `push` for
   * the rest, `pull` of the repository that a mount names, and `registry:catalog:*` for the list of repositories. Others get 401 with a `Bearer` challenge.
   */
  protect(next: Handler): Handler;
  /**
   * The token endpoint: GET, anonymous or with Basic, and POST of a form with `grant_type` `password` or `refresh_token`.
   * Those of the requested scopes that are allowed are granted. https://distribution.github.io/distribution/spec/auth/token/
   */
  readonly token: Handler;
}

/** Access by tokens, as Docker's registries have it: opaque, random, in memory. */
export function tokenAccess(options: TokenAccessOptions): TokenAccess {
  checkPlain('give access by tokens', options);
  const { realm, service, users, expiresIn = 300, tokens: limit = 10_000 } = options;
  const allow = options.allow ?? ((user: string | undefined) => user !== undefined || !users);
  const tokens = tokenBox<TokenGrant>(limit);
  const refreshTokens = tokenBox<{ readonly user: string }>(limit);
  const issuer: TokenIssuer = {
    expiresIn,
    access: (grant) => tokens.add(grant, expiresIn),
    refresh: (user) => refreshTokens.add({ user }),
    userOf: (token) => refreshTokens.find(token)?.user,
  };
  return {
    protect: (next) =>
      wrapHandler(next, async (request, connection) => {
        const needed = accessOf(cancelling(request));
        const sent = bearerOf(request);
        const token = sent === undefined ? undefined : tokens.find(sent);
        if (token && needed.every((scope) => covers(token.scopes, scope))) {
          if (token.user !== undefined) noteActor(request, token.user);
          return next(request, connection);
        }
        const error = sent === undefined ? undefined : token ? 'insufficient_scope' : 'invalid_token';
        const scope = needed.map(formatScope).join(' ');
        const challenge = parameters({ realm: new URL(realm, request.url).href, service, scope, error });
        return unauthorized(request, `Bearer ${challenge}`);
      }),
    token: tokenEndpoint({ service, login: (login) => isUser(users, login), allow, issuer }),
  };
}

/** Who may push may also cancel an upload: these tokens are not those of distribution, which wants `delete` for it. */
const cancelling = ({ method, url }: Request): Pick<Request, 'method' | 'url'> => ({
  method: method === 'DELETE' && routeOf(new URL(url).pathname)?.kind === 'upload' ? 'PATCH' : method,
  url,
});

interface TokenBox<Value> {
  /** A new random token for `value`; `lifetime` in seconds, by default forever. */
  add(value: Value, lifetime?: number): string;
  /** Undefined for an unknown or expired token. */
  find(token: string): Value | undefined;
}

/** Opaque tokens and their values, at most `limit`: the oldest are dropped first. */
function tokenBox<Value>(limit: number): TokenBox<Value> {
  const values = new Map<string, { readonly value: Value; readonly end: number }>();
  return {
    add(value, lifetime = Number.POSITIVE_INFINITY) {
      for (const oldest of values.keys()) {
        if (values.size < limit) break;
        values.delete(oldest);
      }
      const bytes = crypto.getRandomValues(new Uint8Array(32));
      const token = Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
      values.set(token, { value, end: performance.now() + lifetime * 1000 });
      return token;
    },
    find(token) {
      const found = values.get(token);
      if (!found || performance.now() < found.end) return found?.value;
      values.delete(token);
      return undefined;
    },
  };
}
