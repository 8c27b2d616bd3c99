import { readAll } from '../body.ts';
import { recordOf, withAttempt } from '../content/attempts.ts';
import { type Endpoint, redactUrl } from '../endpoint.ts';
import { cannot, codeOfStatus, type RegistryError } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Reach } from '../http/address.ts';
import { readErrorBody } from '../http/error-body.ts';
import { parseWarnings } from '../http/header-fields.ts';
import { authoritiesOf } from '../http/tls.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { manifestAccept } from '../oci/manifest.ts';
import type { Repository } from '../oci/reference.ts';
import { type Route, toPath } from '../oci/route.ts';
import type { CallOptions } from '../source.ts';
import { quote } from '../text/quote.ts';
import type { DocumentsAtHand } from './at-hand.ts';
import { decode, decoderOf, describeDocument, type Encodings } from './response.ts';

/** What all requests of a client share. */
export interface RequestContext {
  readonly send: Transport;
  readonly encodings: Encodings;
  readonly emit: Emit;
  readonly userAgent: string;
  readonly documents: DocumentsAtHand;
  /** Bytes. */
  readonly manifestBytes: number;
  readonly discardBytes: number;
  /** Whether manifests that were requested for the sake of their blobs are there, by endpoint and digest. */
  readonly filling: Map<string, Promise<boolean>>;
  /** Most pages of a list. */
  readonly pages: number;
}

/** An endpoint with the client that uses it, and the repository that it is used for. */
export interface BoundEndpoint {
  readonly endpoint: Endpoint;
  /** The repository as its users name it. */
  readonly repository: Repository;
  readonly context: RequestContext;
}

/** A request to an endpoint, or on its behalf. */
export interface EndpointRequest {
  readonly endpoint: Endpoint;
  /** For a URL at another origin than the endpoint, which gets no credentials, headers or client certificate: which addresses it may have. */
  readonly stranger?: Reach | undefined;
  readonly method: 'GET' | 'HEAD';
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The tag or digest to resolve, for the message if it does not exist. */
  readonly reference?: string | undefined;
}

export function endpointRequest(
  endpoint: Endpoint,
  method: EndpointRequest['method'],
  route: Route,
  headers: EndpointRequest['headers'],
): EndpointRequest {
  const query = endpoint.namespace === undefined ? '' : `?ns=${encodeURIComponent(endpoint.namespace)}`;
  return { endpoint, method, url: `${endpoint.url}${toPath(route)}${query}`, headers };
}

/** A response with a status below 300. */
export interface GoodResponse {
  readonly response: HttpResponse;
  readonly warnings: readonly string[];
}

/**
 * Sends one request and hands the response to `use`, whose result is returned. An error, also of `use`, carries the host
 * and the attempt, and the body is cancelled. The `attempt` event is emitted when the body has ended.
 */
export async function exchange<T>(
  request: EndpointRequest,
  { send, emit, userAgent, encodings }: RequestContext,
  { signal, more, tried, canLeave, onWarning }: CallOptions,
  use: (response: GoodResponse) => Promise<T>,
): Promise<T> {
  const { endpoint, stranger, method, url, headers } = request;
  const attempt = { endpoint, method, url, started: performance.now() };
  let response: HttpResponse | undefined;
  try {
    const connection = stranger ? { ...stranger, tls: authoritiesOf(endpoint.tls) } : { endpoint, tls: endpoint.tls };
    response = await send({
      method,
      url,
      headers: { 'user-agent': userAgent, ...headers },
      signal,
      more,
      tried,
      canLeave,
      ...connection,
    });
    const warnings = parseWarnings(response.headers.warning);
    for (const text of warnings) onWarning?.(text, new URL(endpoint.url).host);
    if (response.status >= 300) throw await statusError(response, request, encodings);
    const result = await use({ response, warnings });
    if (response.ended)
      void response.ended.then(({ bytes, error }) => emit({ type: 'attempt', ...recordOf(attempt, bytes, error) }));
    return result;
  } catch (thrown) {
    await response?.body.cancel(thrown).catch(() => {});
    const error = withAttempt(thrown, attempt, 0);
    emit({ type: 'attempt', ...(error.attempts.at(-1) ?? recordOf(attempt, 0, error)) });
    throw error;
  }
}

/** The error for a bad status, with the codes of the body. */
async function statusError(
  response: HttpResponse,
  { endpoint, method, url, reference }: EndpointRequest,
  encodings: Encodings,
): Promise<RegistryError> {
  const { found, ...facts } = await readErrorBody(response, decoderOf(encodings));
  const code = codeOfStatus(response.status, facts.registryErrors.length > 0);
  const { host } = new URL(endpoint.url);
  const reason = code === 'UNAUTHORIZED' || code === 'DENIED' ? response.login : undefined;
  const details = { ...facts, reason, host, owed: response.owed, value: reference };
  return reference !== undefined && code === 'NOT_FOUND'
    ? cannot(code, `resolve ${quote(reference)}`, `it is not at ${host} (${found})`, details)
    : cannot(code, `${method.toLowerCase()} "${redactUrl(url)}"`, found, details);
}

/** A manifest or index that was read whole. */
interface ReceivedDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** The URL it was requested from. */
  readonly url: string;
}

/** What a tag or digest names at an endpoint, read whole: at most `manifestBytes`. */
export function readDocumentAt(
  { endpoint, context }: BoundEndpoint,
  reference: string,
  call: CallOptions,
): Promise<ReceivedDocument> {
  const { encodings, manifestBytes } = context;
  const route: Route = { kind: 'manifest', name: endpoint.repository, reference };
  const headers = { accept: manifestAccept, 'accept-encoding': encodings.accepted };
  const request = { ...endpointRequest(endpoint, 'GET', route, headers), reference };
  return exchange(request, context, call, async ({ response }) => {
    const body = await decode(response.body, response.headers['content-encoding'], encodings, manifestBytes);
    const bytes = await readAll(body, manifestBytes, `the manifest ${quote(reference)}`);
    return { descriptor: describeDocument(bytes, response.headers, reference), bytes, url: request.url };
  });
}
