import type { Dispatcher } from 'undici';
import { redactUrl } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import { createBody } from '../feed.ts';
import { createAgent, type Group, type Modules } from './connect.ts';
import { abortError, deadline } from './deadline.ts';
import { connectionError } from './failure.ts';
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
}

/** A transport that keeps connections. `close` ends them, also those in use; from then on it fails with `CLOSED`. */
export type ConnectedTransport = Transport & { close(): Promise<void> };

/**
 * Transport over undici: keep-alive connections, TLS of each endpoint, addresses checked where they are connected to,
 * bodies as sent. undici is loaded with the first request, as importing it costs 100 ms.
 */
export function undiciTransport({ timeouts = {} }: UndiciOptions = {}): ConnectedTransport {
  const groups = new Map<string, Group>();
  let closed: RegistryError | undefined;
  const send: Transport = async (request) => {
    const modules = await loadModules();
    if (closed) throw closed;
    return exchange(groupOf(modules, groups, request), request, timeouts);
  };
  const close = async (): Promise<void> => {
    const reason = new RegistryError('CLOSED', 'Cannot use a transport that was closed');
    closed ??= reason;
    const closing = [...groups.values()].map(({ agent }) => agent.destroy(reason));
    groups.clear();
    await Promise.all(closing);
  };
  return Object.assign(send, { close });
}

let loading: Promise<Modules> | undefined;

/**
 * undici, without its side effect: imported, it makes itself the process's dispatcher where there is none yet, and the
 * built-in fetch would use that. Touching one of fetch's own names loads the built-in first, which brings its own.
 */
function loadModules(): Promise<Modules> {
  loading ??= (async () => {
    void globalThis.Headers;
    return { undici: await import('undici'), dns: await import('node:dns'), tls: await import('node:tls') };
  })();
  return loading;
}

function groupOf(modules: Modules, groups: Map<string, Group>, { tls, addresses = 'any' }: HttpRequest): Group {
  const key = JSON.stringify([addresses, tls]);
  const known = groups.get(key);
  if (known) return known;
  const group = { addresses: new Map<string, string>(), limits: new Map<string, number>() };
  const made = { ...group, agent: createAgent(modules, group, addresses, tls) };
  groups.set(key, made);
  return made;
}

async function exchange(group: Group, request: HttpRequest, timeouts: TransportTimeouts): Promise<HttpResponse> {
  const url = new URL(request.url);
  const { connect, headers, idle } = timeoutsOf(request, timeouts);
  group.limits.set(url.origin, connect);
  const limit = deadline(request.signal);
  limit.limit(headers, `Cannot get an answer from "${redactUrl(url)}"`);
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
    limit.end();
    if (limit.signal.aborted) throw abortError(limit.signal.reason);
    throw connectionError(error, 'UNAVAILABLE', `Cannot reach "${redactUrl(url)}"`);
  }
  limit.unlimit();
  const { body, ended } = createBody(feedOf(answer.body, request.url), { idle, signal: limit.signal });
  void ended.then(limit.end);
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
