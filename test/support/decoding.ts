import { expect } from 'vitest';
import type { Decoder } from '../../src/codec/codec.ts';
import { RegistryError } from '../../src/errors.ts';

/** A body in pieces of `step` bytes. */
export async function* inPieces(bytes: Uint8Array, step = 65_536): AsyncGenerator<Uint8Array, void> {
  for (let at = 0; at < bytes.length; at += step) yield bytes.subarray(at, at + step);
}

/** A body cut at the given offsets, in any order; an offset given twice makes an empty chunk. */
export async function* cutAt(bytes: Uint8Array, places: readonly number[]): AsyncGenerator<Uint8Array, void> {
  let from = 0;
  for (const place of [...places, bytes.length].sort((a, b) => a - b)) {
    yield bytes.subarray(from, place);
    from = place;
  }
}

export async function collect(chunks: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const collected: Uint8Array[] = [];
  for await (const chunk of chunks) collected.push(chunk);
  return Buffer.concat(collected);
}

/** Lengths at which a body of `length` bytes is cut short: all of a short one, of a longer one those near its ends, and every 7th. */
export const shorter = (length: number): readonly number[] =>
  Array.from({ length }, (_, cut) => cut).filter((cut) => cut < 100 || cut > length - 50 || cut % 7 === 0);

/** The bytes that were decoded before the body ended or failed, and the error. */
export async function verdict(
  chunks: AsyncIterable<Uint8Array>,
): Promise<{ readonly bytes: Buffer; readonly error?: unknown }> {
  const collected: Uint8Array[] = [];
  try {
    for await (const chunk of chunks) collected.push(chunk);
  } catch (error) {
    return { bytes: Buffer.concat(collected), error };
  }
  return { bytes: Buffer.concat(collected) };
}

/** Expects this content, from the whole body and from single bytes. */
export async function expectDecoded(decoder: Decoder, packed: Uint8Array, content: Uint8Array): Promise<void> {
  for (const step of [packed.length || 1, 1]) {
    const decoded = await collect(decoder(inPieces(packed, step), { limit: content.length }));
    expect(decoded.equals(content), `in pieces of ${step}`).toBe(true);
  }
}

/** Expects the same code, from the whole body and from single bytes. */
export async function expectRefused(decoder: Decoder, packed: Uint8Array, message: RegExp | string): Promise<void> {
  for (const step of [packed.length || 1, 1]) {
    const { error } = await verdict(decoder(inPieces(packed, step)));
    expect(error, `in pieces of ${step}`).toBeInstanceOf(RegistryError);
    expect(error, `in pieces of ${step}`).toMatchObject({
      code: 'DECODE_ERROR',
      message: expect.stringMatching(message),
    });
  }
}

/** Expects an error or the right bytes, never wrong bytes. */
export async function expectNeverWrong(decoded: AsyncIterable<Uint8Array>, content: Uint8Array): Promise<void> {
  const { bytes, error } = await verdict(decoded);
  if (error === undefined) expect(bytes.equals(content)).toBe(true);
  else expect(error).toMatchObject({ code: expect.stringMatching(/^(DECODE_ERROR|TOO_LARGE)$/) });
}
