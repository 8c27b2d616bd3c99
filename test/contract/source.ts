import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { lenderOf } from '../../src/body.ts';
import type { ErrorCode } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import type { Digest } from '../../src/oci/digest.ts';
import { type Fetched, isOpener, type Source } from '../../src/source.ts';

/** Content of a source under test: a manifest with a tag, and blobs. */
export interface Sample {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly tag?: string;
}

export function sampleOf(bytes: Uint8Array, mediaType = 'application/octet-stream', algorithm = 'sha256'): Sample {
  const digest: Digest = `${algorithm}:${createHash(algorithm).update(bytes).digest('hex')}`;
  return { descriptor: { mediaType, digest, size: bytes.length }, bytes };
}

const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const empty = sampleOf(new Uint8Array(0));
const config = sampleOf(new TextEncoder().encode('{}'), 'application/octet-stream');
const manifest: Sample = {
  ...sampleOf(
    new TextEncoder().encode(
      JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: config.descriptor, layers: [] }),
    ),
    manifestType,
  ),
  tag: 'latest',
};

/** Several chunks long, and not a multiple of any chunk's length. */
const large = sampleOf(Uint8Array.from({ length: 300_007 }, (_, index) => (index * 31 + (index >> 8)) & 255));
const wide = sampleOf(new TextEncoder().encode('by sha512'), 'application/octet-stream', 'sha512');

/** What every source under test must hold, in an order in which it can be pushed. */
export const samples = { empty, config, large, wide, manifest } as const;

/** A source that holds `samples`, and how to close it. */
export interface Made {
  readonly source: Source;
  readonly close?: () => Promise<void>;
}

export const absent = `sha256:${'0'.repeat(64)}` as const;

export async function bytesOf({ body }: Fetched): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of body) chunks.push(chunk);
  return Buffer.concat(chunks);
}

export const failsWith = (code: ErrorCode) => expect.objectContaining({ name: 'RegistryError', code });

/** The contract of every source. `make` returns one that holds `samples`. */
export function sourceContract(name: string, make: () => Promise<Made>): void {
  const using = (title: string, body: (source: Source) => Promise<void>) =>
    test(`${name}: ${title}`, async () => {
      const { source, close } = await make();
      try {
        await body(source);
      } finally {
        await close?.();
      }
    });

  using('a tag is resolved to the type, digest and size of its manifest', async (source) => {
    expect(await source.resolve('latest')).toMatchObject(manifest.descriptor);
  });

  using('a digest is resolved to its manifest', async (source) => {
    expect(await source.resolve(manifest.descriptor.digest)).toMatchObject(manifest.descriptor);
  });

  using('a tag or digest that does not exist is NOT_FOUND, and the error names it', async (source) => {
    for (const reference of ['missing', absent]) {
      await expect(source.resolve(reference)).rejects.toEqual(failsWith('NOT_FOUND'));
      await expect(source.resolve(reference)).rejects.toThrow(reference);
    }
  });

  using('content is opened by its digest alone, if the source can do that', async (source) => {
    if (!isOpener(source)) return;
    for (const { descriptor, bytes } of [empty, large, wide]) {
      const opened = await source.open(descriptor.digest);
      expect(opened.descriptor).toMatchObject({ digest: descriptor.digest, size: descriptor.size });
      expect(Buffer.compare(await bytesOf(opened), bytes)).toBe(0);
    }
    await expect(source.open(absent)).rejects.toEqual(failsWith('NOT_FOUND'));
    await expect(source.open(absent)).rejects.toThrow(absent);
  });

  using('a chunk that is lent stays as it is until the call after the next one', async (source) => {
    for (const { descriptor, bytes } of [empty, large]) {
      for (const start of [0, Math.min(70_001, bytes.length)]) {
        const part = bytes.length === 0 ? {} : { range: { start } };
        const { body } = await source.fetch(descriptor, part);
        const lend = lenderOf(body);
        if (!lend) return body.cancel();
        const read: Uint8Array[] = [];
        let last = new Uint8Array();
        let copy = new Uint8Array();
        for (let chunk = await lend(); chunk; chunk = await lend()) {
          expect(Buffer.compare(last, copy)).toBe(0);
          last = chunk as Uint8Array<ArrayBuffer>;
          copy = chunk.slice() as Uint8Array<ArrayBuffer>;
          read.push(copy);
        }
        expect(Buffer.compare(Buffer.concat(read), bytes.subarray(start))).toBe(0);
        expect(await lend()).toBeUndefined();
      }
    }
  });

  using('content that does not exist is NOT_FOUND', async (source) => {
    const target = { ...large.descriptor, digest: absent };
    await expect(source.fetch(target)).rejects.toEqual(failsWith('NOT_FOUND'));
  });

  for (const [kind, sample] of Object.entries(samples)) {
    using(`the whole of "${kind}" is its bytes`, async (source) => {
      const fetched = await source.fetch(sample.descriptor);
      expect(fetched.descriptor.digest).toBe(sample.descriptor.digest);
      expect(fetched.from).not.toBe('');
      expect(Buffer.compare(await bytesOf(fetched), sample.bytes)).toBe(0);
    });
  }

  using('the bytes of any range begin at its offset', async (source) => {
    const { descriptor, bytes } = large;
    const position = fc.integer({ min: 0, max: bytes.length });
    const check = async (a: number, b: number, isOpen: boolean) => {
      const [start, end] = [Math.min(a, b), isOpen ? bytes.length : Math.max(a, b)];
      if (start === end) return;
      const fetched = await source.fetch(descriptor, { range: isOpen ? { start } : { start, end } });
      const got = await bytesOf(fetched);
      expect(got.length).toBeGreaterThanOrEqual(end - start);
      expect(Buffer.compare(got.subarray(0, end - start), bytes.subarray(start, end))).toBe(0);
    };
    await fc.assert(fc.asyncProperty(position, position, fc.boolean(), check), { numRuns: 40 });
  });

  using('a body that is cancelled unread gives no bytes, and may be cancelled again', async (source) => {
    const { body } = await source.fetch(large.descriptor);
    await body.cancel();
    await body.cancel();
    const seen: Uint8Array[] = [];
    const read = async () => {
      for await (const chunk of body) seen.push(chunk);
    };
    await read().catch(() => undefined);
    expect(seen).toEqual([]);
  });

  using('a body that is left early can be cancelled, and the source can be used again', async (source) => {
    const { body } = await source.fetch(large.descriptor);
    for await (const chunk of body) {
      expect(chunk.length).toBeGreaterThan(0);
      break;
    }
    await body.cancel();
    expect((await bytesOf(await source.fetch(config.descriptor))).length).toBe(config.bytes.length);
  });

  using('a chunk belongs to the receiver: writing to it changes nothing for others', async (source) => {
    for await (const chunk of (await source.fetch(large.descriptor)).body) chunk.fill(0);
    expect(Buffer.compare(await bytesOf(await source.fetch(large.descriptor)), large.bytes)).toBe(0);
  });

  using('a signal that has fired before the call is ABORTED, with its reason as cause', async (source) => {
    const signal = AbortSignal.abort(new Error('enough'));
    for (const call of [source.resolve('latest', { signal }), source.fetch(large.descriptor, { signal })]) {
      await expect(call).rejects.toEqual(failsWith('ABORTED'));
    }
  });

  using('a signal that fires during a read ends the body with ABORTED', async (source) => {
    const controller = new AbortController();
    const { body } = await source.fetch(large.descriptor, { signal: controller.signal });
    const read = async () => {
      for await (const chunk of body) {
        expect(chunk.length).toBeLessThan(large.bytes.length);
        controller.abort(new Error('enough'));
      }
    };
    await expect(read()).rejects.toEqual(failsWith('ABORTED'));
  });

  using('many readers can read at the same time', async (source) => {
    const all = await Promise.all(Array.from({ length: 8 }, async () => bytesOf(await source.fetch(large.descriptor))));
    expect(all.every((bytes) => Buffer.compare(bytes, large.bytes) === 0)).toBe(true);
  });
}
