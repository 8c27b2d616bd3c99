import { discard, readAll } from '../body.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot, messageOf, RegistryError } from '../errors.ts';
import type { Login } from '../login.ts';
import { refusalOf } from './refusal.ts';
import type { AddressPolicy, HttpRequest, HttpResponse, Transport } from './transport.ts';

export interface TokenRequest {
  readonly realm: URL;
  readonly service?: string | undefined;
  readonly scopes: readonly string[];
  readonly login?: Login | undefined;
  readonly addresses: AddressPolicy;
  readonly tls?: HttpRequest['tls'];
  readonly signal?: AbortSignal | undefined;
  readonly more?: boolean | undefined;
  /** Configured headers, where the realm is at the endpoint's own origin. Names in lower case. */
  readonly headers?: Readonly<Record<string, string>> | undefined;
  readonly userAgent: string;
  /** Most bytes of the answer. */
  readonly limit: number;
}

export interface Token {
  readonly value: string;
  /** `Date.now()` after which it is not sent any more. */
  readonly expires: number;
}

const clientId = 'ocifetch';
/** Milliseconds for the whole answer, or where another host is left: as for the head of any. */
const withinFor = (more: boolean | undefined): number => (more ? 10_000 : 30_000);

const refusals = new Set([404, 405]);

export const basic = ({ username, password }: { username: string; password: string }): string => {
  const bytes = new TextEncoder().encode(`${username}:${password}`);
  return `Basic ${btoa(String.fromCharCode(...bytes))}`;
};

/**
 * Asks the realm for a token. GET, with Basic where there is a password; POST for an identity token; where the realm
 * does not know that method (404, 405), the other. https://distribution.github.io/distribution/spec/auth/token/ and oauth/
 */
export async function requestToken(send: Transport, asked: TokenRequest): Promise<Token> {
  const { login } = asked;
  const methods = login === undefined ? [get(asked)] : [get(asked), post(asked, login)];
  if (login && 'identityToken' in login) methods.reverse();
  for (const [index, request] of methods.entries()) {
    const response = await send(request);
    if (refusals.has(response.status) && index + 1 < methods.length) await discard(response.body);
    else return readToken(response, asked);
  }
  throw cannot('UNAUTHORIZED', `get a token from "${redactUrl(asked.realm)}"`, 'no method left');
}

function common(asked: TokenRequest): HttpRequest & { headers: Record<string, string> } {
  const { realm, userAgent, headers, addresses, tls, signal, more } = asked;
  const typical = { accept: 'application/json', 'user-agent': userAgent };
  return { method: 'GET', url: realm.href, headers: { ...typical, ...headers }, addresses, tls, signal, more };
}

function get(asked: TokenRequest): HttpRequest {
  const { realm, service, scopes, login } = asked;
  const url = new URL(realm);
  if (service !== undefined) url.searchParams.set('service', service);
  for (const scope of scopes) url.searchParams.append('scope', scope);
  const { headers, ...rest } = common(asked);
  const account = accountOf(login);
  return { ...rest, url: url.href, headers: { ...headers, ...(account && { authorization: basic(account) }) } };
}

/** An identity token goes as the password of the user `<token>`, as Docker's own client writes it. */
function accountOf(login: Login | undefined): { username: string; password: string } | undefined {
  if (!login || 'registryToken' in login) return undefined;
  return 'identityToken' in login ? { username: '<token>', password: login.identityToken } : login;
}

function post(asked: TokenRequest, login: Login): HttpRequest {
  const { service, scopes } = asked;
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
  const { headers, ...rest } = common(asked);
  const typed = { ...headers, 'content-type': 'application/x-www-form-urlencoded' };
  return { ...rest, method: 'POST', headers: typed, body: form.toString() };
}

async function readToken(response: HttpResponse, { realm, limit, more }: TokenRequest): Promise<Token> {
  const attempted = `get a token from "${redactUrl(realm)}"`;
  const received = Date.now();
  if (response.status !== 200) {
    const { status } = response;
    const { words, codes: registryErrors } = await refusalOf(response);
    const found = `status ${status}${words === '' ? '' : `, ${words}`}`;
    throw cannot(codeOf(status), attempted, found, { status, registryErrors, host: realm.host });
  }
  const what = `the token of "${redactUrl(realm)}"`;
  const bytes = await readAll(response.body, limit, what, withinFor(more)).catch((error: unknown) => {
    // Of the connection, not of the content that is asked for.
    throw error instanceof RegistryError && error.code === 'UNEXPECTED_END'
      ? cannot('UNAVAILABLE', attempted, messageOf(error), { host: realm.host, cause: error.cause })
      : error;
  });
  let answer: unknown;
  try {
    answer = JSON.parse(new TextDecoder().decode(bytes));
  } catch {
    throw cannot('BAD_RESPONSE', attempted, 'the answer is not JSON', { status: 200, host: realm.host });
  }
  const { token, access_token, expires_in } = (answer ?? {}) as Record<string, unknown>;
  const value = [token, access_token].find((text) => typeof text === 'string' && /^[\x21-\x7e]+$/.test(text));
  if (typeof value !== 'string') {
    throw cannot('BAD_RESPONSE', attempted, 'no token in the answer', { status: 200, host: realm.host });
  }
  // 60 s where nothing is said (the token specification); sent no longer than nine tenths of its life.
  const seconds = typeof expires_in === 'number' && expires_in > 0 ? Math.min(expires_in, 86_400 * 365) : 60;
  return { value, expires: received + seconds * 900 };
}

function codeOf(status: number): 'RATE_LIMITED' | 'UNAVAILABLE' | 'DENIED' | 'UNAUTHORIZED' {
  if (status === 429) return 'RATE_LIMITED';
  if (status >= 500 || status === 408) return 'UNAVAILABLE';
  return status === 403 ? 'DENIED' : 'UNAUTHORIZED';
}
