import type { TlsOptions } from '../endpoint.ts';
import type { HttpRequest, Wrapper } from './transport.ts';

/** What the configuration says of the hosts that responses refer to. */
export interface TrustOptions {
  /** The TLS settings of the host that is configured at the origin of a URL. */
  readonly tlsFor?: ((url: URL) => TlsOptions | undefined) | undefined;
}

/**
 * Requests to hosts that a response referred to (a redirect's target, a token realm, an external URL) get the TLS settings
 * that the configuration has for their origin, besides the authorities of the endpoint that referred to them.
 */
export const trust =
  ({ tlsFor }: TrustOptions): Wrapper =>
  (next) =>
  async (request) =>
    next(request.endpoint ? request : { ...request, tls: merged(request.tls, tlsFor?.(new URL(request.url))) });

function merged(given: HttpRequest['tls'], own: TlsOptions | undefined): HttpRequest['tls'] {
  if (!given || !own) return own ?? given;
  const ca = [...new Set([...(own.ca ?? []), ...(given.ca ?? [])])];
  return { ...given, ...own, ...(ca.length > 0 && { ca }) };
}

/**
 * What another origin, which an endpoint refers to, has of its TLS settings: the authorities, as the storage and the
 * logins of a company have certificates of the same one. Neither a client certificate, nor what is not verified.
 */
export const authoritiesOf = (tls: TlsOptions | undefined): TlsOptions | undefined => tls?.ca && { ca: tls.ca };
