import type { Dispatcher } from 'undici';
import { cannot } from '../errors.ts';
import type { ProxyConfig } from '../proxy.ts';
import { checkHost } from './address.ts';
import type { Lease } from './groups.ts';
import type { HttpRequest } from './transport.ts';

/** How connections are made. One of the two, or none. */
export interface NetworkOptions {
  /**
   * Connects to IPv4 or to IPv6 addresses alone, of a proxy where there is one. A host that has none, or is itself an
   * address of the other family, is `UNAVAILABLE`.
   */
  readonly family?: 4 | 6 | undefined;
  /**
   * A dispatcher of undici (an `Agent`, a `ProxyAgent`, what `compose` gives) in place of this package's connections. It
   * must hand on answers as they are: follow no redirect, decode no body. It is not closed with the client.
   *
   * It connects as it will: TLS settings, proxies and time limits to connect of the configuration are not used. What
   * addresses names stand for is not seen, so only hosts that are addresses themselves are judged: an external URL, a
   * redirect or a token realm may name a host that leads to a private one.
   */
  readonly dispatcher?: Pick<Dispatcher, 'request'> | undefined;
}

/** `INVALID_CONFIG` for settings that cannot be met together. */
export function checkNetwork({ family, dispatcher }: NetworkOptions, { http, https, all }: ProxyConfig): void {
  if (!dispatcher) return;
  const beside = family !== undefined ? 'family' : (http ?? https ?? all) !== undefined ? 'proxy' : undefined;
  if (beside === undefined) return;
  const found = `${beside} is given beside it, and it makes its own connections`;
  throw cannot('INVALID_CONFIG', 'use a dispatcher', found);
}

/** A user's own dispatcher for one exchange: `UNSAFE_URL` as far as can be seen, `INVALID_CONFIG` where TLS settings are wanted of it. */
export function lent(dispatcher: Pick<Dispatcher, 'request'>, request: HttpRequest): Lease {
  checkHost(request);
  const { host } = new URL(request.url);
  if (request.tls) {
    const found = 'the dispatcher that was given makes its own connections';
    throw cannot('INVALID_CONFIG', `use the TLS settings of "${host}"`, found, { host });
  }
  return { group: { agent: dispatcher, addresses: new Map(), limits: new Map() }, release: () => {} };
}
