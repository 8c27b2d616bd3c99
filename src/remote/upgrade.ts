import { discard } from '../body.ts';
import { remember } from '../bounded-map.ts';
import { RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import { causeCode, invalidResponse } from '../http/connection-error.ts';
import type { HttpRequest, HttpResponse, Transport, Wrapper } from '../http/transport.ts';
import { isLoopbackHost } from '../oci/registry.ts';

/**
 * Hosts of this machine are requested over http, as nobody configures their certificates. One that responds to that as a
 * server of TLS does (400, a closed connection, something else than HTTP) is requested over https instead, with a warning; if it
 * speaks TLS, it is requested so from then on. Never the other way round: https stays https, whatever responds.
 */
export const upgrade = ({ emit = () => {} }: { readonly emit?: Emit | undefined } = {}): Wrapper => {
  const schemes = new Map<string, 'http' | 'https'>();
  return (next) => async (request) => {
    const { protocol, origin, host } = new URL(request.url);
    if (!request.endpoint || protocol !== 'http:' || !isLoopbackHost(host)) return next(request);
    const known = schemes.get(origin);
    if (known === 'https') return next(overTls(request));
    const plain = await outcomeOf(next, request);
    const isOther = plain instanceof RegistryError ? isUnlikeHttp(plain) : plain.status === 400;
    if (known === undefined && isOther) {
      const secure = await outcomeOf(next, overTls(request));
      if (!(secure instanceof RegistryError) || speaksTls(secure)) {
        if (!(plain instanceof RegistryError)) await discard(plain.body);
        remember(schemes, origin, 'https');
        emit({
          type: 'warning',
          host,
          text: 'it speaks TLS, so it is requested over https: write https:// in its URL',
        });
        return result(secure);
      }
    }
    if (!(plain instanceof RegistryError) && !isOther) remember(schemes, origin, 'http');
    return result(plain);
  };
};

const secured = (url: string): string => url.replace(/^http:/, 'https:');

const overTls = ({ url, endpoint, ...request }: HttpRequest): HttpRequest => ({
  ...request,
  url: secured(url),
  endpoint: endpoint && { ...endpoint, url: secured(endpoint.url) },
});

async function outcomeOf(next: Transport, request: HttpRequest): Promise<HttpResponse | RegistryError> {
  try {
    return await next(request);
  } catch (error) {
    if (error instanceof RegistryError) return error;
    throw error;
  }
}

function result(outcome: HttpResponse | RegistryError): HttpResponse {
  if (outcome instanceof RegistryError) throw outcome;
  return outcome;
}

/** A connection that was made, and then closed or used for something that is not HTTP. */
const isUnlikeHttp = (error: RegistryError): boolean =>
  error.code === 'UNAVAILABLE' && (unlikeHttp.has(causeCode(error)) || nameOf(error.cause) === 'HTTPParserError');

const unlikeHttp = new Set([invalidResponse, 'ECONNRESET', 'EPIPE', 'UND_ERR_SOCKET']);

/** The name of undici's error for what it cannot parse, which has no code. */
const nameOf = (cause: unknown): unknown => (cause as { readonly name?: unknown } | undefined)?.name;

/** A server of TLS that is not accepted, or does not accept the client. */
const speaksTls = (error: RegistryError): boolean =>
  /CERT|SELF_SIGNED|UNABLE_TO|ALTNAME|HOSTNAME|ALERT|HANDSHAKE_FAILURE/.test(causeCode(error));
