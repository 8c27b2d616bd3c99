import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { layoutStore } from '../../src/store/layout.ts';
import { openLayout } from '../../src/store/open-layout.ts';
import { failsWith, samples } from '../contract/source.ts';
import { fill, pieces } from '../contract/store.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-open-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const { config, manifest } = samples;

test('a directory that is empty or does not exist can be filled, and is left as it was', async () => {
  await mkdir(join(directory, 'empty'));
  for (const name of ['empty', 'deep/in/it']) {
    const store = await openLayout(join(directory, name));
    expect(store.directory).toBe(join(directory, name));
  }
  expect(await readdir(directory)).toEqual(['empty']);
  expect(await readdir(join(directory, 'empty'))).toEqual([]);
  const store = await openLayout(join(directory, 'deep/in/it'));
  await fill(store, [manifest]);
  expect(await store.tags()).toEqual(['latest']);
});

test('a link to a directory is that directory', async () => {
  await symlink(directory, join(directory, 'link'));
  const inner = join(directory, 'link', 'inner');
  await mkdir(inner);
  await symlink(inner, join(directory, 'other'));
  await fill(await openLayout(join(directory, 'other')), [manifest]);
  expect(await layoutStore(inner).tags()).toEqual(['latest']);
});

test.each([
  ['link', /"\/.*\/link": it is a symbolic link to "nowhere", which is not a directory$/],
  ['link/below', /"\/.*\/link\/below": it is a symbolic link to "nowhere"/],
  ['file', /^Cannot use directory "\/.*\/file": it is a file$/],
  ['file/below', /"\/.*\/file\/below\/.*": a part of the path is not a directory \(ENOTDIR\)$/],
])('no directory can be created at %s', async (name, says) => {
  await symlink('nowhere', join(directory, 'link'));
  await writeFile(join(directory, 'file'), '');
  const opening = openLayout(join(directory, name));
  await expect(opening).rejects.toEqual(failsWith('STORE_ERROR'));
  await expect(opening).rejects.toThrow(says);
  expect((await readdir(directory)).sort()).toEqual(['file', 'link']);
});

test('a directory without write permission is refused with a clear message', async () => {
  const closed = join(directory, 'closed');
  await mkdir(closed);
  await chmod(closed, 0o500);
  // Even root may not write below a process's own list of files.
  const below = process.getuid?.() === 0 ? '/proc/self/fdinfo/layout' : join(closed, 'layout');
  const cases = below.startsWith(closed) ? [below, closed] : [below];
  for (const target of cases) {
    const opening = openLayout(target);
    await expect(opening).rejects.toEqual(failsWith('STORE_ERROR'));
    await expect(opening).rejects.toThrow(/^Cannot (?:make|write into) directory "[^"]*": .* \(E[A-Z]+\)$/);
    await expect(opening).rejects.toThrow(`"${target}"`);
  }
  await chmod(closed, 0o700);
});

test('a layout that has lost its index.json is refused, unless it has no content yet', async () => {
  await fill(layoutStore(directory), [config]);
  await rm(join(directory, 'index.json'));
  await expect(openLayout(directory)).rejects.toThrow(`Cannot use directory "${directory}": "index.json" is missing`);
  await rm(join(directory, 'blobs'), { recursive: true });
  expect(await (await openLayout(directory)).tags()).toEqual([]);
  await rm(join(directory, 'oci-layout'));
  await writeFile(join(directory, 'README.md'), '#');
  await expect(openLayout(directory)).rejects.toThrow('README.md');
});

test('many stores that create and fill one new directory at the same time all succeed', async () => {
  const oneRound = async (round: number): Promise<void> => {
    const target = join(directory, `round ${round}`, 'deep', 'in it');
    await Promise.all(
      [1, 2, 3, 4].map(async (number) => {
        await sleep(number % 2);
        const store = await openLayout(target);
        await store.push(config.descriptor, pieces(config.bytes));
        await store.tag(config.descriptor, `name-${number}`);
      }),
    );
    expect(await layoutStore(target).tags()).toEqual(['name-1', 'name-2', 'name-3', 'name-4']);
    expect(await readdir(join(directory, `round ${round}`))).toEqual(['deep']);
  };
  await Promise.all(Array.from({ length: 15 }, (_, round) => oneRound(round)));
});
