import { createBody, offerLending } from '../body.ts';
import { asRegistryError, cannot } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { isDigest } from '../oci/digest.ts';
import { defaultManifestBytes, kindOf, mediaTypes } from '../oci/manifest.ts';
import type { Range } from '../oci/range.ts';
import { isOfType, type Referrer, referrerOf } from '../oci/referrer.ts';
import { createPile } from '../pile.ts';
import type {
  Body,
  CallOptions,
  Chunks,
  Deleter,
  Fetched,
  FetchOptions,
  Lister,
  Mounts,
  Opener,
  Referrers,
  Source,
  Store,
  Uploads,
} from '../source.ts';
import { typeOfBytes } from './blobs.ts';
import { checkedChunks } from './memory/checked-chunks.ts';
import { createMemoryUploads, type MemoryUploads } from './memory/uploads.ts';
import { smallOffers } from './reading/small.ts';

/** Bytes of one chunk of a body: of one that is copied, and of one that is lent. */
const chunkBytes = 262_144;
const lentBytes = 1_048_576;

export interface MemoryContent {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** If it is a manifest that refers to another. */
  readonly referrer: Referrer | undefined;
  /** The type of the document that its bytes are, once it was needed. */
  type?: string;
}

/** What a repository in memory has. */
export interface MemoryRepository {
  readonly content: Map<string, MemoryContent>;
  /** Digests by tag. */
  readonly tags: Map<string, string>;
}

/** A repository in memory: a store with every ability. */
export interface MemoryStore extends Store, Opener, Lister, Referrers, Deleter, Uploads, Mounts {
  readonly name: string;
}

/**
 * A repository held in memory: content by digest, and names for it. It has no limit except the process's own, and ends with it.
 *
 * `resolve` and `fetch` fail with `NOT_FOUND` and `ABORTED`; `push` with `DIGEST_MISMATCH`, `TOO_LARGE`, `UNEXPECTED_END`,
 * `INVALID_DIGEST` and `ABORTED`; `tag` with `NOT_FOUND`. Content that was pushed under two media types is known by the
 * manifest type, if one of them is; what was pushed as any bytes is also found as the manifest that it is. An empty one has no tags; `referrers` are in the order in which they were pushed first.
 * Another store in memory mounts content by reference.
 */
export function memoryStore({ name = 'memory' }: { readonly name?: string } = {}): MemoryStore {
  const repository = emptyRepository();
  return createMemoryStore({
    name,
    uploads: createMemoryUploads(),
    read: () => repository,
    write: () => repository,
  });
}

export const emptyRepository = (): MemoryRepository => ({ content: new Map(), tags: new Map() });

/** Where a store in memory has its content. */
interface MemoryPlace {
  readonly name: string;
  readonly uploads: MemoryUploads;
  /** Undefined if there is no such repository. */
  read(): MemoryRepository | undefined;
  /** The repository, created if there is none. */
  write(): MemoryRepository;
}

/** What a store in memory has, for those that mount from it. */
const places = new WeakMap<Source, MemoryPlace>();

/** `memoryStore` over a repository that may not exist yet. */
export function createMemoryStore(place: MemoryPlace): MemoryStore {
  const { name } = place;
  const find = (reference: string, attempted: string): MemoryContent => {
    const repository = place.read();
    const digest = isDigest(reference) ? reference : (repository?.tags.get(reference) ?? '');
    const kept = repository?.content.get(digest);
    if (kept) return kept;
    const reason = repository ? undefined : 'no-repository';
    throw cannot('NOT_FOUND', `${attempted} "${reference}"`, `not in ${name}`, { value: reference, reason });
  };
  const push: Store['push'] = async (target, body, options = {}) => {
    const bytes = await collect(target, body, options);
    const { content } = place.write();
    const known = content.get(target.digest)?.descriptor.mediaType;
    const mediaType = known && kindOf(known) === 'manifests' ? known : target.mediaType;
    const descriptor = { mediaType, digest: target.digest, size: target.size };
    const referrer = kindOf(mediaType) === 'manifests' ? referrerOf(bytes, descriptor) : undefined;
    content.set(target.digest, { descriptor, bytes, referrer });
  };
  const store: MemoryStore = {
    name,
    push,
    ...place.uploads.into({ push }, name),
    async resolve(reference, { signal, kind } = {}) {
      refuseAborted(signal, `resolve "${reference}"`);
      const found = find(reference, 'resolve');
      return kind === 'manifests' ? asDocument(found) : found.descriptor;
    },
    async fetch(target, { range, signal }: FetchOptions = {}): Promise<Fetched> {
      refuseAborted(signal, `fetch "${target.digest}"`);
      const { descriptor, bytes } = find(target.digest, 'fetch');
      return { descriptor, body: bodyOf(cut(bytes, range), target.digest, signal), from: name };
    },
    async open(digest, { signal } = {}) {
      refuseAborted(signal, `fetch "${digest}"`);
      const { descriptor, bytes } = find(digest, 'fetch');
      return { descriptor, body: bodyOf(bytes, digest, signal), from: name };
    },
    async tag(target, tag, { signal } = {}) {
      refuseAborted(signal, `tag "${tag}"`);
      const { digest } = find(target.digest, `give the name "${tag}" to`).descriptor;
      place.write().tags.set(tag, digest);
    },
    async untag(tag, { signal } = {}) {
      refuseAborted(signal, `untag "${tag}"`);
      if (!place.read()?.tags.delete(tag)) find(tag, 'untag');
    },
    async remove(digest, { signal, onUntagged } = {}) {
      refuseAborted(signal, `remove "${digest}"`);
      find(digest, 'remove');
      const { content, tags } = place.write();
      content.delete(digest);
      for (const [tag, named] of tags) {
        if (named !== digest) continue;
        tags.delete(tag);
        onUntagged?.(tag);
      }
    },
    async mount(digest, from, { signal } = {}) {
      refuseAborted(signal, `mount "${digest}"`);
      const other = places.get(from)?.read();
      const known = other?.content.get(digest);
      if (known) place.write().content.set(digest, known);
      else if (places.has(from)) throw cannot('NOT_FOUND', `mount "${digest}"`, 'not there', { value: digest });
      return known !== undefined;
    },
    async tags({ signal } = {}) {
      refuseAborted(signal, 'list tags');
      const repository = place.read();
      if (repository) return [...repository.tags.keys()].sort();
      throw cannot('NOT_FOUND', 'list tags', `"${name}" does not exist`, { value: name, reason: 'no-repository' });
    },
    async referrers(digest, { signal, artifactType } = {}) {
      refuseAborted(signal, `list the referrers of "${digest}"`);
      const found = [...(place.read()?.content.values() ?? [])].filter(({ referrer }) => referrer?.subject === digest);
      const all = found.flatMap(({ referrer }) => (referrer ? [referrer.descriptor] : []));
      return artifactType ? all.filter((descriptor) => isOfType(descriptor.artifactType, artifactType)) : all;
    },
  };
  places.set(store, place);
  smallOffers.set(store, () => (reference) => {
    const repository = place.read();
    const kept = repository?.content.get(isDigest(reference) ? reference : (repository.tags.get(reference) ?? ''));
    return kept && kept.bytes.length <= chunkBytes ? kept : undefined;
  });
  return store;
}

/** The descriptor of content that is wanted as a manifest, also if a mirror read it as a blob at first. */
function asDocument(content: MemoryContent): Descriptor {
  const { descriptor, bytes } = content;
  if (descriptor.mediaType !== mediaTypes.octets || bytes.length > defaultManifestBytes) return descriptor;
  content.type ??= typeOfBytes(bytes);
  return { ...descriptor, mediaType: content.type };
}

/** `ABORTED` if the signal has fired. */
function refuseAborted(signal: AbortSignal | undefined, attempted: string): void {
  if (signal?.aborted) throw asRegistryError(signal.reason, 'ABORTED', attempted);
}

const cut = (bytes: Uint8Array, range?: Range): Uint8Array =>
  range ? bytes.subarray(range.start, Math.max(range.start, range.end ?? bytes.length)) : bytes;

/** The whole of `body`, once its size and digest are what `target` says. */
async function collect(target: Descriptor, body: Chunks, { signal }: CallOptions): Promise<Uint8Array> {
  const pile = createPile();
  const checkSignal = (): void => refuseAborted(signal, `push "${target.digest}"`);
  for await (const chunk of checkedChunks(target, body, checkSignal)) pile.add(chunk);
  // A copy, so that whoever pushed them cannot change what is kept.
  return pile.copy();
}

/** Copies of `bytes`, chunk by chunk, so that the receiver cannot change what is kept; or they themselves, lent. */
function bodyOf(bytes: Uint8Array, digest: string, signal: AbortSignal | undefined): Body {
  let offset = 0;
  const take = (most: number): Uint8Array | undefined => {
    refuseAborted(signal, `read "${digest}"`);
    if (offset === bytes.length) return undefined;
    const chunk = bytes.subarray(offset, offset + most);
    offset += chunk.length;
    return chunk;
  };
  const cancel = (): void => {
    offset = bytes.length;
  };
  return offerLending(createBody({ next: () => take(chunkBytes)?.slice(), cancel }).body, async () => take(lentBytes));
}
