import { mkdir, mkdtemp, readdir, rm, symlink } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Files } from '../../../src/store/files.ts';
import { createLayout, layoutStore } from '../../../src/store/layout.ts';
import { nodeFiles } from '../../../src/store/node-files.ts';
import { fileSystemError } from '../../../src/store/store-error.ts';
import { failsWith, sampleOf, samples } from '../../contract/source.ts';
import { fill, pieces } from '../../contract/store.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-small-content-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const { manifest } = samples;
const large = sampleOf(Uint8Array.from({ length: 65_536 }, (_, index) => (index * 31 + (index >> 8)) & 255));
const blobs = Array.from({ length: 100 }, (_, index) => sampleOf(Uint8Array.from([index, 1, 2, 3])));
const inBlobs = (): Promise<string[]> => readdir(join(directory, 'blobs', 'sha256'));

const failure = Object.assign(new Error('EIO: as the system says it'), { code: 'EIO' });

/** A file system that records its calls, and fails to sync what `isBroken` says. */
function recordedFiles(isBroken: (final: string) => boolean = () => false) {
  const real = nodeFiles();
  const calls: string[] = [];
  let open = 0;
  let most = 0;
  const recorded =
    <Arguments extends readonly unknown[], Result>(name: string, call: (...all: Arguments) => Result) =>
    (...all: Arguments): Result => {
      calls.push(name);
      return call(...all);
    };
  const files: Files = {
    ...real,
    open: recorded('open', real.open),
    rename: recorded('rename', real.rename),
    list: recorded('list', real.list),
    syncDirectory: recorded('sync directory', real.syncDirectory),
    place: async (placement) => {
      calls.push('place');
      const file = await real.place(placement);
      if (file) open += 1;
      most = Math.max(most, open);
      return (
        file && {
          facts: file.facts,
          sync: async () => {
            calls.push('sync');
            if (isBroken(placement.final)) throw fileSystemError('write', placement.final, failure);
            await file.sync();
          },
          close: async () => {
            open -= 1;
            await file.close();
          },
        }
      );
    },
  };
  return { files, calls, mostOpen: () => most, open: () => open };
}

test('content of up to 64 KiB takes one file, and no lock or listing', async () => {
  const { files, calls } = recordedFiles();
  const store = createLayout(directory, { files });
  const end = store.begin();
  await fill(store, [manifest]);
  calls.length = 0;
  await store.push(large.descriptor, pieces(large.bytes));
  expect(calls).toEqual(['place']);
  await end();
  expect((await layoutStore(directory).verify()).wrong).toEqual([]);
});

test('a byte more than 64 KiB is written as it comes', async () => {
  const { files, calls } = recordedFiles();
  const more = sampleOf(new Uint8Array(65_537));
  await createLayout(directory, { files }).push(more.descriptor, pieces(more.bytes, 100_000));
  expect(calls).not.toContain('place');
  expect((await layoutStore(directory).verify()).wrong).toEqual([]);
});

test('the disk has all content before the index names it, and few files are open meanwhile', async () => {
  const { files, calls, mostOpen, open } = recordedFiles();
  const store = createLayout(directory, { files });
  const end = store.begin();
  await Promise.all(blobs.map(({ descriptor, bytes }) => store.push(descriptor, pieces(bytes))));
  await store.push(manifest.descriptor, pieces(manifest.bytes));
  expect(calls.filter((call) => call === 'sync').length).toBeLessThan(blobs.length);
  await store.tag(manifest.descriptor, 'v1');
  const synced = calls.lastIndexOf('sync');
  expect(calls.filter((call) => call === 'sync')).toHaveLength(blobs.length + 1);
  expect(calls.indexOf('sync directory', synced)).toBeGreaterThan(synced);
  expect(calls.lastIndexOf('rename')).toBeGreaterThan(synced);
  expect(mostOpen()).toBeLessThanOrEqual(130);
  await end();
  expect(open()).toBe(0);
});

test('while others are at work in the directory, small content is locked as large content is', async () => {
  const { files, calls } = recordedFiles();
  const others = layoutStore(directory);
  const endOthers = others.begin();
  await fill(others, [manifest]);
  const store = createLayout(directory, { files });
  const end = store.begin();
  await store.push(large.descriptor, pieces(large.bytes));
  expect(calls).not.toContain('place');
  await endOthers();
  await expect
    .poll(async () => {
      const blob = sampleOf(crypto.getRandomValues(new Uint8Array(8)));
      await store.push(blob.descriptor, pieces(blob.bytes));
      return calls;
    })
    .toContain('place');
  await end();
});

test('work that ends without a name leaves nothing open, and nothing that the disk may not have', async () => {
  const { files, calls, open } = recordedFiles();
  const store = createLayout(directory, { files });
  const end = store.begin();
  await fill(store, blobs.slice(0, 3));
  expect(calls).not.toContain('sync');
  await end();
  expect([calls.filter((call) => call === 'sync').length, open()]).toEqual([3, 0]);
});

test('if the disk fails to sync, the index does not name it, and that content is gone', async () => {
  const [broken] = blobs;
  const hex = broken?.descriptor.digest.slice('sha256:'.length) ?? '';
  const { files } = recordedFiles((final) => final.endsWith(hex));
  const store = createLayout(directory, { files });
  const end = store.begin();
  await fill(store, blobs.slice(0, 3));
  await store.push(manifest.descriptor, pieces(manifest.bytes));
  await expect(store.tag(manifest.descriptor, 'v1')).rejects.toThrow('the disk failed to read or write (EIO)');
  await end();
  expect(await inBlobs()).not.toContain(hex);
  expect(await inBlobs()).toHaveLength(3);
  expect(await store.tags()).toEqual([]);
});

test('what is wrong leaves nothing, and what broke off is resumed', async () => {
  const store = layoutStore(directory);
  const wrong = store.push(large.descriptor, pieces(new Uint8Array(large.bytes.length)));
  await expect(wrong).rejects.toEqual(failsWith('DIGEST_MISMATCH'));
  expect(await readdir(directory)).not.toContain('.ocifetch');
  const broken = async function* () {
    yield large.bytes.slice(0, 1_000);
    throw new Error('the line is dead');
  };
  await expect(store.pushFrom(large.descriptor, broken)).rejects.toThrow('the line is dead');
  expect(await inBlobs()).toEqual([]);
  const offsets: number[] = [];
  await layoutStore(directory).pushFrom(large.descriptor, (offset) => {
    offsets.push(offset);
    return pieces(large.bytes.subarray(offset));
  });
  expect(offsets).toEqual([1_000]);
  expect(await readdir(directory)).not.toContain('.ocifetch');
});

test.each(['.ocifetch', 'blobs'])('no byte is written through a link in place of %s', async (name) => {
  const outside = await mkdtemp(join(tmpdir(), 'ocifetch-outside-'));
  try {
    const store = layoutStore(directory);
    await fill(store, [manifest]);
    await mkdir(join(outside, 'sha256'));
    await rm(join(directory, name), { recursive: true, force: true });
    await symlink(outside, join(directory, name));
    const pushed = store.push(large.descriptor, pieces(large.bytes));
    await expect(pushed).rejects.toThrow(/"[^"]+": it is a symbolic link, and is not followed$/);
    expect([await readdir(outside), await readdir(join(outside, 'sha256'))]).toEqual([['sha256'], []]);
  } finally {
    await rm(outside, { recursive: true });
  }
});

test('each push without a session fails if its own content cannot be synced, and only then', async () => {
  const [broken, whole] = blobs as [(typeof blobs)[0], (typeof blobs)[0]];
  const hex = broken.descriptor.digest.slice('sha256:'.length);
  const { files, open } = recordedFiles((final) => final.endsWith(hex));
  const store = createLayout(directory, { files });
  const results = await Promise.allSettled(
    [whole, broken].map(({ descriptor, bytes }) => store.push(descriptor, pieces(bytes))),
  );
  expect(results.map(({ status }) => status)).toEqual(['fulfilled', 'rejected']);
  expect(await inBlobs()).toEqual([whole.descriptor.digest.slice('sha256:'.length)]);
  expect(open()).toBe(0);
});

test('content that was lost is told to everybody whose work it may belong to, and no longer when all has ended', async () => {
  const [broken] = blobs as [(typeof blobs)[0]];
  const hex = broken.descriptor.digest.slice('sha256:'.length);
  let isBroken = true;
  const { files } = recordedFiles((final) => isBroken && final.endsWith(hex));
  const store = createLayout(directory, { files });
  await fill(store, [manifest]);
  const [one, other] = [store.begin(), store.begin()];
  await store.push(broken.descriptor, pieces(broken.bytes));
  // The name is there already.
  for (const name of ['latest', 'v1']) {
    await expect(store.tag(manifest.descriptor, name)).rejects.toThrow('(EIO)');
  }
  await Promise.all([one(), other()]);
  isBroken = false;
  await fill(store, [broken]);
  await store.tag(manifest.descriptor, 'v1');
  expect((await layoutStore(directory).verify()).wrong).toEqual([]);
});
