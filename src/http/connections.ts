import type { LookupFunction, Socket } from 'node:net';
import ipaddr from 'ipaddr.js';
import type { buildConnector, Client, Dispatcher } from 'undici';
import { longestTimer } from '../abort.ts';
import { remember } from '../bounded-map.ts';
import type { TlsOptions } from '../endpoint.ts';
import { asError, cannot, type RegistryError } from '../errors.ts';
import { type AddressRules, addressProblem, ruledLookup } from './address.ts';
import { addressesInTurn, type Connecting } from './addresses-in-turn.ts';
import { connectTimeout } from './connection-error.ts';
import type { Undici } from './load-undici.ts';
import { repairReads } from './response/repair.ts';
import { headBytes } from './socket/head.ts';
import { checkTls, tlsConnectOptions } from './tls.ts';

type Connect = buildConnector.connector;

/** The modules that connections are made with. */
export interface NetworkModules {
  readonly undici: Undici;
  readonly dns: typeof import('node:dns');
}

/** What the connections of a pool have in common. */
export interface ConnectionSettings extends AddressRules {
  readonly tls: TlsOptions | undefined;
  /** URL of the proxy that they go through. */
  readonly proxy: string | undefined;
}

/** Connections with the same settings, to any number of origins. */
export interface Pool {
  readonly agent: Dispatcher;
  /** As `agent`, with a new connection for each request. */
  readonly fresh: () => Dispatcher;
  /** As `fresh`, with responses repaired before they are read. */
  readonly repairing: () => Dispatcher;
  /** Origins whose responses need that. */
  readonly repaired: Map<string, true>;
  /** Milliseconds to connect, by origin, of the latest request. */
  readonly limits: Map<string, number>;
}

/** The connection that serves a request; given as its `opaque`, the pool sets it. */
export interface Served {
  /** Read it when the response or error is there: until then the connection may be made anew, at another address. */
  connection?: Connection;
}

interface Connection {
  /** Unknown behind a proxy. */
  address: string | undefined;
  /** Responses that it brought before; whoever gets one counts it. */
  responses: number;
}

/** A pool in use. */
export interface Lease {
  readonly pool: Pick<Pool, 'limits'> & Partial<Omit<Pool, 'agent'>> & { readonly agent: Pick<Dispatcher, 'request'> };
  /** The exchange is over. Must be called once. */
  readonly release: () => void;
}

export interface Connections {
  /** The pool with these settings, created if needed; `INVALID_CONFIG` if its TLS settings cannot be used. */
  use(modules: NetworkModules, settings: ConnectionSettings, host: string): Lease;
  /** Ends all connections, also those in use. */
  destroy(reason: RegistryError): Promise<void>;
}

interface CountedPool extends Pool {
  users: number;
  destroy(reason?: RegistryError): Promise<unknown>;
}

/**
 * Pools of connections by their settings. Of more than `most` the one that was requested longest ago is dropped: its
 * connections end when the exchanges that use them are over.
 */
export function createConnections(most = 100): Connections {
  const pools = new Map<string, CountedPool>();
  const dropped = new Set<CountedPool>();
  const endUnused = (pool: CountedPool): void => {
    if (pool.users > 0 || !dropped.delete(pool)) return;
    pool.destroy().catch(() => {});
  };
  return {
    use: (modules, settings, host) => {
      const key = JSON.stringify(settings);
      const pool = pools.get(key) ?? createPool(modules, settings, host);
      pool.users += 1;
      const oldest = remember(pools, key, pool, most);
      if (oldest) {
        dropped.add(oldest);
        endUnused(oldest);
      }
      const release = (): void => {
        pool.users -= 1;
        endUnused(pool);
      };
      return { pool, release };
    },
    destroy: async (reason) => {
      const all = [...pools.values(), ...dropped];
      pools.clear();
      dropped.clear();
      await Promise.all(all.map((pool) => pool.destroy(reason)));
    },
  };
}

function createPool(modules: NetworkModules, settings: ConnectionSettings, host: string): CountedPool {
  checkTls(settings.tls, host);
  const limits = new Map<string, number>();
  const agents = new Map<AgentKind, Dispatcher>();
  const agentOf = (kind: AgentKind) => (): Dispatcher => {
    const agent = agents.get(kind) ?? createAgent(modules, { limits }, settings, kind);
    agents.set(kind, agent);
    return agent;
  };
  const destroy = (reason?: RegistryError): Promise<unknown> =>
    Promise.all(Array.from(agents.values(), (agent) => agent.destroy(reason ?? null)));
  const [fresh, repairing] = [agentOf('fresh'), agentOf('repairing')];
  return { agent: agentOf('keeping')(), fresh, repairing, repaired: new Map(), limits, users: 0, destroy };
}

/** Whether connections are kept, or new for each request, and then their responses repaired. */
type AgentKind = 'keeping' | 'fresh' | 'repairing';

/** The dispatcher of a pool: it connects by the pool's settings, to each origin within its limit. */
export function createAgent(
  modules: NetworkModules,
  pool: Pick<Pool, 'limits'>,
  settings: ConnectionSettings,
  kind: AgentKind = 'keeping',
): Dispatcher {
  const { Agent, Pool, ProxyAgent } = modules.undici;
  // Without pipelining the server is asked to close the connection after the response.
  const connections = kind === 'keeping' ? {} : { pipelining: 0 };
  const common = { headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: headBytes, allowH2: false, ...connections };
  const isRepaired = kind === 'repairing';
  const { proxy, tls, family } = settings;
  if (proxy === undefined) {
    const factory = watchedClients(modules.undici, { isRepaired, connect: connector(modules, pool, settings) });
    return new Agent({ ...common, factory: (origin, each) => new Pool(origin, { ...each, factory }) });
  }
  const problem = addressProblem(new URL(proxy).hostname.replace(/^\[|\]$/g, ''), { policy: 'any', family });
  if (problem) throw problem;
  const connect = connector(modules, pool, { policy: 'any', family, tls: undefined, proxy });
  const factory = watchedClients(modules.undici, { isRepaired });
  const through = (tunnel: unknown): Connect => within(pool.limits, tunnel as Connect);
  return new ProxyAgent({
    ...common,
    uri: proxy,
    // A plain http request is sent to the proxy itself, as proxies expect; only https goes through a tunnel.
    proxyTunnel: false,
    clientFactory: (origin) => new Pool(origin, { ...common, connect }),
    factory: (origin, each) => {
      const isProxy = new URL(origin).origin === new URL(proxy).origin;
      return new Pool(origin, {
        ...common,
        ...each,
        connect: isProxy ? connect : through(Reflect.get(each, 'connect')),
        factory,
      });
    },
    requestTls: tlsConnectOptions(tls),
  });
}

/**
 * Clients of undici, each one connection at a time, which report it to `Served`. The address that an origin was connected
 * to last may be that of another connection: a name can lead to a public address first, and to a private one then. Without
 * a connector of our own they connect as they are told to, through a proxy, whose address is not the host's.
 */
function watchedClients(
  { Client }: Undici,
  { isRepaired, connect: own }: { readonly isRepaired: boolean; readonly connect?: Connect },
) {
  return (origin: URL, options: { connect?: Connect }): Dispatcher => {
    const connection: Connection = { address: undefined, responses: 0 };
    const connect = own ?? options.connect;
    const watched: Connect = (target, callback) =>
      connect?.(target, (...result) => {
        connection.address = own && result[1]?.remoteAddress;
        connection.responses = 0;
        if (isRepaired && result[1]) repairReads(result[1] as Socket);
        callback(...result);
      });
    const client: Client = new Client(origin, { ...options, connect: watched });
    const dispatch = client.dispatch.bind(client);
    client.dispatch = (request, handler) => {
      const { opaque } = request as { readonly opaque?: Served };
      if (opaque) opaque.connection = connection;
      return dispatch(request, handler);
    };
    return client;
  };
}

function connector(
  { undici, dns }: NetworkModules,
  { limits }: Pick<Pool, 'limits'>,
  { policy, ranges, family, tls }: ConnectionSettings,
): Connect {
  const rules = { policy, ranges, family };
  const lookup = ruledLookup(dns.lookup, rules) ?? ((...call: Parameters<LookupFunction>) => dns.lookup(...call));
  // undici's own timer is coarse (half a second), so it is off; ours is exact.
  const plain = undici.buildConnector({ timeout: 0 });
  let secure: Connect | undefined;
  const open = addressesInTurn<buildConnector.Options, Socket>((options, callback) => {
    const settle = callback as buildConnector.Callback;
    // Both return the socket, though their type does not say so.
    if (options.protocol !== 'https:') return plain(options, settle) as unknown as Socket;
    secure ??= undici.buildConnector({ ...tlsConnectOptions(tls), timeout: 0 });
    return secure(withNameOnly(options), settle) as unknown as Socket;
  }, lookup);
  return within(limits, (options, callback) => {
    const problem = addressProblem(options.hostname, rules);
    if (problem) {
      callback(problem, null);
      return;
    }
    return open(options, (...result) => callback(...(result as Parameters<buildConnector.Callback>)));
  });
}

/**
 * Without a server name that is an address, as undici has it for a proxy: TLS has none for addresses (RFC 6066 section 3),
 * and with the brackets of IPv6 no certificate would match it.
 */
function withNameOnly({ servername, ...options }: buildConnector.Options): buildConnector.Options {
  const isName = servername && !ipaddr.isValid(servername.replace(/^\[|\]$/g, ''));
  return isName ? { ...options, servername } : options;
}

/**
 * Connects within the limit of the origin, or for a proxy that of the latest request. The tunnel that a proxy opens, and the
 * handshake in it, are part of connecting.
 */
function within(limits: Pool['limits'], connect: Connect): Connect {
  return (options, callback) => {
    const limit = limits.get(`${options.protocol}//${options.host}`) ?? [...limits.values()].at(-1) ?? 10_000;
    const timeout = Math.min(limit, longestTimer);
    const tunnel = new AbortController();
    let isLate = false;
    let connecting: Partial<Connecting> | undefined;
    const timer = setTimeout(() => {
      isLate = true;
      const facts = { cause: { code: connectTimeout }, limit: 'timeouts.connect' };
      callback(cannot('TIMEOUT', `connect to "${options.host}"`, `not done in ${timeout} ms`, facts), null);
      connecting?.destroy?.();
      tunnel.abort();
    }, timeout);
    const settle: buildConnector.Callback = (...result) => {
      clearTimeout(timer);
      if (isLate) result[1]?.destroy();
      else callback(...result);
    };
    // undici's function for a tunnel heeds the signal, though its type does not have it; what it returns cannot be destroyed.
    const withSignal: buildConnector.Options & { readonly signal: AbortSignal } = { ...options, signal: tunnel.signal };
    try {
      connecting = connect(withSignal, settle) as unknown as Partial<Connecting> | undefined;
    } catch (error) {
      settle(asError(error), null);
    }
  };
}
