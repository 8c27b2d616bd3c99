import { readAll } from '../body.ts';
import { RegistryError } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import type { Digest } from '../oci/digest.ts';
import { manifestAccept, mediaTypes, parseDocument, parseIndex } from '../oci/manifest.ts';
import { artifactTypeOf, referrersTag } from '../oci/referrer.ts';
import type { Route } from '../oci/route.ts';
import type { CallOptions, ReferrersOptions } from '../source.ts';
import { decode, describeDocument } from './answer.ts';

import { ask, type Place, questionOf } from './exchange.ts';
import { listAt } from './lists.ts';

/** Statuses of a registry that does not have the API. 404 is the specification's, the others those of some registries. */
const absent = new Set([400, 404, 405, 406, 410, 501]);

/** A referrer, and whether the host has picked it for its type. */
interface Listed {
  readonly descriptor: Descriptor;
  readonly isPicked: boolean;
}

/**
 * What refers to a digest at one endpoint: by the referrers API, or where there is none by the tag that stands for it,
 * which is a list and no name, so an endpoint trusted with referrers is asked for it whether or not it is trusted with
 * tags. An answer of the API is believed, also an empty one; `NOT_FOUND` where there is neither the API nor that tag.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#listing-referrers
 */
export async function referrersAt(place: Place, digest: Digest, options: ReferrersOptions): Promise<Descriptor[]> {
  const { artifactType, ...call } = options;
  const listed = await listAt<Listed>(
    place,
    {
      what: 'the referrers',
      route: { kind: 'referrers', name: place.endpoint.repository, digest },
      ...(artifactType && { query: `artifactType=${encodeURIComponent(artifactType)}` }),
      accept: mediaTypes.ociIndex,
      keyOf: ({ descriptor }) => descriptor.digest,
      read: (bytes, headers) => {
        const isPicked = /(?:^|[\s,])artifactType(?:$|[\s,])/i.test(headers['oci-filters-applied'] ?? '');
        const { manifests } = parseIndex(bytes, headers['content-type']);
        return manifests.map((descriptor) => ({ descriptor, isPicked }));
      },
      instead: (error) => taggedReferrers(place, digest, call, error),
    },
    call,
  );
  if (!artifactType) return listed.map(({ descriptor }) => descriptor);
  return ofType(place, listed, artifactType, call);
}

/** Documents that are read at a time, to learn their types. */
const readAtOnce = 8;

/** Those of one type. What the host has picked is believed; where it told no type the document does. */
async function ofType(
  place: Place,
  listed: readonly Listed[],
  artifactType: string,
  call: CallOptions,
): Promise<Descriptor[]> {
  const found: Descriptor[] = [];
  for (let at = 0; at < listed.length; at += readAtOnce) {
    const typed = listed.slice(at, at + readAtOnce).map(async ({ descriptor, isPicked }) => {
      const known = isPicked || descriptor.artifactType ? descriptor : await typedAt(place, descriptor, call);
      return isPicked || known.artifactType === artifactType ? [known] : [];
    });
    found.push(...(await Promise.all(typed)).flat());
  }
  return found;
}

/** The list that pushers keep under a tag where the API is not there. What they left there that is no index lists nothing. */
async function taggedReferrers(place: Place, digest: Digest, call: CallOptions, error: unknown): Promise<Listed[]> {
  const { code = '', status = 0 } = error instanceof RegistryError ? error : {};
  const isAbsent = absent.has(status);
  // Some refuse (401, 403, a page for people) what they do not know; there the tag can only help.
  const mayHelp = isAbsent || ['UNAUTHORIZED', 'DENIED', 'BAD_RESPONSE'].includes(code);
  if (!mayHelp) throw error;
  const tag = referrersTag(digest);
  try {
    const document = await readDocument(place, tag, call);
    const manifests = 'manifests' in document ? document.manifests : [];
    return manifests.map((descriptor) => ({ descriptor, isPicked: false }));
  } catch (thrown) {
    const isUntagged = thrown instanceof RegistryError && thrown.code === 'NOT_FOUND';
    throw isUntagged && !isAbsent ? error : thrown;
  }
}

/** A referrer with the type of its document, for lists that do not tell it; as it is where the document is not there. */
async function typedAt(place: Place, descriptor: Descriptor, call: CallOptions): Promise<Descriptor> {
  try {
    const artifactType = artifactTypeOf(await readDocument(place, descriptor.digest, call));
    return artifactType === undefined ? descriptor : { ...descriptor, artifactType };
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'NOT_FOUND') return descriptor;
    throw error;
  }
}

function readDocument(
  { endpoint, context }: Place,
  reference: string,
  call: CallOptions,
): Promise<ReturnType<typeof parseDocument>> {
  const { encodings, manifestBytes } = context;
  const route: Route = { kind: 'manifest', name: endpoint.repository, reference };
  const headers = { accept: manifestAccept, 'accept-encoding': encodings.accepted };
  return ask(questionOf(endpoint, 'GET', route, headers), context, call, async ({ response }) => {
    const body = await decode(response.body, response.headers['content-encoding'], encodings, manifestBytes);
    const bytes = await readAll(body, manifestBytes, `the manifest "${reference}"`);
    const { mediaType } = describeDocument(bytes, response.headers, reference);
    return parseDocument(bytes, mediaType);
  });
}
