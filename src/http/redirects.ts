import { discard } from '../body.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot } from '../errors.ts';
import { type AllowedHosts, isListed, parseTarget, policyAfter, policyOf } from './address.ts';
import type { AddressPolicy, HttpRequest, Wrapper } from './transport.ts';

export interface RedirectOptions {
  /** Most redirects followed for one request. */
  readonly limit?: number | undefined;
  /** Hosts allowed though their addresses are private. */
  readonly allowPrivate?: AllowedHosts | undefined;
}

const redirecting = new Set([301, 302, 303, 307, 308]);
/** Headers that prove who asks; a stranger does not see them. */
const personal = new Set(['authorization', 'proxy-authorization', 'cookie']);

/**
 * Follows redirects. A hop to another origin is a stranger's: the endpoint's headers, credentials and TLS settings stay
 * behind. `TOO_MANY_REDIRECTS` over the limit, `UNSAFE_URL` where it may not go. An answer without Location is handed on.
 */
export const redirects =
  ({ limit = 10, allowPrivate = [] }: RedirectOptions = {}): Wrapper =>
  (next) =>
  async (request) => {
    let asked = request;
    // What unlisted targets may be: a chain that has been at a public place stays public, whoever is listed on its way.
    let policy = policyOf(request);
    for (let hops = 0; ; hops += 1) {
      const response = await next(asked);
      const location = response.headers.location;
      if (!redirecting.has(response.status) || location === undefined) return response;
      await discard(response.body);
      if (hops >= limit) {
        const found = `redirected more than ${limit} times`;
        throw cannot('TOO_MANY_REDIRECTS', `get "${redactUrl(request.url)}"`, found, {
          host: new URL(request.url).host,
        });
      }
      const target = parseTarget(location, asked.url, 'a redirect');
      const hop = methodOf(asked, response.status);
      if (target.origin === new URL(asked.url).origin) asked = { ...hop, url: target.href };
      else {
        policy = policyAfter(policy, response);
        asked = asStranger(hop, target, isListed(target, allowPrivate) ? 'any' : policy);
      }
    }
  };

/** What is asked of the target. https://fetch.spec.whatwg.org/#http-redirect-fetch */
function methodOf(asked: HttpRequest, status: number): HttpRequest {
  const becomesGet = status === 303 ? asked.method !== 'HEAD' : asked.method === 'POST' && status < 303;
  return becomesGet ? { ...asked, method: 'GET', body: undefined } : asked;
}

function asStranger(asked: HttpRequest, target: URL, addresses: AddressPolicy): HttpRequest {
  if (asked.body !== undefined) {
    const found = 'what is sent in the body is not for another origin';
    throw cannot('UNSAFE_URL', `follow a redirect to "${redactUrl(target)}"`, found);
  }
  const headers = Object.entries(asked.headers ?? {}).filter(([name]) => !personal.has(name.toLowerCase()));
  return {
    ...asked,
    url: target.href,
    headers: Object.fromEntries(headers),
    endpoint: undefined,
    tls: undefined,
    addresses,
  };
}
