import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { algorithmOf, createHasher, digestOf, isDigest, parseDigest } from '../../src/oci/digest.ts';

const lengths = { sha256: 64, sha384: 96, sha512: 128 } as const;
const algorithms = ['sha256', 'sha384', 'sha512'] as const;
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const hex = (length: number) =>
  fc.string({ unit: fc.constantFrom(...'0123456789abcdef'), minLength: length, maxLength: length });
const digests = fc.constantFrom(...algorithms).chain((name) => hex(lengths[name]).map((text) => `${name}:${text}`));

test('a digest of a known algorithm and its length is read as it is', () => {
  fc.assert(
    fc.property(digests, (text) => {
      expect(parseDigest(text)).toBe(text);
      expect(isDigest(text)).toBe(true);
      expect(`${algorithmOf(text)}:`).toBe(text.slice(0, 7));
    }),
  );
});

test('a digest with one character taken away or added is refused', () => {
  fc.assert(
    fc.property(digests, fc.nat(), fc.string({ minLength: 1, maxLength: 1 }), (text, at, extra) => {
      const position = at % text.length;
      expect(isDigest(text.slice(0, position) + text.slice(position + 1))).toBe(false);
      expect(isDigest(text.slice(0, position) + extra + text.slice(position))).toBe(false);
    }),
  );
});

const a64 = 'a'.repeat(64);

test.each([
  ['', 'no ":"'],
  ['sha256', 'no ":"'],
  ['sha256:', '0 hex characters, expected 64'],
  [`sha256:${a64}a`, '65 hex characters'],
  [`sha256:${a64.slice(1)}`, '63 hex characters'],
  [`sha256:${'A'.repeat(64)}`, 'upper-case hex'],
  [`SHA256:${a64}`, 'unknown algorithm "SHA256"'],
  [`md5:${'a'.repeat(32)}`, 'unknown algorithm "md5"'],
  [`sha1:${'a'.repeat(40)}`, 'unknown algorithm "sha1"'],
  [`blake3:${a64}`, 'unknown algorithm "blake3"'],
  [`constructor:${a64}`, 'unknown algorithm "constructor"'],
  [`sha512:${a64}`, '64 hex characters, expected 128'],
  [`sha256:${'g'.repeat(64)}`, 'not hex'],
  [`sha256:${a64}\n`, 'not hex'],
  [` sha256:${a64}`, 'unknown algorithm'],
  [`sha256:sha256:${a64}`, 'not hex'],
  [undefined as unknown as string, 'not a string'],
])('%j is not a digest', (text, found) => {
  expect(() => parseDigest(text)).toThrow(expect.objectContaining({ code: 'INVALID_DIGEST' }));
  expect(() => parseDigest(text)).toThrow(found);
  expect(() => parseDigest(text)).toThrow(JSON.stringify(text) ?? '"undefined"');
});

describe('hashing', () => {
  test('any cutting into chunks gives the digest of the whole', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 50 })), fc.constantFrom(...algorithms), (chunks, algorithm) => {
        const hasher = createHasher(algorithm);
        for (const chunk of chunks) hasher.update(chunk);
        const whole = createHash(algorithm).update(Buffer.concat(chunks)).digest('hex');
        expect(hasher.digest()).toBe(`${algorithm}:${whole}`);
        expect(digestOf(Buffer.concat(chunks), algorithm)).toBe(`${algorithm}:${whole}`);
      }),
    );
  });

  test('a hasher takes its algorithm from a digest', () => {
    const hasher = createHasher(`sha512:${'0'.repeat(128)}`);
    hasher.update(bytes('x'));
    expect(hasher.digest()).toBe(digestOf(bytes('x'), 'sha512'));
  });

  test('nothing has the digest that everybody knows', () => {
    expect(digestOf(new Uint8Array())).toBe('sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });

  test.each(['md5', 'sha256:00', ''])('a hasher of %j is refused', (text) => {
    expect(() => createHasher(text)).toThrow(expect.objectContaining({ code: 'INVALID_DIGEST' }));
  });

  afterEach(() => vi.unstubAllGlobals());

  test('a runtime without crypto is reported', () => {
    vi.stubGlobal('process', undefined);
    expect(() => createHasher('sha256')).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
    expect(() => digestOf(bytes('x'))).toThrow('this runtime has no node:crypto');
  });
});
