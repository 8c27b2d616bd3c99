import type { Sparse } from './tar-sparse.ts';

/** The whole file: its parts where they belong, and zeros. */
export async function* expandSparse(
  { size, extents }: Sparse,
  data: AsyncIterable<Uint8Array>,
): AsyncGenerator<Uint8Array, void> {
  const rest = extents.filter(({ length }) => length > 0).values();
  let extent = rest.next().value;
  let at = 0;
  for await (let chunk of data) {
    while (extent && chunk.length > 0) {
      yield* zeros(extent.offset - at);
      at = Math.max(at, extent.offset);
      const piece = chunk.subarray(0, extent.offset + extent.length - at);
      yield piece;
      at += piece.length;
      chunk = chunk.subarray(piece.length);
      if (at === extent.offset + extent.length) extent = rest.next().value;
    }
  }
  yield* zeros(size - at);
}

/** Zeros in pieces of at most 64 KiB. */
function* zeros(count: number): Generator<Uint8Array, void> {
  for (let left = count; left > 0; left -= 65_536) yield new Uint8Array(Math.min(left, 65_536));
}
