import { singleFlight } from '../abort.ts';
import { discard, readAll } from '../body.ts';
import { remember } from '../bounded-map.ts';
import { type Endpoint, redactUrl } from '../endpoint.ts';
import { cannot, messageOf, RegistryError, restate } from '../errors.ts';
import type { Login } from '../login.ts';
import { readJson } from '../text/json.ts';
import { parseTarget, type Reach, reachAfter, reachOf } from './address.ts';
import { type DecodeBody, readErrorBody } from './error-body.ts';
import { redirects } from './redirects.ts';
import { authoritiesOf } from './tls.ts';
import type { HttpRequest, HttpResponse, Transport } from './transport.ts';

/** What a token is requested for, and from where. */
export interface TokenScope {
  readonly realm: URL;
  readonly service?: string | undefined;
  readonly scopes: readonly string[];
  /** Addresses that the realm may have. */
  readonly reach: Reach;
}

export interface Token {
  readonly value: string;
  /** `Date.now()` after which it is not sent any more. */
  readonly expires: number;
}

export type Tokens = (
  scope: TokenScope,
  login: Login | undefined,
  request: HttpRequest,
  /** The token that a 401 has refused. */
  stale: Token | undefined,
) => Promise<Token>;

export interface TokensOptions {
  readonly userAgent?: string | undefined;
  /** Most bytes of a realm's response. */
  readonly tokenBytes?: number | undefined;
  /** By default encoded responses are left as they are, so that they are not JSON. */
  readonly decode?: DecodeBody | undefined;
}

/** Tokens by endpoint, realm, service, scopes and login; one request for all that need the same one at the same time. */
export function createTokens(next: Transport, options: TokensOptions): Tokens {
  const { userAgent = 'ocifetch', tokenBytes = 1_048_576, decode = async (body) => body } = options;
  const kept = new Map<string, Token>();
  const flights = singleFlight<Token>();
  const send = redirects()(next);
  return async ({ realm, service, scopes, reach }, login, request, stale) => {
    const origin = request.endpoint?.url ?? new URL(request.url).origin;
    const key = JSON.stringify([origin, realm.href, service, scopes, login]);
    const token = kept.get(key);
    if (token && token !== stale && token.expires > Date.now()) return token;
    return flights(key, request.signal, async (signal) => {
      const isOwn = realm.origin === new URL(request.url).origin;
      const headers = isOwn ? headersOf(request.endpoint) : undefined;
      // Another origin is trusted by the endpoint's authorities, but gets no client certificate and is verified.
      const tls = isOwn ? request.tls : authoritiesOf(request.tls);
      const common = { realm, service, scopes, login, reach, tls, signal, headers, more: request.more, userAgent };
      const fresh = await requestToken(send, { ...common, limit: tokenBytes, decode });
      remember(kept, key, fresh);
      return fresh;
    });
  };
}

/**
 * The realm that a challenge names: https, the http origin that the challenge came from, or any http URL if an endpoint that is
 * configured as http names it, as its own requests show as much to the network; `UNSAFE_URL` for any other.
 */
export function realmOf(
  text: string,
  request: HttpRequest,
  response: HttpResponse,
): Pick<TokenScope, 'realm' | 'reach'> {
  const realm = parseTarget(text, request.url, 'the token realm');
  const { origin, host } = new URL(request.url);
  const isOwn = realm.origin === origin;
  if (realm.protocol !== 'https:' && !isOwn && !request.endpoint) {
    const found = `"${redactUrl(realm)}" is neither https nor its own origin, and no configured host names it`;
    throw cannot('UNSAFE_URL', `use the token realm of "${host}"`, found, { host });
  }
  const { addresses, allowPrivate } = request;
  return {
    realm,
    reach: isOwn ? { addresses: addresses ?? 'any', allowPrivate } : reachAfter(reachOf(request), response),
  };
}

/** Configured headers, by their names in lower case. */
export function headersOf(endpoint: Endpoint | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(endpoint?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

export const basic = ({ username, password }: { username: string; password: string }): string => {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
};

interface TokenRequest extends TokenScope {
  readonly login?: Login | undefined;
  readonly tls?: HttpRequest['tls'];
  readonly signal?: AbortSignal | undefined;
  readonly more?: boolean | undefined;
  /** Configured headers, if the realm is at the endpoint's own origin. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly userAgent: string;
  /** Most bytes of the response. */
  readonly limit: number;
  readonly decode: DecodeBody;
}

const clientId = 'ocifetch';
/** Milliseconds for the whole response, shorter if another host is left, as for any head. */
const withinFor = (more: boolean | undefined): number => (more ? 10_000 : 30_000);

const unknownMethod = new Set([404, 405]);

/**
 * Requests a token from the realm: by GET, with Basic if there is a password; by POST for an identity token; by the other
 * if the realm does not know that method (404, 405). https://distribution.github.io/distribution/spec/auth/token/ and oauth/
 */
async function requestToken(send: Transport, wanted: TokenRequest): Promise<Token> {
  const { login } = wanted;
  const methods = login === undefined ? [get(wanted)] : [get(wanted), post(wanted, login)];
  if (login && 'identityToken' in login) methods.reverse();
  for (const [index, request] of methods.entries()) {
    const response = await send(request);
    if (unknownMethod.has(response.status) && index + 1 < methods.length) await discard(response.body);
    else return readToken(response, wanted);
  }
  throw cannot('UNAUTHORIZED', `get a token from "${redactUrl(wanted.realm)}"`, 'no method left');
}

function common(wanted: TokenRequest): HttpRequest & { headers: Record<string, string> } {
  const { realm, userAgent, headers, reach, tls, signal, more } = wanted;
  const typical = { accept: 'application/json', 'user-agent': userAgent };
  return { method: 'GET', url: realm.href, headers: { ...typical, ...headers }, ...reach, tls, signal, more };
}

function get(wanted: TokenRequest): HttpRequest {
  const { realm, service, scopes, login } = wanted;
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const { headers, ...rest } = common(wanted);
  const account = accountOf(login);
  return { ...rest, url: url.href, headers: { ...headers, ...(account && { authorization: basic(account) }) } };
}

/** An identity token is sent as the password of the user `<token>`, as Docker's own client does. */
function accountOf(login: Login | undefined): { username: string; password: string } | undefined {
  if (!login || 'registryToken' in login) return undefined;
  return 'identityToken' in login ? { username: '<token>', password: login.identityToken } : login;
}

function post(wanted: TokenRequest, login: Login): HttpRequest {
  const { service, scopes } = wanted;
  const form = new URLSearchParams({ client_id: clientId });
  if (scopes.length > 0) form.set('scope', scopes.join(' '));
  if (service !== undefined) form.set('service', service);
  if ('identityToken' in login) {
    form.set('grant_type', 'refresh_token');
    form.set('refresh_token', login.identityToken);
  } else if ('password' in login) {
    form.set('grant_type', 'password');
    form.set('username', login.username);
    form.set('password', login.password);
  }
  const { headers, ...rest } = common(wanted);
  const typed = { ...headers, 'content-type': 'application/x-www-form-urlencoded' };
  return { ...rest, method: 'POST', headers: typed, body: form.toString() };
}

async function readToken(response: HttpResponse, { realm, login, limit, more, decode }: TokenRequest): Promise<Token> {
  const attempted = `get a token from "${redactUrl(realm)}"`;
  const { host } = realm;
  const received = Date.now();
  if (response.status !== 200) {
    const { found, ...facts } = await readErrorBody(response, decode);
    const code = codeOf(response.status);
    const isRefusal = code === 'UNAUTHORIZED' || code === 'DENIED';
    const reason = isRefusal ? (login ? 'login-refused' : 'no-login') : undefined;
    throw cannot(code, attempted, found, { ...facts, host, reason });
  }
  const what = `the token of "${redactUrl(realm)}"`;
  const read = async (): Promise<Uint8Array> => {
    const body = await decode(response.body, response.headers['content-encoding'], limit);
    return readAll(body, limit, what, withinFor(more));
  };
  const bytes = await read().catch(async (error: unknown) => {
    await response.body.cancel(error).catch(() => {});
    if (error instanceof RegistryError && error.code === 'TOO_LARGE')
      throw restate(error, { limit: 'limits.tokenBytes', host });
    // It is the realm's connection that broke, not the one of the requested content.
    throw error instanceof RegistryError && error.code === 'UNEXPECTED_END'
      ? cannot('UNAVAILABLE', attempted, error.found ?? messageOf(error), { host, cause: error.cause })
      : error;
  });
  const json = readJson(bytes);
  if ('found' in json) throw cannot('BAD_RESPONSE', attempted, `the response is ${json.found}`, { status: 200, host });
  const { token, access_token, expires_in } = (json.value ?? {}) as Record<string, unknown>;
  const value = [token, access_token].find((text) => typeof text === 'string' && /^[\x21-\x7e]+$/.test(text));
  if (typeof value !== 'string') {
    throw cannot('BAD_RESPONSE', attempted, 'no token in the response', { status: 200, host });
  }
  // 60 s if the response does not say (the token specification); sent for at most nine tenths of its life.
  const seconds = typeof expires_in === 'number' && expires_in > 0 ? Math.min(expires_in, 86_400 * 365) : 60;
  return { value, expires: received + seconds * 900 };
}

function codeOf(status: number): 'RATE_LIMITED' | 'UNAVAILABLE' | 'DENIED' | 'UNAUTHORIZED' {
  if (status === 429) return 'RATE_LIMITED';
  if (status >= 500 || status === 408) return 'UNAVAILABLE';
  return status === 403 ? 'DENIED' : 'UNAUTHORIZED';
}
