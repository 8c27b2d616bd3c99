import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { RegistryError } from '../../src/errors.ts';
import type { FileEntry } from '../../src/files/entry.ts';
import { createImageFiles, type ImageFiles } from '../../src/files/image-files.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { createClient } from '../../src/remote/client.ts';
import { type Sample, sampleOf } from '../contract/source.ts';
import { createHosts, errorOf, sampleHost, text } from '../support/hosts.ts';
import { contentOf, type Layer, layerOf, stargz } from '../support/layers.ts';
import { archive, pax, type TarPart } from '../support/tar.ts';

type Line = string | TarPart;

/** `a/` a directory, `a=x` a file with `x`, `a->b` a symbolic link, `a=>b` a hard link. */
function partOf(line: Line): TarPart {
  if (typeof line !== 'string') return line;
  const [, name = '', kind = '', rest = ''] = /^(.*?)(->|=>|=|$)(.*)$/s.exec(line) ?? [];
  if (kind === '->') return { name, flag: '2', link: rest };
  if (kind === '=>') return { name, flag: '1', link: rest };
  return name.endsWith('/') ? { name, flag: '5' } : { name, data: rest };
}

const tarLayer = (...lines: readonly Line[]): Layer => layerOf(archive(...lines.map(partOf)));

async function imageOf(layers: readonly Layer[], mostEntries?: number) {
  const contents = await Promise.all(layers.map(contentOf));
  const [{ descriptor } = { descriptor: layerOf(Buffer.alloc(0)).descriptor }] = layers;
  const files = createImageFiles({ descriptor, layers: contents.map(({ content }) => content), mostEntries });
  return { files, asked: () => contents.map(({ asked }) => asked.length) };
}

async function listed(files: ImageFiles, path?: string): Promise<FileEntry[]> {
  const entries: FileEntry[] = [];
  for await (const entry of files.list(path)) entries.push(entry);
  return entries;
}

const pathsOf = async (files: ImageFiles, path?: string): Promise<string[]> =>
  (await listed(files, path)).map((entry) => (entry.type === 'directory' ? `${entry.path}/` : entry.path));

const read = async (files: ImageFiles, path: string): Promise<string> => (await files.open(path)).text();

const image = async (...layers: readonly (readonly Line[])[]) => imageOf(layers.map((lines) => tarLayer(...lines)));

test('upper layers win, and each entry has its layer', async () => {
  const layers = [tarLayer('etc/', 'etc/a=1', 'etc/b=1'), tarLayer('etc/b=22', 'etc/c=2')];
  const { files } = await imageOf(layers);
  const found = await listed(files);
  expect(
    found.map(({ path, size, layer }) => [path, size, layers.findIndex((one) => one.descriptor.digest === layer)]),
  ).toEqual([
    ['etc', 0, 0],
    ['etc/a', 1, 0],
    ['etc/b', 2, 1],
    ['etc/c', 1, 1],
  ]);
  expect([await read(files, 'etc/a'), await read(files, '/etc/b')]).toEqual(['1', '22']);
});

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

test('layers are read from the top down, and no further than the file', async () => {
  const { files, asked } = await image(['a=1'], ['b=1', '.wh.c'], ['c=1', 'd=1']);
  expect([await read(files, 'c'), asked()]).toEqual(['1', [0, 0, 1]]);
  expect([await read(files, 'b'), asked()]).toEqual(['1', [0, 1, 2]]);
  expect([await read(files, 'b'), asked()]).toEqual(['1', [0, 2, 2]]);
  const hidden = await image(['c=1'], ['.wh.c']);
  expect((await errorOf(hidden.files.open('c'))).code).toBe('NOT_FOUND');
  expect(hidden.asked()).toEqual([0, 1]);
});

test('after a list only the layer with the file is read', async () => {
  const { files, asked } = await image(['a=1', 'l->a'], ['b=1'], ['c=1']);
  await listed(files);
  expect([await read(files, 'l'), asked()]).toEqual(['1', [2, 1, 1]]);
  await listed(files);
  expect(asked()).toEqual([2, 1, 1]);
});

test.each([
  ['bin/sh', 'shell'],
  ['absolute', 'shell'],
  ['up', 'shell'],
  ['far', 'shell'],
  ['lib64/libc', 'libc'],
  ['usr/bin/../bin/sh', 'shell'],
  ['lib64/../lib/libc', 'libc'],
  ['hard', 'shell'],
])('the links on the way to %j are followed', async (path, content) => {
  const { files } = await image(
    [
      'usr/',
      'usr/bin/',
      'usr/bin/dash=shell',
      'usr/bin/sh->dash',
      'usr/lib/',
      'usr/lib/libc=libc',
      'hard=>usr/bin/dash',
    ],
    ['bin->usr/bin', 'lib64->/usr/lib', 'absolute->/bin/sh', 'up->usr/lib/../bin/sh', 'far->../../../usr/bin/sh'],
  );
  expect(await read(files, path)).toBe(content);
  await listed(files);
  expect(await read(files, path)).toBe(content);
});

test('a layer is read once for a link and a target after it, and again for a target before it', async () => {
  const { files, asked } = await image(
    ['low=1'],
    ['b=before', 'etc/link->../usr/file', 'usr/file=x', 'z->b', 'y->low'],
    [],
  );
  expect([await read(files, 'etc/link'), asked()]).toEqual(['x', [0, 1, 1]]);
  expect([await read(files, 'z'), asked()]).toEqual(['before', [0, 3, 1]]);
  // Read to its end for what is not in it.
  expect([await read(files, 'y'), asked()]).toEqual(['1', [1, 4, 1]]);
  expect([await read(files, 'y'), asked()]).toEqual(['1', [2, 4, 1]]);
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

test('a hard link is what it links to when its layer is unpacked into those below', async () => {
  const layers = [
    ['a=A', 'usr/lib/x=X', 'lib->usr/lib', 'dir/soft->../far', 'dir/far=wrong', 'far=low', 'gone=G', 'chain=>a'],
    ['b=>a', 'y=>lib/x', 'other/deep/soft=>dir/soft', 'other/far=right', '.wh.gone', 'kept=>gone', 'c=>chain'],
    ['a=A2', 'z=>b', 'usr/lib/x=X2', 'into=>dir'],
  ];
  const expected = [
    ['b', 'A'],
    ['y', 'X'],
    ['other/deep/soft', 'right'],
    ['kept', 'G'],
    ['c', 'A'],
    ['z', 'A'],
    ['a', 'A2'],
    ['lib/x', 'X2'],
  ] as const;
  for (const [path, content] of expected) {
    const { files } = await image(...layers);
    expect([path, await read(files, path)]).toEqual([path, content]);
  }
  const { files } = await image(...layers);
  expect((await listed(files)).find(({ path }) => path === 'b')).toMatchObject({ type: 'hardlink', linkPath: 'a' });
  for (const [path, content] of expected) expect([path, await read(files, path)]).toEqual([path, content]);
  const file = await files.open('z', { verify: true });
  expect(file.entry).toMatchObject({
    path: 'z',
    type: 'file',
    size: 1,
    layer: tarLayer(...(layers[0] ?? [])).descriptor.digest,
  });
  expect([await file.text(), file.verified]).toEqual(['A', true]);
  expect((await errorOf(files.open('into'))).code).toBe('DECODE_ERROR');
});

test('hard links to a missing path, to an upper layer, or back to themselves are DECODE_ERROR', async () => {
  const { files } = await image(['x=1'], ['a=>b', 'b=>a', 'c=>d', 'e=>above'], ['above=1']);
  expect((await errorOf(files.open('a'))).code).toBe('DECODE_ERROR');
  expect((await errorOf(files.open('c'))).message).toContain('"c" is a hard link to "d", which is not there');
  expect((await errorOf(files.open('e'))).code).toBe('DECODE_ERROR');
});

test.each([
  ['a file', ['a=1', 'b=2', 'a=3'], 'a', '3'],
  ['a hard link', ['a=1', 'b=2', 'a=>b'], 'a', '2'],
  ['a symbolic link', ['a=1', 'b=2', 'a->b'], 'a', '2'],
  ['a file for a link', ['b=1', 'a->b', 'c=2', 'a=3'], 'a', '3'],
  ['a file between a link and what it leads to', ['a->b', 'a=3', 'b=1'], 'a', '3'],
  ['a file for a hard link', ['b=1', 'a=>b', 'a=3'], 'a', '3'],
  ['a path through a link', ['usr/a=1', 'lib->usr', 'lib/a=3'], 'usr/a', '3'],
  ['nothing but a directory', ['a=1', 'a/b=2'], 'a', undefined],
  ['a file for the directory', ['d/a=1', 'd=2'], 'd/a', undefined],
])('a duplicate path in its layer, as %s, is refused with verify', async (_, lines, path, last) => {
  const { files } = await image(['low=1'], lines, []);
  const reading = async (verify: boolean) => (await files.open(path, { verify })).text();
  const error = await errorOf(reading(true));
  expect(error).toMatchObject({ code: 'BAD_RESPONSE', reason: 'inconsistent-image' });
  expect(error.message).toContain('a later entry of the layer replaces it');
  await reading(false);
  // The whole layer is known now.
  await listed(files);
  for (const verify of [true, false]) {
    if (last === undefined) expect(['NOT_FOUND', 'UNSUPPORTED']).toContain((await errorOf(reading(verify))).code);
    else expect(await reading(verify)).toBe(last);
  }
});

test.each([
  ['etc/../etc/passwd', ['etc/', 'etc/passwd=root', 'z']],
  ['a', ['a->etc/../etc/passwd', 'etc/', 'etc/passwd=root', 'z']],
  ['etc/passwd', ['etc/', 'etc/passwd=root', 'etc/', 'etc/b=b']],
])('with verify %s is read, although the directories on its way change', async (path, lines) => {
  const { files } = await imageOf([tarLayer(...lines)]);
  expect(await (await files.open(path, { verify: true })).text()).toBe('root');
});

test('with verify, directories and paths that were not requested may have duplicates', async () => {
  const { files } = await image(['d/', 'd/a=1', 'b->d/a', 'd/', 'c=1', 'c=2', 'd/.wh.a', 'd/ab=1']);
  for (const path of ['d/a', 'b']) {
    const file = await files.open(path, { verify: true });
    expect([await file.text(), file.verified]).toEqual(['1', true]);
  }
});

test('a suggested path exists', async () => {
  const { files } = await image(['etc/gone=1', 'opq/a/b=1', 'etc/kept=1'], ['etc/.wh.gone', 'opq/.wh..wh..opq']);
  for (const known of [false, true]) {
    if (known) await listed(files);
    for (const path of ['etc/gone', 'opq/a/c', 'opq/a']) {
      expect((await errorOf(files.open(path))).message).toMatch(/: not there$/);
    }
    expect((await errorOf(files.open('etc/kep'))).message).toContain('did you mean "etc/kept"?');
  }
});

test('circles of links are refused, and no link leads out of the image', async () => {
  const { files } = await image([
    'a->b',
    'b->a',
    'out->/../../etc/passwd',
    'missing->not/there',
    'file=x',
    'through->file/x',
  ]);
  expect((await errorOf(files.open('a'))).message).toContain('more than 40 symbolic links');
  for (const path of ['out', 'missing', 'through', 'file/..', 'file/../file']) {
    expect([path, (await errorOf(files.open(path))).code]).toEqual([path, 'NOT_FOUND']);
  }
});

test('a missing target of a link is reported with the link', async () => {
  const { files } = await image(['lib->usr/lib', 'usr/lib/libc=x', 'dangling->nowhere', 'far->dangling']);
  const messages = async (path: string): Promise<[string, string]> => [
    (await errorOf(files.open(path))).message,
    (await errorOf(listed(files, path))).message,
  ];
  for (const [path, found] of [
    ['dangling', 'it is a symbolic link to "nowhere", which is not there'],
    ['lib/libd', 'not there; "lib" on its way is a symbolic link to "usr/lib"'],
    ['far', 'not there; "dangling" on its way is a symbolic link to "nowhere"'],
  ] as const) {
    for (const message of await messages(path)) {
      expect(message.endsWith(found)).toBe(true);
      expect(message).not.toContain('did you mean');
    }
  }
});

test('list takes a directory, a file or a link; a missing path is NOT_FOUND', async () => {
  const { files } = await image(['usr/bin/', 'usr/bin/env=1', 'bin->usr/bin', 'usr/a-b=1', 'usr/a/', 'usr/a/c=1']);
  expect(await pathsOf(files, 'usr')).toEqual(['usr/', 'usr/a/', 'usr/a/c', 'usr/a-b', 'usr/bin/', 'usr/bin/env']);
  expect(await pathsOf(files, '/bin/')).toEqual(['usr/bin/', 'usr/bin/env']);
  expect(await pathsOf(files, 'bin/env')).toEqual(['usr/bin/env']);
  const error = await errorOf(listed(files, 'usr/bin/evn'));
  expect(error).toMatchObject({ code: 'NOT_FOUND', reason: 'path', value: 'usr/bin/evn' });
  expect(error.message).toContain('"usr/bin/evn"');
  expect((await errorOf(listed(files, 'env'))).message).toContain('did you mean "usr/bin/env"?');
});

test('more entries than are allowed are TOO_LARGE', async () => {
  const layers = [tarLayer('a=1', 'b=1'), tarLayer('c=1')];
  const error = await errorOf(listed((await imageOf(layers, 2)).files));
  expect([error.code, error.reason]).toEqual(['TOO_LARGE', 'limit']);
  expect((await errorOf((await imageOf(layers, 2)).files.open('b'))).code).toBe('TOO_LARGE');
  expect(await read((await imageOf(layers, 2)).files, 'c')).toBe('1');
  expect((await listed((await imageOf(layers, 3)).files)).length).toBe(3);
});

test('a path of too many names is refused', async () => {
  const { files } = await image([{ name: 'x', flag: 'L', data: `${'d/'.repeat(3000)}f\0` }, 'short=1']);
  expect((await errorOf(listed(files))).message).toContain('3001 names');
});

test('closing ends everything that is open', async () => {
  const { files } = await image(['a=1']);
  const file = await files.open('a');
  await files.close();
  expect((await errorOf(file.bytes())).code).toBe('CLOSED');
  expect((await errorOf(files.open('a'))).code).toBe('CLOSED');
  expect((await errorOf(listed(files))).code).toBe('CLOSED');
});

const names = ['a', 'b', 'c'];
const somePath = fc.array(fc.constantFrom(...names), { minLength: 1, maxLength: 3 }).map((parts) => parts.join('/'));
const someLayer = fc.record({
  paths: fc.uniqueArray(somePath, { maxLength: 6 }),
  empty: fc.uniqueArray(somePath, { maxLength: 2 }),
  whiteouts: fc.uniqueArray(somePath, { maxLength: 2 }),
  opaque: fc.uniqueArray(somePath, { maxLength: 1 }),
  describes: fc.boolean(),
});
type Shape = typeof someLayer extends fc.Arbitrary<infer T> ? T : never;

const parentsOf = (path: string): string[] => {
  const parts = path.split('/');
  return parts.slice(1).map((_, index) => parts.slice(0, index + 1).join('/'));
};

/** The entries of a layer of that shape: each path is a directory or a file, not both. */
function entriesOf({ paths, empty, opaque, describes }: Shape, number: number): Map<string, string | undefined> {
  const directories = new Set([...empty, ...opaque, ...[...paths, ...empty, ...opaque].flatMap(parentsOf)]);
  const entries = new Map<string, string | undefined>();
  if (describes) for (const path of directories) entries.set(path, undefined);
  for (const path of empty) entries.set(path, undefined);
  for (const path of paths) if (!directories.has(path)) entries.set(path, `${number}:${path}`);
  return entries;
}

const whiteoutOf = (path: string): string => path.replace(/[^/]+$/, (name) => `.wh.${name}`);

/** The result of unpacking layers one after the other: files by path, directories without content. */
function unpackedModel(shapes: readonly Shape[]): Map<string, string | undefined> {
  const state = new Map<string, string | undefined>();
  const removeBelow = (path: string) => {
    for (const other of [...state.keys()]) if (other.startsWith(`${path}/`)) state.delete(other);
  };
  const makeDirectory = (path: string) => {
    for (const one of [...parentsOf(path), path]) state.set(one, undefined);
  };
  for (const [number, shape] of shapes.entries()) {
    for (const path of shape.whiteouts) {
      removeBelow(path);
      state.delete(path);
    }
    for (const path of shape.opaque) removeBelow(path);
    for (const path of [...shape.whiteouts, ...shape.opaque.map((one) => `${one}/x`)]) {
      for (const parent of parentsOf(path)) makeDirectory(parent);
    }
    for (const [path, content] of entriesOf(shape, number)) {
      for (const parent of parentsOf(path)) makeDirectory(parent);
      if (content !== undefined) removeBelow(path);
      state.set(path, content);
    }
  }
  return state;
}

const universe = names.flatMap((a) => [
  a,
  ...names.flatMap((b) => [`${a}/${b}`, ...names.map((c) => `${a}/${b}/${c}`)]),
]);

test('list and open agree with unpacking one layer after the other', async () => {
  const shuffled = fc.infiniteStream(fc.nat());
  await fc.assert(
    fc.asyncProperty(fc.array(someLayer, { minLength: 1, maxLength: 4 }), shuffled, async (raw, order) => {
      // A whiteout whose path goes through a file of the same layer is left out.
      const shapes = raw.map((shape) => {
        const mine = new Set(
          [...entriesOf(shape, 0)].filter(([, content]) => content !== undefined).map(([path]) => path),
        );
        return {
          ...shape,
          whiteouts: shape.whiteouts.filter((path) => !parentsOf(path).some((parent) => mine.has(parent))),
        };
      });
      const layers = shapes.map((shape, number) => {
        const lines = [
          ...[...entriesOf(shape, number)].map(([path, content]) =>
            content === undefined ? `${path}/` : `${path}=${content}`,
          ),
          ...shape.whiteouts.map(whiteoutOf),
          ...shape.opaque.map((path) => `${path}/.wh..wh..opq`),
        ];
        return tarLayer(
          ...lines
            .map((line) => ({ line, at: order.next().value }))
            .sort((a, b) => a.at - b.at)
            .map(({ line }) => line),
        );
      });
      const model = unpackedModel(shapes);
      const { files } = await imageOf(layers);
      const opened = async () => {
        for (const path of universe) {
          const content = model.get(path);
          if (content !== undefined) expect([path, await read(files, path)]).toEqual([path, content]);
          else
            expect([path, (await errorOf(files.open(path))).code]).toEqual([
              path,
              model.has(path) ? 'UNSUPPORTED' : 'NOT_FOUND',
            ]);
        }
      };
      await opened();
      const found = (await listed(files)).map(({ path, type }) => [path, type === 'directory']);
      const expected = [...model].map(([path, content]) => [path, content === undefined] as const);
      const byNames = (path: string) => path.replaceAll('/', '\0');
      expect(found).toEqual(expected.sort(([a], [b]) => (byNames(a) < byNames(b) ? -1 : 1)).map((one) => [...one]));
      await opened();
    }),
    { numRuns: 60 },
  );
}, 60_000);

const somePart = fc
  .record({
    path: somePath,
    kind: fc.constantFrom('=', '=', '->', '->/', '->../', '=>', '/', 'whiteout', 'opaque'),
    other: somePath,
  })
  .map(({ path, kind, other }) => {
    if (kind === 'whiteout') return whiteoutOf(path);
    if (kind === 'opaque') return `${path}/.wh..wh..opq`;
    return kind === '/' ? `${path}/` : `${path}${kind}${other}`;
  });

test('whatever links, whiteouts and duplicates there are, verify finds the same as if all is known, or refuses', async () => {
  const layers = fc.array(fc.array(somePart, { maxLength: 6 }), { minLength: 1, maxLength: 3 });
  const seen = { files: 0, refused: 0 };
  await fc.assert(
    fc.asyncProperty(layers, async (raw) => {
      // A link into an upper layer stops the reading of its own, which is then not verified.
      const lines = raw.map((layer, number) =>
        layer.map((line) => (number === raw.length - 1 ? line : line.replace('->', '='))),
      );
      const { files: known } = await image(...lines);
      if ((await listed(known).catch(() => undefined)) === undefined) return;
      for (const path of universe) {
        const { files: fresh } = await image(...lines);
        const found = async (files: ImageFiles) => (await files.open(path, { verify: true })).text();
        const outcome = (files: ImageFiles) => found(files).catch((error: RegistryError) => error.code);
        const [before, after] = [await outcome(fresh), await outcome(known)];
        const isFile = (result: string) => /^[abc]/.test(result);
        if (isFile(before)) expect([path, before]).toEqual([path, after]);
        // What is not a file and circles of links are refused at once, without reading what follows.
        else if (before === 'NOT_FOUND') expect([path, isFile(after)]).toEqual([path, false]);
        if (isFile(before)) seen.files += 1;
        if (before === 'BAD_RESPONSE') seen.refused += 1;
      }
    }),
    { numRuns: 150 },
  );
  expect(seen.files).toBeGreaterThan(10);
  expect(seen.refused).toBeGreaterThan(5);
}, 60_000);

const indexType = 'application/vnd.oci.image.index.v1+json';
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const jsonSample = (value: unknown, mediaType: string): Sample => sampleOf(text(JSON.stringify(value)), mediaType);

/** A registry of one image for two platforms; the upper layer is an eStargz. */
async function registry() {
  const layers = [
    layerOf(
      gzipSync(archive({ name: 'etc/os', data: 'lower' }, { name: 'bin/sh', data: 'shell' })),
      'application/vnd.oci.image.layer.v1.tar+gzip',
    ),
    stargz([{ path: 'etc/os', content: Buffer.from('upper') }]),
  ];
  const samples: Sample[] = layers.map((layer) => ({
    bytes: new Uint8Array(layer.bytes),
    descriptor: layer.descriptor,
  }));
  const config = jsonSample({}, 'application/vnd.oci.image.config.v1+json');
  const manifestOf = (used: readonly Layer[]) =>
    jsonSample(
      {
        schemaVersion: 2,
        mediaType: manifestType,
        config: config.descriptor,
        layers: used.map(({ descriptor }) => descriptor),
      },
      manifestType,
    );
  const both = manifestOf(layers);
  const one = manifestOf(layers.slice(0, 1));
  const platform = (architecture: string) => ({ os: 'linux', architecture });
  const manifests: Descriptor[] = [
    { ...both.descriptor, platform: platform('amd64') },
    { ...one.descriptor, platform: platform('riscv64') },
  ];
  const index = { ...jsonSample({ schemaVersion: 2, mediaType: indexType, manifests }, indexType), tag: 'latest' };
  const hosts = createHosts({ 'origin.test': await sampleHost([...samples, config, both, one, index]) });
  return { ...hosts, client: createClient({ transport: hosts.transport }), both: both.descriptor.digest };
}

test('client.files chooses the image of a platform, and reads what it needs', async () => {
  const { client, both, log } = await registry();
  await using files = await client.files('origin.test/app', { platform: 'linux/amd64' });
  expect([files.descriptor.digest, log().length]).toEqual([both, 2]);
  expect(await read(files, 'etc/os')).toBe('upper');
  expect(
    log()
      .slice(2)
      .every((line) => / bytes=\d+-\d+$/.test(line)),
  ).toBe(true);
  expect(await pathsOf(files)).toEqual(['bin/', 'bin/sh', 'etc/', 'etc/os']);
  await using other = await client.files('origin.test/app', { platform: { os: 'linux', architecture: 'riscv64' } });
  expect(await read(other, 'etc/os')).toBe('lower');
});

test('client.files names the available platforms, and takes a manifest by its digest', async () => {
  const { client, both } = await registry();
  const error = await errorOf(client.files('origin.test/app', { platform: 'windows/amd64' }));
  expect([error.code, error.message]).toEqual(['NOT_FOUND', expect.stringContaining('linux/amd64, linux/riscv64')]);
  await using files = await client.files(`origin.test/app@${both}`, { platform: 'linux/s390x' });
  expect(await read(files, 'bin/sh')).toBe('shell');
});

test('client.files looks into nested indexes, and takes the only image if it has no platform', async () => {
  const layer = layerOf(archive({ name: 'a', data: '1' }), 'application/vnd.oci.image.layer.v1.tar');
  const config = jsonSample({}, 'application/vnd.oci.image.config.v1+json');
  const fields = { config: config.descriptor, layers: [layer.descriptor] };
  const manifest = jsonSample({ schemaVersion: 2, mediaType: manifestType, ...fields }, manifestType);
  const content = [{ bytes: new Uint8Array(layer.bytes), descriptor: layer.descriptor }, config, manifest];
  const indexOf = (...manifests: Descriptor[]) =>
    jsonSample({ schemaVersion: 2, mediaType: indexType, manifests }, indexType);
  const s390x = { ...manifest.descriptor, platform: { os: 'linux', architecture: 's390x' } };
  for (const [inner, platform] of [
    [indexOf(manifest.descriptor), 'linux/amd64'],
    [indexOf(s390x), 'linux/s390x'],
    [indexOf({ ...indexOf(s390x).descriptor, platform: s390x.platform }), 'linux/s390x'],
  ] as const) {
    const outer = { ...indexOf(inner.descriptor), tag: 'latest' };
    const host = await sampleHost([...content, indexOf(s390x), inner, outer]);
    const client = createClient({ transport: createHosts({ 'origin.test': host }).transport });
    await using files = await client.files('origin.test/app', { platform });
    expect(await read(files, 'a')).toBe('1');
    if (platform === 'linux/amd64') continue;
    const other = await errorOf(client.files('origin.test/app', { platform: 'linux/amd64' }));
    expect([other.code, other.message]).toEqual(['NOT_FOUND', expect.stringContaining('there is linux/s390x')]);
  }
});

test.each([
  ['application/vnd.oci.image.layer.nondistributable.v1.tar+gzip', true],
  ['application/vnd.docker.image.rootfs.foreign.diff.tar.gzip', true],
  ['application/vnd.oci.image.layer.v1.tar+gzip', false],
])('a layer that is missing at the registry is reported with its kind: %s', async (mediaType, isReported) => {
  const layer = layerOf(gzipSync(archive({ name: 'a', data: '1' })), mediaType);
  const config = jsonSample({}, 'application/vnd.oci.image.config.v1+json');
  const manifest = { schemaVersion: 2, mediaType: manifestType, config: config.descriptor, layers: [layer.descriptor] };
  const host = await sampleHost([config, { ...jsonSample(manifest, manifestType), tag: 'latest' }]);
  await using files = await createClient({ transport: createHosts({ 'origin.test': host }).transport }).files(
    'origin.test/app',
  );
  for (const reading of [files.open('a'), listed(files)]) {
    const error = await errorOf(reading);
    expect([error.code, error.status, error.attempts.length]).toEqual(['NOT_FOUND', 404, 1]);
    expect(error.message.includes(`it is a layer that is not distributable, "${mediaType}"`)).toBe(isReported);
  }
});

test('the client warns of a table of contents that cannot be used', async () => {
  const layer = layerOf(archive({ name: 'a', data: '1' }), 'application/vnd.oci.image.layer.v1.tar', {
    'containerd.io/snapshot/stargz/toc.digest': `sha256:${'0'.repeat(64)}`,
  });
  const config = jsonSample({}, 'application/vnd.oci.image.config.v1+json');
  const manifest = { schemaVersion: 2, mediaType: manifestType, config: config.descriptor, layers: [layer.descriptor] };
  const sample = { bytes: new Uint8Array(layer.bytes), descriptor: layer.descriptor };
  const host = await sampleHost([sample, config, { ...jsonSample(manifest, manifestType), tag: 'latest' }]);
  const warnings: string[] = [];
  const client = createClient({
    transport: createHosts({ 'origin.test': host }).transport,
    onEvent: (event) => void (event.type === 'warning' && warnings.push(event.text)),
  });
  await using files = await client.files('origin.test/app');
  expect(await read(files, 'a')).toBe('1');
  expect(warnings).toEqual([expect.stringContaining('does not end as eStargz does')]);
});
