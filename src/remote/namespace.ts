import { discard } from '../body.ts';
import { remember } from '../bounded-map.ts';
import type { Emit } from '../events.ts';
import type { HttpRequest, Wrapper } from '../http/transport.ts';

/**
 * Mirrors are sent `ns`, the registry that they stand for. Some registries answer 400 to a parameter that they do not know:
 * the same request is then sent once without it, and if that is no error of the same kind, `ns` is left out from then on,
 * with a warning.
 */
export const namespace = ({ emit = () => {} }: { readonly emit?: Emit | undefined } = {}): Wrapper => {
  const refusing = new Map<string, true>();
  return (next) => async (request) => {
    const { endpoint, url } = request;
    if (endpoint?.namespace === undefined) return next(request);
    const bare = withoutNamespace(request);
    if (refusing.has(endpoint.url)) return next(bare);
    const first = await next(request);
    // The 400 of a storage that it was redirected to is about something else.
    if (first.status !== 400 || bare.url === url || new URL(first.url).origin !== new URL(url).origin) return first;
    await discard(first.body);
    const second = await next(bare);
    if (second.status !== 400 && !refusing.has(endpoint.url)) {
      remember(refusing, endpoint.url, true);
      const text = 'it answers 400 to the parameter "ns", which is left out from now on: set omitNamespace';
      emit({ type: 'warning', host: new URL(endpoint.url).host, text });
    }
    return second;
  };
};

function withoutNamespace(request: HttpRequest): HttpRequest {
  const url = new URL(request.url);
  // The rest stays as it is written.
  const kept = url.search
    .slice(1)
    .split('&')
    .filter((part) => !part.startsWith('ns='));
  url.search = kept.join('&');
  return { ...request, url: url.href };
}
