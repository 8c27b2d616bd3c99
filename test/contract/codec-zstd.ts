import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Decoder } from '../../src/codec/codec.ts';
import {
  cutAt,
  expectDecoded,
  expectNeverWrong,
  expectRefused,
  inPieces,
  shorter,
  verdict,
} from '../support/decoding.ts';
import { runs } from '../support/runs.ts';
import { text, zstdFixtures } from '../support/zstd-fixtures.ts';
import { raw, rle, skippable, zstdFrame } from '../support/zstd-frames.ts';

const plain = zstdFrame({ blocks: [raw(text)] });
const empty = zstdFrame({ blocks: [raw('')] });
const note = skippable(Buffer.from('a note for somebody else'), 5);

export function zstdContract(zstd: Decoder): void {
  describe('zstd', () => {
    test.each(Object.entries(zstdFixtures))('decodes a real frame: %s', (_, { packed, content }) =>
      expectDecoded(zstd, packed, content),
    );
    framesContract(zstd);
    refusalsContract(zstd);
    damageContract(zstd);
    bombContract(zstd);
  });
}

function framesContract(zstd: Decoder): void {
  const real = Object.values(zstdFixtures);
  const frames = Buffer.concat([empty, note, plain, ...real.map(({ packed }) => packed), note, empty, plain, note]);
  const content = Buffer.concat([text, ...real.map((fixture) => fixture.content), text]);

  test('decodes several frames, empty and skippable ones among them, wherever they are cut', async () => {
    await expectDecoded(zstd, frames, content);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: frames.length }), { maxLength: 5 }), async (places) => {
        expect((await verdict(zstd(cutAt(frames, places), { limit: content.length }))).bytes.equals(content)).toBe(
          true,
        );
      }),
      runs(20),
    );
  });

  test.each([
    ['only a skippable frame', note, ''],
    ['an empty skippable frame', Buffer.concat([skippable(Buffer.alloc(0)), plain]), text],
    ['an empty frame', empty, ''],
    ['an empty frame with a checksum', zstdFrame({ blocks: [raw('')], checksumOf: Buffer.alloc(0) }), ''],
    ['an empty frame of a single segment', zstdFrame({ blocks: [raw('')], single: true, size: 0 }), ''],
    ['empty blocks', zstdFrame({ blocks: [raw(''), raw('a'), rle(66, 0), raw('c'), raw('')] }), 'ac'],
    [
      'a run of the longest block',
      zstdFrame({ blocks: [rle(65, 131_072), rle(66, 5)] }),
      `${'A'.repeat(131_072)}BBBBB`,
    ],
    ['a single segment', zstdFrame({ blocks: [raw('abc')], single: true, size: 3 }), 'abc'],
    ['a size and a window', zstdFrame({ blocks: [raw('abc'), rle(65, 2)], size: 5 }), 'abcAA'],
    ['the widest window', zstdFrame({ blocks: [raw('abc')], window: 17 << 3 }), 'abc'],
    ['dictionary number 0', zstdFrame({ blocks: [raw('abc')], dictionary: 0 }), 'abc'],
    ['the unused bit', zstdFrame({ blocks: [raw('abc')], flags: 16 }), 'abc'],
    [
      'a checksum',
      zstdFrame({ blocks: [raw('abc'), rle(65, 9)], checksumOf: Buffer.from('abcAAAAAAAAA') }),
      'abcAAAAAAAAA',
    ],
  ])('decodes %s', (_, bytes, decoded) => expectDecoded(zstd, bytes, Buffer.from(decoded)));
}

function refusalsContract(zstd: Decoder): void {
  test.each([
    ['a wrong checksum', zstdFrame({ blocks: [raw('abc')], checksumOf: Buffer.from('abd') }), /checksum/],
    ['a size too large', zstdFrame({ blocks: [raw('abc')], size: 4 }), /frame of 3 bytes instead of 4|./],
    ['a size too small', zstdFrame({ blocks: [raw('abc')], size: 2 }), /./],
    ['a size of more than 2^53', zstdFrame({ blocks: [raw('abc')], size: 2 ** 60 }), /./],
    ['a window over 128 MiB', zstdFrame({ blocks: [raw('abc')], window: (17 << 3) + 1 }), /window of 150994944 bytes/],
    [
      'the widest window that a header can have',
      zstdFrame({ blocks: [raw('abc')], window: 255 }),
      /window of \d+ bytes/,
    ],
    [
      'a single segment of 1 GiB',
      zstdFrame({ blocks: [raw('a')], single: true, size: 2 ** 30 }),
      /window of 1073741824/,
    ],
    ['a dictionary', zstdFrame({ blocks: [raw('abc')], dictionary: 7 }), /needs a dictionary/],
    ['a run of 2 MiB', zstdFrame({ blocks: [rle(65, 2 ** 21 - 1)], window: 0x70 }), /block of 2097151 bytes/],
    ['a run longer than its window', zstdFrame({ blocks: [rle(65, 2000)], window: 0 }), /block of 2000 bytes/],
    ['a reserved block type', zstdFrame({ blocks: [{ kind: 'reserved', bytes: Buffer.from('a') }] }), /reserved block/],
    ['the reserved bit', zstdFrame({ blocks: [raw('abc')], flags: 8 }), /reserved bit/],
    [
      'an empty compressed block',
      zstdFrame({ blocks: [{ kind: 'compressed', bytes: Buffer.alloc(0) }] }),
      /compressed block/,
    ],
    ['noise as a compressed block', zstdFrame({ blocks: [{ kind: 'compressed', bytes: text }] }), /./],
    ['plain text', text, /not a zstd frame/],
    ['text after a frame', Buffer.concat([plain, text]), /garbage after the last frame/],
    ['zeros after a frame', Buffer.concat([plain, Buffer.alloc(9)]), /garbage after the last frame/],
    ['a skippable frame cut short', note.subarray(0, -1), /unexpected end/],
    ['a second frame cut short', Buffer.concat([plain, plain.subarray(0, -1)]), /unexpected end/],
  ])('refuses %s', async (_, bytes, message) => {
    await expectRefused(zstd, bytes, /^Cannot decode zstd: ./);
    await expectRefused(zstd, bytes, message);
  });

  test('refuses a real frame that ends anywhere before its end', async () => {
    for (const { packed, content } of Object.values(zstdFixtures)) {
      for (const length of shorter(packed.length)) {
        const { error } = await verdict(zstd(inPieces(packed.subarray(0, length)), { limit: content.length }));
        expect(error, `after ${length} bytes`).toMatchObject({ code: 'DECODE_ERROR' });
      }
    }
  });
}

function damageContract(zstd: Decoder): void {
  test('a damaged byte in a frame with a checksum never leads to wrong content', async () => {
    const checked = Object.values(zstdFixtures).slice(1);
    const literal = { packed: zstdFrame({ blocks: [raw(text)], checksumOf: text }), content: text };
    const place = fc.nat();
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(literal, ...checked), place, fc.nat({ max: 7 }), async (frame, seed, bit) => {
        const damaged = Buffer.from(frame.packed);
        const index = 4 + (seed % (damaged.length - 4));
        damaged[index] = (damaged[index] ?? 0) ^ (1 << bit);
        await expectNeverWrong(zstd(inPieces(damaged), { limit: 2 ** 20 }), frame.content);
      }),
      runs(80),
    );
  });
}

function bombContract(zstd: Decoder): void {
  /** 120 kB that decode to 3.7 GiB. */
  const bomb = zstdFrame({ blocks: Array.from({ length: 30_000 }, () => rle(0, 131_072)) });

  test('a bomb is stopped at the limit, in bounded chunks and memory', async () => {
    const before = process.memoryUsage().arrayBuffers;
    let bytes = 0;
    const decoded = async () => {
      for await (const chunk of zstd(inPieces(bomb, bomb.length), { limit: 256 * 2 ** 20 })) {
        expect(chunk.length).toBeLessThanOrEqual(2 ** 20);
        bytes += chunk.length;
      }
    };
    await expect(decoded()).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(bytes).toBeLessThanOrEqual(256 * 2 ** 20);
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(200 * 2 ** 20);
  });

  test('decoding a bomb does not block the event loop', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const { error } = await verdict(zstd(inPieces(bomb, bomb.length), { limit: 128 * 2 ** 20 }));
    clearInterval(timer);
    expect(error).toMatchObject({ code: 'TOO_LARGE' });
    expect(turns).toBeGreaterThan(0);
  });

  test('a frame whose header states a size over the limit is refused before it is decoded', async () => {
    const { packed, content } = Object.values(zstdFixtures)[2] ?? { packed: bomb, content: bomb };
    const { bytes, error } = await verdict(zstd(inPieces(packed), { limit: content.length - 1 }));
    expect(bytes.length).toBe(0);
    expect(error).toMatchObject({ code: 'TOO_LARGE' });
  });
}
