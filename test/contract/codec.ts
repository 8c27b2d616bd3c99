import { deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Codecs, Decoder } from '../../src/codec/codec.ts';
import { cutAt, expectDecoded, expectRefused, inPieces, shorter, verdict } from '../support/decoding.ts';
import { runs } from '../support/runs.ts';
import { distant, text } from '../support/zstd-fixtures.ts';
import { raw, zstdFrame } from '../support/zstd-frames.ts';
import { inflateContract } from './codec-inflate.ts';
import { zstdContract } from './codec-zstd.ts';

/** The contract of every set of decoders: the same results for every input. */
export function codecContract(name: string, codecs: Codecs): void {
  const { zstd, gzip, deflate } = codecs;
  if (!gzip || !deflate) throw new Error(`${name} decodes neither gzip nor deflate`);
  describe(`${name} codecs`, () => {
    decoderContract('gzip', gzip, gzipSync);
    decoderContract('deflate', deflate, deflateSync);
    decoderContract('deflate', deflate, deflateRawSync);
    inflateContract(gzip, deflate);
    if (!zstd) return;
    decoderContract('zstd', zstd, packZstd);
    zstdContract(zstd);
  });
}

/** Blocks of 90 bytes, then of 100 kB: a frame with many block borders, also in short content. */
function packZstd(content: Buffer): Buffer {
  const blocks = [raw(content.subarray(0, 90))];
  for (let at = 90; at < content.length; at += 100_000) blocks.push(raw(content.subarray(at, at + 100_000)));
  return zstdFrame({ blocks });
}

function decoderContract(coding: string, decoder: Decoder, pack: (content: Buffer) => Buffer): void {
  const packed = pack(text);
  describe(`${coding}, any content (${packed.length} bytes)`, () => {
    test('gives the same output wherever the body is cut', async () => {
      const place = fc.nat({ max: packed.length });
      await fc.assert(
        fc.asyncProperty(fc.array(place, { maxLength: 6 }), async (places) => {
          expect((await verdict(decoder(cutAt(packed, places)))).bytes.equals(text)).toBe(true);
        }),
        runs(30),
      );
    });

    test('decodes empty content', () => expectDecoded(decoder, pack(Buffer.alloc(0)), Buffer.alloc(0)));

    test('refuses an empty body, with or without empty chunks', async () => {
      await expectRefused(decoder, Buffer.alloc(0), `^Cannot decode ${coding}: unexpected end of input$`);
      const { error } = await verdict(decoder(cutAt(Buffer.alloc(0), [0, 0])));
      expect(error).toMatchObject({ code: 'DECODE_ERROR' });
    });

    test('refuses a body that is cut anywhere before its end', async () => {
      for (const length of shorter(packed.length)) {
        const { error } = await verdict(decoder(inPieces(packed.subarray(0, length))));
        expect(error, `after ${length} bytes`).toMatchObject({
          code: 'DECODE_ERROR',
          message: `Cannot decode ${coding}: unexpected end of input`,
        });
      }
    });

    test('refuses anything after the end, wherever it is cut', async () => {
      const followed = Buffer.concat([packed, Buffer.from('garbage')]);
      await expectRefused(decoder, followed, `^Cannot decode ${coding}: `);
      for (let extra = 0; extra < 7; extra++) {
        const { bytes, error } = await verdict(decoder(cutAt(followed, [packed.length + extra])));
        expect(error, `cut ${extra} bytes after the end`).toMatchObject({ code: 'DECODE_ERROR' });
        expect(text.subarray(0, bytes.length).equals(bytes)).toBe(true);
      }
    });

    limitContract(coding, decoder, pack);
    leavingContract(decoder, pack);
    chunksContract(decoder, pack);
  });
}

function limitContract(coding: string, decoder: Decoder, pack: (content: Buffer) => Buffer): void {
  test('accepts content of exactly the limit, and refuses one byte more', async () => {
    for (const content of [Buffer.alloc(0), text, distant.subarray(0, 100_000)]) {
      const packed = pack(content);
      const exact = await verdict(decoder(inPieces(packed), { limit: content.length }));
      expect(exact.error).toBeUndefined();
      expect(exact.bytes.equals(content)).toBe(true);
      if (content.length === 0) continue;
      const less = await verdict(decoder(inPieces(packed), { limit: content.length - 1 }));
      expect(less.bytes.length).toBeLessThan(content.length);
      expect(less.error).toMatchObject({
        code: 'TOO_LARGE',
        message: `Cannot decode ${coding}: more than ${content.length - 1} bytes`,
      });
    }
  });
}

function leavingContract(decoder: Decoder, pack: (content: Buffer) => Buffer): void {
  test('an error of the body is passed on unchanged, and the body is not closed again', async () => {
    const packed = pack(text);
    const broken = new Error('connection reset');
    for (const length of [0, 1, 30, packed.length]) {
      const { error } = await verdict(
        decoder(
          (async function* () {
            yield* inPieces(packed.subarray(0, length), 7);
            throw broken;
          })(),
        ),
      );
      expect(error, `after ${length} bytes`).toBe(broken);
    }
  });

  test('the body is closed if its reader leaves early, and if decoding fails', async () => {
    const packed = pack(Buffer.concat([distant, distant]));
    const log: string[] = [];
    const body = async function* (bytes: Uint8Array) {
      try {
        yield* inPieces(bytes, 64);
        log.push('read to the end');
      } finally {
        log.push('left');
      }
    };
    for await (const chunk of decoder(body(packed))) if (chunk.length > 0) break;
    expect(log).toEqual(['left']);
    const failed = await verdict(decoder(body(packed), { limit: 1 }));
    expect(failed.error).toMatchObject({ code: 'TOO_LARGE' });
    expect(log).toEqual(['left', 'left']);
  });
}

function chunksContract(decoder: Decoder, pack: (content: Buffer) => Buffer): void {
  test('does not read ahead of its reader', async () => {
    const packed = pack(Buffer.concat([distant, distant, distant]));
    let read = 0;
    const body = async function* () {
      for await (const piece of inPieces(packed, Math.ceil(packed.length / 64))) {
        read++;
        yield piece;
      }
    };
    for await (const chunk of decoder(body())) {
      expect(chunk.length).toBeGreaterThan(0);
      const before = read;
      await new Promise((resolve) => setTimeout(resolve, 20));
      expect(read).toBe(before);
      break;
    }
    expect(read).toBeLessThan(64);
  });

  test('chunks belong to the reader', async () => {
    const kept: Uint8Array[] = [];
    for await (const chunk of decoder(inPieces(pack(distant), 512))) {
      kept.push(Buffer.from(chunk));
      chunk.fill(0xff);
    }
    expect(Buffer.concat(kept).equals(distant)).toBe(true);
  });
}
