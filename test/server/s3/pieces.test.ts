import fc from 'fast-check';
import { expect, test } from 'vitest';
import { sendPieces } from '../../../src/server/s3/pieces.ts';
import { pieces } from '../../contract/store.ts';

const bytes = Uint8Array.from({ length: 500 }, (_, index) => index & 255);

test('bytes are cut into pieces of one size, numbered in order, however they come', async () => {
  const sizes = fc.record({
    size: fc.integer({ min: 10, max: 200 }),
    chunk: fc.integer({ min: 1, max: 300 }),
    begin: fc.integer({ min: 0, max: 9 }),
  });
  const check = async ({ size, chunk, begin }: { size: number; chunk: number; begin: number }): Promise<void> => {
    const sent = new Map<number, Uint8Array>();
    const send = async (number: number, piece: Uint8Array): Promise<void> => {
      await Promise.resolve();
      sent.set(number, piece.slice());
    };
    await sendPieces(pieces(bytes.slice(begin), chunk), send, { size, first: 3, begin: bytes.slice(0, begin) });
    const all = [...sent].sort(([a], [b]) => a - b);
    expect(all.map(([number]) => number)).toEqual(all.map((_, index) => index + 3));
    expect(all.slice(0, -1).every(([, piece]) => piece.length === size)).toBe(true);
    expect(Buffer.compare(Buffer.concat(all.map(([, piece]) => piece)), bytes)).toBe(0);
  };
  await fc.assert(fc.asyncProperty(sizes, check));
});

test('what came before a body broke is sent, and its error is given', async () => {
  let sent = 0;
  const broken = async function* () {
    yield bytes.slice(0, 25);
    throw new Error('the line is dead');
  };
  const send = async (_: number, piece: Uint8Array): Promise<void> => {
    sent += piece.length;
  };
  await expect(sendPieces(broken(), send, { size: 10, first: 1 })).rejects.toThrow('the line is dead');
  expect(sent).toBe(25);
});

test('after a piece that cannot be sent the body is left', async () => {
  let read = 0;
  const counted = async function* () {
    for (;;) {
      read += 1;
      yield new Uint8Array(10);
    }
  };
  const send = async (number: number): Promise<void> => {
    if (number === 2) throw new Error('the bucket is full');
  };
  await expect(sendPieces(counted(), send, { size: 10, first: 1 })).rejects.toThrow('the bucket is full');
  expect(read).toBeLessThan(10);
});
