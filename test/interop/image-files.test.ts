import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { copy, type Descriptor, layoutStore, type Store } from 'ocifetch';
import { beforeAll, expect, test } from 'vitest';
import { layerOf } from '../support/layers.ts';
import { archive, pieces } from '../support/tar.ts';
import { addImage, type Compression, writeLayout } from './support/layout.ts';
import { layoutSetting } from './support/layout-setting.ts';
import { filesOf } from './support/layout-tools.ts';
import { exportImage, readImage } from './support/read-image.ts';
import { describeWith } from './support/tools.ts';

/** Layers that change, hide and link files of the layers below. */
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

/** Pushes an image whose layers are these archives. */
async function pushImage(store: Store, name: string, archives: readonly Buffer[]): Promise<void> {
  const push = async (bytes: Buffer, mediaType: string): Promise<Descriptor> => {
    const { descriptor } = layerOf(bytes, mediaType);
    await store.push(descriptor, pieces(bytes, [bytes.length]));
    return descriptor;
  };
  const layers: Descriptor[] = [];
  for (const bytes of archives) layers.push(await push(bytes, 'application/vnd.oci.image.layer.v1.tar'));
  const json = (value: object): Buffer => Buffer.from(JSON.stringify(value));
  const rootfs = { type: 'layers', diff_ids: layers.map(({ digest }) => digest) };
  const platform = { os: 'linux', architecture: 'amd64' };
  const config = await push(json({ ...platform, config: {}, rootfs }), 'application/vnd.oci.image.config.v1+json');
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  await store.tag(await push(json({ schemaVersion: 2, mediaType, config, layers }), mediaType), name);
}

/** The setting of a suite, with the images `layered-…` in addition to the samples. */
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
    const reference = `${host}/team/app:${name}`;
    expect(await readImage(reference, path())).toEqual(await exportImage(tools, reference, path()));
  });
});

// What crane does not handle: a layer that hides all of a directory below it.
describeWith(['umoci', 'zstd', 'tar'], 'files of images, as umoci unpacks them', () => {
  const setting = withLayers(true);

  test.each(['gzip', 'platforms-gzip', 'layered-gzip', 'layered-none'] as const)(
    '%s: cat prints the same files and bytes',
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

  test('umoci insert: a layer without padding and end', async () => {
    const { tools, host, client, path, store } = setting();
    const [layout, file] = [path(), path()];
    await client.pull(`${host}/team/app:layered-none`, { to: layout, platform: 'linux/amd64' });
    await writeFile(file, 'inserted');
    await tools.umoci('insert', '--rootless', '--image', `${layout}:layered-none`, file, '/etc/inserted');
    await copy(layoutStore(layout), store('team/inserted'), 'layered-none');
    await using files = await client.files(`${host}/team/inserted:layered-none`, { platform: 'linux/amd64' });
    const opened = async (name: string): Promise<string> => (await files.open(name)).text();
    expect([await opened('etc/inserted'), await opened('etc/motd')]).toEqual(['inserted', 'second\n']);
    const paths: string[] = [];
    for await (const entry of files.list('etc')) paths.push(entry.path);
    expect(paths).toContain('etc/inserted');
  });

  test('links to and through files of lower layers, and bytes after the end of an archive', async () => {
    const { tools, host, client, path, store } = setting();
    const [reference, folder, layout, bundle] = [`${host}/team/odd:odd`, path(), path(), path()];
    await pushImage(store('team/odd'), 'odd', [
      archive({ name: 'a', data: 'A' }, { name: 'b', data: 'B' }, { name: 'old', data: 'low' }),
      archive(
        { name: 'same', flag: '1', link: 'a' },
        { name: 'usr/lib/x', data: 'X' },
        { name: 'lib', flag: '2', link: 'usr/lib' },
        { name: 'lib/y', data: 'Y' },
        { name: 'lib/up/../z', data: 'Z' },
        { name: 'alias', flag: '1', link: 'lib/x' },
        { name: 'twice', data: 'first' },
        { name: 'twice', flag: '1', link: 'b' },
        { name: 'lib/.wh.nothing' },
      ),
      Buffer.concat([archive({ name: 'a', data: 'A2' }, { name: 'old', data: 'new' }), Buffer.alloc(700, 'junk')]),
    ]);
    await client.pull(reference, { to: layout });
    await tools.umoci('unpack', '--rootless', '--image', `${layout}:odd`, bundle);
    const unpacked = await filesOf(join(bundle, 'rootfs'));
    expect(Object.keys(unpacked).length).toBeGreaterThan(8);
    await using files = await client.files(reference);
    // To find the paths that are in several layers.
    for await (const _ of files.list());
    for (const each of Object.keys(unpacked)) {
      const opened = await files.open(each);
      await mkdir(join(folder, each, '..'), { recursive: true });
      await writeFile(join(folder, each), await opened.bytes());
    }
    expect(await filesOf(folder)).toEqual(unpacked);
  });
});
