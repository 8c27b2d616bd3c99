import { createBody } from '../body.ts';
import { asRegistryError, cannot } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { createHasher, isDigest } from '../oci/digest.ts';
import { kindOf } from '../oci/manifest.ts';
import type { Range } from '../oci/range.ts';
import { isOfType, type Referrer, referrerOf } from '../oci/referrer.ts';
import type { Body, CallOptions, Chunks, Fetched, FetchOptions, Lister, Referrers, Store } from '../source.ts';

/** Bytes of one chunk of a body. */
const chunkBytes = 65_536;

interface MemoryContent {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** If it is a manifest that refers to another. */
  readonly referrer: Referrer | undefined;
}

/**
 * A repository held in memory: content by digest, and names for it. It has no limit except the process's own, and ends with it.
 *
 * `resolve` and `fetch` fail with `NOT_FOUND` and `ABORTED`; `push` with `DIGEST_MISMATCH`, `TOO_LARGE`, `UNEXPECTED_END`,
 * `INVALID_DIGEST` and `ABORTED`; `tag` with `NOT_FOUND`. Content that was pushed under two media types is known by the
 * manifest type, if one of them is. An empty one has no tags; `referrers` are in the order in which they were pushed first.
 */
export function memoryStore({ name = 'memory' }: { readonly name?: string } = {}): Store & Lister & Referrers {
  const content = new Map<string, MemoryContent>();
  const tags = new Map<string, string>();

  const find = (reference: string, attempted: string): MemoryContent => {
    const kept = content.get(isDigest(reference) ? reference : (tags.get(reference) ?? ''));
    if (!kept) throw cannot('NOT_FOUND', `${attempted} "${reference}"`, 'not in this store');
    return kept;
  };

  return {
    name,
    async resolve(reference, { signal } = {}) {
      refuseAborted(signal, `resolve "${reference}"`);
      return find(reference, 'resolve').descriptor;
    },
    async fetch(target, { range, signal }: FetchOptions = {}): Promise<Fetched> {
      refuseAborted(signal, `fetch "${target.digest}"`);
      const { descriptor, bytes } = find(target.digest, 'fetch');
      return { descriptor, body: bodyOf(cut(bytes, range), target.digest, signal), from: name };
    },
    async push(target, body, options = {}) {
      const bytes = await collect(target, body, options);
      const known = content.get(target.digest)?.descriptor.mediaType;
      const mediaType = known && kindOf(known) === 'manifests' ? known : target.mediaType;
      const descriptor = { mediaType, digest: target.digest, size: target.size };
      const referrer = kindOf(mediaType) === 'manifests' ? referrerOf(bytes, descriptor) : undefined;
      content.set(target.digest, { descriptor, bytes, referrer });
    },
    async tag(target, name, { signal } = {}) {
      refuseAborted(signal, `tag "${name}"`);
      tags.set(name, find(target.digest, `give the name "${name}" to`).descriptor.digest);
    },
    async tags({ signal } = {}) {
      refuseAborted(signal, 'list tags');
      return [...tags.keys()].sort();
    },
    async referrers(digest, { signal, artifactType } = {}) {
      refuseAborted(signal, `list the referrers of "${digest}"`);
      const found = [...content.values()].filter(({ referrer }) => referrer?.subject === digest);
      const all = found.flatMap(({ referrer }) => (referrer ? [referrer.descriptor] : []));
      return artifactType ? all.filter((descriptor) => isOfType(descriptor.artifactType, artifactType)) : all;
    },
  };
}

/** `ABORTED` if the signal has fired. */
function refuseAborted(signal: AbortSignal | undefined, attempted: string): void {
  if (signal?.aborted) throw asRegistryError(signal.reason, 'ABORTED', attempted);
}

const cut = (bytes: Uint8Array, range?: Range): Uint8Array =>
  range ? bytes.subarray(range.start, Math.max(range.start, range.end ?? bytes.length)) : bytes;

/** The whole of `body`, once its size and digest are what `target` says. */
async function collect(target: Descriptor, body: Chunks, { signal }: CallOptions): Promise<Uint8Array> {
  const attempted = `push "${target.digest}"`;
  refuseAborted(signal, attempted);
  const hasher = createHasher(target.digest);
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    refuseAborted(signal, attempted);
    size += chunk.length;
    if (size > target.size)
      throw cannot('TOO_LARGE', attempted, `more than its ${target.size} bytes`, { value: target.digest });
    hasher.update(chunk);
    chunks.push(chunk);
  }
  if (size < target.size)
    throw cannot('UNEXPECTED_END', attempted, `${size} of ${target.size} bytes`, { value: target.digest });
  const digest = hasher.digest();
  if (digest !== target.digest)
    throw cannot('DIGEST_MISMATCH', attempted, `its bytes are "${digest}"`, { value: target.digest });
  return join(chunks, size);
}

/** One copy of all chunks, so that whoever pushed them cannot change what is kept. */
function join(chunks: readonly Uint8Array[], size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  let offset = 0;
  for (const chunk of chunks) {
    bytes.set(chunk, offset);
    offset += chunk.length;
  }
  return bytes;
}

/** Copies of `bytes`, chunk by chunk, so that the receiver cannot change what is kept. */
function bodyOf(bytes: Uint8Array, digest: string, signal: AbortSignal | undefined): Body {
  let offset = 0;
  return createBody({
    next() {
      refuseAborted(signal, `read "${digest}"`);
      if (offset === bytes.length) return undefined;
      const chunk = bytes.slice(offset, offset + chunkBytes);
      offset += chunk.length;
      return chunk;
    },
    cancel: () => undefined,
  }).body;
}
