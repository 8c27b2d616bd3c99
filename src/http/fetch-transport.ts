import { abortError, deadline, onAbort } from '../abort.ts';
import { createBody, type Feed } from '../body.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot, isError } from '../errors.ts';
import { checkPlain } from '../text/problems.ts';
import { checkHost } from './address.ts';
import { connectionError } from './connection-error.ts';
import { joinLines } from './response/header-lines.ts';
import {
  type HttpRequest,
  type HttpResponse,
  type Transport,
  type TransportTimeouts,
  timeoutsOf,
} from './transport.ts';

/** Settings of the fetch transport. */
export interface FetchTransportOptions {
  readonly timeouts?: TransportTimeouts | undefined;
  /**
   * The function hands on bodies as sent, as a handler called in process does. A runtime's fetch does not: it decodes
   * some content encodings and never reports which, so they are neither requested nor accepted.
   */
  readonly asSent?: boolean | undefined;
}

/**
 * A web-standard fetch, or a handler. It is called with a `Request`, as handlers expect, that also reads as its URL, and with
 * the same as `init`: a fetch of a library, such as undici's, knows only its own `Request`, and takes the two.
 */
type Fetch = (request: Request, init: WebInit) => Promise<FetchResponse>;

/** A handler, whose second parameter, if it has one, is something else. */
type InProcess = (request: Request) => Promise<FetchResponse>;

/** A fetch of a library, which takes a `Request` that is not its own for the text that it reads as. */
type LibraryFetch = (url: string, init: WebInit) => Promise<FetchResponse>;

/** What is used of a `Response`, which may be a library's own. */
interface FetchResponse {
  readonly status: number;
  readonly headers: Iterable<[string, string]> & { get(name: string): string | null };
  readonly body: {
    getReader(): {
      read(): Promise<{ readonly value?: Uint8Array | undefined }>;
      cancel(reason?: unknown): Promise<void>;
    };
    cancel(reason?: unknown): Promise<void>;
  } | null;
}

interface WebInit {
  readonly method: string;
  readonly headers: Record<string, string>;
  readonly redirect: 'manual';
  readonly signal?: AbortSignal;
  readonly body?: string;
}

/**
 * Transport over a web-standard fetch, or over a handler such as `serve` makes. By default the global one at the time of
 * each call, so that a mock in its place is used. It takes no TLS settings (`UNSUPPORTED`), and sees the host of a URL but
 * not the address connected to.
 */
export function fetchTransport(fetch?: Fetch, options?: FetchTransportOptions): Transport;
export function fetchTransport(fetch: InProcess, options?: FetchTransportOptions): Transport;
export function fetchTransport(fetch: LibraryFetch, options?: FetchTransportOptions): Transport;
export function fetchTransport(fetch?: Fetch | InProcess | LibraryFetch, options?: FetchTransportOptions): Transport {
  checkPlain('make a transport', options);
  const { timeouts = {}, asSent = false } = options ?? {};
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
      const send: Fetch = (fetch as Fetch | undefined) ?? ((sent, init) => globalThis.fetch(sent, init));
      if (limit.signal.aborted) throw limit.signal.reason;
      const response = await settled(send(...webRequest(request, asSent, limit.signal)), limit.signal);
      let lines: HttpResponse['headers'];
      try {
        lines = headersOf(response, request.url, asSent);
      } catch (error) {
        await response.body?.cancel();
        throw error;
      }
      limit.unlimit();
      const { body, ended, lastRead } = createBody(feedOf(response, request.url), { ...pace, signal: limit.signal });
      void ended.then(({ error }) => {
        if (error !== undefined) limit.cancel(error);
        limit.end();
      });
      const { status } = response;
      return { status, headers: lines, body, ended, lastRead, url: request.url };
    } catch (error) {
      limit.end();
      if (limit.signal.aborted) throw abortError(limit.signal.reason);
      throw connectionError(causeOf(error), 'UNAVAILABLE', 'reach', request.url);
    }
  };
}

function headersOf({ headers }: FetchResponse, url: string, asSent: boolean): HttpResponse['headers'] {
  const encoding = headers.get('content-encoding') ?? '';
  if (!asSent && !/^(identity)?$/i.test(encoding)) {
    const found = `fetch gives a response with content encoding "${encoding}" and does not report whether it was decoded`;
    throw cannot('UNSUPPORTED_ENCODING', `read "${redactUrl(url)}"`, found, { host: new URL(url).host });
  }
  return joinLines(headers, url);
}

/** A fetch fails with `fetch failed`; the reason is its cause. */
function causeOf(error: unknown): unknown {
  return isError(error) && error.name === 'TypeError' && isError(error.cause) ? error.cause : error;
}

function webRequest(request: HttpRequest, asSent: boolean, signal: AbortSignal): Parameters<Fetch> {
  const url = new URL(request.url);
  // A Request takes no URL with user information, and its error contains the whole URL.
  url.username = '';
  url.password = '';
  const init: WebInit = {
    method: request.method,
    headers: { ...request.headers, ...(!asSent && { 'accept-encoding': 'identity' }) },
    redirect: 'manual',
    ...(request.body !== undefined && { body: request.body }),
  };
  const made = (given: WebInit): Parameters<Fetch> => {
    const sent = new Request(url, given);
    return [Object.defineProperty(sent, 'toString', { value: () => url.href }), given];
  };
  try {
    try {
      return made({ ...init, signal });
    } catch {
      // A library of the DOM may have replaced AbortSignal, and a runtime's Request refuses one that is not its own.
      return made(init);
    }
  } catch {
    // The runtime's message holds the header's value, which may be a secret.
    throw cannot('UNAVAILABLE', `request "${redactUrl(url)}"`, 'fetch refuses its method or headers', {
      host: new URL(url).host,
      cause: { code: 'INVALID_REQUEST' },
    });
  }
}

/** The response, or an error as soon as the signal fires: a function in process may ignore it, and its response is dropped. */
function settled(response: Promise<FetchResponse>, signal: AbortSignal): Promise<FetchResponse> {
  return new Promise((resolve, reject) => {
    const release = onAbort(signal, (reason) => {
      reject(reason);
      response.then(({ body }) => body?.cancel(reason)).catch(() => {});
    });
    response.then(resolve, reject).finally(release);
  });
}

function feedOf({ body }: FetchResponse, url: string): Feed {
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
