import { readFile } from 'node:fs/promises';
import { gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { sampleOf } from '../../contract/source.ts';
import { image } from '../../copy/support.ts';
import { octal, part } from '../../support/tar.ts';
import { folder, registry, run, tagged } from '../support.ts';

const end = Buffer.alloc(1_024);
const lower = Buffer.concat([
  part({ name: 'etc/', flag: '5', mode: octal(0o755, 8) }),
  part({ name: 'etc/os-release', data: 'ID=test\n', mtime: octal(1_714_564_800) }),
  part({ name: 'etc/gone', data: 'x' }),
  part({ name: 'bin/', flag: '5', mode: octal(0o755, 8) }),
  part({ name: 'bin/su', data: Buffer.from([0, 1, 2]), mode: octal(0o4755, 8), uid: octal(10, 8) }),
  part({ name: 'release', flag: '2', link: 'etc/os-release', mode: octal(0o777, 8) }),
  end,
]);
const upper = Buffer.concat([
  part({ name: 'etc/.wh.gone' }),
  part({ name: 'etc/deep/', flag: '5' }),
  part({ name: 'etc/deep/file', data: '1' }),
  end,
]);
const tarType = 'application/vnd.oci.image.layer.v1.tar';
const gzipped = 'application/vnd.oci.image.layer.v1.tar+gzip';
const app = image('a', { layers: [sampleOf(gzipSync(lower), gzipped), sampleOf(gzipSync(upper), gzipped)] });

async function host(): Promise<string> {
  const { port } = await registry({ content: tagged(app) });
  return `127.0.0.1:${port}/team/app`;
}

const dated = '1970-01-01 00:00';

test('ls prints the content of a directory with all layers applied', async () => {
  const name = await host();
  const top = await run(['ls', '--no-discover', name]);
  expect(top).toEqual({
    code: 0,
    err: [],
    out: [
      `drwxr-xr-x 0/0              0 ${dated} bin`,
      `drwxr-xr-x 0/0              0 ${dated} etc`,
      `lrwxrwxrwx 0/0              0 ${dated} release -> etc/os-release`,
    ],
  });
  const inside = await run(['ls', '--no-discover', name, '/etc/']);
  expect(inside.out).toEqual([
    `drw-r--r-- 0/0              0 ${dated} etc/deep`,
    '-rw-r--r-- 0/0              8 2024-05-01 12:00 etc/os-release',
  ]);
  expect((await run(['ls', '--no-discover', name, 'bin/su'])).out).toEqual([
    `-rwsr-xr-x 10/0             3 ${dated} bin/su`,
  ]);
});

test('the root is listed in the same way whatever its path', async () => {
  const name = await host();
  const { out } = await run(['ls', '--no-discover', name]);
  expect(out).toHaveLength(3);
  for (const root of ['/', '.', './', '//', 'etc/..', '/etc/deep/../..', '..'])
    expect(await run(['ls', '--no-discover', name, root])).toEqual({ code: 0, out, err: [] });
});

test('links to the root and to directories are followed', async () => {
  const bytes = Buffer.concat([
    part({ name: 'a/deep/file', data: '1' }),
    part({ name: 'a/root', flag: '2', link: '/' }),
    part({ name: 'b', flag: '2', link: 'a' }),
    part({ name: 'c', flag: '2', link: 'a/deep' }),
    end,
  ]);
  const { port } = await registry({ content: tagged(image('l', { layers: [sampleOf(bytes, tarType)] })) });
  const listed = async (path: string): Promise<(string | undefined)[]> => {
    const { out } = await run(['ls', '--no-discover', `127.0.0.1:${port}/team/links`, path]);
    return out.map((line) => line.split(' ').find((_, at, words) => at > 0 && words[at - 1]?.includes(':')));
  };
  expect(await listed('a')).toEqual(['a/deep', 'a/root']);
  for (const path of ['a/root', 'b/root/', 'a/deep/../../']) expect(await listed(path)).toEqual(['a', 'b', 'c']);
  expect(await listed('b')).toEqual(['a/deep', 'a/root']);
  expect(await listed('c')).toEqual(['a/deep/file']);
  expect(await listed('c/..')).toEqual(['a/deep', 'a/root']);
});

test('an image with a single directory lists both it and the root', async () => {
  const bytes = Buffer.concat([part({ name: 'app/main', data: '1' }), end]);
  const { port } = await registry({ content: tagged(image('o', { layers: [sampleOf(bytes, tarType)] })) });
  const ls = async (path: string): Promise<string | undefined> =>
    (await run(['ls', '--no-discover', `127.0.0.1:${port}/team/one`, path])).out.join('').split(' ').at(-1);
  for (const root of ['/', 'app/..', './app/../']) expect(await ls(root)).toBe('app');
  for (const path of ['app', '/app/', 'app/../app', '../app']) expect(await ls(path)).toBe('app/main');
});

test('ls -R lists at any depth, and --json prints an object per line', async () => {
  const name = await host();
  const { out } = await run(['ls', '-R', '--json', '--no-discover', name, 'etc']);
  expect(out.map((line) => JSON.parse(line).path)).toEqual(['etc', 'etc/deep', 'etc/deep/file', 'etc/os-release']);
  expect(JSON.parse(out.at(-1) ?? '')).toMatchObject({ type: 'file', size: 8, modified: '2024-05-01T12:00:00.000Z' });
});

test('cat prints a file, follows links, and says if it was not verified', async () => {
  const name = await host();
  const { code, out, err } = await run(['cat', '--no-discover', name, 'release']);
  expect({ code, out }).toEqual({ code: 0, out: ['ID=test'] });
  expect(err).toEqual(['Not verified, since only a part of the layer was read; --verify reads all of it.']);
  const verified = await run(['cat', '--no-discover', '--verify', name, '/etc/os-release']);
  expect(verified).toEqual({ code: 0, out: ['ID=test'], err: [] });
});

test('cat writes a file, and refuses to print binary content on a terminal', async () => {
  const name = await host();
  const { path } = await folder({});
  expect(await run(['cat', '-q', '--no-discover', name, 'bin/su'], {}, true)).toMatchObject({ code: 2, out: [] });
  expect((await run(['cat', '-q', '--no-discover', name, 'bin/su', '-o', path('su')])).code).toBe(0);
  expect([...(await readFile(path('su')))]).toEqual([0, 1, 2]);
});

test('cat --json describes the file that it wrote', async () => {
  const name = await host();
  const { path } = await folder({});
  const line = ['cat', '-q', '--json', '--no-discover', name, 'release', '-o', path('os')];
  const { code, out } = await run(line);
  expect(JSON.parse(out.join('\n'))).toMatchObject({
    file: path('os'),
    entry: { path: 'etc/os-release', size: 8 },
    verified: false,
  });
  expect([code, await readFile(path('os'), 'utf8')]).toEqual([0, 'ID=test\n']);
});

test('names that are not UTF-8 stay distinct, and cat takes them as ls prints them', async () => {
  const names = [
    Uint8Array.of(0x61, 0xff),
    Uint8Array.of(0x61, 0xfe),
    Buffer.from(String.raw`a\xff`),
    Buffer.from('é'),
  ];
  const layer = Buffer.concat([...names.map((name, at) => part({ name, data: `${at}` })), end]);
  const { port } = await registry({ content: tagged(image('names', { layers: [sampleOf(layer, tarType)] })) });
  const reference = `127.0.0.1:${port}/team/app`;
  const { out } = await run(['ls', '--no-discover', reference]);
  const printed = out.map((line) => line.replace(/^.* 1970-01-01 00:00 /, ''));
  expect(printed).toEqual([String.raw`a\x5cxff`, String.raw`a\xfe`, String.raw`a\xff`, 'é']);
  const contents = printed.map(async (name) => (await run(['cat', '--quiet', '--no-discover', reference, name])).out);
  expect(await Promise.all(contents)).toEqual([['2'], ['1'], ['0'], ['3']]);
});

test('different names are listed differently, without characters that a terminal acts on', async () => {
  const names = ['a\nb', 'a b', 'a\\nb', ' a', '\u001b[31m', '\u202e'];
  const bytes = Buffer.concat([...names.map((name) => part({ name, data: '' })), end]);
  const { port } = await registry({ content: tagged(image('n', { layers: [sampleOf(bytes, tarType)] })) });
  const { out } = await run(['ls', '--no-discover', `127.0.0.1:${port}/team/names`]);
  expect(out.map((line) => line.slice(line.indexOf(dated) + dated.length + 1)).sort()).toEqual(
    [String.raw`a\nb`, 'a b', String.raw`a\\nb`, ' a', String.raw`\u{1b}[31m`, String.raw`\u{202e}`].sort(),
  );
});

test('an artifact whose layer is not an archive is reported with its type', async () => {
  const { port } = await registry({
    content: tagged(image('t', { layers: [sampleOf(Buffer.from('hi'), 'text/plain')] })),
  });
  for (const line of [['ls'], ['cat']]) {
    const { code, err } = await run([...line, '--no-discover', `127.0.0.1:${port}/team/text`, 'hi']);
    expect(code).toBe(8);
    expect(err[0]).toMatch(
      /Cannot read layer "sha256:[0-9a-f]{64}", "text\/plain" for "[^"]*": it is not an archive of files/,
    );
  }
});

test('a link to a missing file is reported as one', async () => {
  const bytes = Buffer.concat([part({ name: 'dangling', flag: '2', link: 'nowhere' }), end]);
  const { port } = await registry({ content: tagged(image('d', { layers: [sampleOf(bytes, tarType)] })) });
  for (const command of ['ls', 'cat']) {
    const { code, err } = await run([command, '--no-discover', `127.0.0.1:${port}/team/link`, '/dangling']);
    expect(code).toBe(4);
    expect(err[0]).toMatch(/it is a symbolic link to "nowhere", which is not there$/);
  }
});

test('a missing path is reported with the nearest one', async () => {
  const name = await host();
  for (const command of ['ls', 'cat']) {
    const { code, err } = await run([command, '--no-discover', name, 'etc/os-relaese']);
    expect([code, err[0]]).toEqual([4, expect.stringContaining('etc/os-release')]);
    expect(err[0]).not.toContain('doctor');
  }
  // One that an upper layer has taken away is nobody's neighbour.
  for (const command of ['ls', 'cat']) {
    const { code, err } = await run([command, '--no-discover', name, 'etc/gone']);
    expect([code, err]).toEqual([4, [expect.stringMatching(/"etc\/gone" in image "[^"]*": not there$/)]]);
  }
});

test.each([
  ['--image-entries', 'limits.imageEntries'],
  ['--image-tree-bytes', 'limits.imageTreeBytes'],
])('%s is a limit of the files of an image that an error names, with its key', async (flag, key) => {
  const name = await host();
  for (const args of [
    ['ls', name],
    ['cat', name, 'no/such'],
  ]) {
    const { code, err } = await run([...args, '--no-discover', flag, '1']);
    expect(code).toBe(7);
    expect(err.join(' ')).toContain(`${flag}, or ${key} of ocifetch's own file, changes it.`);
  }
});
