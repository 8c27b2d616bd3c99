import { quote } from '../oci/quote.ts';
import { isLoopbackHost, normalizeRegistry } from '../oci/reference.ts';
import type { Found } from './decoders.ts';
import { urlFault } from './host.ts';
import { apiHost, shownUrl } from './host-parts.ts';
import type { Place, Reading } from './reading.ts';

/** An endpoint as k3s understands it. */
export interface EndpointUrl {
  readonly url: string;
  readonly overridePath: boolean;
  /** `host[:port]` as it is written, for which k3s looks among `configs`; its default port counts. */
  readonly written: string;
  /** The same without a default port. */
  readonly host: string;
  /** Two endpoints with the same are one to k3s, which compares what is written. */
  readonly identity: string;
  readonly place: Place;
}

/** Without a place in a file: what is no endpoint does not come to be here. */
const nowhere: Place = { at: { line: 1, column: 1 }, path: [] };

/** Reads an endpoint; what is no URL is a problem. */
export function parseEndpoint(found: Found<string>, reading: Reading): EndpointUrl | undefined {
  const url = withScheme(found.value);
  const fault = urlFault(url);
  if (fault === undefined) return endpointOf(url, found);
  reading.problem(found, `found ${quote(shownUrl(found.value))}, ${fault}`);
  return undefined;
}

/** Where a registry is asked when nothing is configured. */
export const defaultEndpoint = (registry: string, place: Place = nowhere): EndpointUrl =>
  endpointOf(withScheme(registry), place);

function endpointOf(written: string, place: Place): EndpointUrl {
  const { origin, pathname, host } = apiHost(new URL(written));
  const [, scheme = '', authority = ''] = /^([a-z]+):\/\/([^/]*)/i.exec(written) ?? [];
  const registry = normalizeRegistry(authority);
  // Every other path is the API's root, and nothing is appended to it.
  const overridePath = !['', '/', '/v2'].includes(pathname);
  const path = overridePath ? pathname : '/v2';
  return {
    url: overridePath ? origin + pathname : origin,
    overridePath,
    written: registry,
    host: normalizeRegistry(host),
    identity: `${scheme.toLowerCase()}://${registry}${path}`,
    place,
  };
}

/** This machine is asked over http, but for the port of https and where no port is. */
function withScheme(endpoint: string): string {
  if (endpoint.includes('://')) return endpoint;
  const [authority = ''] = endpoint.split('/', 1);
  const [, port] = /:(\d+)$/.exec(authority) ?? [];
  return `${port !== undefined && port !== '443' && isLoopbackHost(authority) ? 'http' : 'https'}://${endpoint}`;
}
