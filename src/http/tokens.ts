import { type Endpoint, redactUrl } from '../endpoint.ts';
import { cannot } from '../errors.ts';
import type { Login } from '../login.ts';
import { singleFlight } from '../single-flight.ts';
import { type AllowedHosts, isListed, parseTarget, policyAfter, policyOf } from './address.ts';
import { remember } from './bounded-map.ts';
import { redirects } from './redirects.ts';
import { requestToken, type Token } from './token.ts';
import type { AddressPolicy, HttpRequest, HttpResponse, Transport } from './transport.ts';

/** Where a place's tokens come from, and for what. */
export interface TokenPlace {
  readonly realm: URL;
  readonly service?: string | undefined;
  readonly scopes: readonly string[];
  readonly addresses: AddressPolicy;
}

export type Tokens = (
  place: TokenPlace,
  login: Login | undefined,
  request: HttpRequest,
  /** The token that a 401 has shown to be of no use. */
  stale: Token | undefined,
) => Promise<Token>;

export interface TokensOptions {
  readonly userAgent?: string | undefined;
  /** Most bytes of a token's answer. */
  readonly tokenBytes?: number | undefined;
  readonly allowPrivate?: AllowedHosts | undefined;
}

/** The realm that a challenge names: https, or the http origin that it came from; `UNSAFE_URL` for any other. */
export function realmOf(
  text: string,
  request: HttpRequest,
  response: HttpResponse,
  allowPrivate: AllowedHosts,
): Pick<TokenPlace, 'realm' | 'addresses'> {
  const realm = parseTarget(text, request.url, 'the token realm');
  const { origin, host } = new URL(request.url);
  const own = realm.origin === origin;
  if (realm.protocol !== 'https:' && !own) {
    const found = `"${redactUrl(realm)}" is neither https nor its own origin`;
    throw cannot('UNSAFE_URL', `use the token realm of "${host}"`, found, { host });
  }
  if (own) return { realm, addresses: request.addresses ?? 'any' };
  return { realm, addresses: isListed(realm, allowPrivate) ? 'any' : policyAfter(policyOf(request), response) };
}

/** Tokens by place, realm, service, scope and login; one request for all who want the same at the same time. */
export function createTokens(next: Transport, options: TokensOptions): Tokens {
  const { userAgent = 'ocifetch', tokenBytes = 1_048_576, allowPrivate } = options;
  const kept = new Map<string, Token>();
  const flights = singleFlight<Token>();
  const send = redirects({ allowPrivate })(next);
  return async ({ realm, service, scopes, addresses }, login, request, stale) => {
    const origin = request.endpoint?.url ?? new URL(request.url).origin;
    const key = JSON.stringify([origin, realm.href, service, scopes, login]);
    const token = kept.get(key);
    if (token && token !== stale && token.expires > Date.now()) return token;
    return flights(key, request.signal, async (signal) => {
      const own = realm.origin === new URL(request.url).origin;
      const headers = own ? headersOf(request.endpoint) : undefined;
      // Another origin gets the trust of the endpoint's certificates, but no client certificate and no leniency.
      const tls = own ? request.tls : request.tls?.ca && { ca: request.tls.ca };
      const asked = { realm, service, scopes, login, addresses, tls, signal, headers, more: request.more, userAgent };
      const fresh = await requestToken(send, { ...asked, limit: tokenBytes });
      remember(kept, key, fresh);
      return fresh;
    });
  };
}

/** Configured headers, by their names in lower case. */
export function headersOf(endpoint: Endpoint | undefined): Record<string, string> {
  return Object.fromEntries(
    Object.entries(endpoint?.headers ?? {}).map(([name, value]) => [name.toLowerCase(), value]),
  );
}
