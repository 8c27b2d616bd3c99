import { readAll } from '../../body.ts';
import { isRepositoryName } from '../../oci/reference.ts';
import { parsePath } from '../../oci/route.ts';
import { formatScope, parseScope, type Scope } from '../../oci/scope.ts';
import { checkPlain } from '../../text/problems.ts';
import { wrapHandler } from '../direct.ts';
import { bodyOf, type Handler } from '../registry/exchange.ts';
import { problem, problemOf } from '../registry/problem.ts';
import { noteActor } from './actor.ts';
import { basic, basicOf, isUser, parameters, type Users, unauthorized } from './basic.ts';

/** Most bytes of the form of a token request. */
const formBytes = 65_536;

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
  readonly allow?: (user: string | undefined, repository: string, action: string) => boolean | Promise<boolean>;
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
  const tokens = tokenBox<AccessToken>(limit);
  const refreshTokens = tokenBox<{ readonly user: string }>(limit);

  const grant = async (user: string | undefined, requested: readonly string[], wantsRefresh: boolean) => {
    const scopes: Scope[] = [];
    for (const scope of requested.flatMap((text) => text.split(' ')).map(parseScope)) {
      if (!scope || (scope.type !== 'repository' && formatScope(scope) !== catalogScope)) continue;
      const actions: string[] = [];
      const name = scope.type === 'repository' ? scope.name : `${scope.type}:${scope.name}`;
      for (const action of scope.actions) if (await allow(user, name, action)) actions.push(action);
      if (actions.length > 0) scopes.push({ ...scope, actions });
    }
    const token = tokens.add({ user, scopes }, expiresIn);
    return Response.json(
      {
        token,
        access_token: token,
        expires_in: expiresIn,
        issued_at: new Date().toISOString(),
        scope: scopes.map(formatScope).join(' '),
        ...(wantsRefresh && user !== undefined && { refresh_token: refreshTokens.add({ user }) }),
      },
      { headers: { 'cache-control': 'no-store' } },
    );
  };

  const fromQuery = async (request: Request): Promise<Response> => {
    const query = new URL(request.url).searchParams;
    const login = request.headers.has('authorization') ? basicOf(request) : undefined;
    if (login === null || (login && !isUser(users, login))) return wrongLogin({ 'www-authenticate': basic(service) });
    return grant(login?.username, query.getAll('scope'), query.get('offline_token') === 'true');
  };

  const fromForm = async (request: Request): Promise<Response> => {
    const form = new URLSearchParams(
      new TextDecoder().decode(await readAll(bodyOf(request), formBytes, 'token request')),
    );
    const type = form.get('grant_type');
    if (type !== 'password' && type !== 'refresh_token') {
      return Response.json({ error: 'unsupported_grant_type' }, { status: 400 });
    }
    const login = { username: form.get('username') ?? '', password: form.get('password') ?? '' };
    const refreshed = refreshTokens.find(form.get('refresh_token') ?? '')?.user;
    const user = type === 'refresh_token' ? refreshed : isUser(users, login) ? login.username : undefined;
    if (user === undefined) return wrongLogin();
    return grant(user, form.getAll('scope'), type === 'password' && form.get('access_type') === 'offline');
  };

  return {
    protect: (next) =>
      wrapHandler(next, async (request, connection) => {
        const needed = neededScopes(request);
        const sent = /^Bearer +(\S+)$/i.exec(request.headers.get('authorization') ?? '')?.[1];
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
    token: async (request) => {
      if (request.method === 'GET') return fromQuery(request);
      if (request.method === 'POST') {
        return fromForm(request).catch((error) => problemOf(error, { unknown: 'UNKNOWN', writes: true }));
      }
      return problem(405, 'UNSUPPORTED', 'Tokens are issued by GET and POST', { allow: 'GET, POST' });
    },
  };
}

/** Listing all repositories is not about one of them. */
const catalogScope = 'registry:catalog:*';

function neededScopes({ method, url }: Request): Scope[] {
  const { pathname, searchParams } = new URL(url);
  const route = parsePath(pathname.replace(/^\/v2/, ''));
  if (!route || route.kind === 'base') return [];
  if (route.kind === 'catalog') return [{ type: 'registry', name: 'catalog', actions: ['*'] }];
  const repository = (name: string, actions: readonly string[]): Scope => ({ type: 'repository', name, actions });
  if (method === 'GET' || method === 'HEAD') return [repository(route.name, ['pull'])];
  if (method === 'DELETE' && route.kind !== 'upload') return [repository(route.name, ['delete'])];
  const from = searchParams.get('from');
  const source =
    searchParams.has('mount') && from !== null && isRepositoryName(from) ? [repository(from, ['pull'])] : [];
  return [repository(route.name, ['pull', 'push']), ...source.filter(({ name }) => name !== route.name)];
}

const covers = (granted: readonly Scope[], { type, name, actions }: Scope): boolean =>
  actions.every((action) =>
    granted.some((scope) => scope.type === type && scope.name === name && scope.actions.includes(action)),
  );

const wrongLogin = (headers: Readonly<Record<string, string>> = {}): Response =>
  problem(401, 'UNAUTHORIZED', 'Unknown user name or password', headers);

/** What an access token stands for. */
interface AccessToken {
  readonly user: string | undefined;
  readonly scopes: readonly Scope[];
}

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
