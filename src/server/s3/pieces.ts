import type { Chunks } from '../../source.ts';

/** Bytes of each piece but the last. Some servers want equal parts, and none takes more than 10,000 of them. */
export const pieceBytes = 8 * 1024 * 1024;
export const mostPieces = 10_000;
/** Pieces that are sent at the same time. */
const atOnce = 2;

/** Takes pieces, in any order; each has memory of its own. */
export type SendPiece = (number: number, bytes: Uint8Array) => Promise<void>;

export interface PieceOptions {
  /** Bytes of each piece but the last. */
  readonly size: number;
  /** The number of the first. */
  readonly first: number;
  /** What the first piece begins with. */
  readonly begin?: Uint8Array | undefined;
}

/**
 * Cuts bytes into pieces of one size, and sends each while the next one is read. What is left at the end, or when the body
 * breaks, is the last piece; nothing is sent if there are no bytes. Fails with the body's error, once all pieces are sent.
 */
export async function sendPieces(body: Chunks, send: SendPiece, options: PieceOptions): Promise<void> {
  const { size, first, begin = new Uint8Array(0) } = options;
  const sending = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  let number = first;
  let piece = new Uint8Array(Math.max(size, begin.length));
  piece.set(begin);
  let used = begin.length;
  const dispatch = (bytes: Uint8Array): void => {
    const sent: Promise<void> = send(number, bytes)
      .catch((error: unknown) => {
        failure ??= { error };
      })
      .finally(() => sending.delete(sent));
    number += 1;
    sending.add(sent);
  };
  const add = async (chunk: Uint8Array): Promise<void> => {
    for (let offset = 0; offset < chunk.length; ) {
      const part = chunk.subarray(offset, offset + piece.length - used);
      piece.set(part, used);
      used += part.length;
      offset += part.length;
      if (used < piece.length) continue;
      dispatch(piece);
      if (sending.size >= atOnce) await Promise.race(sending);
      piece = new Uint8Array(size);
      used = 0;
    }
    if (failure) throw failure.error;
  };
  try {
    for await (const chunk of body) await add(chunk);
  } finally {
    if (used > 0 && !failure) dispatch(piece.subarray(0, used));
    await Promise.all(sending);
  }
  if (failure) throw failure.error;
}
