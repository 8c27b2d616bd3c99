import { redactUrl } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { AllowedHosts } from '../http/address.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { closeRange } from '../oci/range.ts';
import type { Source } from '../source.ts';
import { fetchHeaders } from './endpoint-source.ts';
import { exchange, type RequestContext } from './exchange.ts';
import { discardLimit, openResponse } from './response.ts';

/** Whether content is fetched from the URLs in descriptors, and which of their hosts may have private addresses. */
export type ExternalUrls = 'allow' | 'deny' | { readonly allowPrivate: readonly string[] };

export const allowedHosts = (policy: ExternalUrls): AllowedHosts =>
  typeof policy === 'object' ? policy.allowPrivate : [];

/**
 * The URLs of a descriptor, each a source: only http and https, without credentials, cookies or configured headers, and at
 * public addresses unless the host is listed.
 */
export function externalSources({ urls = [] }: Descriptor, policy: ExternalUrls, context: RequestContext): Source[] {
  if (policy === 'deny') return [];
  return urls.flatMap((text) => {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url && ['http:', 'https:'].includes(url.protocol)) return [externalSource(url, context)];
    context.emit({ type: 'skip', url: redactUrl(text), reason: 'an external URL that is neither http nor https' });
    return [];
  });
}

function externalSource(url: URL, context: RequestContext): Source {
  url.username = '';
  url.password = '';
  url.hash = '';
  const endpoint = { url: url.origin, repository: '', scopes: [], capabilities: ['pull' as const] };
  const stranger = { addresses: 'public' as const };
  const name = redactUrl(url);
  return {
    name,
    resolve: (reference) => Promise.reject(new RegistryError('NOT_FOUND', `No "${reference}" at an external URL`)),
    fetch: (target, options = {}) => {
      const { range, ...call } = options;
      const opening = { ...context, discardBytes: discardLimit(options, context.discardBytes) };
      const closed = closeRange(range, target.size);
      const headers = fetchHeaders('*/*', closed, target, context);
      return exchange(
        { endpoint, stranger, method: 'GET', url: url.href, headers },
        context,
        call,
        async ({ response, warnings }) => {
          const body = await openResponse(response, target, closed, opening);
          return { descriptor: target, body, from: name, warnings, endpoint, request: name };
        },
      );
    },
  };
}
