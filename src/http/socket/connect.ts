import type { LookupFunction } from 'node:net';
import ipaddr from 'ipaddr.js';
import { longestTimer, onAbort } from '../../abort.ts';
import { remember } from '../../bounded-map.ts';
import type { TlsOptions } from '../../endpoint.ts';
import { cannot, type RegistryError } from '../../errors.ts';
import { builtin } from '../../runtime.ts';
import { type AddressRules, addressProblem, ruledLookup } from '../address.ts';
import { addressesInTurn, type Connecting } from '../addresses-in-turn.ts';
import { connectTimeout } from '../connection-error.ts';
import { tlsConnectOptions } from '../tls.ts';
import { createWire, type Wire } from './connection.ts';

/** What the connections of a pool have in common. */
export interface WireSettings extends AddressRules {
  readonly tls: TlsOptions | undefined;
}

/** Where to, and within which limits. */
export interface WireTarget {
  readonly url: URL;
  /** Name in the certificate, if it is not that of the URL. */
  readonly serverName?: string | undefined;
  /** Milliseconds, TLS included. */
  readonly limit: number;
  readonly signal: AbortSignal;
}

/** Connects to a host, to one of its addresses that are allowed. Fails with an error of the runtime, or with `TIMEOUT`, `UNSAFE_URL`, `UNAVAILABLE`. */
export type ConnectWire = (target: WireTarget) => Promise<Wire>;

/** One address of a host. */
interface Place {
  readonly hostname: string;
  readonly port: number;
  /** The server's name, for TLS; none if the host is an address. */
  readonly name: string | undefined;
  readonly isSecure: boolean;
  /** Names the TLS sessions of the host. */
  readonly key: string;
}

/** `UNSUPPORTED` in a runtime without sockets. */
export function createConnect({ tls, ...rules }: WireSettings): ConnectWire {
  const [net, dns] = [builtin('node:net'), builtin('node:dns')];
  if (!net || !dns) throw cannot('UNSUPPORTED', 'make a connection', 'this runtime has no node:net');
  const lookup = ruledLookup(dns.lookup, rules) ?? ((...call: Parameters<LookupFunction>) => dns.lookup(...call));
  const secured = createSecured(tls);
  const open = addressesInTurn<Place, Wire>((place, callback) => {
    const { hostname: host, port, isSecure } = place;
    const wire = isSecure ? secured(place) : createWire((onread) => net.connect({ host, port, onread }));
    const { socket } = wire;
    const made = (): void => settle(null);
    const settle = (error: Error | null): void => {
      socket.removeListener('secureConnect', made).removeListener('connect', made).removeListener('error', settle);
      // A socket that has failed, or is given up, may fail again.
      socket.on('error', () => {});
      callback(error, error ? null : wire);
    };
    socket.once(isSecure ? 'secureConnect' : 'connect', made).once('error', settle);
    socket.setNoDelay(true).setKeepAlive(true, 60_000);
    return wire;
  }, lookup);
  return async (target) => {
    const place = placeOf(target);
    const problem = addressProblem(place.hostname, rules);
    if (problem) throw problem;
    return within(target, (callback) => open(place, callback));
  };
}

function placeOf({ url, serverName }: WireTarget): Place {
  const hostname = url.hostname.replace(/^\[|\]$/g, '');
  const isSecure = url.protocol === 'https:';
  const named = serverName ?? hostname;
  // TLS has no names that are addresses. RFC 6066 section 3
  const name = ipaddr.isValid(named) ? undefined : named;
  return { hostname, port: Number(url.port || (isSecure ? 443 : 80)), name, isSecure, key: `${named} ${url.host}` };
}

/** Connects over TLS; a later connection to the same place resumes the session of an earlier one. */
function createSecured(tls: TlsOptions | undefined): (place: Place) => Wire {
  const module = builtin('node:tls');
  const sessions = new Map<string, Buffer>();
  let options: ReturnType<typeof tlsConnectOptions> | undefined;
  return ({ hostname: host, port, name, key }) => {
    if (!module) throw cannot('UNSUPPORTED', 'connect by TLS', 'this runtime has no node:tls');
    options ??= tlsConnectOptions(tls);
    const session = sessions.get(key);
    const shared = {
      host,
      port,
      ALPNProtocols: ['http/1.1'],
      ...options,
      ...(name !== undefined && { servername: name }),
    };
    // Node hands `onread` on to the socket, though its types do not have it.
    const wire = createWire((onread) =>
      module.connect(Object.assign({ ...shared, ...(session && { session }) }, { onread })),
    );
    wire.socket.on('session', (found: Buffer) => remember(sessions, key, found));
    return wire;
  };
}

type Open = (callback: (error: Error | null, wire: Wire | null) => void) => Connecting;

/** Connects within a time limit, until a signal fires. */
function within({ url, limit, signal }: WireTarget, open: Open): Promise<Wire> {
  const timeout = Math.min(limit, longestTimer);
  const late = (): RegistryError => {
    const facts = { cause: { code: connectTimeout }, limit: 'timeouts.connect' };
    return cannot('TIMEOUT', `connect to "${url.host}"`, `not done in ${timeout} ms`, facts);
  };
  return new Promise((resolve, reject) => {
    let connecting: Connecting | undefined;
    let release = (): void => {};
    const settle = (error: unknown, wire?: Wire | null): void => {
      clearTimeout(timer);
      release();
      if (wire) resolve(wire);
      else reject(error);
    };
    const give = (error: unknown): void => {
      connecting?.destroy();
      settle(error);
    };
    const timer = setTimeout(() => give(late()), timeout);
    release = onAbort(signal, give);
    if (!signal.aborted) connecting = open(settle);
  });
}
