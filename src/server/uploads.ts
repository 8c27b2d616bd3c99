import { cannot, RegistryError } from '../errors.ts';
import { type Digest, isDigest } from '../oci/digest.ts';
import type { Store } from '../source.ts';
import { invalidDigest } from './content.ts';
import { type Answer, bodyOf, type Exchange, lengthOf, octets, storeOf } from './exchange.ts';
import { mounted } from './mount.ts';
import { problem } from './problem.ts';
import { chunkRange, created, misplaced, outOfOrder, progress, wrongSize } from './upload-progress.ts';
import type { Upload, UploadSessions } from './upload-sessions.ts';

export interface UploadLimits {
  /** Bytes that one upload may hold in memory. */
  readonly uploadBytes: number;
  readonly sessions: UploadSessions;
}

/** POST: mounts a blob, takes one whole, or begins an upload. */
export const beginUpload =
  ({ uploadBytes, sessions }: UploadLimits): Answer<'uploads'> =>
  async (exchange) => {
    const store = storeOf(exchange);
    const { query, repository } = exchange;
    const [mount, digest] = [query.get('mount'), query.get('digest')];
    if (mount !== null && isDigest(mount) && (await mounted(exchange, store, mount))) return created(exchange, mount);
    if (mount === null && digest !== null) {
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

/** GET: how far an upload is. */
export const readUpload =
  ({ sessions }: UploadLimits): Answer<'upload'> =>
  async (exchange, { id }) =>
    progress(204, exchange, uploadOf(exchange, id, sessions));

/** DELETE: gives an upload up. */
export const endUpload =
  ({ sessions }: UploadLimits): Answer<'upload'> =>
  async (exchange, { id }) => {
    sessions.close(uploadOf(exchange, id, sessions));
    return new Response(null, { status: 204 });
  };

/** PATCH: adds a chunk, the whole of it or nothing. */
export const addChunk =
  ({ uploadBytes, sessions }: UploadLimits): Answer<'upload'> =>
  async (exchange, { id }) => {
    storeOf(exchange);
    const upload = uploadOf(exchange, id, sessions);
    const work = async (): Promise<Response> => {
      const wrong = misplaced(exchange, upload);
      if (wrong) return wrong;
      const { chunks, size } = await collect(bodyOf(exchange.request), uploadBytes - upload.size, 'this chunk');
      if ((chunkRange(exchange)?.size ?? size) !== size) return wrongSize(size);
      sessions.add(upload, chunks, size);
      return progress(202, exchange, upload);
    };
    return (await sessions.use(upload, work)) ?? outOfOrder(exchange, upload, 'another request is adding to it');
  };

/** PUT: the last chunk, if any, and the digest. An upload whose bytes turn out wrong is over, as is one that is kept. */
export const finishUpload =
  ({ uploadBytes, sessions }: UploadLimits): Answer<'upload'> =>
  async (exchange, { id }) => {
    const store = storeOf(exchange);
    const upload = uploadOf(exchange, id, sessions);
    const digest = exchange.query.get('digest');
    if (digest === null || !isDigest(digest)) return invalidDigest(digest);
    const work = async (): Promise<Response> => {
      const wrong = misplaced(exchange, upload);
      if (wrong) return wrong;
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
  if (!upload) throw new RegistryError('NOT_FOUND', `No upload "${id}"`);
  return upload;
}

/** Pushes what an upload holds and then the request's body: straight on where the length is told, else gathered first. */
async function pushRest(
  { request }: Exchange,
  store: Store,
  digest: Digest,
  upload: Upload | undefined,
  uploadBytes: number,
): Promise<void> {
  const held = upload ?? { chunks: [], size: 0 };
  const length = lengthOf(request);
  const last =
    length === undefined
      ? await collect(bodyOf(request), uploadBytes - held.size, `blob "${digest}"`)
      : { chunks: bodyOf(request), size: length };
  const descriptor = { mediaType: octets, digest, size: held.size + last.size };
  await store.push(descriptor, chain(held.chunks, last.chunks), { signal: request.signal });
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
    if (size > limit) throw cannot('TOO_LARGE', `take ${what}`, `more than ${limit} bytes`);
    chunks.push(chunk);
  }
  return { chunks, size };
}
