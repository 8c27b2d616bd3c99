import type { Connection } from '../registry/exchange.ts';
import { addressTable, isAddress } from './address-table.ts';

/**
 * Whose address a request has, where `X-Forwarded-For` is concerned.
 *
 * * `second-from-end`: with the header, its second address from the end, as Google's load balancer appends the client's address
 *   and its own; without it the socket's. Only right behind that balancer, as anyone else may send the header.
 * * `socket`: the other end of the socket; the header is not read.
 * * `proxies`: the prefixes of trusted proxies. From the socket's address on and through the header from its end, the first
 *   address that is not of a proxy.
 */
export type ClientRule = 'second-from-end' | 'socket' | { readonly proxies: readonly string[] };

/** The address of a client: undefined if it is not known. Or what is wrong with the request. */
export type FoundClient = { readonly address: string | undefined } | { readonly problem: string };

/** How the client of a request is found. `INVALID_CONFIG` for proxies that are not prefixes. */
export function clientBy(rule: ClientRule): (request: Request, connection?: Connection) => FoundClient {
  const forwarded = ({ headers }: Request): string => headers.get('x-forwarded-for') ?? '';
  if (rule === 'socket') return (_request, connection) => ({ address: connection?.remoteAddress });
  if (rule === 'second-from-end')
    return (request, connection) => {
      const header = forwarded(request);
      return header === '' ? { address: connection?.remoteAddress } : secondFromEnd(header);
    };
  const isProxy = addressTable(rule.proxies.map((prefix) => [prefix, true] as const));
  return (request, connection) => {
    let address = connection?.remoteAddress;
    const hops = forwarded(request).split(',');
    while (address !== undefined && isProxy(address) && hops.length > 0) {
      const hop = hops.pop()?.trim() ?? '';
      // A proxy that does not know the address before it writes `unknown`, or nothing.
      if (hop !== '') address = withoutPort(hop);
    }
    return { address };
  };
}

function secondFromEnd(header: string): FoundClient {
  const parts = header.split(/[, ]/).filter((part) => part !== '');
  const address = parts.at(-2);
  if (address === undefined) return { problem: `invalid X-Forwarded-For value: ${header}` };
  return isAddress(address) ? { address } : { problem: `invalid address in X-Forwarded-For: ${address}` };
}

/** Azure's gateway writes `192.0.2.1:443`, others `[2001:db8::1]:443`. Undefined for what is not an address. */
function withoutPort(hop: string): string | undefined {
  if (isAddress(hop)) return hop;
  const [, address = ''] = /^\[([^\]]*)\](?::\d+)?$/.exec(hop) ?? /^([^:]*):\d+$/.exec(hop) ?? [];
  return isAddress(address) ? address : undefined;
}
