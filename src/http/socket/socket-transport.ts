import { abortError, deadline, onAbort } from '../../abort.ts';
import { createBody, offerRecycling } from '../../body.ts';
import { redactUrl } from '../../endpoint.ts';
import { asError, RegistryError } from '../../errors.ts';
import { type ProxyConfig, proxyFor } from '../../proxy.ts';
import { checkPlain } from '../../text/problems.ts';
import { connectionError, invalidResponse } from '../connection-error.ts';
import { joinLines } from '../response/header-lines.ts';
import {
  type ConnectedTransport,
  type HttpRequest,
  type HttpResponse,
  type Transport,
  type TransportTimeouts,
  timeoutsOf,
} from '../transport.ts';
import { type NetworkOptions, undiciTransport } from '../undici.ts';
import type { WireTarget } from './connect.ts';
import { type Arrived, type SocketConnection, type WrittenRequest, writeRequest } from './connection.ts';
import { createSocketPools, type SocketPool, type SocketPools } from './pool.ts';

/** Settings of the socket transport. */
export interface SocketTransportOptions extends Pick<NetworkOptions, 'family'> {
  readonly timeouts?: TransportTimeouts | undefined;
  /** Proxies to go through: those requests are sent by undici, as `undiciTransport` sends them. */
  readonly proxy?: ProxyConfig | undefined;
}

/**
 * Transport over the runtime's sockets: HTTP/1.1 with keep-alive connections, TLS of each endpoint, addresses checked when
 * they are connected to, bodies as sent. Nothing is connected before the first request.
 */
export function socketTransport(options?: SocketTransportOptions): ConnectedTransport {
  checkPlain('make a transport', options);
  const { timeouts = {}, proxy = {}, family } = options ?? {};
  const proxied = undiciTransport({ timeouts, proxy, network: { family } });
  const pools = createSocketPools();
  const closing = new AbortController();
  const send: Transport = async (request) => {
    if (closing.signal.aborted) throw closing.signal.reason;
    if (proxyFor(new URL(request.url), proxy) !== undefined) return proxied(request);
    return exchange(pools, request, { timeouts, family, closing: closing.signal });
  };
  const close = async (): Promise<void> => {
    if (closing.signal.aborted) return;
    const reason = new RegistryError('CLOSED', 'Cannot use a transport that was closed');
    closing.abort(reason);
    pools.destroy(reason);
    await proxied.close();
  };
  return Object.assign(send, { close });
}

interface ExchangeSettings {
  readonly timeouts: TransportTimeouts;
  readonly family: 4 | 6 | undefined;
  readonly closing: AbortSignal;
}

async function exchange(
  pools: SocketPools,
  request: HttpRequest,
  { timeouts, family, closing }: ExchangeSettings,
): Promise<HttpResponse> {
  const url = new URL(request.url);
  const { connect, headers: headLimit, ...pace } = timeoutsOf(request, timeouts);
  const limit = deadline(request.signal, closing);
  limit.limit(headLimit, `get a response from "${redactUrl(url)}"`, { host: url.host, limit: 'timeouts.headers' });
  try {
    limit.signal.throwIfAborted();
    const { tls, addresses: policy = 'any', allowPrivate: ranges } = request;
    const pool = pools.use({ policy, ranges: policy === 'any' ? undefined : ranges, family, tls }, url.host);
    const target = { url, serverName: nameIn(request.headers?.host), limit: connect, signal: limit.signal };
    const { address, head, feed } = await respond(pool, target, writeRequest(request, url));
    let headers: HttpResponse['headers'];
    try {
      headers = joinLines(head.fields, request.url);
    } catch (error) {
      feed.cancel();
      throw error;
    }
    limit.unlimit();
    const { body, ended, lastRead } = createBody(feed, { ...pace, signal: limit.signal });
    void ended.then(limit.end);
    const { status } = head;
    const facts = { ended, lastRead, url: request.url, ...(address !== undefined && { address }) };
    return { status, headers, body: offerRecycling(body, feed.recycle), ...facts };
  } catch (error) {
    limit.end();
    if (limit.signal.aborted) throw abortError(limit.signal.reason);
    throw connectionError(error, 'UNAVAILABLE', 'reach', url);
  }
}

/** A name in a Host field that is set is the one in the certificate, too. */
const nameIn = (host: string | undefined): string | undefined => host?.replace(/:\d*$/, '');

interface Answered extends Arrived {
  readonly address: string | undefined;
}

const closedCodes = new Set(['ECONNRESET', 'EPIPE']);

/**
 * The response to a request, on a connection that waits, or on a new one: also if the other was closed before the first byte
 * of the response, as the server may just have ended it (RFC 9112 section 9.3.1), or was not usable any more.
 */
async function respond(pool: SocketPool, target: WireTarget, written: WrittenRequest): Promise<Answered> {
  const place = `${target.url.origin} ${target.serverName ?? ''}`;
  const kept = pool.take(place);
  if (kept) {
    try {
      return await sendOn(kept, written, target.signal);
    } catch (error) {
      const { code } = error as { readonly code?: string };
      const isStale = kept.isUnanswered && closedCodes.has(code ?? '');
      // What is not a response may be late bytes of the one before, which should have had no body.
      if (target.signal.aborted || !(isStale || code === invalidResponse)) throw error;
    }
  }
  return sendOn(await pool.connect(place, target), written, target.signal);
}

/** A connection that is given up is closed at once: its response would come to nobody. */
async function sendOn(connection: SocketConnection, written: WrittenRequest, signal: AbortSignal): Promise<Answered> {
  const release = onAbort(signal, (reason) => connection.destroy(asError(reason)));
  try {
    return { address: connection.address, ...(await connection.send(written)) };
  } finally {
    release();
  }
}
