import { bytesBody } from '../../body.ts';
import { cannot } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Repository } from '../../oci/reference.ts';
import type { Route } from '../../oci/route.ts';
import { type CallOptions, type Chunks, isStore, type Registry, type Source, type Store } from '../../source.ts';
import { quote } from '../../text/quote.ts';
import { chunksOf, hasBody } from '../direct.ts';

/** How a request came. */
export interface Connection {
  /** IP address of the other end of the socket, as the system writes it; undefined if there is none, or it is not known. */
  readonly remoteAddress?: string | undefined;
  /** Of a client that proved with it who it is: signed by an authority that the server accepts, and valid now. */
  readonly clientCertificate?: ClientCertificate | undefined;
}

/** A client's certificate, as Node reads it. */
export interface ClientCertificate {
  /** Parts of its name in lines: `CN=builder`. */
  readonly subject: string;
  /** `DNS:builder.example, IP Address:127.0.0.1` */
  readonly subjectAltName: string | undefined;
  /** SHA-256 of the certificate in hex, with colons. */
  readonly fingerprint256: string;
}

/**
 * What `serve` makes, and what `listen` and the access wrappers take: a web-standard request handler. `listen` gives the
 * connection, too; a handler around another one passes it on.
 */
export type Handler = (request: Request, connection?: Connection) => Promise<Response>;

/** What a request did: for logs, metrics and notifications. */
export type ServerAction = 'pull' | 'push' | 'mount' | 'delete' | 'list' | 'upload' | 'none';

/** What its handler notes about a request. */
export interface ExchangeRecord {
  action: ServerAction;
  repository?: Repository;
  descriptor?: Descriptor;
  tag?: string;
  /** Name of the repository that a blob was mounted from. */
  from?: string;
  /** Tags that were removed with their manifest. */
  untagged?: readonly string[];
  /** Bytes of the response's body that were sent. */
  bytes: number;
  /** Warnings of a host upstream, as `Warning` headers have them. */
  readonly warnings: Set<string>;
  readonly warn: NonNullable<CallOptions['onWarning']>;
  /** The body is sent after the handler has returned; `onEnd` is called then. */
  isStreaming: boolean;
  onEnd?: ((error?: unknown) => void) | undefined;
}

export function createRecord(): ExchangeRecord {
  const warnings = new Set<string>();
  const warn: ExchangeRecord['warn'] = (text, _host, code = 299) => {
    // A field of other characters cannot be sent.
    const printable = quote(text).replace(/[^\x20-\x7e]/g, '?');
    if (warnings.size < mostWarnings) warnings.add(`${code} - ${printable}`);
  };
  return { action: 'none', bytes: 0, warnings, warn, isStreaming: false };
}

/** Most warnings of one response. */
const mostWarnings = 10;

/** A request with its repository, and access to the other repositories of the registry. */
export interface Exchange {
  readonly request: Request;
  readonly query: URLSearchParams;
  readonly repository: Repository;
  readonly source: Source;
  /** Where an upload continues, if not here. */
  uploadUrl(id: string, repository: Repository): string | undefined;
  readonly record: ExchangeRecord;
  /** Whether what a layout has through a link is sent: `ServeOptions`. */
  readonly links: boolean;
  readonly registry: Registry;
  /** Another repository of the same registry. */
  sibling(name: string): Source;
  /** Whether content may be elsewhere, too, as `locate` says. */
  readonly isElsewhere: boolean;
  /** The URL at which content is, too; undefined for only here. */
  locate(target: Descriptor, repository: Repository, signal: AbortSignal): Promise<string | undefined>;
}

/** Handles the requests of one kind of route. */
export type RouteHandler<Kind extends Route['kind']> = (
  exchange: Exchange,
  route: Extract<Route, { readonly kind: Kind }>,
) => Promise<Response>;

export const octets = 'application/octet-stream';

/** The repository as a store; `UNSUPPORTED` if it is read-only, `DENIED` if nobody may write into it. */
export function storeOf({ source, repository: { name } }: Exchange): Store {
  const attempted = `write to repository "${name}"`;
  if (!isStore(source)) throw cannot('UNSUPPORTED', attempted, 'it is read-only', { value: name });
  if (source.isDenied) throw cannot('DENIED', attempted, 'it is not here', { value: name });
  return source;
}

/** The request's body, chunk by chunk. Leaving early cancels it. */
export const bodyOf = (request: Request): Chunks => chunksOf(request) ?? emptyBody;

const emptyBody = bytesBody(new Uint8Array());

/** The `Content-Length` of a request, if it has one; 0 without a body. */
export function lengthOf(request: Request): number | undefined {
  if (!hasBody(request)) return 0;
  const header = request.headers.get('content-length');
  return header !== null && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
}
