import { expect, test } from 'vitest';
import { errorOf } from '../support/hosts.ts';
import { image, imageOf, listed, partOf, pathsOf, read, tarLayer } from '../support/images.ts';
import { layerOf } from '../support/layers.ts';
import { archive, pax } from '../support/tar.ts';

test('a whiteout hides what lower layers have, and everything below it, and is not listed itself', async () => {
  const { files } = await image(['a/', 'a/b/', 'a/b/c=1', 'a/d=1', 'e=1'], ['a/.wh.b', '.wh.e', 'a/.wh.nothing']);
  expect(await pathsOf(files)).toEqual(['a/', 'a/d']);
  for (const path of ['a/b/c', 'e', 'a/.wh.b']) expect((await errorOf(files.open(path))).code).toBe('NOT_FOUND');
});

test.each([
  [['a/', 'a/.wh..wh..opq', 'a/b/', 'a/b/c/', 'a/b/c/foo=new']],
  [['a/', 'a/b/', 'a/b/c/', 'a/b/c/foo=new', 'a/.wh..wh..opq']],
])(
  'an opaque whiteout hides lower layers, wherever it comes in its layer: the example of the specification',
  async (upper) => {
    const { files } = await image(['a/', 'a/b/', 'a/b/c/', 'a/b/c/bar=old'], upper);
    expect(await pathsOf(files)).toEqual(['a/', 'a/b/', 'a/b/c/', 'a/b/c/foo']);
    expect((await errorOf(files.open('a/b/c/bar'))).code).toBe('NOT_FOUND');
  },
);

test('a whiteout hides nothing of its own layer or of those above', async () => {
  const { files } = await image(['a=1', 'b/', 'b/c=1'], ['a=2', '.wh.a', '.wh.b', 'b/', 'b/d=2'], ['b/c=3']);
  expect(await pathsOf(files)).toEqual(['a', 'b/', 'b/c', 'b/d']);
  expect([await read(files, 'a'), await read(files, 'b/c')]).toEqual(['2', '3']);
});

test('a file replaces a directory, and a directory a file', async () => {
  const { files } = await image(['a/', 'a/b=1', 'c=1'], ['a=2', 'c/', 'c/d=2'], ['a/', 'a/e=3']);
  expect(await pathsOf(files)).toEqual(['a/', 'a/e', 'c/', 'c/d']);
  expect((await errorOf(files.open('a/b'))).code).toBe('NOT_FOUND');
  expect((await errorOf((await image(['a/b=1'], ['a=2'])).files.open('a/b'))).code).toBe('NOT_FOUND');
});

test('a directory that no layer describes exists for what is in it', async () => {
  const layer = tarLayer('a/b/c=1');
  const { files } = await imageOf([layer]);
  expect((await listed(files))[0]).toEqual({
    path: 'a',
    type: 'directory',
    size: 0,
    mode: 0o755,
    uid: 0,
    gid: 0,
    modified: new Date(0),
    layer: layer.descriptor.digest,
  });
  expect((await errorOf(files.open('a/b'))).message).toContain('it is a directory');
});

test('what AUFS keeps for itself is not listed', async () => {
  const { files } = await image(['.wh..wh.aufs=', '.wh..wh.plnk/', '.wh..wh.plnk/1.2=x', 'a=1', '.wh.=']);
  expect(await pathsOf(files)).toEqual(['a']);
});

test('a path goes through earlier symbolic links of its own layer, and replaces those of lower layers', async () => {
  const own = ['usr/lib/b=b', 'lib->usr/lib', 'lib/c=c', 'lib/up->..', 'lib/up/d=d', 'root->/', 'root/../e=e'];
  for (const layers of [[own], [['lib/low=low', 'usr/lib/e=e'], own]]) {
    const { files } = await image(...layers);
    expect(await read(files, 'lib/c')).toBe('c');
    for (const [path, content] of [
      ['usr/lib/c', 'c'],
      ['usr/d', 'd'],
      ['e', 'e'],
      ['lib/b', 'b'],
    ] as const) {
      expect([path, await read(files, path)]).toEqual([path, content]);
    }
    expect((await listed(files, 'lib')).find(({ path }) => path.endsWith('/c'))?.path).toBe('usr/lib/c');
    expect(await read(files, 'lib/c')).toBe('c');
  }
  // As in containerd, Docker and Podman, which unpack each layer into a directory of its own.
  const { files } = await image(['lib->usr/lib', 'usr/lib/b=b'], ['lib/c=c']);
  expect(await read(files, 'lib/c')).toBe('c');
  expect((await errorOf(files.open('lib/b'))).code).toBe('NOT_FOUND');
  expect(await pathsOf(files)).toEqual(['lib/', 'lib/c', 'usr/', 'usr/lib/', 'usr/lib/b']);
  // A later link replaces the directory, and a later directory the link.
  expect(await pathsOf((await image(['lib/c=c', 'lib->usr'])).files)).toEqual(['lib']);
  expect(await pathsOf((await image(['lib->usr', 'lib/', 'lib/c=c'])).files)).toEqual(['lib/', 'lib/c']);
});

test('whiteouts go through the links of their layer, too', async () => {
  const { files } = await image(['usr/lib/b=b', 'usr/lib/c=c'], ['lib->usr/lib', 'lib/.wh.b']);
  expect(await pathsOf(files)).toEqual(['lib', 'usr/', 'usr/lib/', 'usr/lib/c']);
});

test.each([
  ['links in a circle', ['a->b', 'b->a', 'a/c=x'], 'more than 40 symbolic links'],
  ['a long link', [pax({ linkpath: '../'.repeat(2000) }), 'a->b', 'a/c=x'], 'a symbolic link of 6000 letters'],
  [
    'long links',
    [pax({ linkpath: 'd/'.repeat(1500) }), 'a->b', pax({ path: `a/${'e/'.repeat(600)}f` }), 'x=1'],
    'more than 2048 names',
  ],
])('a path through %s is refused', async (_, lines, found) => {
  const parts = lines.map((line) => (Buffer.isBuffer(line) ? line : partOf(line)));
  const { files } = await imageOf([layerOf(archive(...parts))]);
  const error = await errorOf(listed(files));
  expect([error.code, error.message]).toEqual(['DECODE_ERROR', expect.stringContaining(found)]);
});

test('a path of too many names is refused', async () => {
  const { files } = await image([{ name: 'x', flag: 'L', data: `${'d/'.repeat(3000)}f\0` }, 'short=1']);
  expect((await errorOf(listed(files))).message).toContain('3001 names');
});
