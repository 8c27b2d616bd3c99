import { discard } from '../body.ts';
import { remember } from '../bounded-map.ts';
import type { Endpoint } from '../endpoint.ts';
import { RegistryError } from '../errors.ts';
import type { HttpResponse } from '../http/transport.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { manifestAccept } from '../oci/manifest.ts';
import { formatReference } from '../oci/reference.ts';
import type { Route } from '../oci/route.ts';
import type { CallOptions, FetchOptions } from '../source.ts';
import {
  type BoundEndpoint,
  conditionOf,
  type EndpointRequest,
  endpointRequest,
  exchange,
  noteValidator,
  readDocumentAt,
  readUnlessKnown,
} from './exchange.ts';
import { describeBlob, describeHead } from './response.ts';

/** Statuses of hosts that do not accept HEAD, or (402, 403, 412, 451 …) give the reason to a GET only. */
const headRefused = new Set([400, 402, 403, 405, 409, 412, 422, 423, 451, 501]);

/**
 * What a tag or digest names at one endpoint: by HEAD, which Docker Hub does not count against its rate limit, or by the
 * document if HEAD leaves something out or the content is wanted next. A digest that is not a manifest may be a blob, and is
 * looked for there first if it probably is one.
 */
export async function resolveAt(bound: BoundEndpoint, reference: string, call: CallOptions): Promise<Descriptor> {
  const asManifest = async (): Promise<Descriptor> => {
    const found = call.content ? undefined : await headManifest(bound, reference, call);
    return found ?? (await readManifest(bound, reference, call));
  };
  if (!isDigest(reference)) return asManifest();
  const asBlob = (): Promise<Descriptor> => headBlob(bound, reference, call);
  const [first, second] = call.kind === 'blobs' ? [asBlob, asManifest] : [asManifest, asBlob];
  return first().catch((error: unknown) => {
    if (error instanceof RegistryError && error.code === 'NOT_FOUND') return second();
    throw error;
  });
}

async function headManifest(
  bound: BoundEndpoint,
  reference: string,
  call: CallOptions,
): Promise<Descriptor | undefined> {
  const { endpoint, context } = bound;
  const route: Route = { kind: 'manifest', name: endpoint.repository, reference };
  const request = {
    ...headRequest(endpoint, route, { accept: manifestAccept, ...conditionOf(call, endpoint) }),
    reference,
  };
  const describe = ({ headers, status }: HttpResponse): Descriptor | undefined =>
    status === 304 ? call.known?.descriptor : describeHead(headers, reference, context.manifestBytes);
  try {
    return await head(bound, request, call, (response) => {
      const found = describe(response);
      if (found) noteValidator(response, endpoint, call);
      return found;
    });
  } catch (error) {
    if (error instanceof RegistryError && headRefused.has(error.status ?? 0)) return undefined;
    throw error;
  }
}

async function readManifest(bound: BoundEndpoint, reference: string, call: CallOptions): Promise<Descriptor> {
  const { endpoint, repository, context } = bound;
  const { descriptor, bytes, url } = await readUnlessKnown(bound, reference, call);
  if (bytes) context.documents.put(repository, descriptor.digest, { bytes, endpoint, request: url });
  return descriptor;
}

/** The blob of a digest, as HEAD describes it: `BAD_RESPONSE` without its size. */
export function headBlob(bound: BoundEndpoint, digest: Digest, call: CallOptions): Promise<Descriptor> {
  const route: Route = { kind: 'blob', name: bound.endpoint.repository, digest };
  const request = { ...headRequest(bound.endpoint, route, { accept: '*/*' }), reference: digest };
  const ask = () => head(bound, request, call, ({ headers }) => describeBlob(headers, digest));
  return ask().catch(async (error: unknown) => {
    if (await fill(bound, error, call)) return ask();
    throw error;
  });
}

/**
 * Requests the manifest that lists a blob from an endpoint that lacks the blob; true if the endpoint has the manifest. A mirror
 * may have seen none, as it is not trusted with tags or another host gave it, and some (ECR's pull-through cache) get blobs
 * only after their manifest. If it is not known which manifest it is, those of the repository that were read last are
 * requested. Each once.
 */
export async function fill(
  bound: BoundEndpoint,
  error: unknown,
  { manifest, ...call }: FetchOptions,
): Promise<boolean> {
  const { endpoint, repository, context } = bound;
  if (!(error instanceof RegistryError && error.code === 'NOT_FOUND')) return false;
  const latest = context.manifests.get(formatReference(repository)) ?? [];
  const filled = await Promise.all(
    (manifest === undefined ? latest : [manifest]).map((digest) => {
      const key = `${endpoint.url} ${endpoint.repository} ${digest}`;
      const filling =
        context.filling.get(key) ??
        readDocumentAt(bound, digest, call).then(
          () => true,
          () => false,
        );
      remember(context.filling, key, filling);
      return filling;
    }),
  );
  return filled.includes(true);
}

// The length of an encoded response is not that of the content.
const headRequest = (endpoint: Endpoint, route: Route, headers: EndpointRequest['headers']): EndpointRequest =>
  endpointRequest(endpoint, 'HEAD', route, { 'accept-encoding': 'identity', ...headers });

/** Describes a response within its exchange, so that an error carries the host and the attempt. */
function head<T>(
  { context }: BoundEndpoint,
  request: EndpointRequest,
  call: CallOptions,
  describe: (response: HttpResponse) => T,
): Promise<T> {
  return exchange(request, context, call, async ({ response }) => {
    await discard(response.body);
    return describe(response);
  });
}
