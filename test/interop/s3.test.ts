import { afterAll, beforeAll, expect, test } from 'vitest';
import { listen, serve } from '../../src/server/index.ts';
import { type BucketAccess, s3Registry } from '../../src/server/s3/index.ts';
import { ableStore, registryContract } from '../contract/registry.ts';
import { bytesOf, sampleOf, samples } from '../contract/source.ts';
import { fill, pieces } from '../contract/store.ts';
import { createCleanup } from './support/cleanup.ts';
import { conformanceCounts } from './support/conformance.ts';
import { s3Servers, startBucket } from './support/s3.ts';
import { describeWith } from './support/tools.ts';

const cleanup = createCleanup();
afterAll(() => cleanup.close(), 30_000);

const big = sampleOf(Buffer.alloc(40_000_003, 'big content '));

let prefixes = 0;
/** A registry of its own in the bucket. */
function registryIn(access: BucketAccess, options: object = {}) {
  prefixes += 1;
  const registry = s3Registry({ ...access, prefix: `r${prefixes}`, ...options });
  cleanup.add(async () => registry.close());
  return registry;
}

for (const tool of s3Servers)
  describeWith([tool], `a registry in a bucket of ${tool}`, () => {
    let bucket: Awaited<ReturnType<typeof startBucket>>;
    beforeAll(async () => {
      bucket = await startBucket(cleanup, tool);
    });
    const make = (options: object = {}) => registryIn(bucket.access, options);

    registryContract(tool, make);

    test('content of many parts is pushed at once, and by an upload', async () => {
      const registry = make();
      const [pushed, uploaded] = [ableStore(registry, 'pushed'), ableStore(registryIn(bucket.access), 'uploaded')];
      await pushed.push(big.descriptor, pieces(big.bytes, 1_000_000));
      const upload = await uploaded.beginUpload();
      for (const [from, to] of [
        [0, 100],
        [100, 30_000_000],
        [30_000_000, undefined],
      ] as const)
        await (await uploaded.findUpload(upload.id)).append(pieces(big.bytes.slice(from, to), 900_000));
      await (await uploaded.findUpload(upload.id)).commit(big.descriptor.digest);
      for (const store of [pushed, uploaded])
        expect(Buffer.compare(await bytesOf(await store.fetch(big.descriptor)), big.bytes)).toBe(0);
    });

    test('clients are sent to the bucket by URLs that it accepts', async () => {
      const registry = make({ redirect: true });
      await fill(ableStore(registry));
      const { url, close } = await listen(serve(registry));
      cleanup.add(close);
      const response = await fetch(`${url}/v2/a/b/blobs/${samples.large.descriptor.digest}`);
      expect(response.redirected).toBe(true);
      expect(Buffer.compare(Buffer.from(await response.arrayBuffer()), samples.large.bytes)).toBe(0);
    });

    test('while the bucket is down requests are UNAVAILABLE, and what was pushed is there afterwards', async () => {
      const registry = make({ tries: 1 });
      const store = ableStore(registry);
      await fill(store);
      await bucket.server.stop();
      await expect(store.resolve('latest')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(registry.check()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await bucket.restart();
      // A server may listen before it can do anything else.
      await expect.poll(() => registry.check().catch(({ code }) => code), { timeout: 20_000 }).toBeUndefined();
      expect(Buffer.compare(await bytesOf(await store.fetch(samples.large.descriptor)), samples.large.bytes)).toBe(0);
    });
  });

for (const tool of s3Servers)
  describeWith([tool, 'conformance'], `conformance over a bucket of ${tool}`, () => {
    test('it passes all of the suite, with nothing left out', async () => {
      const { access } = await startBucket(cleanup, tool);
      expect(await conformanceCounts(cleanup, registryIn(access))).toEqual({ tests: 986, others: [] });
    });
  });
