import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Feed } from '../../body.ts';
import { cannot } from '../../errors.ts';
import { noteDirect, streamOf } from '../direct.ts';

/** Bytes of a request that are read ahead of its reader. */
const mostAhead = 131_072;

/** The client of one request. */
export interface Requester {
  /** Whether it disconnected before it had the whole response. */
  readonly isGone: boolean;
  /** Fires when it does. Made when it is first needed. */
  readonly signal: AbortSignal;
  /** Called when it does. One function, the last one. */
  onGone: (reason: Error) => void;
}

export const clientGone = () => cannot('ABORTED', 'continue the request', 'the client disconnected');

/** Watches the client of a request. */
export function createRequester(outgoing: ServerResponse): Requester {
  let controller: AbortController | undefined;
  let isGone = false;
  const client: Requester = {
    get isGone() {
      return isGone;
    },
    get signal() {
      controller ??= new AbortController();
      if (isGone) controller.abort(clientGone());
      return controller.signal;
    },
    onGone: () => undefined,
  };
  outgoing.on('close', () => {
    if (outgoing.writableFinished) return;
    isGone = true;
    const reason = clientGone();
    controller?.abort(reason);
    client.onGone(reason);
  });
  return client;
}

/**
 * The web-standard request for one of Node. With `isDirect` its body is not in it, and its signal is not that of requests that
 * are made of it. Undefined for `*` and an invalid or missing `Host`, and for what only a handler of this package can be given: `TRACE`.
 */
export function requestOf(
  { incoming, outgoing }: { readonly incoming: IncomingMessage; readonly outgoing: ServerResponse },
  origin: string,
  client: Requester,
  isDirect: boolean,
): Request | undefined {
  const target = incoming.url ?? '';
  const method = incoming.method ?? 'GET';
  const url = target.startsWith('/') ? `${origin}${target}` : target;
  if (incoming.httpVersion === '1.1' && incoming.headers.host === undefined) return undefined;
  if (!URL.canParse(url) || /^https?:\/\/[^/?#]*@/i.test(url)) return undefined;
  const headers = headersOf(incoming.rawHeaders);
  const body = method === 'GET' || method === 'HEAD' ? undefined : feedOf(incoming, outgoing);
  if (!isDirect) {
    if (isForbidden(method)) return undefined;
    const { signal } = client;
    if (!body) return new Request(url, { method, headers, signal });
    return new Request(url, { method, headers, signal, body: streamOf(body), duplex: 'half' } as RequestInit);
  }
  const request = new Request(url, { method: isForbidden(method) ? 'GET' : method, headers });
  if (isForbidden(method)) Object.defineProperty(request, 'method', { value: method });
  Object.defineProperty(request, 'signal', { get: () => client.signal });
  noteDirect(request, body);
  return request;
}

/** Whether the web standard knows no request of this method. */
const isForbidden = (method: string): boolean => method === 'TRACE' || method === 'CONNECT';

/** Headers as they were sent, duplicate ones too: an object is cheaper, and cannot have those. */
function headersOf(raw: readonly string[]): HeadersInit {
  const plain: Record<string, string> = Object.create(null);
  for (let index = 0; index + 1 < raw.length; index += 2) {
    const name = (raw[index] ?? '').toLowerCase();
    if (name in plain) return allHeaders(raw);
    plain[name] = raw[index + 1] ?? '';
  }
  return plain;
}

function allHeaders(raw: readonly string[]): Headers {
  const headers = new Headers();
  for (let index = 0; index + 1 < raw.length; index += 2) headers.append(raw[index] ?? '', raw[index + 1] ?? '');
  return headers;
}

/** A request's body. Cancelling it does not close the connection, which still has to carry the response. */
function feedOf(incoming: IncomingMessage, outgoing: ServerResponse): Feed {
  let queue: Uint8Array[] = [];
  let ahead = 0;
  let isOver = false;
  let error: Error | undefined;
  let wake = (): void => {};
  const finish = (found?: Error): void => {
    if (!isOver) error = found;
    isOver = true;
    wake();
  };
  incoming.on('data', (chunk: Uint8Array) => {
    if (isOver || outgoing.writableFinished) return;
    queue.push(chunk);
    ahead += chunk.length;
    if (ahead >= mostAhead) incoming.pause();
    wake();
  });
  incoming.on('end', () => finish());
  incoming.on('error', () => finish(clientGone()));
  incoming.on('close', () => finish(clientGone()));
  incoming.pause();
  const take = (): Uint8Array | undefined => {
    const chunk = queue.shift();
    ahead -= chunk?.length ?? 0;
    if (chunk === undefined && error) throw error;
    return chunk;
  };
  return {
    next() {
      if (queue.length > 0 || isOver) return take();
      incoming.resume();
      return new Promise((resolve, reject) => {
        wake = () => {
          wake = () => {};
          try {
            resolve(take());
          } catch (broken) {
            reject(broken);
          }
        };
      });
    },
    cancel() {
      queue = [];
      finish();
    },
  };
}
