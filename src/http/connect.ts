import type { Socket } from 'node:net';
import type { buildConnector, Dispatcher } from 'undici';
import { longestTimer } from '../deadline.ts';
import type { TlsOptions } from '../endpoint.ts';
import { cannot } from '../errors.ts';
import { builtin } from '../runtime.ts';
import { trustedAuthorities } from './authorities.ts';
import type { Undici } from './load-undici.ts';
import { type AddressRules, addressFault, ruledLookup } from './lookup.ts';
import { onread, receive } from './receive.ts';
import { remember } from './remember.ts';

type Connect = buildConnector.connector;

/** undici, and what it is put together with. */
export interface Modules {
  readonly undici: Undici;
  readonly dns: typeof import('node:dns');
}

/** A response's head may take this many bytes: signed Locations are long. */
const headBytes = 65_536;

/** What connections have in common. */
export interface Connections extends AddressRules {
  readonly tls: TlsOptions | undefined;
  /** URL of the proxy that they go through. */
  readonly proxy: string | undefined;
}

/** Connections of one kind. */
export interface Group {
  readonly agent: Dispatcher;
  /** Address last connected to, by origin. */
  readonly addresses: Map<string, string>;
  /** Milliseconds to connect, by origin, of the request that came last. */
  readonly limits: Map<string, number>;
}

/** The pool of a group: it connects as the group says, each origin within its limit. */
export function createAgent(modules: Modules, group: Omit<Group, 'agent'>, connections: Connections): Dispatcher {
  const { Agent, ProxyAgent } = modules.undici;
  const settings = { headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: headBytes, allowH2: false };
  const { proxy, tls, family } = connections;
  if (proxy === undefined) return new Agent({ ...settings, connect: connector(modules, group, connections) });
  const fault = addressFault(new URL(proxy).hostname.replace(/^\[|\]$/g, ''), { policy: 'any', family });
  if (fault) throw fault;
  const lookup = ruledLookup(modules.dns.lookup, { policy: 'any', family });
  return new ProxyAgent({
    ...settings,
    uri: proxy,
    // Plain http is asked of the proxy itself, as proxies expect; only https goes through a tunnel.
    proxyTunnel: false,
    requestTls: tlsOptions(tls),
    ...(lookup && { proxyTls: { lookup } }),
  });
}

function connector(
  modules: Modules,
  { addresses, limits }: Omit<Group, 'agent'>,
  { policy, family, tls }: Connections,
): Connect {
  const { undici, dns } = modules;
  const rules = { policy, family };
  const lookup = ruledLookup(dns.lookup, rules);
  const guard = lookup ? { lookup } : {};
  // undici's own timer is coarse (half a second) and needs an answer of its own; ours is exact.
  // Over TLS no more than 16 KiB come at a time, whatever there is room for.
  const plain = undici.buildConnector({ ...guard, onread, timeout: 0 });
  let secure: Connect | undefined;
  const open: Connect = (options, callback) => {
    if (options.protocol !== 'https:') return plain(options, callback);
    secure ??= undici.buildConnector({ ...tlsOptions(tls), ...guard, timeout: 0 });
    return secure(options, callback);
  };
  return (options, callback) => {
    const origin = `${options.protocol}//${options.host}`;
    const timeout = Math.min(limits.get(origin) ?? 10_000, longestTimer);
    const fault = addressFault(options.hostname, rules);
    if (fault) {
      callback(fault, null);
      return;
    }
    let answered = false;
    let socket: Socket | undefined;
    const timer = setTimeout(() => {
      answered = true;
      const cause = { code: 'CONNECT_TIMEOUT' };
      callback(cannot('TIMEOUT', `connect to "${options.host}"`, `not done in ${timeout} ms`, { cause }), null);
      socket?.destroy();
    }, timeout);
    const answer: buildConnector.Callback = (...result) => {
      clearTimeout(timer);
      const [error, made] = result;
      if (answered) {
        made?.destroy();
        return;
      }
      if (error === null && made.remoteAddress !== undefined) remember(addresses, origin, made.remoteAddress);
      if (made) receive(made as Socket);
      callback(...result);
    };
    try {
      // It answers with the socket, though its type does not say so.
      socket = open(options, answer) as unknown as Socket;
    } catch (error) {
      answer(error instanceof Error ? error : new Error(String(error)), null);
    }
  };
}

/** Made once for a group: to read a hundred authorities for each connection would cost more than the connection. */
function tlsOptions({ ca = [], cert, key, insecureSkipVerify }: TlsOptions = {}) {
  // Loaded with the first https alone.
  const tls = builtin('node:tls');
  if (!tls) throw cannot('UNSUPPORTED', 'connect by TLS', 'this runtime has no node:tls');
  const own = { ...(cert !== undefined && { cert }), ...(key !== undefined && { key }) };
  // Those given are trusted beside the usual ones, not instead of them. Where Node's own are all, it has read them already.
  const all = ca.length > 0 || 'getCACertificates' in tls ? { ca: [...trustedAuthorities(), ...ca] } : {};
  return {
    secureContext: tls.createSecureContext({ ...all, ...own }),
    rejectUnauthorized: !insecureSkipVerify,
  };
}
