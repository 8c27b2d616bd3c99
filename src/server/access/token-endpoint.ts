import { readAll } from '../../body.ts';
import { formatScope, parseScope, type Scope } from '../../oci/scope.ts';
import { bodyOf, type Connection, type Handler } from '../registry/exchange.ts';
import { problem, problemOf } from '../registry/problem.ts';
import type { AllowAccess } from './check.ts';
import { basic, type LoginCheck, loginOf } from './credentials.ts';
import { catalogAccess } from './needed.ts';

/** Most bytes of the form of a token request. */
const formBytes = 65_536;
/** Most scopes of one request, and actions of a scope. */
const mostScopes = 100;
const mostActions = 16;

/** What a token is to say. */
export interface TokenGrant {
  readonly user: string | undefined;
  readonly scopes: readonly Scope[];
}

/** Makes tokens, and knows its own. */
export interface TokenIssuer {
  /** Lifetime of access tokens in seconds. */
  readonly expiresIn: number;
  access(grant: TokenGrant): string | Promise<string>;
  refresh(user: string): string | Promise<string>;
  /** The user of a refresh token; undefined if it is not valid any more. */
  userOf(refreshToken: string): string | undefined | Promise<string | undefined>;
}

/** Who gets tokens for what. */
export interface TokenEndpointOptions {
  readonly service: string;
  readonly login: LoginCheck;
  readonly allow: AllowAccess;
  readonly issuer: TokenIssuer;
}

/**
 * A token endpoint: GET, anonymous or with Basic, and POST of a form with `grant_type` `password` or `refresh_token`. Those of
 * the requested scopes that are allowed are granted. https://distribution.github.io/distribution/spec/auth/token/
 */
export function tokenEndpoint(options: TokenEndpointOptions): Handler {
  const respond = (request: Request, connection: Connection | undefined): Promise<Response> => {
    if (request.method === 'GET') return fromQuery(request, connection, options);
    if (request.method === 'POST') return fromForm(request, connection, options);
    const refusal = problem(405, 'UNSUPPORTED', 'Tokens are issued by GET and POST', { allow: 'GET, POST' });
    return Promise.resolve(refusal);
  };
  return (request, connection) =>
    respond(request, connection).catch((error) => problemOf(error, { unknown: 'UNKNOWN', writes: true }));
}

async function fromQuery(
  request: Request,
  connection: Connection | undefined,
  options: TokenEndpointOptions,
): Promise<Response> {
  const query = new URL(request.url).searchParams;
  const login = loginOf(request);
  if (login === null || (login && !(await options.login(login, connection)))) {
    return wrongLogin({ 'www-authenticate': basic(options.service) });
  }
  return grant(login?.username, query.getAll('scope'), query.get('offline_token') === 'true', options);
}

async function fromForm(
  request: Request,
  connection: Connection | undefined,
  options: TokenEndpointOptions,
): Promise<Response> {
  const bytes = await readAll(bodyOf(request), formBytes, 'token request');
  const form = new URLSearchParams(new TextDecoder().decode(bytes));
  const type = form.get('grant_type');
  if (type === 'refresh_token') {
    const user = await options.issuer.userOf(form.get('refresh_token') ?? '');
    return user === undefined ? wrongLogin() : grant(user, form.getAll('scope'), false, options);
  }
  if (type !== 'password') return Response.json({ error: 'unsupported_grant_type' }, { status: 400 });
  const login = { username: form.get('username') ?? '', password: form.get('password') ?? '' };
  if (!(await options.login(login, connection))) return wrongLogin();
  return grant(login.username, form.getAll('scope'), form.get('access_type') === 'offline', options);
}

async function grant(
  user: string | undefined,
  requested: readonly string[],
  wantsRefresh: boolean,
  { allow, issuer }: TokenEndpointOptions,
): Promise<Response> {
  const texts = requested.flatMap((text) => text.split(' ')).filter((text) => text !== '');
  if (texts.length > mostScopes) return problem(400, 'UNSUPPORTED', `More than ${mostScopes} scopes in one request`);
  const scopes: Scope[] = [];
  for (const scope of texts.map(parseScope)) {
    if (!scope || (scope.type !== 'repository' && formatScope(scope) !== formatScope(catalogAccess))) continue;
    const actions = await allowedActions(allow, user, scope);
    if (actions.length > 0) scopes.push({ ...scope, actions });
  }
  const token = await issuer.access({ user, scopes });
  const refreshToken = wantsRefresh && user !== undefined ? await issuer.refresh(user) : undefined;
  return Response.json(
    {
      token,
      access_token: token,
      expires_in: issuer.expiresIn,
      issued_at: new Date().toISOString(),
      scope: scopes.map(formatScope).join(' '),
      refresh_token: refreshToken,
    },
    { headers: { 'cache-control': 'no-store' } },
  );
}

/** Of `*`, as skopeo requests it to delete, everything that is allowed. */
async function allowedActions(
  allow: AllowAccess,
  user: string | undefined,
  { type, name, actions }: Scope,
): Promise<string[]> {
  const target = type === 'repository' ? name : `${type}:${name}`;
  const pick = async (some: readonly string[]): Promise<string[]> => {
    const picked: string[] = [];
    for (const action of some) if (await allow(user, target, action)) picked.push(action);
    return picked;
  };
  const picked = await pick([...new Set(actions)].slice(0, mostActions));
  const isWhole = picked.includes('*') || !actions.includes('*') || type !== 'repository';
  return isWhole ? picked : [...new Set([...picked, ...(await pick(['pull', 'push', 'delete']))])];
}

const wrongLogin = (headers: Readonly<Record<string, string>> = {}): Response =>
  problem(401, 'UNAUTHORIZED', 'Unknown user name or password', headers);
