import { randomUUID } from 'node:crypto';
import { BlockList, isIP } from 'node:net';
import { type Handler, wrapHandler } from '../../server/index.ts';
import type { AppContext } from '../config/context.ts';
import type { AppSettings } from '../config/schema.ts';
import type { Health } from './health.ts';

type HttpSettings = NonNullable<AppSettings['http']>;

const version = { 'docker-distribution-api-version': 'registry/2.0' };

/** Gives each request an id, unless it has one that looks like one; it is in the log, in notifications and in the response. */
export function withRequestId(next: Handler): Handler {
  return wrapHandler(next, async (request, connection) => {
    const given = request.headers.get('x-request-id');
    const id = given !== null && /^[\w.:-]{1,100}$/.test(given) ? given : randomUUID();
    request.headers.set('x-request-id', id);
    const response = await next(request, connection);
    response.headers.set('x-request-id', id);
    return response;
  });
}

/** An error of the server itself, in the form of the specification. */
export const refusal = (
  status: number,
  error: { readonly code: string; readonly message: string; readonly detail?: unknown },
  headers: Readonly<Record<string, string>> = {},
): Response => Response.json({ errors: [error] }, { status, headers: { ...version, ...headers } });

/** Adds the headers of the file, and the version of the API, to every response, of middleware too. */
export function withHeaders(next: Handler, headers: HttpSettings['headers'] = {}): Handler {
  const all = Object.entries(headers).flatMap(([name, value]) => [value].flat().map((one) => [name, one] as const));
  return wrapHandler(next, async (request, connection) => {
    const response = await next(request, connection);
    for (const [name, value] of Object.entries(version)) response.headers.set(name, value);
    for (const [name, value] of all) response.headers.append(name, value);
    return response;
  });
}

/** Responds at `/` and `/healthz`; while a check fails everything is 503. */
export function withHealth(next: Handler, health: Health): Handler {
  return wrapHandler(next, async (request, connection) => {
    const failures = health.failures();
    const isHealthy = Object.keys(failures).length === 0;
    const { pathname } = new URL(request.url);
    if (pathname === '/healthz') return Response.json(failures, { status: isHealthy ? 200 : 503, headers: version });
    if (!isHealthy) {
      const detail = 'health check failed: please see /debug/health';
      return refusal(503, { code: 'UNAVAILABLE', message: 'service unavailable', detail }, { 'retry-after': '10' });
    }
    if (pathname !== '/') return next(request, connection);
    return new Response(null, { headers: { ...version, 'cache-control': 'no-cache', 'content-length': '0' } });
  });
}

/**
 * Has all paths below a prefix; others are 404. It makes other requests of those it gets, so it is not wrapped: then they have
 * their bodies.
 */
export function withPrefix(next: Handler, prefix = '/'): Handler {
  if (prefix === '/') return next;
  return async (request, connection) => {
    const url = new URL(request.url);
    if (!url.pathname.startsWith(prefix)) return missing();
    url.pathname = url.pathname.slice(prefix.length - 1);
    const response = await next(new Request(url, request), connection);
    for (const name of ['location', 'link']) {
      const value = response.headers.get(name);
      if (value) response.headers.set(name, value.replace(/^(<?)\/(?=v2\/)/, `$1${prefix}`));
    }
    return response;
  };
}

const missing = (): Response =>
  new Response('404 page not found\n', { status: 404, headers: { ...version, 'content-type': 'text/plain' } });

/** What proxies tell a server about the request that they got. */
const told = ['forwarded', 'x-forwarded-proto', 'x-forwarded-host', 'x-forwarded-for'] as const;

/**
 * Believes proxies at trusted addresses: the connection is then that of the client that the nearest of them names, for the log,
 * limits and notifications. What others say of the request is dropped here, so nothing behind can believe it.
 */
export function withForwarded(next: Handler, { http = {} }: AppSettings, context: AppContext): Handler {
  const isTrusted = addressList(http.trustedproxies ?? [], context);
  return wrapHandler(next, async (request, connection) => {
    if (connection?.remoteAddress && isTrusted(connection.remoteAddress)) {
      // From the right: what is left of the last one that is not trusted, anybody may have written.
      const chain = (request.headers.get('x-forwarded-for') ?? '').split(',').map((one) => one.trim());
      const client = chain.findLast((address) => !isTrusted(address));
      return next(
        request,
        client !== undefined && isIP(client) ? { ...connection, remoteAddress: client } : connection,
      );
    }
    for (const name of told) request.headers.delete(name);
    return next(request, connection);
  });
}

/**
 * Makes locations absolute, as distribution does unless `relativeurls` is set: with the `host` of the file, else with what proxies
 * say that the client requested, else with the request's own.
 */
export function withLocations(next: Handler, { http = {} }: AppSettings): Handler {
  if (http.relativeurls) return next;
  return wrapHandler(next, async (request, connection) => {
    const forwarded = forwardedBy(request);
    const response = await next(request, connection);
    const location = response.headers.get('location');
    if (!location?.startsWith('/')) return response;
    const { protocol, host } = new URL(request.url);
    const base = http.host ?? `${forwarded.proto ?? protocol.slice(0, -1)}://${forwarded.host ?? host}`;
    response.headers.set('location', base.replace(/\/$/, '') + location);
    return response;
  });
}

/** What a proxy says of the request that it got. https://www.rfc-editor.org/rfc/rfc7239 */
function forwardedBy({ headers }: Request): { readonly proto?: string; readonly host?: string } {
  const [first = ''] = (headers.get('forwarded') ?? '').split(',');
  const pairs = first.split(';').map((part) => {
    const [name = '', value = ''] = part.split('=', 2);
    return [name.trim().toLowerCase(), value.trim().replace(/^"|"$/g, '')];
  });
  const { proto, host } = Object.fromEntries(pairs) as { readonly proto?: string; readonly host?: string };
  const [otherProto] = (headers.get('x-forwarded-proto') ?? '').split(',');
  const [otherHost] = (headers.get('x-forwarded-host') ?? '').split(',');
  const found = { proto: proto ?? otherProto?.trim(), host: host ?? otherHost?.trim() };
  return {
    ...(/^https?$/i.test(found.proto ?? '') && { proto: String(found.proto).toLowerCase() }),
    ...(/^[\w.-]+(?::\d{1,5})?$|^\[[\da-f:.]+\](?::\d{1,5})?$/i.test(found.host ?? '') && { host: String(found.host) }),
  };
}

/** Whether an address is in a list of addresses and CIDR blocks. */
function addressList(texts: readonly string[], { file }: AppContext): (address: string) => boolean {
  const list = new BlockList();
  for (const [index, text] of texts.entries()) {
    const [address = '', bits] = text.split('/');
    const family = isIP(address) === 6 ? 'ipv6' : 'ipv4';
    try {
      if (bits === undefined) list.addAddress(address, family);
      else list.addSubnet(address, Number(bits), family);
    } catch {
      throw file.refuse(
        ['http', 'trustedproxies', index],
        `found "${text}", expected an address or a block, as 10.0.0.0/8`,
      );
    }
  }
  return (given) => {
    const address = given.replace(/^::ffff:(?=\d+\.)/i, '');
    return isIP(address) !== 0 && list.check(address, isIP(address) === 6 ? 'ipv6' : 'ipv4');
  };
}

const [defaultEntries, defaultMost] = [100, 1_000];

/** Pages of the catalog as distribution has them: 100 entries unless `n` says otherwise, which may not be over the limit. */
export function withCatalogPages(next: Handler, { catalog }: AppSettings): Handler {
  const most = catalog?.maxentries ?? defaultMost;
  return wrapHandler(next, async (request, connection) => {
    const url = new URL(request.url);
    if (url.pathname !== '/v2/_catalog' || request.method !== 'GET') return next(request, connection);
    const n = url.searchParams.get('n') ?? '';
    if (!/^\d{1,9}$/.test(n)) {
      url.searchParams.set('n', String(Math.min(defaultEntries, most)));
      return next(new Request(url, request), connection);
    }
    if (Number(n) <= most) return next(request, connection);
    const text = 'invalid number of results requested';
    return refusal(400, { code: 'PAGINATION_NUMBER_INVALID', message: text, detail: { n: Number(n) } });
  });
}
