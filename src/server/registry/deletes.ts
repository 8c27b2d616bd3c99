import { cannot } from '../../errors.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import { kindOf } from '../../oci/manifest.ts';
import { isTag } from '../../oci/reference.ts';
import { type Deleter, isDeleter, isStore } from '../../source.ts';
import { invalidDigest } from './content.ts';
import { type Exchange, type RouteHandler, storeOf } from './exchange.ts';
import { problem } from './problem.ts';
import type { ServeOptions } from './serve-options.ts';

/**
 * DELETE of a manifest: by digest with all its tags, by tag only that.
 * https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#deleting-manifests
 */
const deleteManifest: RouteHandler<'manifest'> = async (exchange, { reference }) => {
  const { request, record } = exchange;
  if (reference.includes(':') && !isDigest(reference)) return invalidDigest(reference);
  if (isDigest(reference)) return remove(exchange, reference, 'manifests');
  if (!isTag(reference)) return problem(404, 'MANIFEST_UNKNOWN', `No manifest "${reference}": not a tag`);
  const deleter = deleterOf(exchange);
  record.action = 'delete';
  record.tag = reference;
  await deleter.untag(reference, { signal: request.signal });
  return accepted();
};

/** DELETE of a blob. Manifests that name it stay. */
const deleteBlob: RouteHandler<'blob'> = async (exchange, { digest }) =>
  isDigest(digest) ? remove(exchange, digest, 'blobs') : invalidDigest(digest);

async function remove(exchange: Exchange, digest: Digest, kind: 'manifests' | 'blobs'): Promise<Response> {
  const { request, source, record } = exchange;
  const deleter = deleterOf(exchange);
  const descriptor = await source.resolve(digest, { signal: request.signal });
  if (kindOf(descriptor.mediaType) !== kind) {
    return kind === 'manifests'
      ? problem(404, 'MANIFEST_UNKNOWN', `No manifest "${digest}": it is a blob`)
      : problem(404, 'BLOB_UNKNOWN', `No blob "${digest}": it is a manifest`);
  }
  record.action = 'delete';
  record.descriptor = descriptor;
  const untagged = new Set<string>();
  await deleter.remove(digest, { signal: request.signal, onUntagged: (name) => untagged.add(name) });
  if (untagged.size > 0) record.untagged = [...untagged].sort();
  return accepted();
}

/** The handlers of DELETE, as the options want them. */
export const deletesOf = ({ deletes = true }: Pick<ServeOptions, 'deletes'>) =>
  deletes ? { manifest: deleteManifest, blob: deleteBlob } : { manifest: refuse, blob: refuse };

const refuse = async ({ repository: { name } }: Exchange): Promise<never> => {
  throw cannot('UNSUPPORTED', `delete from repository "${name}"`, 'nothing can be deleted here', { value: name });
};

/** The repository as what can delete; `UNSUPPORTED` if it cannot. */
function deleterOf(exchange: Exchange): Deleter {
  const { source } = exchange;
  // What does not exist cannot be deleted, whether it may be written or not.
  const store = isStore(source) && source.isDenied ? source : storeOf(exchange);
  if (isDeleter(store)) return store;
  const { name } = exchange.repository;
  throw cannot('UNSUPPORTED', `delete from repository "${name}"`, 'nothing can be deleted from it', { value: name });
}

const accepted = (): Response => new Response(null, { status: 202, headers: { 'content-length': '0' } });
