import { cannot } from '../../errors.ts';
import type { Repository } from '../../oci/reference.ts';
import type { Route } from '../../oci/route.ts';
import type { Source, Store } from '../../source.ts';

/** What `serve` makes, and what `listen` and the access wrappers take: a web-standard request handler. */
export type Handler = (request: Request) => Promise<Response>;

/** A request with everything about it decided: whose content it is about, and where else it may look. */
export interface Exchange {
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly repository: Repository;
  readonly source: Source;
  /** Another repository of the same registry. */
  sibling(name: string): Source;
}

export type RouteOf<Kind extends Route['kind']> = Extract<Route, { readonly kind: Kind }>;

export type RouteHandler<Kind extends Route['kind']> = (exchange: Exchange, route: RouteOf<Kind>) => Promise<Response>;

export const octets = 'application/octet-stream';

/** `UNSUPPORTED` where the source of this repository can only be read. */
export function storeOf({ source, repository }: Exchange): Store {
  if ('push' in source && typeof source.push === 'function') return source as Store;
  throw cannot('UNSUPPORTED', `write to repository "${repository.name}"`, 'it can only be read');
}

/** The request's body, chunk by chunk; nothing where it has none. Leaving early cancels it. */
export async function* bodyOf(request: Request): AsyncGenerator<Uint8Array> {
  if (request.body) yield* request.body;
}

/** The `Content-Length` of a request; undefined where it is not told, and 0 where there is no body at all. */
export function lengthOf(request: Request): number | undefined {
  if (!request.body) return 0;
  const header = request.headers.get('content-length');
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
