import type { Dispatcher } from 'undici';
import { abortError, deadline } from '../deadline.ts';
import { redactUrl } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import { createBody } from '../feed.ts';
import { type ProxyConfig, proxyFor } from '../proxy.ts';
import { checkHost } from './address.ts';
import type { Modules } from './connect.ts';
import { connectionError } from './connection-error.ts';
import { createGroups, type Lease } from './groups.ts';
import { loadUndici } from './load-undici.ts';
import { checkNetwork, lent, type NetworkOptions } from './network.ts';
import { remember } from './remember.ts';
import {
  type HttpRequest,
  type HttpResponse,
  type Transport,
  type TransportTimeouts,
  timeoutsOf,
} from './transport.ts';
import { feedOf } from './undici-feed.ts';

type Answer = Dispatcher.ResponseData;

/** Settings of the undici transport. */
export interface UndiciOptions {
  readonly timeouts?: TransportTimeouts | undefined;
  /** Proxies to go through. The addresses of what is behind one are not seen: only hosts that are addresses are judged. */
  readonly proxy?: ProxyConfig | undefined;
  readonly network?: NetworkOptions | undefined;
}

/** A transport that keeps connections. `close` ends them, also those in use; from then on it fails with `CLOSED`. */
export type ConnectedTransport = Transport & { close(): Promise<void> };

/**
 * Transport over undici: keep-alive connections, TLS of each endpoint, addresses checked where they are connected to,
 * bodies as sent. undici is loaded with the first request, as importing it costs 100 ms.
 */
export function undiciTransport({ timeouts = {}, proxy = {}, network = {} }: UndiciOptions = {}): ConnectedTransport {
  const { family, dispatcher } = network;
  checkNetwork(network, proxy);
  const groups = createGroups();
  let closed: RegistryError | undefined;
  const send: Transport = async (request) => {
    if (dispatcher && !closed) return exchange(lent(dispatcher, request), request, timeouts);
    const modules = await loadModules();
    if (closed) throw closed;
    const url = new URL(request.url);
    const through = proxyFor(url, proxy);
    // What is behind a proxy only the proxy connects to.
    if (through !== undefined) checkHost(request);
    const { tls, addresses: policy = 'any' } = request;
    return exchange(groups.use(modules, { policy, family, tls, proxy: through }, url.host), request, timeouts);
  };
  const close = async (): Promise<void> => {
    const reason = new RegistryError('CLOSED', 'Cannot use a transport that was closed');
    closed ??= reason;
    await groups.destroy(reason);
  };
  return Object.assign(send, { close });
}

let loading: Promise<Modules> | undefined;

function loadModules(): Promise<Modules> {
  loading ??= Promise.all([loadUndici(), import('node:dns')]).then(([undici, dns]) => ({ undici, dns }));
  return loading;
}

async function exchange(
  { group, release }: Lease,
  request: HttpRequest,
  timeouts: TransportTimeouts,
): Promise<HttpResponse> {
  const url = new URL(request.url);
  const { connect, headers, idle } = timeoutsOf(request, timeouts);
  remember(group.limits, url.origin, connect);
  const limit = deadline(request.signal);
  limit.limit(headers, `get an answer from "${redactUrl(url)}"`, url.host);
  const end = (): void => {
    limit.end();
    release();
  };
  let answer: Answer;
  try {
    answer = await group.agent.request({
      origin: url.origin,
      path: url.pathname + url.search,
      method: request.method as Dispatcher.HttpMethod,
      headers: { ...request.headers },
      body: request.body ?? null,
      signal: limit.signal,
    });
  } catch (error) {
    end();
    if (limit.signal.aborted) throw abortError(limit.signal.reason);
    throw connectionError(error, 'UNAVAILABLE', 'reach', url);
  }
  limit.unlimit();
  const { body, ended } = createBody(feedOf(answer.body, request.url), { idle, signal: limit.signal });
  void ended.then(end);
  const address = group.addresses.get(url.origin);
  return {
    status: answer.statusCode,
    headers: joinLines(answer.headers),
    body,
    ended,
    url: request.url,
    ...(address !== undefined && { address }),
  };
}

function joinLines(headers: Answer['headers']): Record<string, string> {
  const lines = Object.entries(headers).map(([name, value]) => [
    name,
    Array.isArray(value) ? value.join(', ') : (value ?? ''),
  ]);
  return Object.fromEntries(lines);
}
