import { abortError, deadline, onAbort } from '../abort.ts';
import { createBody, type Feed } from '../body.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot, isError } from '../errors.ts';
import { checkHost } from './address.ts';
import { connectionError } from './connection-error.ts';
import { type HttpRequest, type Transport, type TransportTimeouts, timeoutsOf } from './transport.ts';

/** Settings of the fetch transport. */
export interface FetchTransportOptions {
  readonly timeouts?: TransportTimeouts | undefined;
  /**
   * The function hands on bodies as sent, as a handler called in process does. A runtime's fetch does not: it decodes
   * some content encodings and never reports which, so they are neither requested nor accepted.
   */
  readonly asSent?: boolean | undefined;
}

type Fetch = (request: Request) => Promise<Response>;

/**
 * Transport over a web-standard fetch, or over a handler such as `serve` makes. By default the global one at the time of
 * each call, so that a mock in its place is used. It takes no TLS settings (`UNSUPPORTED`), and sees the host of a URL but
 * not the address connected to.
 */
export function fetchTransport(
  fetch?: Fetch,
  { timeouts = {}, asSent = false }: FetchTransportOptions = {},
): Transport {
  return async (request) => {
    checkHost(request);
    if (request.tls && request.url.startsWith('https:')) {
      throw cannot('UNSUPPORTED', `use the TLS settings of "${redactUrl(request.url)}"`, 'fetch takes none');
    }
    const { headers, ...pace } = timeoutsOf(request, timeouts);
    const limit = deadline(request.signal);
    limit.limit(headers, `get a response from "${redactUrl(request.url)}"`, {
      host: new URL(request.url).host,
      limit: 'timeouts.headers',
    });
    try {
      const send: Fetch = fetch ?? ((sent) => globalThis.fetch(sent));
      if (limit.signal.aborted) throw limit.signal.reason;
      const response = await settled(send(webRequest(request, asSent, limit.signal)), limit.signal);
      const encoding = response.headers.get('content-encoding') ?? '';
      if (!asSent && !/^(identity)?$/i.test(encoding)) {
        await response.body?.cancel();
        const found = `fetch gives a response with content encoding "${encoding}" and does not report whether it was decoded`;
        throw cannot('UNSUPPORTED_ENCODING', `read "${redactUrl(request.url)}"`, found, {
          host: new URL(request.url).host,
        });
      }
      limit.unlimit();
      const { body, ended, lastRead } = createBody(feedOf(response, request.url), { ...pace, signal: limit.signal });
      void ended.then(({ error }) => {
        if (error !== undefined) limit.cancel(error);
        limit.end();
      });
      const { status } = response;
      return { status, headers: joinLines(response.headers), body, ended, lastRead, url: request.url };
    } catch (error) {
      limit.end();
      if (limit.signal.aborted) throw abortError(limit.signal.reason);
      throw connectionError(causeOf(error), 'UNAVAILABLE', 'reach', request.url);
    }
  };
}

/** A fetch fails with `fetch failed`; the reason is its cause. */
function causeOf(error: unknown): unknown {
  return isError(error) && error.name === 'TypeError' && isError(error.cause) ? error.cause : error;
}

function webRequest(request: HttpRequest, asSent: boolean, signal: AbortSignal): Request {
  const url = new URL(request.url);
  // A Request takes no URL with user information, and its error contains the whole URL.
  url.username = '';
  url.password = '';
  try {
    return new Request(url, {
      method: request.method,
      headers: { ...request.headers, ...(!asSent && { 'accept-encoding': 'identity' }) },
      redirect: 'manual',
      signal,
      ...(request.body !== undefined && { body: request.body }),
    });
  } catch {
    // The runtime's message holds the header's value, which may be a secret.
    throw cannot('UNAVAILABLE', `request "${redactUrl(url)}"`, 'fetch refuses its method or headers', {
      host: new URL(url).host,
      cause: { code: 'INVALID_REQUEST' },
    });
  }
}

/** The response, or an error as soon as the signal fires: a function in process may ignore it, and its response is dropped. */
function settled(response: Promise<Response>, signal: AbortSignal): Promise<Response> {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, (reason) => {
      reject(reason);
      response.then(({ body }) => body?.cancel(reason)).catch(() => {});
    });
    response.then(resolve, reject).finally(release);
  });
}

function joinLines(lines: Headers): Record<string, string> {
  const headers: Record<string, string> = {};
  // `set-cookie` comes line by line; other fields are joined already.
  for (const [name, value] of lines) headers[name] = name in headers ? `${headers[name]}, ${value}` : value;
  return headers;
}

function feedOf({ body }: Response, url: string): Feed {
  const reader = body?.getReader();
  return {
    next: async () => {
      try {
        return (await reader?.read())?.value;
      } catch (error) {
        throw connectionError(causeOf(error), 'UNEXPECTED_END', 'continue to read', url);
      }
    },
    cancel: async (reason) => {
      await reader?.cancel(reason).catch(() => {});
    },
  };
}
