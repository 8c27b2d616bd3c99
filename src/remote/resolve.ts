import { discard, readAll } from '../body.ts';
import { RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import { manifestAccept } from '../oci/manifest.ts';
import { quote } from '../oci/quote.ts';
import type { Route } from '../oci/route.ts';
import type { CallOptions } from '../source.ts';
import { decode } from './decode.ts';
import { describeBlob, describeDocument, describeHead } from './describe.ts';
import { type Answer, ask, type Place, questionOf } from './exchange.ts';

/** Statuses by which a host says that it does not take HEAD, or (403) keeps its reason for a GET. */
const headless = new Set([400, 403, 405, 501]);

/**
 * What a tag or digest names at one endpoint. HEAD, which Docker Hub does not count against its callers; the document
 * itself where HEAD leaves something out, or where the content is wanted next. A digest that is no manifest may be a blob.
 */
export async function resolveAt(place: Place, reference: string, call: CallOptions): Promise<Descriptor> {
  try {
    const found = call.content ? undefined : await headManifest(place, reference, call);
    return found ?? (await readManifest(place, reference, call));
  } catch (error) {
    const missing = error instanceof RegistryError && error.code === 'NOT_FOUND';
    if (!missing || !isDigest(reference)) throw error;
    return headBlob(place, reference, call);
  }
}

async function headManifest(place: Place, reference: string, call: CallOptions): Promise<Descriptor | undefined> {
  try {
    const question = { kind: 'manifest', reference, accept: manifestAccept } as const;
    return await head(place, question, call, (headers) =>
      describeHead(headers, reference, place.context.manifestBytes),
    );
  } catch (error) {
    if (error instanceof RegistryError && headless.has(error.status ?? 0)) return undefined;
    throw error;
  }
}

function readManifest(place: Place, reference: string, call: CallOptions): Promise<Descriptor> {
  const { endpoint, repository, context } = place;
  const { encodings, manifestBytes, kept } = context;
  const route: Route = { kind: 'manifest', name: endpoint.repository, reference };
  const headers = { accept: manifestAccept, 'accept-encoding': encodings.accepted };
  const question = { ...questionOf(endpoint, 'GET', route, headers), reference };
  return ask(question, context, call, async ({ response }) => {
    const body = await decode(response.body, response.headers['content-encoding'], encodings, manifestBytes);
    const bytes = await readAll(body, manifestBytes, `the manifest ${quote(reference)}`);
    const descriptor = describeDocument(bytes, response.headers, reference);
    kept.put(repository, descriptor.digest, { bytes, endpoint, request: question.url });
    return descriptor;
  });
}

/** What a HEAD says of a blob, under the digest that was asked for: `BAD_RESPONSE` where it does not tell the size. */
export function headBlob(place: Place, digest: Digest, call: CallOptions): Promise<Descriptor> {
  const question = { kind: 'blob', reference: digest, accept: '*/*' } as const;
  return head(place, question, call, (headers) => describeBlob(headers, digest));
}

/** What is wrong with the head, too, is told as what is wrong with the answer: with its host and the attempt. */
function head<T>(
  { endpoint, context }: Place,
  asked: { readonly kind: Route['kind'] & ('manifest' | 'blob'); readonly reference: string; readonly accept: string },
  call: CallOptions,
  describe: (headers: Answer['response']['headers']) => T,
): Promise<T> {
  const { kind, reference, accept } = asked;
  const name = endpoint.repository;
  const route: Route = kind === 'blob' ? { kind, name, digest: reference } : { kind, name, reference };
  // The length of an encoded answer is not that of the content.
  const headers = { accept, 'accept-encoding': 'identity' };
  const question = { ...questionOf(endpoint, 'HEAD', route, headers), reference };
  return ask(question, context, call, async ({ response }) => {
    await discard(response.body);
    return describe(response.headers);
  });
}
