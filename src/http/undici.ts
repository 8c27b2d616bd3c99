import type { Dispatcher } from 'undici';
import { abortError, deadline, unlessAborted } from '../abort.ts';
import { createBody, type Feed } from '../body.ts';
import { remember } from '../bounded-map.ts';
import { redactUrl } from '../endpoint.ts';
import { cannot, RegistryError } from '../errors.ts';
import { load } from '../load.ts';
import { createPile } from '../pile.ts';
import { type ProxyConfig, proxyFor } from '../proxy.ts';
import { checkPlain } from '../text/problems.ts';
import { checkHost } from './address.ts';
import { connectionError } from './connection-error.ts';
import { createConnections, type Lease, type NetworkModules, type Served } from './connections.ts';
import type { Undici } from './load-undici.ts';
import { type DispatchedRequest, type Received, rememberBroken, respond, respondRepaired } from './response/respond.ts';
import {
  type ConnectedTransport,
  type HttpRequest,
  type HttpResponse,
  type Transport,
  type TransportTimeouts,
  timeoutsOf,
} from './transport.ts';

/** Settings of the undici transport. */
export interface UndiciOptions {
  readonly timeouts?: TransportTimeouts | undefined;
  /** Proxies to go through. Addresses behind a proxy are not seen: only hosts that are addresses are checked. */
  readonly proxy?: ProxyConfig | undefined;
  readonly network?: NetworkOptions | undefined;
}

/** How connections are made. At most one of the two. */
export interface NetworkOptions {
  /**
   * Connects only to IPv4 or only to IPv6 addresses, of the proxy if there is one. A host without such an address, or that
   * is itself an address of the other family, is `UNAVAILABLE`.
   */
  readonly family?: 4 | 6 | undefined;
  /**
   * A dispatcher of undici (an `Agent`, a `ProxyAgent`, a composed one) in place of this package's connections. It must
   * hand on responses as they are: follow no redirect, decode no body. It is not closed with the client.
   *
   * It connects in its own way: TLS settings, proxies and connect timeouts of the configuration are not used. The addresses
   * of names are not seen, so only hosts that are addresses themselves are checked: an external URL, a redirect or a token
   * realm may name a host that leads to a private one.
   */
  readonly dispatcher?: Pick<Dispatcher, 'request'> | undefined;
}

/**
 * Transport over undici, for proxies and dispatchers: keep-alive connections, TLS of each endpoint, addresses checked when they
 * are connected to, bodies as sent. undici is loaded with the first request, as importing it costs 100 ms.
 */
export function undiciTransport(options?: UndiciOptions): ConnectedTransport {
  checkPlain('make a transport', options);
  const { timeouts = {}, proxy = {}, network = {} } = options ?? {};
  const { family, dispatcher } = network;
  checkNetwork(network, proxy);
  const connections = createConnections();
  let closed: RegistryError | undefined;
  const send: Transport = async (request) => {
    if (dispatcher && !closed) return exchange(leaseOf(dispatcher, request), request, timeouts);
    const modules = await loadModules();
    if (closed) throw closed;
    const url = new URL(request.url);
    const through = proxyFor(url, proxy);
    // Only the proxy connects to hosts behind it.
    if (through !== undefined) checkHost(request);
    const { tls, addresses: policy = 'any', allowPrivate } = request;
    const ranges = policy === 'any' ? undefined : allowPrivate;
    const settings = { policy, ranges, family, tls, proxy: through };
    return exchange(connections.use(modules, settings, url.host), request, timeouts);
  };
  const close = async (): Promise<void> => {
    const reason = new RegistryError('CLOSED', 'Cannot use a transport that was closed');
    closed ??= reason;
    await connections.destroy(reason);
  };
  return Object.assign(send, { close });
}

/** `INVALID_CONFIG` for settings that contradict each other. */
function checkNetwork({ family, dispatcher }: NetworkOptions, { http, https, all }: ProxyConfig): void {
  if (!dispatcher) return;
  const beside = family !== undefined ? 'family' : (http ?? https ?? all) !== undefined ? 'proxy' : undefined;
  if (beside === undefined) return;
  const found = `${beside} is given beside it, and it makes its own connections`;
  throw cannot('INVALID_CONFIG', 'use a dispatcher', found);
}

/** A user's own dispatcher for one exchange: `UNSAFE_URL` as far as can be seen, `INVALID_CONFIG` if the request has TLS settings. */
function leaseOf(dispatcher: Pick<Dispatcher, 'request'>, request: HttpRequest): Lease {
  checkHost(request);
  const { host } = new URL(request.url);
  if (request.tls) {
    const found = 'the given dispatcher makes its own connections';
    throw cannot('INVALID_CONFIG', `use the TLS settings of "${host}"`, found, { host });
  }
  return { pool: { agent: dispatcher, limits: new Map() }, release: () => {} };
}

let loading: Promise<NetworkModules> | undefined;

function loadModules(): Promise<NetworkModules> {
  const undici = async (): Promise<Undici> => (await import('./load-undici.ts')).loadUndici();
  loading ??= Promise.all([load(['undici'], undici), import('node:dns')]).then(([loaded, dns]) => ({
    undici: loaded,
    dns: dns.default,
  }));
  return loading;
}

async function exchange(
  { pool, release }: Lease,
  request: HttpRequest,
  timeouts: TransportTimeouts,
): Promise<HttpResponse> {
  const url = new URL(request.url);
  const { connect, headers: headLimit, ...pace } = timeoutsOf(request, timeouts);
  remember(pool.limits, url.origin, connect);
  const limit = deadline(request.signal);
  limit.limit(headLimit, `get a response from "${redactUrl(url)}"`, { host: url.host, limit: 'timeouts.headers' });
  const end = (): void => {
    limit.end();
    release();
  };
  const served: Served = {};
  const sent: DispatchedRequest = { ...requestOptions(request, url), signal: limit.signal, opaque: served };
  let received: Received;
  try {
    // undici heeds the signal only once there is a connection.
    received = await unlessAborted(respond(pool, sent, request.url), limit.signal);
  } catch (error) {
    end();
    if (limit.signal.aborted) throw abortError(limit.signal.reason);
    throw connectionError(error, 'UNAVAILABLE', 'reach', url);
  }
  const { connection } = served;
  const address = connection?.address;
  if (connection) connection.responses += 1;
  limit.unlimit();
  const { response, headers } = received;
  const feed = feedAgain(feedOf(response.body, request.url), async (error) => {
    const again = await respondRepaired(pool, sent, { first: response, error });
    return feedOf(again.body, request.url);
  });
  const { body, ended, lastRead } = createBody(feed, { ...pace, signal: limit.signal });
  void ended.then(() => {
    rememberBroken(pool, sent, feed.broken());
    end();
  });
  return {
    status: response.statusCode,
    headers,
    body,
    ended,
    lastRead,
    url: request.url,
    ...(address !== undefined && { address }),
  };
}

const requestOptions = ({ method, headers, body }: HttpRequest, { origin, pathname, search }: URL) => ({
  origin,
  path: pathname + search,
  method: method as Dispatcher.HttpMethod,
  headers: { ...headers },
  body: body ?? null,
});

/** Bytes taken from the stream ahead of their reader before it is paused: pausing it for each chunk costs more. */
const readAhead = 393_216;

interface StreamFeed extends Feed {
  /** What the stream failed with. */
  readonly broken: () => unknown;
}

/** A feed, in whose place `again` may give another one if it breaks before its first chunk. */
function feedAgain(feed: StreamFeed, again: (error: unknown) => Promise<StreamFeed>): StreamFeed {
  let current = feed;
  let isBegun = false;
  let isOver = false;
  const first = async (): Promise<Uint8Array | undefined> => {
    isBegun = true;
    try {
      return await feed.next();
    } catch (error) {
      current = await again(feed.broken()).catch(() => {
        throw error;
      });
      if (isOver) await current.cancel(error);
      return current.next();
    }
  };
  return {
    next: () => (isBegun ? current.next() : first()),
    cancel: (reason) => {
      isOver = true;
      return current.cancel(reason);
    },
    broken: () => current.broken(),
  };
}

/** Chunks as they come: two thirds of the cost of the stream's own iterator, which joins what it has buffered. */
function feedOf(stream: Dispatcher.ResponseData['body'], url: string): StreamFeed {
  const queue = createPile();
  let state: 'unread' | 'open' | 'ending' | 'ended' = 'unread';
  let failure: RegistryError | undefined;
  let broken: unknown;
  let waiting: { resolve(chunk: Uint8Array | undefined): void; reject(error: unknown): void } | undefined;
  const settle = (): void => {
    const waiter = waiting;
    waiting = undefined;
    if (failure) waiter?.reject(failure);
    else waiter?.resolve(undefined);
  };
  const fail = (error: unknown): void => {
    broken ??= error;
    failure ??= connectionError(error, 'UNEXPECTED_END', 'continue to read', url);
    settle();
  };
  // From the start: a body that breaks before it is read must not end the process.
  stream.on('error', fail);
  stream.on('close', () => {
    if (state !== 'ending' && state !== 'ended') fail(new Error('the connection was closed'));
  });
  stream.on('end', () => {
    state = 'ending';
    // undici keeps the connection busy for one more turn: a request sent before would open another one.
    setImmediate(() => {
      state = 'ended';
      settle();
    });
  });
  const open = (): void => {
    state = 'open';
    stream.on('data', (chunk: Uint8Array) => {
      const waiter = waiting;
      waiting = undefined;
      if (waiter) waiter.resolve(chunk);
      else {
        queue.add(chunk);
        if (queue.size >= readAhead) stream.pause();
      }
    });
  };
  return {
    broken: () => broken,
    next: () => {
      if (state === 'unread' && !failure) open();
      const chunk = queue.take();
      if (chunk) return chunk;
      if (failure) throw failure;
      if (state === 'ended') return undefined;
      return new Promise((resolve, reject) => {
        waiting = { resolve, reject };
        if (stream.isPaused()) stream.resume();
      });
    },
    cancel: () => {
      stream.destroy();
    },
  };
}
