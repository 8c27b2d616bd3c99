import { abortError } from '../deadline.ts';
import { RegistryError } from '../errors.ts';
import { type Descriptor, parseDescriptor } from '../oci/descriptor.ts';
import { kindOf } from '../oci/manifest.ts';
import { referrerOf } from '../oci/referrer.ts';
import type { PushOptions } from '../source.ts';
import type { Blobs } from './blobs.ts';
import { fill, type Open } from './fill.ts';
import { sweep } from './garbage.ts';
import type { Held } from './held.ts';
import { hold } from './lock.ts';
import type { Holding } from './others.ts';
import type { Session } from './session.ts';
import { storeError } from './store-error.ts';
import { inTurn } from './turns.ts';
import type { Layout } from './whole.ts';

/** How content comes into a layout, which it makes if there is none. What refers to other content is kept by `keep`. */
export function createPush(
  { holding, blobs, index }: Layout,
  session: Pick<Session, 'mark'>,
  keep: (target: Descriptor, options: PushOptions) => Promise<void>,
) {
  /** Directories that are made. */
  const ready = new Set<string>();
  const prepare = async (digest: string, signal: AbortSignal | undefined): Promise<void> => {
    const folder = holding.join(blobs.pathOf(digest), '..');
    if (ready.has(folder)) return;
    await index.create(signal);
    await sweep(holding, blobs).catch(() => {});
    await holding.files.makeDirectory(folder);
    ready.add(folder);
  };
  return async (given: Descriptor, open: Open, isResumed: boolean, options: PushOptions): Promise<void> => {
    if (options.signal?.aborted) throw abortError(options.signal.reason);
    const target = parseDescriptor(given);
    await prepare(target.digest, options.signal);
    await session.mark(options.signal);
    try {
      await pushBlob(holding, blobs, { target, open, isResumed }, options);
    } catch (error) {
      // Somebody may have removed the whole directory.
      ready.clear();
      throw error;
    }
    if (kindOf(target.mediaType) !== 'manifests') return;
    const bytes = await blobs.document(target.digest);
    const referrer = bytes && referrerOf(bytes, target);
    if (referrer) await keep(referrer.descriptor, options);
  };
}

/** One push: where to, what, and how. */
interface Push {
  readonly holding: Holding;
  readonly target: Descriptor;
  /** The final name. */
  readonly path: string;
  readonly open: Open;
  /** What broke off before is gone on with. */
  readonly isResumed: boolean;
  readonly signal: AbortSignal | undefined;
}

/**
 * Brings a content under its final name, once its size and digest are right: alone, while others at the same content
 * wait and then find it done. False where there was nothing to do, as it is here.
 */
async function pushBlob(
  holding: Holding,
  blobs: Blobs,
  { target, open, isResumed }: Pick<Push, 'target' | 'open' | 'isResumed'>,
  { signal, onWait }: PushOptions,
): Promise<boolean> {
  const path = blobs.pathOf(target.digest);
  const push: Push = { holding, target, path, open, isResumed, signal };
  const isDone = async (): Promise<boolean> => (await blobs.factsOf(target.digest))?.size === target.size;
  let isTold = false;
  const tellOnce = (): void => {
    if (!isTold) onWait?.();
    isTold = true;
  };
  const key = target.digest.replace(':', '-');
  return inTurn(path, { signal, onWait: tellOnce }, async () => {
    for (;;) {
      const held = await hold(holding, { key, isCarried: true, isDone, signal, onWait: tellOnce });
      if (!held) return false;
      if (await bring(push, held)) return true;
      // It was lost to somebody who took this process for dead.
      if (!isResumed) throw storeError('write', held.path, 'somebody else took it over, as nothing came for a minute');
    }
  });
}

/** Fills a held file and gives it its final name. False where it was lost. */
async function bring(push: Push, held: Held): Promise<boolean> {
  try {
    const at = push.isResumed && held.size <= push.target.size ? held.size : 0;
    await fill({ ...push, files: push.holding.files }, held.path, { at, size: held.size });
  } catch (error) {
    // What came is right as far as it goes, but for bytes that were judged.
    const isWrong = error instanceof RegistryError && (error.code === 'DIGEST_MISMATCH' || error.code === 'TOO_LARGE');
    await (isWrong ? held.drop() : held.keep()).catch(() => {});
    throw error;
  }
  try {
    return await held.commit(push.path);
  } catch (error) {
    await held.keep().catch(() => {});
    throw error;
  }
}
