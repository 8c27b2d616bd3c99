import { abortError } from '../../abort.ts';
import type { Descriptor } from '../../oci/descriptor.ts';
import { createHasher } from '../../oci/digest.ts';
import { createPile } from '../../pile.ts';
import type { CallOptions, Chunks } from '../../source.ts';
import { checkedChunks } from '../../store/memory/checked-chunks.ts';
import type { BucketKeys } from './entries.ts';
import type { ObjectStorage } from './objects.ts';
import { mostPieces, pieceBytes, sendPieces } from './pieces.ts';

/** Where the bytes are that all repositories share. */
interface BlobPlace {
  readonly objects: ObjectStorage;
  readonly keys: BucketKeys;
}

/** Takes no bytes: whoever gives them is told. */
export async function leave(body: Chunks): Promise<void> {
  for await (const _ of body) break;
}

/** Keeps the bytes of a blob, which all repositories share, once they are right. */
export async function pushBytes(
  { objects, keys }: BlobPlace,
  target: Descriptor,
  body: Chunks,
  options: CallOptions,
): Promise<void> {
  const key = keys.blob(target.digest);
  const checked = checkedChunks(target, body, () => {
    if (options.signal?.aborted) throw abortError(options.signal.reason);
  });
  // Whoever pushes must have the bytes, also if another repository has them.
  if ((await objects.sizeOf(key, options)) === target.size) {
    for await (const _ of checked);
    return;
  }
  const size = Math.max(pieceBytes, Math.ceil(target.size / mostPieces));
  if (target.size <= size) {
    const pile = createPile();
    for await (const chunk of checked) pile.add(chunk);
    await objects.write(key, pile.join(), options);
    return;
  }
  const parts = await objects.writeInParts(key, options);
  try {
    await sendPieces(checked, (number, bytes) => parts.add(number, bytes), { size, first: 1 });
    await parts.complete();
  } catch (error) {
    await parts.abort();
    throw error;
  }
}

/** Whether the blob of a descriptor is there, and as long as it should be; with `again` whether its bytes are right. */
export async function isIntact(
  { objects, keys }: BlobPlace,
  { digest, size }: Descriptor,
  { verify, signal }: CallOptions,
): Promise<boolean> {
  const key = keys.blob(digest);
  if (verify !== 'again') return (await objects.sizeOf(key, { signal })) === size;
  const opened = await objects.open(key, { signal });
  if (!opened) return false;
  const hasher = createHasher(digest);
  for await (const chunk of opened.body) hasher.update(chunk);
  return hasher.digest() === digest;
}
