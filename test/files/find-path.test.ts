import { expect, test } from 'vitest';
import { errorOf } from '../support/hosts.ts';
import { image, imageOf, listed, read, tarLayer } from '../support/images.ts';

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
  const { files, fetches } = await image(
    ['low=1'],
    ['b=before', 'etc/link->../usr/file', 'usr/file=x', 'z->b', 'y->low'],
    [],
  );
  expect([await read(files, 'etc/link'), fetches()]).toEqual(['x', [0, 1, 1]]);
  expect([await read(files, 'z'), fetches()]).toEqual(['before', [0, 3, 1]]);
  // The layer of the link is read to its end, since the target is not in it.
  expect([await read(files, 'y'), fetches()]).toEqual(['1', [1, 4, 1]]);
  expect([await read(files, 'y'), fetches()]).toEqual(['1', [2, 4, 1]]);
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
