import fc from 'fast-check';
import { expect, test } from 'vitest';
import { readAll } from '../src/body.ts';
import { createByteReader } from '../src/codec/byte-reader.ts';
import { createPile } from '../src/pile.ts';

const lengths = fc.array(fc.oneof(fc.nat(40), fc.integer({ min: 900, max: 1_100 }), fc.constant(40_000)), {
  maxLength: 60,
});

/** A chunk of each length; their bytes count up. */
function chunksOf(sizes: readonly number[]): Uint8Array[] {
  let next = 0;
  return sizes.map((size) => Uint8Array.from({ length: size }, () => next++));
}

test('what is taken from a pile, joined or copied, is what was added, in its order', () => {
  fc.assert(
    fc.property(lengths, fc.array(fc.nat(3)), (sizes, takes) => {
      const chunks = chunksOf(sizes);
      const whole = Buffer.concat(chunks);
      const pile = createPile();
      const taken: Uint8Array[] = [];
      for (const [index, chunk] of chunks.entries()) {
        pile.add(chunk);
        if (takes[index] === 0) taken.push(pile.take() ?? new Uint8Array(0));
      }
      expect(pile.size + Buffer.concat(taken).length).toBe(whole.length);
      const rest =
        takes.length % 3 === 0 ? pile.join() : takes.length % 3 === 1 ? pile.copy() : Buffer.concat(pile.takeAll());
      expect(Buffer.concat([...taken, rest]).equals(whole)).toBe(true);
      expect(pile.size).toBe(0);
      expect(pile.take()).toBeUndefined();
    }),
  );
});

test('a single chunk is joined without a copy, but copied when asked to', () => {
  const pile = createPile();
  const chunk = new Uint8Array(5);
  pile.add(chunk);
  expect(pile.join()).toBe(chunk);
  pile.add(chunk);
  expect(pile.copy()).not.toBe(chunk);
});

test('a million single bytes are kept in few objects', () => {
  const pile = createPile();
  for (let count = 0; count < 1_048_576; count += 1) pile.add(Uint8Array.of(count));
  const chunks = pile.takeAll();
  expect(chunks.length).toBeLessThan(70);
  expect(chunks.reduce((sum, { buffer }) => sum + buffer.byteLength, 0)).toBeLessThan(2 * 1_048_576);
});

async function* bytewise(size: number): AsyncGenerator<Uint8Array> {
  for (let count = 0; count < size; count += 1) yield Uint8Array.of(count);
}

test('single bytes are read whole, and by counts, in the time that their number takes', async () => {
  const size = 262_144;
  const expected = Uint8Array.from({ length: size }, (_, index) => index);
  expect(Buffer.from(await readAll(bytewise(size), size, 'a body')).equals(expected)).toBe(true);
  const reader = createByteReader(bytewise(size));
  // Copied anew for each byte this would be 34 GB.
  expect(await reader.fill(size)).toBe(true);
  expect(Buffer.from(reader.read(size)).equals(expected)).toBe(true);
  expect(await reader.fill(1)).toBe(false);
});
