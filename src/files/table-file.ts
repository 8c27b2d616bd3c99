import type { Content } from '../content/content.ts';
import { cannot } from '../errors.ts';
import { createHasher, type Hasher } from '../oci/digest.ts';
import { quote } from '../oci/quote.ts';
import { damagedLayer, decoded, storedBytes } from './layer-bytes.ts';
import type { Chunk, Extract, Table } from './table.ts';

/**
 * A file's bytes, by one request for its place in the layer alone. Each chunk is verified at its end: `DIGEST_MISMATCH`
 * after its last byte.
 */
export async function* extractedBytes(
  layer: Content,
  { packing }: Table,
  { start, end, skip, chunks }: Extract,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array, void, undefined> {
  const rest = chunks.values();
  let running = begin(rest.next().value);
  let skipped = 0;
  for await (let bytes of decoded(layer, packing, storedBytes(layer, signal, { start, end }))) {
    const unwanted = Math.min(skip - skipped, bytes.length);
    skipped += unwanted;
    bytes = bytes.subarray(unwanted);
    while (running && bytes.length > 0) {
      const piece = bytes.subarray(0, running.left);
      bytes = bytes.subarray(piece.length);
      running.hasher.update(piece);
      running.left -= piece.length;
      yield piece;
      if (running.left > 0) continue;
      verify(layer, running);
      running = begin(rest.next().value);
    }
    if (!running) return;
  }
  if (running) throw damagedLayer(layer, `a file ends ${running.left} bytes before its table of contents says`);
}

/** A chunk that is being read. */
interface Running {
  readonly chunk: Chunk;
  readonly hasher: Hasher;
  left: number;
}

const begin = (chunk: Chunk | undefined): Running | undefined =>
  chunk && { chunk, hasher: createHasher(chunk.digest), left: chunk.size };

function verify(layer: Content, { chunk, hasher }: Running): void {
  const found = hasher.digest();
  if (found === chunk.digest) return;
  const message = `a part of a file has digest ${found} instead of ${chunk.digest}`;
  throw cannot('DIGEST_MISMATCH', `read layer ${quote(layer.descriptor.digest)}`, message);
}
