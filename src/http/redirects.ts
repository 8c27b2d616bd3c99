import { discard } from '../body.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot } from '../errors.ts';
import { parseTarget, type Reach, reachAfter, reachOf } from './address.ts';
import type { HttpRequest, Wrapper } from './transport.ts';
import { authoritiesOf } from './trust.ts';

export interface RedirectOptions {
  /** Most redirects followed for one request. */
  readonly limit?: number | undefined;
}

const redirecting = new Set([301, 302, 303, 307, 308]);
/** Headers with credentials, which another origin must not see. */
const personal = new Set(['authorization', 'proxy-authorization', 'cookie']);

/**
 * Follows redirects. A hop to another origin carries no headers, credentials, client certificate or
 * leniency of the endpoint; it trusts the same authorities.
 * `TOO_MANY_REDIRECTS` over the limit, `UNSAFE_URL` if the target is not allowed. A response without Location is returned.
 */
export const redirects =
  ({ limit = 10 }: RedirectOptions = {}): Wrapper =>
  (next) =>
  async (request) => {
    let sent = request;
    // After a public host a chain stays public, also through listed hosts.
    let reach = reachOf(request);
    for (let hops = 0; ; hops += 1) {
      const response = await next(sent);
      const location = response.headers.location;
      if (!redirecting.has(response.status) || location === undefined) return response;
      await discard(response.body);
      if (hops >= limit) {
        const found = `redirected more than ${limit} times`;
        throw cannot('TOO_MANY_REDIRECTS', `get "${redactUrl(request.url)}"`, found, {
          host: new URL(request.url).host,
        });
      }
      const target = parseTarget(location, sent.url, 'a redirect');
      const hop = methodOf(sent, response.status);
      if (target.origin === new URL(sent.url).origin) sent = { ...hop, url: target.href };
      else {
        reach = reachAfter(reach, response);
        sent = toOtherOrigin(hop, target, reach);
      }
    }
  };

/** The request to the target. https://fetch.spec.whatwg.org/#http-redirect-fetch */
function methodOf(sent: HttpRequest, status: number): HttpRequest {
  const becomesGet = status === 303 ? sent.method !== 'HEAD' : sent.method === 'POST' && status < 303;
  return becomesGet ? { ...sent, method: 'GET', body: undefined } : sent;
}

function toOtherOrigin(sent: HttpRequest, target: URL, reach: Reach): HttpRequest {
  if (sent.body !== undefined) {
    const found = 'the body of the request is not sent to another origin';
    throw cannot('UNSAFE_URL', `follow a redirect to "${redactUrl(target)}"`, found);
  }
  const headers = Object.entries(sent.headers ?? {}).filter(([name]) => !personal.has(name.toLowerCase()));
  return {
    ...sent,
    url: target.href,
    headers: Object.fromEntries(headers),
    endpoint: undefined,
    tls: authoritiesOf(sent.tls),
    ...reach,
  };
}
