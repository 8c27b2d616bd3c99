import { spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { layoutStore } from '../../src/store/layout.ts';
import { processOwners } from '../../src/store/owner.ts';
import { failsWith, samples } from '../contract/source.ts';
import { fill, pieces } from '../contract/store.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-push-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const { large, config } = samples;
const blobPath = (digest: string): string => join(directory, 'blobs', digest.replace(':', '/'));
const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );
const half = 150_000;
const folder = (): string => join(directory, '.ocifetch');
const partial = (): string => join(folder(), `${large.descriptor.digest.replace(':', '-')}.partial`);

async function* breaking(end: number): AsyncGenerator<Uint8Array> {
  yield* pieces(large.bytes.subarray(0, end));
  throw new Error('the line is dead');
}

/** Resumes, and returns the offsets that were requested. */
async function resumed(): Promise<readonly number[]> {
  const offsets: number[] = [];
  await layoutStore(directory).pushFrom(large.descriptor, (offset) => {
    offsets.push(offset);
    return pieces(large.bytes.subarray(offset));
  });
  expect(Buffer.compare(await readFile(blobPath(large.descriptor.digest)), large.bytes)).toBe(0);
  expect(await isThere(folder())).toBe(false);
  return offsets;
}

test('what broke off is kept, and another store resumes it', async () => {
  await expect(layoutStore(directory).push(large.descriptor, breaking(half))).rejects.toThrow('dead');
  expect((await stat(partial())).size).toBe(half);
  expect(await isThere(blobPath(large.descriptor.digest))).toBe(false);
  expect(await resumed()).toEqual([half]);
});

test('what an abort broke off is kept, also if no byte was arriving', async () => {
  const controller = new AbortController();
  const hanging = async function* () {
    yield* pieces(large.bytes.subarray(0, half));
    setTimeout(() => controller.abort(new Error('enough')), 20);
    await new Promise(() => {});
  };
  const pushed = layoutStore(directory).pushFrom(large.descriptor, hanging, { signal: controller.signal });
  await expect(pushed).rejects.toEqual(failsWith('ABORTED'));
  expect((await stat(partial())).size).toBe(half);
  expect(await resumed()).toEqual([half]);
});

const leftovers: readonly [title: string, bytes: Uint8Array, offsets: readonly number[]][] = [
  ['with a wrong byte is begun again', large.bytes.slice(0, half).fill(1, 7, 8), [half, 0]],
  ['longer than the content is begun again', Buffer.concat([large.bytes, new Uint8Array(1)]), [0]],
  ['with all bytes is not requested', large.bytes, []],
  ['with all bytes, but a wrong one, is begun again', large.bytes.slice().fill(1, 7, 8), [0]],
  ['without a byte is begun again', new Uint8Array(0), [0]],
];
test.each(leftovers)('a partial file %s', async (_title, bytes, offsets) => {
  await mkdir(folder());
  await writeFile(partial(), bytes);
  expect(await resumed()).toEqual(offsets);
});

test('a plain push, whose body begins at the beginning, does not resume', async () => {
  await mkdir(folder());
  await writeFile(partial(), large.bytes.subarray(0, half));
  await layoutStore(directory).push(large.descriptor, pieces(large.bytes));
  expect(await resumed()).toEqual([]);
});

test('a push whose bytes are wrong from the beginning, too, is a DIGEST_MISMATCH, and leaves nothing', async () => {
  await mkdir(folder());
  await writeFile(partial(), large.bytes.subarray(0, half));
  const wrong = (offset: number) => pieces(large.bytes.slice(offset).fill(1, 7, 8));
  const pushed = layoutStore(directory).pushFrom(large.descriptor, wrong);
  await expect(pushed).rejects.toEqual(failsWith('DIGEST_MISMATCH'));
  expect(await isThere(folder())).toBe(false);
});

test('what is here is not read again: the body is cancelled unread', async () => {
  const store = layoutStore(directory);
  await store.push(large.descriptor, pieces(large.bytes));
  let isLeft = false;
  const body: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({
      next: () => Promise.reject(new Error('it was read')),
      return: async () => {
        isLeft = true;
        return { done: true, value: undefined };
      },
    }),
  };
  await store.push(large.descriptor, body);
  expect(isLeft).toBe(true);
});

test('pushes of the same content in one process wait for the first, which is reported once; bytes are requested once', async () => {
  await fill(layoutStore(directory), [config]);
  const events: string[] = [];
  const push = (name: string) => {
    const open = async function* (offset: number) {
      events.push(`from ${offset}`);
      await expect.poll(() => events.filter((event) => event.includes('waits')).length).toBe(2);
      yield* pieces(large.bytes.subarray(offset));
    };
    const onWait = (): void => void events.push(`${name} waits`);
    return layoutStore(directory).pushFrom(large.descriptor, open, { onWait });
  };
  await Promise.all(['a', 'b', 'c'].map(push));
  expect(events.filter((event) => event.includes('from'))).toEqual(['from 0']);
  expect(new Set(events).size).toBe(3);
});

test('a push that waits and is aborted ends at once', async () => {
  const controller = new AbortController();
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  let isOpen = false;
  const slow = async function* () {
    isOpen = true;
    await released;
    yield large.bytes.slice();
  };
  const first = layoutStore(directory).pushFrom(large.descriptor, slow);
  await expect.poll(() => isOpen).toBe(true);
  const onWait = (): void => controller.abort(new Error('enough'));
  const second = layoutStore(directory).pushFrom(large.descriptor, slow, { signal: controller.signal, onWait });
  await expect(second).rejects.toEqual(failsWith('ABORTED'));
  release();
  await first;
});

test('what processes that are gone have left is removed by the next push', async () => {
  await mkdir(folder());
  const [host] = processOwners().next().split('-');
  const gone = `${host}-${spawnSync(process.execPath, ['--version']).pid}-1-${'0'.repeat(12)}`;
  for (const name of [`index.${gone}`, `layout.${gone}`, `sha256-${'a'.repeat(64)}.${gone}`]) {
    await writeFile(join(folder(), name), name.startsWith('sha') ? '' : '{"half');
  }
  await fill(layoutStore(directory));
  expect(await isThere(folder())).toBe(false);
});
