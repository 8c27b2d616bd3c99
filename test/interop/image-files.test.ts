import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { copy, type FileEntry, layoutStore } from 'ocifetch';
import { beforeAll, expect, test } from 'vitest';
import { run as ocifetch } from '../cli/support.ts';
import { addImage, type Compression, writeLayout } from './support/layout.ts';
import { layoutSetting } from './support/layout-setting.ts';
import { filesOf, linesOf } from './support/layout-tools.ts';
import { run } from './support/process.ts';
import { describeWith } from './support/tools.ts';

/** Layers that change, hide and link what is below them. */
const layers = (compression: Compression, isOpaque: boolean) =>
  [
    {
      'etc/motd': 'first\n',
      'etc/removed': 'first\n',
      'etc/kept': 'first\n',
      'opt/gone/deep/file': 'first\n',
      'usr/replaced/file': 'first\n',
      'usr/lib/library.so.1': 'library\n',
      'usr/lib/library.so': { to: 'library.so.1' },
      'bin/same': { same: 'usr/lib/library.so.1' },
      'a file with spaces, ü and 日本': 'text\n',
    },
    {
      'etc/motd': 'second\n',
      'etc/.wh.removed': '',
      'opt/.wh.gone': '',
      'usr/replaced': 'a file now\n',
      ...(isOpaque && { 'var/.wh..wh..opq': '' }),
    },
    { 'opt/gone': 'back, as a file\n', 'etc/link': { to: '/etc/motd' } },
  ].map((files) => ({ files: files as Parameters<typeof addImage>[1]['layers'][number]['files'], compression }));

/** The paths that `ls` tells, and the digests of what `cat` prints of the files among them. */
async function readImage(reference: string, folder: string) {
  const { code, out, err } = await ocifetch(['ls', '-R', '--json', '--platform', 'linux/amd64', reference]);
  if (code !== 0) throw new Error(`Cannot list "${reference}": ${err.join(' ')}`);
  const entries = out.map((line): FileEntry => JSON.parse(line));
  for (const { path, type } of entries) {
    if (type !== 'file' && type !== 'hardlink') continue;
    await mkdir(join(folder, path, '..'), { recursive: true });
    const words = ['cat', '--quiet', '--platform', 'linux/amd64', '-o', join(folder, path), reference, path];
    expect(await ocifetch(words)).toMatchObject({ code: 0, err: [] });
  }
  return { paths: entries.map(({ path }) => path).sort(), files: await filesOf(folder) };
}

/** The settings of a suite, with the images `layered-…` beside the samples. */
function withLayers(isOpaque: boolean) {
  const setting = layoutSetting();
  beforeAll(async () => {
    const { samples, path } = setting();
    const layout = path();
    await mkdir(layout);
    const base = { files: { 'var/lower': 'hidden\n', 'var/deep/lower': 'hidden\n' } };
    const made = async (compression: Compression) =>
      addImage(layout, {
        layers: [...(isOpaque ? [{ ...base, compression }] : []), ...layers(compression, isOpaque)],
      });
    const names = {
      'layered-gzip': await made('gzip'),
      'layered-zstd': await made('zstd'),
      'layered-none': await made('none'),
    };
    await writeLayout(layout, names);
    for (const name of Object.keys(names)) await copy(layoutStore(layout), samples.store, name);
  });
  return setting;
}

describeWith(['crane', 'zstd', 'tar'], 'files of images, as crane exports them', () => {
  const setting = withLayers(false);

  test.each([
    'gzip',
    'zstd',
    'mixed',
    'platforms',
    'platforms-gzip',
    'nested',
    'layered-gzip',
    'layered-zstd',
    'layered-none',
  ])('%s: ls tells the same paths, cat the same bytes', async (name) => {
    const { tools, host, path } = setting();
    const [reference, folder, exported] = [`${host}/team/app:${name}`, path(), path()];
    await mkdir(exported);
    const archive = `${exported}.tar`;
    await tools.crane('export', '--platform', 'linux/amd64', reference, archive);
    await run('tar', ['-C', exported, '-xf', archive]);
    const { paths, files } = await readImage(reference, folder);
    const listed = linesOf(await run('tar', ['--quoting-style=literal', '-tf', archive]));
    const cleaned = listed.map((line) => line.replace(/^\.\//, '').replace(/\/$/, ''));
    expect(paths).toEqual(cleaned.filter((line) => line !== '.').sort());
    expect(files).toEqual(await filesOf(exported));
  });
});

// What crane does not look at: a layer that hides all of a directory below it.
describeWith(['umoci', 'zstd', 'tar'], 'files of images, as umoci unpacks them', () => {
  const setting = withLayers(true);

  test.each(['gzip', 'platforms-gzip', 'layered-gzip', 'layered-none'] as const)(
    '%s: cat has the same files and bytes',
    async (name) => {
      const { tools, host, client, path } = setting();
      const [reference, folder, layout, bundle] = [`${host}/team/app:${name}`, path(), path(), path()];
      await client.pull(reference, { to: layout, platform: 'linux/amd64' });
      await tools.umoci('unpack', '--rootless', '--image', `${layout}:${name}`, bundle);
      const { paths, files } = await readImage(reference, folder);
      expect(files).toEqual(await filesOf(join(bundle, 'rootfs')));
      expect(paths.filter((each) => each.startsWith('var/'))).toEqual([]);
      expect(Object.keys(files).length).toBeGreaterThan(2);
    },
  );
});
