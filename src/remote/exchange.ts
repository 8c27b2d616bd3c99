import { defaultBackoff, jittered, sleep } from '../abort.ts';
import { readAll } from '../body.ts';
import { remember } from '../bounded-map.ts';
import { recordOf, withAttempt } from '../content/attempts.ts';
import type { Paces } from '../content/pace.ts';
import type { Contests } from '../contest.ts';
import { type Endpoint, redactUrl } from '../endpoint.ts';
import { cannot, codeOfStatus, messageOf, RegistryError, restate } from '../errors.ts';
import type { Emit } from '../events.ts';
import type { Reach } from '../http/address.ts';
import { readErrorBody } from '../http/error-body.ts';
import { parseChallenges, parseWarnings } from '../http/header-fields.ts';
import { defaultTries, type RetryOptions } from '../http/retry.ts';
import { authoritiesOf } from '../http/tls.ts';
import type { HttpResponse, Transport } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { isManifestType, manifestAccept, manifestTooLarge } from '../oci/manifest.ts';
import type { Repository } from '../oci/reference.ts';
import { formatReference } from '../oci/reference.ts';
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
  readonly contests: Contests;
  /** Endpoints that have given something of a repository, by URL and repository. */
  readonly useful: Map<string, true>;
  readonly paces: Paces;
  readonly userAgent: string;
  readonly documents: DocumentsAtHand;
  /** Bytes. */
  readonly manifestBytes: number;
  readonly discardBytes: number;
  /** Whether manifests that were requested for the sake of their blobs are there, by endpoint and digest. */
  readonly filling: Map<string, Promise<boolean>>;
  /** Digests of the manifests that were read last, by repository. */
  readonly manifests: Map<string, readonly Digest[]>;
  /** Most bytes of a list, all pages together. */
  readonly listBytes: number;
  /** Most pages of a list. */
  readonly pages: number;
  readonly retries: Pick<RetryOptions, 'tries' | 'backoff'>;
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

/** A response with a status below 300, or 304 if the request was conditional. */
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
  { send, emit, userAgent, encodings, paces }: RequestContext,
  { signal, more, tried, canLeave, rivals, contest, oneOfMany, onWarning }: CallOptions,
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
      meter: paces.meterOf(endpoint.url, rivals),
      contest,
      oneOfMany,
      ...connection,
    });
    const warnings = parseWarnings(response.headers.warning);
    for (const text of warnings) onWarning?.(text, new URL(endpoint.url).host);
    const isUnchanged = response.status === 304 && headers['if-none-match'] !== undefined;
    if (response.status >= 300 && !isUnchanged) throw await statusError(response, request, encodings);
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

/**
 * As `exchange`, for a response that `use` reads to its end: if its body breaks off, it is requested again, as often as a
 * request that fails.
 */
export async function exchangeWhole<T>(
  request: EndpointRequest,
  context: RequestContext,
  call: CallOptions,
  use: (response: GoodResponse) => Promise<T>,
): Promise<T> {
  const { tries = defaultTries, backoff = defaultBackoff } = context.retries;
  for (let tried = (call.tried ?? 0) + 1; ; tried += 1) {
    let isOpen = false;
    try {
      return await exchange(request, context, call, (response) => {
        isOpen = true;
        return use(response);
      });
    } catch (error) {
      if (!isOpen || !isBroken(error) || call.signal?.aborted || tried >= tries) throw error;
      if (call.more) throw restate(error, { owed: { tried, expected: 0 } });
      const milliseconds = jittered(backoff, tried);
      const url = redactUrl(request.url);
      context.emit({ type: 'wait', url, milliseconds: Math.round(milliseconds), reason: messageOf(error) });
      await sleep(milliseconds, call.signal);
    }
  }
}

/** Whether a body ended early or stopped coming. */
const isBroken = (error: unknown): error is RegistryError =>
  error instanceof RegistryError && (error.code === 'UNEXPECTED_END' || error.code === 'TIMEOUT');

/** The error for a bad status, with the codes of the body. */
async function statusError(
  response: HttpResponse,
  { endpoint, method, url, reference }: EndpointRequest,
  encodings: Encodings,
): Promise<RegistryError> {
  const { found: inBody, ...facts } = await readErrorBody(response, decoderOf(encodings));
  const found = [inBody, ...challengeErrors(response)].join(', ');
  const code = codeOfStatus(response.status, facts.registryErrors.length > 0);
  const { host } = new URL(endpoint.url);
  const reason = code === 'UNAUTHORIZED' || code === 'DENIED' ? response.login : undefined;
  const details = { ...facts, reason, host, owed: response.owed, value: reference };
  return reference !== undefined && code === 'NOT_FOUND'
    ? cannot(
        code,
        `resolve ${quote(reference)}`,
        `${isDigest(reference) ? 'it' : `tag ${quote(reference)}`} is not at ${host} (${found})`,
        details,
      )
    : cannot(code, `${method.toLowerCase()} "${redactUrl(url)}"`, found, details);
}

/** What a challenge says is wrong with what was sent: `insufficient_scope`. RFC 6750 section 3 */
function challengeErrors({ headers }: HttpResponse): string[] {
  const { challenges } = parseChallenges(headers['www-authenticate'] ?? '');
  const errors = challenges.flatMap(({ parameters: { error = '' } }) => (/^[\w-]{1,64}$/.test(error) ? [error] : []));
  return [...new Set(errors)];
}

/** A manifest or index that was read whole. */
interface ReceivedDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** The URL it was requested from. */
  readonly url: string;
}

/** What a tag or digest names at an endpoint, read whole: at most `manifestBytes`. */
export async function readDocumentAt(
  bound: BoundEndpoint,
  reference: string,
  call: Omit<CallOptions, 'known'>,
): Promise<ReceivedDocument> {
  const found = await readUnlessKnown(bound, reference, { ...call, known: undefined });
  const { bytes = new Uint8Array(0) } = found;
  return { ...found, bytes };
}

/** The same, without its bytes if the endpoint says that the tag names what was `known`. */
export function readUnlessKnown(
  bound: BoundEndpoint,
  reference: string,
  call: CallOptions,
): Promise<Omit<ReceivedDocument, 'bytes'> & Partial<ReceivedDocument>> {
  const { endpoint, context } = bound;
  const { encodings, manifestBytes } = context;
  const route: Route = { kind: 'manifest', name: endpoint.repository, reference };
  const accepted = { accept: manifestAccept, 'accept-encoding': encodings.accepted };
  const headers = { ...accepted, ...conditionOf(call, endpoint) };
  const request = { ...endpointRequest(endpoint, 'GET', route, headers), reference };
  const { url } = request;
  return exchangeWhole(request, context, call, async ({ response }) => {
    const body = await decode(response.body, response.headers['content-encoding'], encodings, manifestBytes);
    const bytes = await readAll(body, manifestBytes, `the manifest ${quote(reference)}`).catch((error: unknown) => {
      const isLimit = error instanceof RegistryError && error.reason === 'limit';
      throw isLimit ? manifestTooLarge(reference, manifestBytes) : error;
    });
    const known = response.status === 304 ? call.known : undefined;
    const descriptor = known ? known.descriptor : describeDocument(bytes, response.headers, reference);
    noteValidator(response, endpoint, call);
    if (!known) noteManifest(bound, descriptor);
    return { descriptor, url, ...(!known && { bytes }) };
  });
}

/** The header by which the endpoint that gave a validator need not say again what it said with it. */
export const conditionOf = ({ known }: CallOptions, { url }: Endpoint): Readonly<Record<string, string>> =>
  known?.validator.from === url ? { 'if-none-match': known.validator.etag } : {};

/** https://www.rfc-editor.org/rfc/rfc9110#section-8.8.3: of visible characters */
const entityTag = /^(?:W\/)?"[\x21\x23-\x7e\x80-\xff]{0,1000}"$/;

/** Reports the validator of a response: that of a 304 is the one that was sent, if it does not repeat it. */
export function noteValidator({ headers, status }: HttpResponse, { url }: Endpoint, call: CallOptions): void {
  const { etag = status === 304 ? call.known?.validator.etag : undefined } = headers;
  if (etag !== undefined && entityTag.test(etag)) call.onValidator?.({ etag, from: url });
}

/** Most manifests of a repository that are remembered. */
const mostManifests = 4;

/** Remembers that a document was read: if it is a manifest, it may be the one of the blobs that are requested next. */
export function noteManifest({ repository, context }: BoundEndpoint, { digest, mediaType }: Descriptor): void {
  if (!isManifestType(mediaType)) return;
  const key = formatReference(repository);
  const others = (context.manifests.get(key) ?? []).filter((other) => other !== digest);
  remember(context.manifests, key, [digest, ...others].slice(0, mostManifests));
}
