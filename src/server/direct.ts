import { createBody, type Feed } from '../body.ts';
import type { Chunks } from '../source.ts';

/**
 * The short way between `listen` and the handlers of this package. A web stream, and a signal that follows another, cost more
 * than all else that a small response needs; so they are made only for handlers that somebody else wrote. Such a handler may
 * make another request of the one it got, or read the body of a response, as with any server.
 */
const handlers = new WeakMap<object, Promptly | undefined>();
const requests = new WeakMap<Request, Feed | undefined>();
const responses = new WeakMap<Response, Sending>();

/** What a response that took the short way has in place of a web stream. */
export interface Sending extends Feed {
  /** Bytes that `next` gives, exactly. */
  readonly size: number;
  /** What `next` gives is overwritten by the call after the next one. */
  readonly isLent: boolean;
}

/** A request before one of the web standard is made of it: what Node has of it. */
export interface PlainRequest {
  readonly method?: string | undefined;
  readonly url?: string | undefined;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string | readonly string[] | undefined>>;
}

/** A whole response, of status 200. */
export interface Prompt {
  /** Names and values in turn. */
  readonly head: readonly string[];
  /** Undefined for HEAD. They are not changed while they are sent. */
  readonly bytes: Uint8Array | undefined;
}

/** The response to a request, if it can be given without one of the web standard. Never fails. */
export type Promptly = (request: PlainRequest) => Prompt | undefined | Promise<Prompt | undefined>;

/**
 * Marks a handler that reads the body of a request only by `chunksOf`, and hands requests only to those that are marked.
 * `promptly` responds as it does to some requests; it is called first.
 */
export function direct<Handler extends object>(handler: Handler, promptly?: Promptly): Handler {
  handlers.set(handler, promptly);
  return handler;
}

export const promptlyOf = (handler: object): Promptly | undefined => handlers.get(handler);

/**
 * A handler around another one, which it hands requests to. It does not read their bodies itself, and makes no others of them:
 * then `listen` needs no web streams for them if the inner one is of this package.
 */
export const wrapHandler = <Handler extends object>(next: Handler, handler: Handler): Handler =>
  isDirect(next) ? direct(handler) : handler;

export const isDirect = (handler: object): boolean => handlers.has(handler);

/** Notes that a request, which has no web stream, takes the short way. */
export const noteDirect = (request: Request, body: Feed | undefined): void => void requests.set(request, body);

/** The body of a request, chunk by chunk; undefined if it has none. Leaving early cancels it. */
export function chunksOf(request: Request): Chunks | undefined {
  if (!requests.has(request)) return request.body ?? undefined;
  const feed = requests.get(request);
  return feed && createBody(feed).body;
}

/** Whether a request has a body. */
export const hasBody = (request: Request): boolean =>
  requests.has(request) ? requests.get(request) !== undefined : request.body !== null;

/**
 * The response to a request, with a body. `sending` is called with whether its chunks may be lent: those of a web stream
 * belong to whoever reads them.
 */
export function responseWith(request: Request, init: ResponseInit, sending: (lends: boolean) => Sending): Response {
  if (!requests.has(request)) return new Response(streamOf(sending(false)), init);
  const response = new Response(null, init);
  responses.set(response, sending(true));
  return response;
}

/** The body of a response that took the short way. */
export const sendingOf = (response: Response): Sending | undefined => responses.get(response);

/** A web stream that reads on demand. */
export function streamOf(feed: Feed): ReadableStream<Uint8Array> {
  return new ReadableStream<Uint8Array>(
    {
      async pull(controller) {
        const chunk = await feed.next();
        if (chunk) controller.enqueue(chunk);
        else controller.close();
      },
      cancel: (reason) => feed.cancel(reason),
    },
    { highWaterMark: 0 },
  );
}
