import { cannot, RegistryError } from '../../errors.ts';
import { type Digest, isDigest } from '../../oci/digest.ts';
import { isRepositoryName } from '../../oci/reference.ts';
import type { Store } from '../../source.ts';
import { invalidDigest } from './content.ts';
import { bodyOf, type Exchange, lengthOf, octets, type RouteHandler, storeOf } from './exchange.ts';
import { problem } from './problem.ts';

export interface UploadLimits {
  /** Bytes that one upload may hold in memory. */
  readonly uploadBytes: number;
  readonly sessions: UploadSessions;
}

/** POST: mounts a blob, stores a whole one, or begins an upload. */
export const beginUpload =
  ({ uploadBytes, sessions }: UploadLimits): RouteHandler<'uploads'> =>
  async (exchange) => {
    const store = storeOf(exchange);
    const { query, repository } = exchange;
    const [mounted, digest] = [query.get('mount'), query.get('digest')];
    if (mounted !== null && isDigest(mounted) && (await mount(exchange, store, mounted)))
      return created(exchange, mounted);
    if (mounted === null && digest !== null) {
      if (!isDigest(digest)) return invalidDigest(digest);
      await pushRest(exchange, store, digest, undefined, uploadBytes);
      return created(exchange, digest);
    }
    const upload = sessions.open(keyOf(repository));
    return upload
      ? progress(202, exchange, upload)
      : problem(429, 'TOOMANYREQUESTS', 'Too many uploads are open', { 'retry-after': '5' });
  };

const keyOf = ({ registry, name }: Exchange['repository']): string => `${registry}/${name}`;

/** GET: the size of an upload. */
export const readUpload =
  ({ sessions }: UploadLimits): RouteHandler<'upload'> =>
  async (exchange, { id }) =>
    progress(204, exchange, uploadOf(exchange, id, sessions));

/** DELETE: cancels an upload. */
export const endUpload =
  ({ sessions }: UploadLimits): RouteHandler<'upload'> =>
  async (exchange, { id }) => {
    sessions.close(uploadOf(exchange, id, sessions));
    return new Response(null, { status: 204 });
  };

/** PATCH: adds a chunk, completely or not at all. */
export const addChunk =
  ({ uploadBytes, sessions }: UploadLimits): RouteHandler<'upload'> =>
  async (exchange, { id }) => {
    storeOf(exchange);
    const upload = uploadOf(exchange, id, sessions);
    const work = async (): Promise<Response> => {
      const refused = misplaced(exchange, upload);
      if (refused) return refused;
      const { chunks, size } = await collect(bodyOf(exchange.request), uploadBytes - upload.size, 'this chunk');
      if ((chunkRange(exchange)?.size ?? size) !== size) return wrongSize(size);
      sessions.add(upload, chunks, size);
      return progress(202, exchange, upload);
    };
    return (await sessions.use(upload, work)) ?? outOfOrder(exchange, upload, 'another request is adding to it');
  };

/** PUT: the last chunk, if any, and the digest. The upload ends if it is stored, and if its bytes are wrong. */
export const finishUpload =
  ({ uploadBytes, sessions }: UploadLimits): RouteHandler<'upload'> =>
  async (exchange, { id }) => {
    const store = storeOf(exchange);
    const upload = uploadOf(exchange, id, sessions);
    const digest = exchange.query.get('digest');
    if (digest === null || !isDigest(digest)) return invalidDigest(digest);
    const work = async (): Promise<Response> => {
      const refused = misplaced(exchange, upload);
      if (refused) return refused;
      try {
        await pushRest(exchange, store, digest, upload, uploadBytes);
      } catch (error) {
        if (error instanceof RegistryError && error.code === 'DIGEST_MISMATCH') sessions.close(upload);
        throw error;
      }
      sessions.close(upload);
      return created(exchange, digest);
    };
    return (await sessions.use(upload, work)) ?? outOfOrder(exchange, upload, 'another request is adding to it');
  };

function uploadOf({ repository }: Exchange, id: string, sessions: UploadSessions): Upload {
  const upload = sessions.find(id, keyOf(repository));
  if (!upload) throw new RegistryError('NOT_FOUND', `No upload "${id}"`, { value: id });
  return upload;
}

/** Pushes the chunks of an upload and the request's body, which is streamed if its length is known, else collected first. */
async function pushRest(
  { request }: Exchange,
  store: Store,
  digest: Digest,
  upload: Upload | undefined,
  uploadBytes: number,
): Promise<void> {
  const earlier = upload ?? { chunks: [], size: 0 };
  const length = lengthOf(request);
  const last =
    length === undefined
      ? await collect(bodyOf(request), uploadBytes - earlier.size, `blob "${digest}"`)
      : { chunks: bodyOf(request), size: length };
  const descriptor = { mediaType: octets, digest, size: earlier.size + last.size };
  await store.push(descriptor, chain(earlier.chunks, last.chunks), { signal: request.signal });
}

async function* chain(
  first: Iterable<Uint8Array>,
  second: Iterable<Uint8Array> | AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array> {
  yield* first;
  yield* second;
}

/** All chunks, at most `limit` bytes; one more is `TOO_LARGE`. */
async function collect(
  body: AsyncIterable<Uint8Array>,
  limit: number,
  what: string,
): Promise<{ readonly chunks: readonly Uint8Array[]; readonly size: number }> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of body) {
    size += chunk.length;
    if (size > limit) throw cannot('TOO_LARGE', `take ${what}`, `more than ${limit} bytes`, { reason: 'limit' });
    chunks.push(chunk);
  }
  return { chunks, size };
}

/** Mounts a blob from the named repository, if it does not exist here. False after any failure: the client uploads it. */
async function mount(exchange: Exchange, store: Store, digest: Digest): Promise<boolean> {
  const { request, links } = exchange;
  const { signal } = request;
  const from = exchange.query.get('from');
  if (await has(store, digest, signal)) return true;
  if (from === null || !isRepositoryName(from)) return false;
  const source = exchange.sibling(from);
  try {
    const descriptor = await source.resolve(digest, { signal, links });
    const { body } = await source.fetch(descriptor, { signal, links });
    await store.push({ ...descriptor, mediaType: octets }, body, { signal });
    return true;
  } catch (error) {
    if (error instanceof RegistryError) return false;
    throw error;
  }
}

/** Whether a store has this content. */
export async function has(store: Store, digest: Digest, signal: AbortSignal): Promise<boolean> {
  try {
    await store.resolve(digest, { signal });
    return true;
  } catch (error) {
    if (error instanceof RegistryError && error.code === 'NOT_FOUND') return false;
    throw error;
  }
}

const created = ({ repository }: Exchange, digest: Digest): Response =>
  new Response(null, {
    status: 201,
    headers: { location: `/v2/${repository.name}/blobs/${digest}`, 'docker-content-digest': digest },
  });

const uploadHeaders = ({ repository }: Exchange, { id, size }: Upload): Record<string, string> => ({
  location: `/v2/${repository.name}/blobs/uploads/${id}`,
  // `0-0` for an empty upload, too, as for one of a single byte: the form has no other way.
  range: `0-${Math.max(0, size - 1)}`,
  'docker-upload-uuid': id,
});

const progress = (status: number, exchange: Exchange, upload: Upload): Response =>
  new Response(null, { status, headers: uploadHeaders(exchange, upload) });

const outOfOrder = (exchange: Exchange, upload: Upload, found: string): Response =>
  problem(416, 'RANGE_INVALID', `Cannot add to upload "${upload.id}": ${found}`, uploadHeaders(exchange, upload));

const wrongSize = (size: number): Response =>
  problem(400, 'SIZE_INVALID', `The chunk has ${size} bytes, unlike its Content-Range`);

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
  const length = lengthOf(exchange.request);
  return length !== undefined && length !== range.size ? wrongSize(length) : undefined;
}

/** A blob that is uploaded in chunks. */
export interface Upload {
  readonly id: string;
  /** The repository it was begun in; it exists only there. */
  readonly key: string;
  readonly chunks: readonly Uint8Array[];
  /** Bytes in `chunks`. */
  readonly size: number;
}

export interface UploadSessions {
  /** Undefined if the limit is reached. */
  open(key: string): Upload | undefined;
  find(id: string, key: string): Upload | undefined;
  /**
   * Runs `work` while the upload cannot expire; undefined, without running it, if another request is using the upload.
   */
  use<Result>(upload: Upload, work: () => Promise<Result>): Promise<Result | undefined>;
  add(upload: Upload, chunks: readonly Uint8Array[], size: number): void;
  close(upload: Upload): void;
}

interface Session extends Upload {
  chunks: Uint8Array[];
  size: number;
  isBusy: boolean;
  expiry: ReturnType<typeof setTimeout> | undefined;
}

/** Open uploads: at most `limit`, each dropped after `idle` milliseconds without a request. */
export function uploadSessions({ limit, idle }: { readonly limit: number; readonly idle: number }): UploadSessions {
  const sessions = new Map<string, Session>();

  const known = ({ id }: Upload): Session => {
    const session = sessions.get(id);
    if (!session) throw new RegistryError('NOT_FOUND', `No upload "${id}": it has ended`, { value: id });
    return session;
  };
  const close = ({ id }: Upload): void => {
    clearTimeout(sessions.get(id)?.expiry);
    sessions.delete(id);
  };
  const startExpiry = (session: Session): void => {
    clearTimeout(session.expiry);
    session.expiry = setTimeout(() => close(session), idle);
    // An abandoned upload must not keep the process alive.
    (session.expiry as { unref?: () => void }).unref?.();
  };

  return {
    open(key) {
      if (sessions.size >= limit) return undefined;
      const session: Session = { id: crypto.randomUUID(), key, chunks: [], size: 0, isBusy: false, expiry: undefined };
      sessions.set(session.id, session);
      startExpiry(session);
      return session;
    },
    find(id, key) {
      const session = sessions.get(id);
      if (session?.key !== key) return undefined;
      if (!session.isBusy) startExpiry(session);
      return session;
    },
    async use(upload, work) {
      const session = known(upload);
      if (session.isBusy) return undefined;
      session.isBusy = true;
      clearTimeout(session.expiry);
      try {
        return await work();
      } finally {
        session.isBusy = false;
        if (sessions.has(session.id)) startExpiry(session);
      }
    },
    add(upload, chunks, size) {
      const session = known(upload);
      for (const chunk of chunks) session.chunks.push(chunk);
      session.size += size;
    },
    close,
  };
}
