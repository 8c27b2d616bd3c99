import { cannot } from '../../errors.ts';
import { createHasher, type Digest } from '../../oci/digest.ts';
import type { CallOptions } from '../../source.ts';
import { quote } from '../../text/quote.ts';
import type { ObjectStorage } from './objects.ts';
import { takeHash } from './upload-hash.ts';
import { type Piece, sizeOf, type UploadPlace } from './upload-state.ts';

/** Pieces that are copied at the same time. */
const piecesAtOnce = 4;

/** Makes content of the pieces, without reading them if this process has hashed all. `DIGEST_MISMATCH`. */
export async function compose(
  { objects, keys }: UploadPlace,
  { id, pieces, digest }: { readonly id: string; readonly pieces: readonly Piece[]; readonly digest: Digest },
  options: CallOptions,
): Promise<void> {
  const size = sizeOf({ pieces });
  const found = takeHash(objects, id, { size, digest }) ?? (await hashPieces(objects, pieces, digest, options));
  if (found !== digest)
    throw cannot('DIGEST_MISMATCH', `push "${digest}"`, `its bytes are "${found}"`, { value: digest });
  const key = keys.blob(digest);
  if ((await objects.sizeOf(key, options)) === size) return;
  const [only] = pieces;
  if (!only) await objects.write(key, new Uint8Array(0), options);
  else if (pieces.length === 1) await objects.copy(only.key, key, options);
  else await composeInParts(objects, key, pieces, options);
}

async function hashPieces(
  objects: ObjectStorage,
  pieces: readonly Piece[],
  digest: Digest,
  options: CallOptions,
): Promise<Digest> {
  const hasher = createHasher(digest);
  for (const { key } of pieces) {
    const opened = await objects.open(key, options);
    if (!opened) throw cannot('STORE_ERROR', `read ${quote(key)}`, 'it is gone', { value: key });
    for await (const chunk of opened.body) hasher.update(chunk);
  }
  return hasher.digest();
}

async function composeInParts(
  objects: ObjectStorage,
  key: string,
  pieces: readonly Piece[],
  options: CallOptions,
): Promise<void> {
  const parts = await objects.writeInParts(key, options);
  try {
    const left = pieces.entries();
    const copyNext = async (): Promise<void> => {
      for (const [index, piece] of left) await parts.copy(index + 1, piece.key);
    };
    await Promise.all(Array.from({ length: piecesAtOnce }, copyNext));
    await parts.complete();
  } catch (error) {
    await parts.abort();
    throw error;
  }
}
