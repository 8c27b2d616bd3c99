import { abortError, onAbort } from '../../abort.ts';
import { recyclerOf } from '../../body.ts';
import { cannot, RegistryError } from '../../errors.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import type { Chunks } from '../../source.ts';
import type { Writer } from '../file-io.ts';
import type { LockFolder } from '../lock.ts';

/** The bytes of a content from an offset on. */
export type OpenAt = (offset: number) => Chunks;

/** A content, where its bytes come from, and whether what broke off before is resumed. */
export interface PushedContent {
  readonly target: Descriptor;
  readonly open: OpenAt;
  readonly isResumed: boolean;
  /** Whether what breaks off is left for another time. */
  readonly keepsPart: boolean;
}

/** A push under way. */
export interface PushTask extends PushedContent {
  readonly locks: LockFolder;
  /** What its lock files are called. */
  readonly key: string;
  /** The final name. */
  readonly path: string;
  readonly signal: AbortSignal | undefined;
}

/** Writes what is missing after `at` from the source: exactly that, or it is an error. */
export async function pour(
  { target, open, signal }: PushTask,
  writer: Pick<Writer, 'write'>,
  at: number,
): Promise<void> {
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

/** The bytes are not those of the content. */
export const mismatch = ({ target: { digest } }: PushTask, hashed: string): RegistryError =>
  cannot('DIGEST_MISMATCH', `push "${digest}"`, `its bytes are "${hashed}"`, { value: digest });

/** Whether what was received is of no use to anybody: otherwise it is right as far as it goes. */
export const leavesNothing = ({ keepsPart }: PushTask, error: unknown): boolean =>
  !keepsPart || (error instanceof RegistryError && (error.code === 'DIGEST_MISMATCH' || error.code === 'TOO_LARGE'));
