import { cannot } from '../../errors.ts';
import type { Repository } from '../../oci/reference.ts';
import type { Route } from '../../oci/route.ts';
import type { Source, Store } from '../../source.ts';

/** What `serve` makes, and what `listen` and the access wrappers take: a web-standard request handler. */
export type Handler = (request: Request) => Promise<Response>;

/** A request with its repository, and access to the other repositories of the registry. */
export interface Exchange {
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly repository: Repository;
  readonly source: Source;
  /** Whether what a layout has through a link is sent: `ServeOptions`. */
  readonly links: boolean;
  /** Another repository of the same registry. */
  sibling(name: string): Source;
}

/** Handles the requests of one kind of route. */
export type RouteHandler<Kind extends Route['kind']> = (
  exchange: Exchange,
  route: Extract<Route, { readonly kind: Kind }>,
) => Promise<Response>;

export const octets = 'application/octet-stream';

/** The repository as a store; `UNSUPPORTED` if it is read-only. */
export function storeOf({ source, repository }: Exchange): Store {
  if ('push' in source && typeof source.push === 'function') return source as Store;
  throw cannot('UNSUPPORTED', `write to repository "${repository.name}"`, 'it is read-only', {
    value: repository.name,
  });
}

/** The request's body, chunk by chunk. Leaving early cancels it. */
export async function* bodyOf(request: Request): AsyncGenerator<Uint8Array> {
  if (request.body) yield* request.body;
}

/** The `Content-Length` of a request, if it has one; 0 without a body. */
export function lengthOf(request: Request): number | undefined {
  if (!request.body) return 0;
  const header = request.headers.get('content-length');
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
