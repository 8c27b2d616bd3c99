import { abortError } from '../abort.ts';
import { type Descriptor, parseDescriptor } from '../oci/descriptor.ts';
import { algorithmOf, type Digest } from '../oci/digest.ts';
import { kindOf } from '../oci/manifest.ts';
import { referrerOf } from '../oci/referrer.ts';
import type { PushOptions } from '../source.ts';
import { openWriter, type Writer } from './file-io.ts';
import { sweep } from './garbage.ts';
import type { LayoutParts } from './index-file.ts';
import { acquire, inTurn, type Lock } from './lock.ts';
import type { Expectations } from './push/expected.ts';
import { pushSmall, smallBytes, type Unsynced } from './push/small-content.ts';
import { leavesNothing, mismatch, type OpenAt, type PushedContent, type PushTask, pour } from './push/task.ts';
import type { LayoutSession } from './session.ts';
import { storeError } from './store-error.ts';
import { rememberWritten } from './verified.ts';

/** Makes a directory a layout that contents can be written into. */
export interface Preparation {
  /** Creates the layout and, if a digest is given, the folder of its contents. */
  prepare(digest: Digest | undefined, signal: AbortSignal | undefined): Promise<void>;
  /** Whether something was left of a content that can be resumed, by the key of its lock. */
  hasPart(key: string): boolean;
  /** To be called after a failure: somebody may have removed the whole directory. */
  forget(): void;
}

export function createPreparation({ locks, blobs, index }: LayoutParts): Preparation {
  /** Directories that exist. */
  const ready = new Set<string>();
  let parts: ReadonlySet<string> = new Set();
  return {
    prepare: async (digest, signal) => {
      const folder = digest === undefined ? locks.folder : locks.join(blobs.pathOf(digest), '..');
      if (ready.has(folder)) return;
      await index.create(signal);
      parts = await sweep(locks, blobs).catch(() => parts);
      if (digest !== undefined) await locks.files.makeDirectory(folder);
      ready.add(folder);
    },
    hasPart: (key) => parts.has(key),
    forget: () => ready.clear(),
  };
}

/** What pushing is made of. */
interface PushParts extends Pick<LayoutParts, 'locks' | 'blobs'> {
  readonly preparation: Preparation;
  readonly session: Pick<LayoutSession, 'mark' | 'isOpen' | 'worksAlone'>;
  readonly expectations: Pick<Expectations, 'note' | 'withdraw'>;
  readonly unsynced: Unsynced;
  readonly mostSmall: number | undefined;
  /** Holds a manifest that refers to another. */
  readonly keep: (target: Descriptor, options: PushOptions) => Promise<void>;
}

/** How content is pushed into a layout. */
export function createPush(parts: PushParts) {
  const { blobs, preparation, session, expectations, keep } = parts;
  return async (given: Descriptor, open: OpenAt, isResumed: boolean, options: PushOptions): Promise<void> => {
    if (options.signal?.aborted) throw abortError(options.signal.reason);
    const target = parseDescriptor(given);
    await preparation.prepare(target.digest, options.signal);
    await session.mark(options.signal);
    try {
      if (options.isExpected) await expectations.note(target.digest);
      const { keepsPart = true } = options;
      await pushBlob(parts, { target, open, isResumed, keepsPart }, options);
    } catch (error) {
      preparation.forget();
      if (options.isExpected) await expectations.withdraw(target.digest);
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
  { locks, blobs, preparation, session, unsynced, mostSmall = smallBytes }: PushParts,
  content: PushedContent,
  { signal, onWait, isExpected }: PushOptions,
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
  const task: PushTask = { ...content, locks, key, path, signal };
  await inTurn(path, { signal, onWait: reportOnce }, async () => {
    if (size <= mostSmall && !preparation.hasPart(key) && (await session.worksAlone())) {
      // What work brings that has begun is synced before the index names it, or when the work ends.
      const isDeferred = async (): Promise<boolean> => session.isOpen() && !isExpected && session.worksAlone();
      if (!(await isDone())) await pushSmall(task, { unsynced, isDone, isDeferred });
      return;
    }
    for (;;) {
      const lock = await acquire(locks, { key, takesOver: true, isDone, signal, onWait: reportOnce });
      if (!lock || (await fillAndCommit(task, lock))) return;
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
    await (leavesNothing(task, error) ? lock.drop() : lock.keep()).catch(() => {});
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
    if (at === 0) throw mismatch(task, hashed);
  } catch (error) {
    await writer.close();
    throw error;
  }
  await writer.close();
  return fill(task, path, { at: 0, size });
}
