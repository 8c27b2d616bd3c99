import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createLayout, type LayoutStore, layoutStore } from '../../src/store/layout.ts';
import { sampleOf, samples } from '../contract/source.ts';
import { pieces } from '../contract/store.ts';
import { type Alive, simulatedProcess } from '../support/simulated-process.ts';

let root = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ocifetch-ownership-'));
});
afterEach(() => rm(root, { recursive: true, force: true }));

const blobs = [1, 2, 3].map((seed) =>
  sampleOf(Uint8Array.from({ length: 40_000 + seed }, (_, index) => (index * seed + (index >> 7)) & 255)),
);
const { manifest } = samples;

interface Plan {
  /** Number of the call to the file system before which it is killed. */
  readonly dies: number | undefined;
  /** Blobs in the order in which they are pushed. */
  readonly pushes: readonly number[];
  readonly names: number;
}

const plans: fc.Arbitrary<readonly Plan[]> = fc.array(
  fc.record({
    dies: fc.option(fc.integer({ min: 1, max: 120 }), { nil: undefined }),
    pushes: fc.shuffledSubarray([0, 1, 2], { minLength: 1 }),
    names: fc.integer({ min: 0, max: 3 }),
  }),
  { minLength: 2, maxLength: 4 },
);

/** No file is wrong. A process that crashed in the first moment leaves no layout, or one without its index. */
async function expectRight(store: LayoutStore): Promise<void> {
  const { wrong } = await store.verify().catch((error: unknown) => {
    const message = expect.stringMatching(
      /not an image layout|"index.json" is missing|nothing has been pulled into it yet/,
    );
    expect(error).toMatchObject({ code: 'STORE_ERROR', message });
    return { wrong: [] };
  });
  expect(wrong).toEqual([]);
}

test('wherever processes crash: no final file is wrong, no name that was given is lost, and the next run completes', async () => {
  let round = 0;
  const check = async (all: readonly Plan[]): Promise<void> => {
    const directory = join(root, `layout-${++round}`);
    await mkdir(directory);
    const alive: Alive = new Set();
    const given: string[] = [];
    const one = async ({ dies, pushes, names }: Plan, index: number): Promise<void> => {
      // A path of its own, as those of one process wait for each other by path.
      const path = join(root, `link-${round}-${index}`);
      await symlink(directory, path);
      const process = simulatedProcess(alive, dies);
      // Half of them receive all into memory first.
      const store = createLayout(path, { ...process, ...(index % 2 === 0 && { mostSmall: 0 }) });
      const work = async (): Promise<void> => {
        for (const number of pushes) {
          const blob = blobs[number] ?? blobs[0];
          if (blob) await store.pushFrom(blob.descriptor, (offset) => pieces(blob.bytes.subarray(offset)));
        }
        await store.push(manifest.descriptor, pieces(manifest.bytes));
        for (let name = 0; name < names; name++) {
          await store.tag(manifest.descriptor, `p${index}-${name}`);
          given.push(`p${index}-${name}`);
        }
      };
      const working = work();
      for (let isOver = false; !isOver && !process.isDead; ) {
        isOver = await Promise.race([
          working.then(() => true),
          new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 5)),
        ]);
      }
    };
    await Promise.all(all.map(one));
    const next = layoutStore(directory);
    const owners = createLayout(directory, simulatedProcess(alive));
    await expectRight(next);
    expect(await next.tags()).toEqual(expect.arrayContaining([...given].sort()));
    for (const { descriptor, bytes } of [...blobs, manifest]) {
      await owners.pushFrom(descriptor, (offset) => pieces(bytes.subarray(offset)));
    }
    await owners.tag(manifest.descriptor, 'last');
    const report = await next.verify();
    expect([report.checked, report.wrong]).toEqual([4, []]);
    expect(await next.tags()).toEqual(expect.arrayContaining([...given, 'last'].sort()));
    expect(await readdir(directory)).not.toContain('.ocifetch');
  };
  await fc.assert(fc.asyncProperty(plans, check), { numRuns: 25, endOnFailure: true });
}, 60_000);

test('a lock whose owner was silent for a minute may be taken over, and the owner then does no harm', async () => {
  const [blob] = blobs;
  if (!blob) throw new Error('no blob');
  const { descriptor, bytes } = blob;
  const directory = join(root, 'layout');
  await mkdir(directory);
  await symlink(directory, join(root, 'link'));
  const [a, b] = [simulatedProcess(new Set()), simulatedProcess(new Set())];
  // Each is on another machine, as far as the other knows: only time can tell whether it is alive.
  const apart = (owners: typeof a.owners) => ({ next: owners.next, isRunning: () => undefined });
  const sleeper = createLayout(directory, { ...a, owners: apart(a.owners), mostSmall: 0 });
  const other = createLayout(join(root, 'link'), { ...b, owners: apart(b.owners), goneAfter: 200, mostSmall: 0 });
  let wake = (): void => {};
  const awake = new Promise<void>((resolve) => {
    wake = resolve;
  });
  let isAsleep = false;
  const dozing = async function* (offset: number) {
    yield bytes.slice(offset, 20_000);
    isAsleep = true;
    await awake;
    // Other bytes than those that the other process writes meanwhile, at the same place.
    yield bytes.slice(20_000).fill(7);
  };
  const sleeping = sleeper.pushFrom(descriptor, dozing).then(
    () => 'done',
    ({ code }) => code,
  );
  await expect.poll(() => isAsleep).toBe(true);
  const folder = join(directory, '.ocifetch');
  await expect.poll(async () => (await readdir(folder)).length).toBe(1);
  await expect
    .poll(async () => {
      const [name = ''] = await readdir(folder);
      return (await readFile(join(folder, name))).length;
    })
    .toBe(20_000);
  const offsets: number[] = [];
  const slow = async function* (offset: number) {
    offsets.push(offset);
    yield bytes.slice(offset, 30_000);
    wake();
    await new Promise((resolve) => setTimeout(resolve, 100));
    yield bytes.slice(30_000);
  };
  await other.pushFrom(descriptor, slow);
  expect(offsets).toEqual([20_000]);
  // The sleeper found its own bytes wrong.
  expect(await sleeping).toBe('DIGEST_MISMATCH');
  const path = join(directory, 'blobs', descriptor.digest.replace(':', '/'));
  expect(Buffer.compare(await readFile(path), bytes)).toBe(0);
  expect(await readdir(directory)).not.toContain('.ocifetch');
});

describe('the lock of another machine', () => {
  const [blob = manifest] = blobs;
  const key = blob.descriptor.digest.replace(':', '-');
  const push = (store: LayoutStore) => store.push(blob.descriptor, pieces(blob.bytes));
  const foreign = async (name: string, seconds: number): Promise<string> => {
    const path = join(root, '.ocifetch', `${name}.${'f'.repeat(12)}-1-1-${'0'.repeat(12)}`);
    await mkdir(join(root, '.ocifetch'), { recursive: true });
    await writeFile(path, 'x');
    const time = new Date(Date.now() + seconds * 1000);
    await utimes(path, time, time);
    return path;
  };

  test.each([
    ['ahead', 86_400],
    ['behind', -86_400],
  ])(
    'whose clock is a day %s counts as alive while it changes, and as gone when nothing changed',
    async (_, seconds) => {
      const path = await foreign(key, seconds);
      let changes = 0;
      const life = setInterval(() => {
        changes += 1;
        const time = new Date(Date.now() + seconds * 1000);
        utimes(path, time, time).catch(() => {});
      }, 40);
      const pushed = push(createLayout(root, { goneAfter: 400, waits: [2, 20], mostSmall: 0 }));
      let isOver = false;
      void pushed.finally(() => {
        isOver = true;
      });
      await expect.poll(() => changes, { timeout: 5_000 }).toBeGreaterThan(20);
      expect(isOver).toBe(false);
      clearInterval(life);
      await pushed;
      expect(await readdir(root)).not.toContain('.ocifetch');
    },
  );

  test('gc refuses to run while its file changes, and runs when nothing changed', async () => {
    const store = createLayout(root, { goneAfter: 400 });
    await push(store);
    const path = await foreign('session', 3_600);
    const life = setInterval(() => {
      const time = new Date();
      utimes(path, time, time).catch(() => {});
    }, 20);
    await expect(store.gc()).rejects.toMatchObject({ code: 'STORE_ERROR', reason: 'layout-in-use' });
    clearInterval(life);
    expect((await store.gc()).removed).toEqual([blob.descriptor.digest]);
    expect(await readdir(root)).not.toContain('.ocifetch');
  });
});
