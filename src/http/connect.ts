import type { LookupFunction, Socket } from 'node:net';
import type { Agent, buildConnector } from 'undici';
import type { TlsOptions } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import { isAddress, isAllowed, refuseAddress } from './address.ts';
import { longestTimer } from './deadline.ts';
import type { AddressPolicy } from './transport.ts';

type Connect = buildConnector.connector;

/** undici, and what it is put together with. */
export interface Modules {
  readonly undici: typeof import('undici');
  readonly dns: typeof import('node:dns');
  readonly tls: typeof import('node:tls');
}
/** A response's head may take this many bytes: signed Locations are long. */
const headBytes = 65_536;

/** Connections that share TLS settings and a rule about addresses. */
export interface Group {
  readonly agent: Agent;
  /** Address last connected to, by origin. */
  readonly addresses: Map<string, string>;
  /** Milliseconds to connect, by origin, of the request that came last. */
  readonly limits: Map<string, number>;
}

/** The pool of a group: it connects as the group's TLS settings and rule about addresses say, each origin within its limit. */
export function createAgent(
  { undici: { Agent, buildConnector }, dns, tls: { rootCertificates } }: Modules,
  { addresses, limits }: Omit<Group, 'agent'>,
  policy: AddressPolicy,
  tls: TlsOptions | undefined,
): Agent {
  const guard = policy === 'any' ? {} : { lookup: guardedLookup(dns.lookup, policy) };
  // undici's own timer is coarse (half a second) and needs an answer of its own; ours is exact.
  const open = buildConnector({ ...tlsOptions(tls, rootCertificates), ...guard, timeout: 0 });
  const connect: Connect = (options, callback) => {
    const origin = `${options.protocol}//${options.host}`;
    const timeout = Math.min(limits.get(origin) ?? 10_000, longestTimer);
    if (isAddress(options.hostname) && !isAllowed(options.hostname, policy)) {
      callback(refuseAddress(options.hostname, options.hostname), null);
      return;
    }
    let answered = false;
    const timer = setTimeout(() => {
      answered = true;
      const message = `Cannot connect to "${options.host}": not done in ${timeout} ms`;
      callback(new RegistryError('TIMEOUT', message, { cause: { code: 'CONNECT_TIMEOUT' } }), null);
      (socket as Socket | undefined)?.destroy();
    }, timeout);
    // It answers with the socket, though its type does not say so.
    const socket: unknown = open(options, (...result) => {
      clearTimeout(timer);
      const [error, made] = result;
      if (answered) {
        made?.destroy();
        return;
      }
      if (error === null && made.remoteAddress !== undefined) addresses.set(origin, made.remoteAddress);
      callback(...result);
    });
  };
  return new Agent({ connect, headersTimeout: 0, bodyTimeout: 0, maxHeaderSize: headBytes, allowH2: false });
}

function tlsOptions(
  { ca, cert, key, insecureSkipVerify }: TlsOptions = {},
  rootCertificates: readonly string[],
): buildConnector.BuildOptions {
  return {
    // Those given are trusted beside the usual ones, not instead of them.
    ...(ca && { ca: [...rootCertificates, ...ca] }),
    ...(cert !== undefined && { cert }),
    ...(key !== undefined && { key }),
    ...(insecureSkipVerify && { rejectUnauthorized: false }),
  };
}

/** The system's look-up, but for addresses that the policy refuses: so a name cannot stand for one. */
function guardedLookup(systemLookup: typeof import('node:dns').lookup, policy: AddressPolicy): LookupFunction {
  return (hostname, options, callback) => {
    systemLookup(hostname, { ...options, all: true }, (error, found) => {
      if (error) {
        callback(error, []);
        return;
      }
      const refused = found.find(({ address }) => !isAllowed(address, policy));
      const [first] = found;
      if (refused) callback(refuseAddress(hostname, refused.address), []);
      else if (options.all || !first) callback(null, found);
      else callback(null, first.address, first.family);
    });
  };
}
