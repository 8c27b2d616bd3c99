import type { TlsOptions } from '../endpoint.ts';
import { type AllowedHosts, addressOf, isListed, isMadeUp, madeUp } from '../http/address.ts';
import type { HttpRequest, Wrapper } from '../http/transport.ts';

/** What the configuration says of the hosts that responses refer to. */
export interface TrustOptions {
  /** The TLS settings of the host that is configured at the origin of a URL. */
  readonly tlsFor?: ((url: URL) => TlsOptions | undefined) | undefined;
  /** Hosts that are allowed though their addresses are private. */
  readonly allowPrivate?: AllowedHosts | undefined;
}

/**
 * Requests to hosts that a response referred to (a redirect's target, a token realm, an external URL) get the TLS settings
 * that the configuration has for their origin, besides the authorities of the endpoint that referred to them, and may be
 * connected to at the private addresses that are listed. If all names of endpoints so far led to made up addresses, those of
 * other hosts may, too.
 */
export const trust = ({ tlsFor, allowPrivate = [] }: TrustOptions = {}): Wrapper => {
  const names = { madeUp: 0, others: 0 };
  const listed = (request: HttpRequest): HttpRequest => {
    const { addresses = 'any' } = request;
    if (addresses === 'any') return request;
    const all = [
      ...allowPrivate,
      ...(request.allowPrivate ?? []),
      ...(names.madeUp > 0 && names.others === 0 ? [madeUp] : []),
    ];
    if (isListed(new URL(request.url), all)) return { ...request, addresses: 'any', allowPrivate: undefined };
    return all.length > 0 ? { ...request, allowPrivate: all } : request;
  };
  return (next) => async (request) => {
    if (!request.endpoint) {
      return next({ ...listed(request), tls: merged(request.tls, tlsFor?.(new URL(request.url))) });
    }
    const response = await next(request);
    if (response.address !== undefined && addressOf(new URL(response.url)) === undefined) {
      names[isMadeUp(response) ? 'madeUp' : 'others'] += 1;
    }
    return response;
  };
};

function merged(given: HttpRequest['tls'], own: TlsOptions | undefined): HttpRequest['tls'] {
  if (!given || !own) return own ?? given;
  const ca = [...new Set([...(own.ca ?? []), ...(given.ca ?? [])])];
  return { ...given, ...own, ...(ca.length > 0 && { ca }) };
}
