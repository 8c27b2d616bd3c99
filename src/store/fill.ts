import { abortError } from '../deadline.ts';
import { cannot } from '../errors.ts';
import type { Descriptor } from '../oci/descriptor.ts';
import { algorithmOf } from '../oci/digest.ts';
import type { Chunks } from '../source.ts';
import { openWriter, type Writer } from './file-io.ts';
import type { Files } from './files.ts';

/** The bytes of a content from an offset on. */
export type Open = (offset: number) => Chunks;

/** A content, and where its bytes come from. */
export interface Filling {
  readonly files: Files;
  readonly target: Descriptor;
  readonly open: Open;
  readonly signal: AbortSignal | undefined;
}

/** Fills the file from `at` on. Where it turns out that what was there is wrong, once more from the beginning. */
export async function fill(
  filling: Filling,
  path: string,
  found: { readonly at: number; readonly size: number },
): Promise<void> {
  const { files, target, signal } = filling;
  const { digest, size } = target;
  const { at } = found;
  const writer = await openWriter(files, path, { algorithm: algorithmOf(digest), signal, ...found });
  try {
    if (at < size || at === 0) await pour(filling, writer, at);
    const counted = await writer.finish();
    if (counted === digest) return;
    if (at === 0) throw cannot('DIGEST_MISMATCH', `push "${digest}"`, `its bytes are "${counted}"`, { value: digest });
  } finally {
    await writer.close();
  }
  await fill(filling, path, { at: 0, size });
}

/** What its giver makes of a chunk that it gets back does not concern the file. */
function givingBack(source: Chunks): (chunk: Uint8Array) => void {
  return (chunk) => {
    try {
      source.recycle?.(chunk);
    } catch {
      // It has its chunk, or not: nothing here depends on it.
    }
  };
}

/** Takes what is missing after `at` from the source: exactly that, or an error. */
async function pour({ target, open, signal }: Filling, writer: Writer, at: number): Promise<void> {
  const attempted = `push "${target.digest}"`;
  const source = open(at);
  const chunks = source[Symbol.asyncIterator]();
  const recycle = source.recycle && givingBack(source);
  let stop = (_error: unknown): void => {};
  const abort = (): void => stop(abortError(signal?.reason));
  signal?.addEventListener('abort', abort, { once: true });
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
    signal?.removeEventListener('abort', abort);
    const left = isEnded ? undefined : Promise.resolve(chunks.return?.()).catch(() => {});
    // Not waited for after an abort: a source that hangs may not heed it.
    if (!signal?.aborted) await left;
  }
}
