import { remember } from '../bounded-map.ts';
import { cannot, type RegistryError } from '../errors.ts';
import { algorithmOf, type Digest, type DigestAlgorithm, type Hasher } from '../oci/digest.ts';
import type { AppendOptions, Chunks, Upload, UploadLimits, Uploads } from '../source.ts';
import type { Blobs } from './blobs.ts';
import { openWriter, type Writer } from './file-io.ts';
import type { Files } from './files.ts';
import { dropIdleUploads, uploadKey } from './garbage.ts';
import { acquire, type Lock, type LockFolder, lockFilesOf } from './lock.ts';
import type { Expectations } from './push/expected.ts';
import { missingUpload, tooLong, tooManyUploads, tooShort, uploadInUse } from './store-error.ts';
import { rememberWritten } from './verified.ts';

/** Most uploads that are open at a time. */
const defaultUploads = 1_000;
/** Most uploads whose bytes need not be read again when they continue. */
const mostHashers = 1_000;

/** What this process has hashed of an upload. A hasher cannot be stored: after a restart the file is read once more. */
interface HashedUpload {
  readonly hasher: Hasher;
  readonly algorithm: DigestAlgorithm;
  readonly size: number;
}

/** By folder and key. */
const hashedUploads = new Map<string, HashedUpload>();
/** Uploads that a call of this process works on, by folder and key. */
const busyUploads = new Set<string>();

/** What uploads need of a layout. */
interface UploadParts {
  readonly locks: LockFolder;
  readonly blobs: Blobs;
  /** Makes the directory a layout, with a folder for contents of this digest. */
  readonly prepare: (digest: Digest | undefined, signal: AbortSignal | undefined) => Promise<void>;
  /** Uploads come from clients that send the manifest afterwards. */
  readonly expectations: Pick<Expectations, 'note'>;
}

/**
 * Uploads into a layout. The bytes are in the lock file of the upload's key, which belongs to nobody between two calls: they
 * survive the end of the process, and any process that uses the layout can continue them.
 */
export function createUploads({ locks, blobs, prepare, expectations }: UploadParts): Uploads {
  const uploadOf = (id: string, found: number, limits: UploadLimits): Upload => {
    let size = found;
    return {
      id,
      get size() {
        return size;
      },
      append: async (body, options = {}) => {
        size = await append(locks, body, { id, ...limits, ...options });
      },
      commit: async (digest, { signal } = {}) => {
        await prepare(digest, signal);
        await commit(locks, blobs, { id, digest, signal, expectations });
      },
      cancel: () =>
        useUpload(locks, id, undefined, async (held) => {
          await held.drop();
          return 'ended';
        }),
    };
  };
  return {
    beginUpload: async (limits = {}) => {
      const { uploads = defaultUploads, uploadIdle, signal } = limits;
      await prepare(undefined, signal);
      const open = await dropIdleUploads(locks, uploadIdle);
      if (open >= uploads) throw tooManyUploads(open, uploads);
      const id = crypto.randomUUID();
      const isDone = async (): Promise<boolean> => false;
      const made = await acquire(locks, { key: uploadKey(id), takesOver: true, keepsEmpty: true, isDone, signal });
      await made?.keep();
      return uploadOf(id, 0, limits);
    },
    findUpload: async (id, limits = {}) => {
      if (!/^[0-9a-f-]{36}$/.test(id)) throw missingUpload(id);
      const sizes = (await lockFilesOf(locks, uploadKey(id))).map(({ facts }) => facts.size);
      if (sizes.length === 0) throw missingUpload(id);
      return uploadOf(id, Math.max(...sizes), limits);
    },
  };
}

const pathOf = ({ folder, join }: LockFolder, id: string): string => join(folder, uploadKey(id));

/** Locks an upload while `work` uses it, without waiting for anybody. It stays unless `work` has ended it. */
async function useUpload(
  locks: LockFolder,
  id: string,
  signal: AbortSignal | undefined,
  work: (held: Lock) => Promise<'open' | 'ended'>,
): Promise<void> {
  const path = pathOf(locks, id);
  const key = uploadKey(id);
  if (busyUploads.has(path)) throw uploadInUse(id);
  busyUploads.add(path);
  try {
    if ((await lockFilesOf(locks, key)).some(({ state }) => state === 'live')) throw uploadInUse(id);
    const isDone = async (): Promise<boolean> => (await lockFilesOf(locks, key)).length === 0;
    const held = await acquire(locks, { key, takesOver: true, keepsEmpty: true, isDone, signal });
    if (!held) throw missingUpload(id);
    let state: 'open' | 'ended' = 'open';
    try {
      state = await work(held);
    } finally {
      if (state === 'open') await held.keep();
      else hashedUploads.delete(path);
    }
  } finally {
    busyUploads.delete(path);
  }
}

/** How to open the file of an upload to continue it. */
interface OpenUploadOptions {
  readonly id: string;
  readonly algorithm: DigestAlgorithm;
  readonly signal: AbortSignal | undefined;
}

function openUpload(locks: LockFolder, { path, size }: Lock, how: OpenUploadOptions): Promise<Writer> {
  const { id, algorithm, signal } = how;
  const known = hashedUploads.get(pathOf(locks, id));
  // It counts what is written from now on, also if that fails.
  hashedUploads.delete(pathOf(locks, id));
  const hasher = known?.size === size && known.algorithm === algorithm ? known.hasher : undefined;
  return openWriter(locks.files, path, { algorithm, at: size, hasher, signal });
}

/** Adds bytes to an upload; returns its size. */
async function append(
  locks: LockFolder,
  body: Chunks,
  { id, signal, start, ...bounds }: AppendOptions & UploadLimits & { readonly id: string },
): Promise<number> {
  const algorithm = 'sha256';
  let size = 0;
  let problem: RegistryError | undefined;
  await useUpload(locks, id, signal, async (held) => {
    if (start !== undefined && start !== held.size) throw uploadInUse(id);
    const writer = await openUpload(locks, held, { id, algorithm, signal });
    try {
      const poured = await pour(writer, body, { id, at: held.size, ...bounds });
      ({ size, problem } = poured);
    } finally {
      await writer.close();
    }
    if (problem) await truncateFile(locks.files, held.path, held.size);
    else remember(hashedUploads, pathOf(locks, id), { hasher: writer.hasher, algorithm, size }, mostHashers);
    return 'open';
  });
  if (problem) throw problem;
  return size;
}

/** Writes the bytes; returns the size of the whole then, and what is wrong with it. */
async function pour(
  writer: Writer,
  body: Chunks,
  { id, at: before, ...bounds }: AppendOptions & UploadLimits & { readonly id: string; readonly at: number },
): Promise<{ readonly size: number; readonly problem?: RegistryError | undefined }> {
  let added = 0;
  for await (const chunk of body) {
    added += chunk.length;
    const problem = tooLong(id, { before, added, ...bounds });
    if (problem) return { size: before + added, problem };
    await writer.write(chunk);
  }
  return { size: before + added, problem: tooShort(id, { before, added, ...bounds }) };
}

/** How to end an upload. */
interface CommitOptions extends Pick<UploadParts, 'expectations'> {
  readonly id: string;
  readonly digest: Digest;
  readonly signal: AbortSignal | undefined;
}

/** Gives an upload its final name, or removes it if its bytes are wrong. */
async function commit(
  locks: LockFolder,
  blobs: Blobs,
  { id, digest, signal, expectations }: CommitOptions,
): Promise<void> {
  const path = blobs.pathOf(digest);
  let found: Digest | undefined;
  await useUpload(locks, id, signal, async (held) => {
    const writer = await openUpload(locks, held, { id, algorithm: algorithmOf(digest), signal });
    try {
      found = await writer.finish();
      if (found === digest) await expectations.note(digest);
      if (found !== digest) await held.drop();
      else if (!(await held.commit(path))) found = undefined;
      // After the renaming, which changes them. Content that is not remembered is hashed once more.
      const facts = found === digest && (await writer.facts().catch(() => undefined));
      if (facts) rememberWritten(path, facts, digest);
    } finally {
      await writer.close();
    }
    return 'ended';
  });
  if (found === undefined) throw missingUpload(id);
  if (found !== digest)
    throw cannot('DIGEST_MISMATCH', `push "${digest}"`, `its bytes are "${found}"`, { value: digest });
}

/** Cuts off what an existing file has after `size` bytes. */
async function truncateFile(files: Files, path: string, size: number): Promise<void> {
  const file = await files.open(path, 'write');
  try {
    await file?.truncate(size);
  } finally {
    await file?.close();
  }
}
