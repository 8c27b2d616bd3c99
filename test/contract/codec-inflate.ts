import { crc32, deflateRawSync, deflateSync, gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Decoder } from '../../src/codec/codec.ts';
import { cutAt, expectDecoded, expectNeverWrong, expectRefused, inPieces, verdict } from '../support/decoding.ts';
import { runs } from '../support/runs.ts';
import { text } from '../support/zstd-fixtures.ts';

const packed = gzipSync(text);
const zeros = Buffer.alloc(600);

export function inflateContract(gzip: Decoder, deflate: Decoder): void {
  describe('gzip', () => {
    membersContract(gzip);
    gzipHeaderContract(gzip);
    bombContract(gzip);
  });
  describe('deflate', () => deflateContract(deflate));
}

function membersContract(gzip: Decoder): void {
  const members = Buffer.concat([gzipSync(''), packed, gzipSync('second'), gzipSync(''), gzipSync('third')]);
  const content = Buffer.concat([text, Buffer.from('secondthird')]);

  test('decodes several members, wherever they are cut', async () => {
    await expectDecoded(gzip, members, content);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.nat({ max: members.length }), { maxLength: 4 }), async (places) => {
        expect((await verdict(gzip(cutAt(members, places)))).bytes.equals(content)).toBe(true);
      }),
      runs(20),
    );
  });

  test('accepts zeros after the last member as padding, and nothing after them', async () => {
    await expectDecoded(gzip, Buffer.concat([members, zeros]), content);
    await expectDecoded(gzip, Buffer.concat([packed, zeros.subarray(0, 1)]), text);
    const followed = Buffer.concat([packed, zeros, packed]);
    await expectRefused(gzip, followed, /^Cannot decode gzip: garbage after the end of the stream$/);
    for (const place of [packed.length, packed.length + 1, packed.length + 600]) {
      expect((await verdict(gzip(cutAt(followed, [place])))).error).toMatchObject({ code: 'DECODE_ERROR' });
    }
  });

  test('refuses a body that has only zeros', () => expectRefused(gzip, zeros, /^Cannot decode gzip: /));
}

function gzipHeaderContract(gzip: Decoder): void {
  const at = (place: number, value: number): Buffer => {
    const copy = Buffer.from(packed);
    copy[place] = (copy[place] ?? 0) ^ value;
    return copy;
  };
  const named = (check: number): Buffer => {
    const head = Buffer.from([0x1f, 0x8b, 8, 2 + 8, 0, 0, 0, 0, 0, 3, ...Buffer.from('layer.tar\0')]);
    const sum = (crc32(head) & 0xffff) ^ check;
    return Buffer.concat([head, Buffer.from([sum & 255, sum >> 8]), packed.subarray(10)]);
  };

  test('decodes a header with a name and a checksum of its own', () => expectDecoded(gzip, named(0), text));

  test.each([
    ['a wrong header checksum', named(1)],
    ['a reserved flag', at(3, 0x80)],
    ['an unknown method', at(2, 1)],
    ['a wrong first byte', at(0, 1)],
    ['a wrong checksum', at(packed.length - 8, 1)],
    ['a wrong length', at(packed.length - 1, 1)],
    ['a zlib stream', deflateSync(text)],
    ['plain text', text],
  ])('refuses %s', (_, bytes) => expectRefused(gzip, bytes, /^Cannot decode gzip: [a-z]/));

  test('a damaged byte never leads to wrong content', async () => {
    const place = fc.nat({ max: packed.length - 1 });
    await fc.assert(
      fc.asyncProperty(place, fc.integer({ min: 1, max: 255 }), async (index, value) => {
        await expectNeverWrong(gzip(inPieces(at(index, value))), text);
      }),
      runs(70),
    );
  });
}

function deflateContract(deflate: Decoder): void {
  test.each([
    ['zlib', deflateSync(text)],
    ['zlib at level 0', deflateSync(text, { level: 0 })],
    ['zlib with a small window', deflateSync(text, { windowBits: 9 })],
    ['raw deflate', deflateRawSync(text)],
    ['raw deflate at level 0', deflateRawSync(text, { level: 0 })],
  ])('decodes %s', (_, bytes) => expectDecoded(deflate, bytes, text));

  const sum = Buffer.from(deflateSync(text));
  sum[sum.length - 1] = (sum[sum.length - 1] ?? 0) ^ 1;
  test.each([
    ['a wrong checksum', sum],
    ['a dictionary', deflateSync(text, { dictionary: Buffer.from('image layer') })],
    ['two zlib streams', Buffer.concat([deflateSync(text), deflateSync(text)])],
    ['zeros after zlib', Buffer.concat([deflateSync(text), Buffer.alloc(1)])],
    ['zeros after raw deflate', Buffer.concat([deflateRawSync(text), Buffer.alloc(1)])],
    ['a reserved block type', Buffer.from([0x07, 0x00])],
    ['a gzip member', packed],
  ])('refuses %s', (_, bytes) => expectRefused(deflate, bytes, /^Cannot decode deflate: [a-z]/));
}

function bombContract(gzip: Decoder): void {
  const bomb = gzipSync(Buffer.alloc(64 * 2 ** 20), { level: 9 });

  test('an endless bomb is stopped at the limit, in bounded chunks', async () => {
    let pulled = 0;
    const endless = async function* () {
      for (;;) {
        pulled++;
        yield bomb;
      }
    };
    let bytes = 0;
    const decoded = async () => {
      for await (const chunk of gzip(endless(), { limit: 80 * 2 ** 20 })) {
        expect(chunk.length).toBeLessThanOrEqual(2 ** 20);
        bytes += chunk.length;
      }
    };
    await expect(decoded()).rejects.toMatchObject({ code: 'TOO_LARGE' });
    expect(bytes).toBeLessThanOrEqual(80 * 2 ** 20);
    expect(pulled).toBe(2);
  });

  test('decoding a bomb does not block the event loop', async () => {
    let turns = 0;
    const timer = setInterval(() => turns++, 5);
    const { error } = await verdict(gzip(inPieces(bomb, bomb.length), { limit: 32 * 2 ** 20 }));
    clearInterval(timer);
    expect(error).toMatchObject({ code: 'TOO_LARGE' });
    expect(turns).toBeGreaterThan(0);
  });
}
