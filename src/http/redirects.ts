import { discard } from '../body.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot } from '../errors.ts';
import type { Emit } from '../events.ts';
import { parseTarget, type Reach, reachAfter, reachOf } from './address.ts';
import { authoritiesOf } from './tls.ts';
import type { HttpRequest, HttpResponse, Transport, Wrapper } from './transport.ts';

export interface RedirectOptions {
  /** Most redirects followed for one request. */
  readonly limit?: number | undefined;
  readonly emit?: Emit | undefined;
}

const redirecting = new Set([301, 302, 303, 307, 308]);
/** Headers with credentials, which another origin must not see. */
const personal = new Set(['authorization', 'proxy-authorization', 'cookie']);

/**
 * Follows redirects. A hop to another origin carries no headers, credentials, client certificate or
 * leniency of the endpoint; it trusts the same authorities.
 * `TOO_MANY_REDIRECTS` over the limit, `UNSAFE_URL` if the target is not allowed. A response without Location is returned.
 */
export const redirects = ({ limit = 10, emit = () => {} }: RedirectOptions = {}): Wrapper => {
  const secured = new Set<string>();
  const follow = async (next: Transport, request: HttpRequest): Promise<Followed> => {
    let sent = request;
    let isWithheld = false;
    // After a public host a chain stays public, also through listed hosts.
    let reach = reachOf(request);
    for (let hops = 0; ; hops += 1) {
      const response = asRead(await next(sent));
      const location = response.headers.location;
      if (!redirecting.has(response.status) || location === undefined) {
        const final =
          isWithheld && response.status > 400 ? { ...response, login: 'login-withheld' as const } : response;
        return { response: final, isElsewhere: sent.endpoint !== request.endpoint };
      }
      await discard(response.body);
      if (hops >= limit) {
        const found = `redirected more than ${limit} times`;
        throw cannot('TOO_MANY_REDIRECTS', `get "${redactUrl(request.url)}"`, found, {
          host: new URL(request.url).host,
          limit: 'limits.redirects',
        });
      }
      const target = parseTarget(location, sent.url, 'a redirect');
      const hop = methodOf(sent, response.status);
      if (target.origin === new URL(sent.url).origin) sent = { ...hop, url: target.href };
      else {
        if (sent.endpoint && isSecured(new URL(sent.url), target)) {
          isWithheld = true;
          if (!secured.has(target.host)) emit({ type: 'warning', host: new URL(sent.url).host, text: securedText });
          secured.add(target.host);
        }
        reach = reachAfter(reach, response);
        sent = toOtherOrigin(hop, target, reach);
      }
    }
  };
  return (next) => async (request) => {
    const { response, isElsewhere } = await follow(next, request);
    if (!isElsewhere || !isRefused(request, response)) return response;
    await discard(response.body);
    return (await follow(next, request)).response;
  };
};

interface Followed {
  readonly response: HttpResponse;
  /** The last hop is at another origin than the endpoint. */
  readonly isElsewhere: boolean;
}

/**
 * Whether storage refuses what the registry sent its client for: a signed URL that has expired, or an edge that does not have it
 * yet, or shows a page instead. The registry is requested once more, for another URL.
 */
const isRefused = ({ method }: HttpRequest, { status, headers }: HttpResponse): boolean =>
  [400, 403, 404].includes(status) ||
  (method === 'GET' && status === 200 && /^text\/html\b/i.test(headers['content-type'] ?? ''));

/** What a proxy has changed on its way is read as any other. RFC 9110 section 15.3.4 */
const asRead = (response: HttpResponse): HttpResponse =>
  response.status === 203 ? { ...response, status: 200 } : response;

const securedText = 'it redirects from http to https, where no login is sent: write https:// in its URL';

const isSecured = (from: URL, to: URL): boolean =>
  from.protocol === 'http:' && to.protocol === 'https:' && from.hostname === to.hostname;

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
