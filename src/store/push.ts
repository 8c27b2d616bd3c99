import { abortError, onAbort } from '../abort.ts';
import { recyclerOf } from '../body.ts';
import { cannot, RegistryError } from '../errors.ts';
import { type Descriptor, parseDescriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { kindOf } from '../oci/manifest.ts';
import { referrerOf } from '../oci/referrer.ts';
import type { Chunks, PushOptions } from '../source.ts';
import type { Blobs } from './blobs.ts';
import { openWriter, type Writer } from './file-io.ts';
import { sweep } from './garbage.ts';
import type { LayoutParts } from './index-file.ts';
import { acquire, inTurn, type Lock, type LockFolder } from './lock.ts';
import type { LayoutSession } from './session.ts';
import { storeError } from './store-error.ts';
import { rememberWritten } from './verified.ts';

/** The bytes of a content from an offset on. */
export type OpenAt = (offset: number) => Chunks;

/** A content, where its bytes come from, and whether what broke off before is resumed. */
interface PushedContent {
  readonly target: Descriptor;
  readonly open: OpenAt;
  readonly isResumed: boolean;
}

/** A push under way. */
interface PushTask extends PushedContent {
  readonly locks: LockFolder;
  /** The final name. */
  readonly path: string;
  readonly signal: AbortSignal | undefined;
}

/** Makes a directory a layout that contents can be written into. */
export interface Preparation {
  /** Creates the layout and, if a digest is given, the folder of its contents. */
  prepare(digest: Digest | undefined, signal: AbortSignal | undefined): Promise<void>;
  /** To be called after a failure: somebody may have removed the whole directory. */
  forget(): void;
}

export function createPreparation({ locks, blobs, index }: LayoutParts): Preparation {
  /** Directories that exist. */
  const ready = new Set<string>();
  return {
    prepare: async (digest, signal) => {
      const folder = digest === undefined ? locks.folder : locks.join(blobs.pathOf(digest), '..');
      if (ready.has(folder)) return;
      await index.create(signal);
      await sweep(locks, blobs).catch(() => {});
      if (digest !== undefined) await locks.files.makeDirectory(folder);
      ready.add(folder);
    },
    forget: () => ready.clear(),
  };
}

/** How content is pushed into a layout. A manifest that refers to another is held by `keep`. */
export function createPush(
  { locks, blobs }: LayoutParts,
  { prepare, forget }: Preparation,
  session: Pick<LayoutSession, 'mark'>,
  keep: (target: Descriptor, options: PushOptions) => Promise<void>,
) {
  return async (given: Descriptor, open: OpenAt, isResumed: boolean, options: PushOptions): Promise<void> => {
    if (options.signal?.aborted) throw abortError(options.signal.reason);
    const target = parseDescriptor(given);
    await prepare(target.digest, options.signal);
    await session.mark(options.signal);
    try {
      await pushBlob(locks, blobs, { target, open, isResumed }, options);
    } catch (error) {
      forget();
      throw error;
    }
    if (kindOf(target.mediaType) !== 'manifests') return;
    const bytes = await blobs.document(target.digest);
    const referrer = bytes && referrerOf(bytes, target);
    if (referrer) await keep(referrer.descriptor, options);
  };
}

/**
 * Writes a content and gives it its final name once its size and digest are right. Others that push the same content wait
 * meanwhile, and then find it done.
 */
async function pushBlob(
  locks: LockFolder,
  blobs: Blobs,
  content: PushedContent,
  { signal, onWait }: PushOptions,
): Promise<void> {
  const { target, isResumed } = content;
  const path = blobs.pathOf(target.digest);
  const { digest, size } = target;
  const isDone = async (): Promise<boolean> => {
    const isOfSize = (await blobs.factsOf(digest))?.size === size;
    return isOfSize && (await blobs.factsOf(digest, { verify: true, signal })) !== undefined;
  };
  let isReported = false;
  const reportOnce = (): void => {
    if (!isReported) onWait?.();
    isReported = true;
  };
  const key = target.digest.replace(':', '-');
  await inTurn(path, { signal, onWait: reportOnce }, async () => {
    for (;;) {
      const lock = await acquire(locks, { key, takesOver: true, isDone, signal, onWait: reportOnce });
      if (!lock || (await fillAndCommit({ ...content, locks, path, signal }, lock))) return;
      // The lock was lost to a process that took this one for dead.
      if (!isResumed) {
        const found = 'this process showed no activity for a minute, so another one took it over';
        throw storeError('write', lock.path, found);
      }
    }
  });
}

/** Fills a locked file and gives it its final name. False if the lock was lost. */
async function fillAndCommit(task: PushTask, lock: Lock): Promise<boolean> {
  let writer: Writer;
  try {
    const at = task.isResumed && lock.size <= task.target.size ? lock.size : 0;
    writer = await fill(task, lock.path, { at, size: lock.size });
  } catch (error) {
    // What was received is right as far as it goes, unless it was found to be wrong.
    const isWrong = error instanceof RegistryError && (error.code === 'DIGEST_MISMATCH' || error.code === 'TOO_LARGE');
    await (isWrong ? lock.drop() : lock.keep()).catch(() => {});
    throw error;
  }
  try {
    const isCommitted = await lock.commit(task.path).catch(async (error: unknown) => {
      await lock.keep().catch(() => {});
      throw error;
    });
    // After the renaming, which changes them. Content that is not remembered is hashed once more.
    const facts = isCommitted && (await writer.facts().catch(() => undefined));
    if (facts) rememberWritten(task.path, facts, task.target.digest);
    return isCommitted;
  } finally {
    await writer.close();
  }
}

/**
 * Fills the file from `at` on. If what was there turns out to be wrong, once more from the beginning. Returns its writer, which
 * is to be closed.
 */
async function fill(
  task: PushTask,
  path: string,
  found: { readonly at: number; readonly size: number },
): Promise<Writer> {
  const { target, signal } = task;
  const { digest, size } = target;
  const { at } = found;
  const writer = await openWriter(task.locks.files, path, { algorithm: algorithmOf(digest), signal, ...found });
  try {
    if (at < size || at === 0) await pour(task, writer, at);
    const hashed = await writer.finish();
    if (hashed === digest) return writer;
    if (at === 0) throw cannot('DIGEST_MISMATCH', `push "${digest}"`, `its bytes are "${hashed}"`, { value: digest });
  } catch (error) {
    await writer.close();
    throw error;
  }
  await writer.close();
  return fill(task, path, { at: 0, size });
}

/** Writes what is missing after `at` from the source: exactly that, or it is an error. */
async function pour({ target, open, signal }: PushTask, writer: Writer, at: number): Promise<void> {
  const attempted = `push "${target.digest}"`;
  const source = open(at);
  const chunks = source[Symbol.asyncIterator]();
  const recycle = recyclerOf(source);
  let stop = (_error: unknown): void => {};
  const release = onAbort(signal, (reason) => stop(abortError(reason)));
  const next = (): Promise<IteratorResult<Uint8Array>> =>
    new Promise((resolve, reject) => {
      stop = reject;
      chunks.next().then(resolve, reject);
    });
  let count = at;
  let isEnded = false;
  try {
    for (;;) {
      if (signal?.aborted) throw abortError(signal.reason);
      const { done, value } = await next();
      if (done) break;
      count += value.length;
      if (count > target.size)
        throw cannot('TOO_LARGE', attempted, `more than its ${target.size} bytes`, { value: target.digest });
      const full = writer.write(value, recycle);
      if (full) await full;
    }
    isEnded = true;
    if (count < target.size) {
      throw cannot('UNEXPECTED_END', attempted, `${count} of ${target.size} bytes`, { value: target.digest });
    }
  } finally {
    release();
    const left = isEnded ? undefined : Promise.resolve(chunks.return?.()).catch(() => {});
    // Not awaited after an abort: a source that hangs may not respond to it.
    if (!signal?.aborted) await left;
  }
}
