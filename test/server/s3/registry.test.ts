import { inspect } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listen, serve } from '../../../src/server/index.ts';
import { s3Registry } from '../../../src/server/s3/index.ts';
import { registryContract } from '../../contract/registry.ts';
import { bytesOf, sampleOf, samples } from '../../contract/source.ts';
import { fill, pieces } from '../../contract/store.ts';
import { accessOf, type S3Server, startS3Server } from '../../support/s3-server.ts';

let server: S3Server;
const made: { close(): void }[] = [];
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(async () => {
  for (const registry of made) registry.close();
  await server.close();
});

let prefixes = 0;
/** A registry of its own in the same bucket. */
const make = (options: object = {}) => {
  prefixes += 1;
  const registry = s3Registry({ ...accessOf(server), prefix: `r${prefixes}`, tries: 1, ...options });
  made.push(registry);
  return registry;
};

registryContract('registry in a bucket', make);

const at = (registry: ReturnType<typeof make>, name = 'a/b') => registry({ registry: 'localhost', name });
/** The same registry, as another process has it. */
const again = (options: object = {}) => {
  const registry = s3Registry({ ...accessOf(server), prefix: `r${prefixes}`, tries: 1, ...options });
  made.push(registry);
  return registry;
};
const big = sampleOf(Buffer.alloc(20_000_003, 'big content '));
const bytesUnder = (part: string): number =>
  [...server.objects].reduce((sum, [key, { bytes }]) => sum + (key.startsWith(part) ? bytes.length : 0), 0);

test('content larger than a part is pushed in parts, and seen only once it is whole and right', async () => {
  const store = at(make());
  const wrong = Buffer.from(big.bytes);
  wrong[19_999_999] = 0;
  await expect(store.push(big.descriptor, pieces(wrong, 1_000_000))).rejects.toMatchObject({ code: 'DIGEST_MISMATCH' });
  expect(bytesUnder(`r${prefixes}/blobs`)).toBe(0);
  await store.push(big.descriptor, pieces(big.bytes, 1_000_001));
  expect(Buffer.compare(await bytesOf(await store.fetch(big.descriptor)), big.bytes)).toBe(0);
});

test('an upload that several processes continue becomes content without its bytes being sent again', async () => {
  const registries = [make(), again(), again()];
  const [first, second, third] = registries.map((registry) => at(registry));
  if (!first || !second || !third) throw new Error('no repositories');
  const upload = await first.beginUpload();
  await upload.append(pieces(big.bytes.slice(0, 9_000_000), 1_000_000));
  await (await second.findUpload(upload.id)).append(pieces(big.bytes.slice(9_000_000, 9_000_100)));
  const last = await third.findUpload(upload.id);
  expect(last.size).toBe(9_000_100);
  await last.append(pieces(big.bytes.slice(9_000_100), 700_000));
  await last.commit(big.descriptor.digest);
  expect(Buffer.compare(await bytesOf(await first.fetch(big.descriptor)), big.bytes)).toBe(0);
  expect(bytesUnder(`r${prefixes}/pieces`) + bytesUnder(`r${prefixes}/uploads`)).toBe(0);
});

test('when two processes add to one upload at a time, one of them is refused, and nothing is mixed', async () => {
  const [first, second] = [at(make()), at(again())];
  const upload = await first.beginUpload();
  const other = await second.findUpload(upload.id);
  const added = await Promise.allSettled([
    upload.append(pieces(big.bytes.slice(0, 1_000))),
    other.append(pieces(big.bytes.slice(0, 2_000))),
  ]);
  const refused = added.filter(({ status }) => status === 'rejected');
  expect(refused).toEqual([{ status: 'rejected', reason: expect.objectContaining({ reason: 'upload-in-use' }) }]);
  const { size } = await first.findUpload(upload.id);
  await (await first.findUpload(upload.id)).append(pieces(big.bytes.slice(size), 1_000_000));
  await (await second.findUpload(upload.id)).commit(big.descriptor.digest);
  expect((await second.resolve(big.descriptor.digest)).size).toBe(big.bytes.length);
});

test('repositories share the bytes of equal content, but only who has the bytes can push it', async () => {
  const registry = make();
  await at(registry, 'one').push(samples.large.descriptor, pieces(samples.large.bytes));
  const other = at(registry, 'two');
  await expect(other.fetch(samples.large.descriptor)).rejects.toMatchObject({ code: 'NOT_FOUND' });
  await expect(
    other.push(samples.large.descriptor, pieces(new Uint8Array(samples.large.bytes.length))),
  ).rejects.toMatchObject({
    code: 'DIGEST_MISMATCH',
  });
  await other.push(samples.large.descriptor, pieces(samples.large.bytes));
  expect(bytesUnder(`r${prefixes}/blobs`)).toBe(samples.large.bytes.length);
  await at(registry, 'one').remove(samples.large.descriptor.digest);
  expect(Buffer.compare(await bytesOf(await other.fetch(samples.large.descriptor)), samples.large.bytes)).toBe(0);
});

test('a bucket that is out of order is UNAVAILABLE, one that refuses is STORE_ERROR, and no error has the secret', async () => {
  const registry = make();
  await fill(at(registry));
  const { digest } = samples.large.descriptor;
  for (const [status, code, expected] of [
    [503, 'SlowDown', 'UNAVAILABLE'],
    [500, 'InternalError', 'UNAVAILABLE'],
    [403, 'AccessDenied', 'STORE_ERROR'],
  ] as const) {
    server.fails = { status, code };
    const failures = await Promise.allSettled([at(registry).resolve(digest), at(registry).tags(), registry.check()]);
    server.fails = undefined;
    for (const failure of failures) {
      expect(failure).toMatchObject({ status: 'rejected', reason: { code: expected, status } });
      expect(inspect(failure, { depth: 9 })).not.toContain('secret');
    }
  }
  await registry.check();
  const gone = s3Registry({ ...accessOf({ url: 'http://127.0.0.1:1' }), tries: 1 });
  made.push(gone);
  await expect(at(gone).resolve('latest')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  const missing = s3Registry({ ...accessOf(server), bucket: 'other', tries: 1 });
  made.push(missing);
  await expect(at(missing).resolve('latest')).rejects.toMatchObject({ code: 'STORE_ERROR' });
});

test('with redirect, clients read blobs from the bucket itself by a URL that ends', async () => {
  const registry = make({ redirect: { seconds: 60 } });
  await fill(at(registry));
  const listening = await listen(serve(registry), { port: 0 });
  const { digest } = samples.large.descriptor;
  const response = await fetch(`${listening.url}/v2/a/b/blobs/${digest}`, { redirect: 'manual' });
  expect(response.status).toBe(307);
  const location = response.headers.get('location') ?? '';
  expect(location).toContain('X-Amz-Expires=60');
  expect(Buffer.compare(Buffer.from(await (await fetch(location)).arrayBuffer()), samples.large.bytes)).toBe(0);
  await listening.close();
  expect(at(make()).locate).toBeUndefined();
});

test('old uploads are purged with their bytes, and those that are used stay', async () => {
  const registry = make();
  const upload = await at(registry).beginUpload();
  await upload.append(pieces(big.bytes.slice(0, 100)));
  expect(await registry.purgeUploads(60_000)).toBe(0);
  expect(await registry.purgeUploads(-60_000)).toBe(1);
  expect(bytesUnder(`r${prefixes}/`)).toBe(0);
  await expect(upload.append(pieces(big.bytes.slice(0, 100)))).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('options that are wrong are refused before any request', () => {
  for (const [options, found] of [
    [{}, 'bucket'],
    [{ bucket: '' }, 'bucket'],
    [{ bucket: 'b', endpoint: 'minio:9000' }, 'endpoint'],
    [{ bucket: 'b', redirect: { seconds: 0 } }, 'redirect.seconds'],
    [{ bucket: 'b', credentials: { accessKeyId: 'x', secretAccesKey: 'y' } }, 'secretAccessKey'],
  ] as const)
    expect(() => s3Registry(options as never)).toThrow(
      expect.objectContaining({ code: 'INVALID_CONFIG', message: expect.stringContaining(found) }),
    );
});
