import { cannot, type ErrorCode, messageOf, RegistryError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { createHasher, type Digest, isDigest } from '../../oci/digest.ts';
import { isRepositoryName } from '../../oci/reference.ts';
import {
  type Chunks,
  canMount,
  hasUploads,
  isCatalog,
  type Store,
  type Upload,
  type UploadLimits,
  type Uploads,
} from '../../source.ts';
import type { MemoryUploads } from '../../store/memory/uploads.ts';
import { invalidDigest } from './content.ts';
import { bodyOf, type Exchange, lengthOf, octets, type RouteHandler, storeOf } from './exchange.ts';
import { problem } from './problem.ts';

/** How blobs are uploaded. */
export interface UploadRules extends Pick<UploadLimits, 'uploadBytes' | 'uploads' | 'uploadIdle'> {
  /** For stores that take no uploads themselves. */
  readonly inMemory: MemoryUploads;
  /** Looks for a blob to mount in all repositories if the client names none. */
  readonly mountsFromAny: boolean;
  /** False: a POST with a digest begins an upload, as if it had none. */
  readonly singlePost: boolean;
}

/** POST: mounts a blob, stores a whole one, or begins an upload. */
export const beginUpload =
  (rules: UploadRules): RouteHandler<'uploads'> =>
  async (exchange) => {
    const store = storeOf(exchange);
    const { query, request } = exchange;
    const [mounted, digest] = [query.get('mount'), query.get('digest')];
    const found = mounted !== null && isDigest(mounted) ? await mount(exchange, store, mounted, rules) : undefined;
    if (found) return created(exchange, found, 'mount');
    const { uploads, limits } = uploadsOf(exchange, store, rules);
    if (mounted === null && digest !== null && rules.singlePost) {
      if (!isDigest(digest)) return invalidDigest(digest);
      const length = lengthOf(request);
      if (length === undefined) return finish(exchange, await uploads.beginUpload(limits), digest);
      return push(exchange, store, digest, { length, ...rules });
    }
    return progress(202, exchange, await uploads.beginUpload(limits));
  };

/** GET: the size of an upload. */
export const readUpload =
  (rules: UploadRules): RouteHandler<'upload'> =>
  async (exchange, { id }) =>
    progress(204, exchange, await findUpload(exchange, storeOf(exchange), id, rules));

/** DELETE: cancels an upload. */
export const endUpload =
  (rules: UploadRules): RouteHandler<'upload'> =>
  async (exchange, { id }) => {
    const upload = await findUpload(exchange, storeOf(exchange), id, rules);
    return inTurn(exchange, upload, async () => {
      await upload.cancel();
      return new Response(null, { status: 204 });
    });
  };

/** PATCH: adds a chunk. What arrived before its body broke stays; nothing of one that is not as long as its range. */
export const addChunk =
  (rules: UploadRules): RouteHandler<'upload'> =>
  async (exchange, { id }) => {
    const upload = await findUpload(exchange, storeOf(exchange), id, rules);
    const refused = misplaced(exchange, upload);
    if (refused) return refused;
    return inTurn(exchange, upload, async () => {
      return (await append(exchange, upload)) ?? progress(202, exchange, upload);
    });
  };

/** PUT: the last chunk, if any, and the digest. The upload ends if it is stored, and if its bytes are wrong. */
export const finishUpload =
  (rules: UploadRules): RouteHandler<'upload'> =>
  async (exchange, { id }) => {
    const store = storeOf(exchange);
    const upload = await findUpload(exchange, store, id, rules);
    const digest = exchange.query.get('digest');
    if (digest === null || !isDigest(digest)) return invalidDigest(digest);
    const refused = misplaced(exchange, upload);
    if (refused) return refused;
    const length = lengthOf(exchange.request);
    return inTurn(exchange, upload, async () => {
      if (upload.size > 0 || length === undefined) return finish(exchange, upload, digest);
      // Not through the upload: the store hashes and keeps it at once.
      const response = await push(exchange, store, digest, { length, ...rules }).catch(async (error: unknown) => {
        if (isOf(error, 'DIGEST_MISMATCH')) await upload.cancel();
        throw error;
      });
      await upload.cancel();
      return response;
    });
  };

const isOf = (error: unknown, ...codes: readonly ErrorCode[]): error is RegistryError =>
  error instanceof RegistryError && codes.includes(error.code);

function uploadsOf(
  { repository, request }: Exchange,
  store: Store,
  { inMemory, uploadBytes, uploads, uploadIdle }: UploadRules,
): { readonly uploads: Uploads; readonly limits: UploadLimits } {
  const own = hasUploads(store) ? store : inMemory.into(store, `${repository.registry}/${repository.name}`);
  return { uploads: own, limits: { uploadBytes, uploads, uploadIdle, signal: request.signal } };
}

function findUpload(exchange: Exchange, store: Store, id: string, rules: UploadRules): Promise<Upload> {
  const { uploads, limits } = uploadsOf(exchange, store, rules);
  return uploads.findUpload(id, limits);
}

/** Works on an upload; 416 if another request works on it. */
async function inTurn(exchange: Exchange, upload: Upload, work: () => Promise<Response>): Promise<Response> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof RegistryError) || error.reason !== 'upload-in-use') throw error;
    return outOfOrder(exchange, upload, 'another request is adding to it');
  }
}

/** Stores a blob whose size is known. */
async function push(
  exchange: Exchange,
  store: Store,
  digest: Digest,
  { length: size, uploadBytes = Number.POSITIVE_INFINITY }: UploadRules & { readonly length: number },
): Promise<Response> {
  const { request } = exchange;
  if (size > uploadBytes) {
    const details = { value: digest, reason: 'limit', limit: 'uploadBytes' } as const;
    throw cannot('TOO_LARGE', `push "${digest}"`, `${size} bytes, more than ${uploadBytes}`, details);
  }
  const descriptor = { mediaType: octets, digest, size };
  const body = bodyOf(request);
  let isRead = false;
  const once = async function* (): AsyncGenerator<Uint8Array> {
    isRead = true;
    yield* body;
  };
  await store.push(descriptor, once(), { signal: request.signal, isExpected: true });
  // A store that has the content need not read it again, but a client is told if it was wrong.
  if (!isRead) await check(body, descriptor);
  return created(exchange, descriptor, 'push');
}

/** Reads a content that is here already; fails as a store does that reads it. */
async function check(body: Chunks, { digest, size }: Descriptor): Promise<void> {
  const hasher = createHasher(digest);
  let count = 0;
  for await (const chunk of body) {
    hasher.update(chunk);
    count += chunk.length;
    if (count > size) throw cannot('TOO_LARGE', `push "${digest}"`, `more than its ${size} bytes`, { value: digest });
  }
  if (count < size) throw cannot('UNEXPECTED_END', `push "${digest}"`, `${count} of ${size} bytes`, { value: digest });
  const found = hasher.digest();
  if (found !== digest)
    throw cannot('DIGEST_MISMATCH', `push "${digest}"`, `its bytes are "${found}"`, { value: digest });
}

/** Adds the request's body to an upload. The response to a body that is not as long as its `Content-Range`. */
async function append(exchange: Exchange, upload: Upload): Promise<Response | undefined> {
  const { signal } = exchange.request;
  const { start, size } = chunkRange(exchange) ?? {};
  try {
    await upload.append(bodyOf(exchange.request), { start, size, signal });
  } catch (error) {
    if (!isOf(error, 'TOO_LARGE', 'UNEXPECTED_END') || error.reason === 'limit') throw error;
    return wrongSize(messageOf(error));
  }
  return undefined;
}

/** Adds the request's body, if any, and ends the upload with its digest. */
async function finish(exchange: Exchange, upload: Upload, digest: Digest): Promise<Response> {
  const refused = lengthOf(exchange.request) === 0 ? undefined : await append(exchange, upload);
  if (refused) return refused;
  const { size } = upload;
  await upload.commit(digest, { signal: exchange.request.signal });
  return created(exchange, { mediaType: octets, digest, size }, 'push');
}

/**
 * Mounts a blob from the named repository, or any other one, if it does not exist here. Undefined after any failure: the
 * client uploads it.
 */
async function mount(
  exchange: Exchange,
  store: Store,
  digest: Digest,
  { mountsFromAny }: UploadRules,
): Promise<Descriptor | undefined> {
  const { query, request, registry, repository } = exchange;
  const { signal } = request;
  const known = await find(store, digest, signal);
  if (known) return known;
  const from = query.get('from');
  if (from !== null) return isRepositoryName(from) ? mountFrom(exchange, store, digest, from) : undefined;
  if (!mountsFromAny || !isCatalog(registry)) return undefined;
  for (const name of await registry.repositories({ signal })) {
    const found = name === repository.name ? undefined : await mountFrom(exchange, store, digest, name);
    if (found) return found;
  }
  return undefined;
}

/** Takes a blob over from another repository, without copying it if the store can do that. */
async function mountFrom(
  exchange: Exchange,
  store: Store,
  digest: Digest,
  from: string,
): Promise<Descriptor | undefined> {
  const { request, links, record, sibling } = exchange;
  const { signal } = request;
  const source = sibling(from);
  try {
    const descriptor = await source.resolve(digest, { signal, links });
    if (!canMount(store) || !(await store.mount(digest, source, { signal, links, isExpected: true }))) {
      const { body } = await source.fetch(descriptor, { signal, links });
      await store.push({ ...descriptor, mediaType: octets }, body, { signal, isExpected: true });
    }
    record.from = from;
    return descriptor;
  } catch (error) {
    if (error instanceof RegistryError) return undefined;
    throw error;
  }
}

/** What a store knows of a content; undefined if it does not have it. */
export async function find(store: Store, digest: Digest, signal: AbortSignal): Promise<Descriptor | undefined> {
  try {
    return await store.resolve(digest, { signal });
  } catch (error) {
    if (isOf(error, 'NOT_FOUND')) return undefined;
    throw error;
  }
}

async function created(exchange: Exchange, descriptor: Descriptor, action: 'push' | 'mount'): Promise<Response> {
  const { repository, request, record, locate } = exchange;
  const { digest } = descriptor;
  Object.assign(record, { action, descriptor });
  const elsewhere = await locate(descriptor, repository, request.signal);
  const location = elsewhere ?? `/v2/${repository.name}/blobs/${digest}`;
  return new Response(null, { status: 201, headers: { location, 'docker-content-digest': digest } });
}

const uploadHeaders = (
  { repository, uploadUrl }: Exchange,
  { id, size, minimumChunk }: Upload,
): Record<string, string> => ({
  location: uploadUrl(id, repository) ?? `/v2/${repository.name}/blobs/uploads/${id}`,
  // `0-0` for an empty upload, too, as for one of a single byte: the form has no other way.
  range: `0-${Math.max(0, size - 1)}`,
  'docker-upload-uuid': id,
  ...(minimumChunk !== undefined && { 'oci-chunk-min-length': String(minimumChunk) }),
});

const progress = (status: number, exchange: Exchange, upload: Upload): Response =>
  new Response(null, { status, headers: uploadHeaders(exchange, upload) });

const outOfOrder = (exchange: Exchange, upload: Upload, found: string): Response =>
  problem(416, 'RANGE_INVALID', `Cannot add to upload "${upload.id}": ${found}`, uploadHeaders(exchange, upload));

const wrongSize = (message: string): Response => problem(400, 'SIZE_INVALID', message);

/** The range of a chunk, `first-last`. Without a `Content-Range` it is the next one. */
function chunkRange({ request }: Exchange): { readonly start: number; readonly size: number } | undefined {
  const header = request.headers.get('content-range');
  if (header === null) return undefined;
  const [, first, last] = /^(\d{1,15})-(\d{1,15})$/.exec(header) ?? [];
  return { start: Number(first), size: Number(last) - Number(first) + 1 };
}

/** The response to a chunk that is not the next, or whose length is not that of its range. */
function misplaced(exchange: Exchange, upload: Upload): Response | undefined {
  const range = chunkRange(exchange);
  if (!range) return undefined;
  if (range.start !== upload.size) return outOfOrder(exchange, upload, `the next byte is ${upload.size}`);
  const length = lengthOf(exchange.request) ?? range.size;
  if (length === range.size && range.size > 0) return undefined;
  return wrongSize(`Cannot add to upload "${upload.id}": ${length} bytes, unlike the Content-Range`);
}
