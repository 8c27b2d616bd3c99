import { link, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { create } from 'tar';
import { expect, test } from 'vitest';
import type { BareEntry } from '../../src/files/entry.ts';
import { readTar } from '../../src/files/tar.ts';
import { archive, block, end, octal, part, pax, pieces, record, type TarPart } from '../support/tar.ts';

interface Read {
  readonly entry: BareEntry;
  readonly content: Buffer;
}

async function read(bytes: Uint8Array, lengths: readonly number[] = [700]): Promise<Read[]> {
  const found: Read[] = [];
  for await (const { entry, data } of readTar(pieces(bytes, lengths), (what) => new Error(what))) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of data) chunks.push(chunk);
    found.push({ entry, content: Buffer.concat(chunks) });
  }
  return found;
}

const one = async (...parts: readonly (Buffer | TarPart)[]): Promise<Read> => {
  const [found, ...rest] = await read(archive(...parts));
  if (!found || rest.length > 0) throw new Error(`${rest.length + (found ? 1 : 0)} entries`);
  return found;
};

test('every field of a header is told', async () => {
  const owners = { 265: 'root', 297: 'wheel', 116: octal(20, 8) };
  const { entry, content } = await one({ name: './a//b/./c', data: 'hello', uid: octal(1000, 8), fields: owners });
  expect(entry).toEqual({
    path: 'a/b/c',
    type: 'file',
    size: 5,
    mode: 0o644,
    uid: 1000,
    gid: 20,
    userName: 'root',
    groupName: 'wheel',
    modified: new Date(0),
  });
  expect(content.toString()).toBe('hello');
});

test.each([
  ['1', { type: 'hardlink', linkPath: 'etc/target', size: 0 }],
  ['2', { type: 'symlink', linkPath: '/etc/./target', size: 0 }],
  ['3', { type: 'character-device', deviceMajor: 8, deviceMinor: 1 }],
  ['4', { type: 'block-device', deviceMajor: 8, deviceMinor: 1 }],
  ['5', { type: 'directory', size: 0 }],
  ['6', { type: 'fifo', size: 0 }],
  ['7', { type: 'file', size: 0 }],
  ['\0', { type: 'file', size: 0 }],
])('flag %j', async (flag, expected) => {
  const fields = { 329: octal(8, 8), 337: octal(1, 8) };
  expect((await one({ flag, link: '/etc/./target', fields })).entry).toMatchObject(expected);
});

test('only files have content: the size of a directory or link is not that of bytes', async () => {
  const found = await read(
    archive({ name: 'd/', flag: '5', size: 8 }, { flag: '1', size: 99, link: 'x' }, { name: 'f' }),
  );
  expect(found.map(({ entry }) => [entry.path, entry.size])).toEqual([
    ['d', 0],
    ['file', 0],
    ['f', 0],
  ]);
});

test('a name longer than its field comes from the prefix, an extended header, or a header of GNU', async () => {
  const long = `${'x'.repeat(90)}/`.repeat(4);
  expect((await one({ name: 'name', prefix: 'some/where' })).entry.path).toBe('some/where/name');
  expect((await one(pax({ path: long }), { name: 'short' })).entry.path).toBe(long.slice(0, -1));
  const gnu = { magic: 'ustar  \0' };
  const longName = part({ ...gnu, flag: 'L', data: `${long}\0` });
  const longLink = part({ ...gnu, flag: 'K', data: `${long}to\0` });
  const { entry } = await one(longLink, longName, { ...gnu, flag: '2', link: 'cut' });
  expect([entry.path, entry.linkPath]).toEqual([long.slice(0, -1), `${long}to`]);
  expect((await one(pax({ mtime: '5' }), longName, { ...gnu })).entry.modified).toEqual(new Date(5000));
});

test('numbers are octal with spaces or NULs, or of base 256, also negative', async () => {
  const base256 = (value: bigint, length: number): Uint8Array => {
    const bytes = Uint8Array.from({ length }, (_, index) =>
      Number((value >> BigInt(8 * (length - 1 - index))) & 0xffn),
    );
    bytes[0] = (bytes[0] ?? 0) | 0x80;
    return bytes;
  };
  expect((await one({ uid: '  1750 \0' })).entry.uid).toBe(0o1750);
  expect((await one({ uid: '' })).entry.uid).toBe(0);
  expect((await one({ uid: base256(3_000_000n, 8) })).entry.uid).toBe(3_000_000);
  expect((await one({ mtime: base256(-1n, 12) })).entry.modified).toEqual(new Date(-1000));
  expect((await one({ mtime: base256(-2_000_000_000n, 12) })).entry.modified).toEqual(new Date(-2e12));
});

test('an extended header says more than its header can', async () => {
  const records = {
    size: '3',
    uid: '4294967294',
    mtime: '1000.5',
    uname: 'größe',
    'SCHILY.xattr.user.k': Uint8Array.of(0, 255),
  };
  const { entry, content } = await one(
    pax(records),
    part({ size: 0 }),
    Buffer.concat([Buffer.from('abc'), Buffer.alloc(509)]),
  );
  expect(entry).toMatchObject({ size: 3, uid: 4294967294, modified: new Date(1_000_500), userName: 'größe' });
  expect(entry.xattrs).toEqual({ 'user.k': Uint8Array.of(0, 255) });
  expect(content.toString()).toBe('abc');
  expect((await one(pax({ mtime: '-1.25' }), {})).entry.modified).toEqual(new Date(-1250));
});

test('a global extended header says nothing of entries, as with Go', async () => {
  expect((await one(pax({ path: 'other', comment: 'by git' }, 'g'), { name: 'own' })).entry.path).toBe('own');
});

test('a size of more than 8 GiB is known before its bytes come', async () => {
  const bytes = Buffer.concat([pax({ size: '9000000000' }), part({ size: 0 })]);
  const archived = readTar(pieces(bytes, [512]), (what) => new Error(what));
  expect((await archived.next()).value?.entry.size).toBe(9_000_000_000);
  await archived.return();
});

test('names that are not UTF-8 stay different from each other', async () => {
  const names = [Uint8Array.of(0x61, 0xff), Uint8Array.of(0x61, 0xfe), Buffer.from('größe'), Uint8Array.of(0x61, 0xc3)];
  const found = await read(archive(...names.map((name) => ({ name })), pax({ path: Uint8Array.of(0xff, 0x62) }), {}));
  expect(found.map(({ entry }) => entry.path)).toEqual(['a\udcff', 'a\udcfe', 'größe', 'a\udcc3', '\udcffb']);
});

test.each([
  ['/etc/passwd', 'etc/passwd'],
  ['../../etc/passwd', 'etc/passwd'],
  ['a/../../b', 'b'],
  ['./', ''],
])('the path %j is %j', async (name, path) => {
  expect((await one({ name })).entry.path).toBe(path);
});

test('the archive ends with two blocks of zeros, with one, or where the bytes do; what follows is no entry', async () => {
  const paths = async (bytes: Buffer) => (await read(bytes)).map(({ entry }) => entry.path);
  const whole = part({ name: 'a', data: 'x' });
  expect(await paths(whole)).toEqual(['a']);
  expect(await paths(whole.subarray(0, block + 1)), 'not filled up').toEqual(['a']);
  expect(await paths(Buffer.concat([whole, Buffer.alloc(block)]))).toEqual(['a']);
  expect(await paths(Buffer.concat([whole, end, part({ name: 'smuggled' })]))).toEqual(['a']);
  expect(await paths(Buffer.alloc(0))).toEqual([]);
});

const holes = Buffer.concat([
  Buffer.alloc(1000),
  Buffer.alloc(512, 'a'),
  Buffer.alloc(2000),
  Buffer.alloc(100, 'b'),
  Buffer.alloc(77),
]);
const stored = Buffer.concat([Buffer.alloc(512, 'a'), Buffer.alloc(100, 'b')]);

test('sparse files are whole, in each of the four formats', async () => {
  const map = [octal(1000), octal(512), octal(3512), octal(100)].join('');
  const gnu = part({ magic: 'ustar  \0', flag: 'S', data: stored, fields: { 386: map, 483: octal(holes.length) } });
  const size = { 'GNU.sparse.size': String(holes.length), 'GNU.sparse.numblocks': '2' };
  const pairs = [
    ['offset', '1000'],
    ['numbytes', '512'],
    ['offset', '3512'],
    ['numbytes', '100'],
  ] as const;
  const records = [
    ...Object.entries(size).map(([key, value]) => record(key, value)),
    ...pairs.map(([key, value]) => record(`GNU.sparse.${key}`, value)),
  ];
  const listed = Buffer.from('2\n1000\n512\n3512\n100\n');
  const version1 = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': String(holes.length) };
  const archives = [
    archive(gnu),
    archive(part({ flag: 'x', data: Buffer.concat(records) }), { data: stored }),
    archive(pax({ ...size, 'GNU.sparse.map': '1000,512,3512,100' }), { data: stored }),
    archive(pax({ ...version1, 'GNU.sparse.name': 'real' }), {
      name: 'GNUSparseFile.1/real',
      data: Buffer.concat([listed, Buffer.alloc(block - listed.length), stored]),
    }),
  ];
  for (const [index, bytes] of archives.entries()) {
    const [found, ...rest] = await read(bytes, [333]);
    expect([found?.entry.path, found?.entry.size, rest.length]).toEqual([
      index === 3 ? 'real' : 'file',
      holes.length,
      0,
    ]);
    expect(found?.content.equals(holes)).toBe(true);
  }
});

test('a sparse file of the old GNU format goes on in blocks of its own', async () => {
  const places = Array.from({ length: 30 }, (_, index) => index * 2);
  const pairs = places.map((at) => octal(at) + octal(1));
  const extension = Buffer.alloc(block);
  extension.set(Buffer.from(pairs.slice(4, 25).join('')));
  extension[504] = 1;
  const last = Buffer.alloc(block);
  last.set(Buffer.from(pairs.slice(25).join('')));
  const fields = { 386: pairs.slice(0, 4).join(''), 482: Uint8Array.of(1), 483: octal(60) };
  const header = part({ magic: 'ustar  \0', flag: 'S', size: 30, fields });
  const { content } = await one(header, extension, last, Buffer.alloc(block, 'x'));
  expect(content.toString('latin1')).toBe('x\0'.repeat(30));
});

test.each([
  ['a wrong checksum', part({ damage: 0 }), 'checksum'],
  ['no tar at all', Buffer.alloc(block, 'x'), 'checksum'],
  ['a number that is none', part({ size: '0000000001x\0' }), 'size "0000000001x", not an octal number'],
  ['a number too large', part({ size: 0, uid: new Uint8Array(8).fill(0xbf) }), 'uid too large'],
  ['an end in a header', part({}).subarray(0, 300), 'end in the middle'],
  ['an end in a file', part({ data: 'x'.repeat(600) }).subarray(0, block + 100), 'end in the middle'],
  ['a block of zeros in between', Buffer.concat([Buffer.alloc(block), part({})]), 'zeros between entries'],
  ['a record too short', Buffer.concat([part({ flag: 'x', data: '5 path=zz\n' }), part({})]), 'record that is none'],
  [
    'a record beyond its header',
    Buffer.concat([part({ flag: 'x', data: '99 path=zz\n' }), part({})]),
    'record that is none',
  ],
  ['a record without a key', Buffer.concat([part({ flag: 'x', data: '5 =a\n' }), part({})]), 'record that is none'],
  ['a path with a NUL', Buffer.concat([pax({ path: 'a\0b' }), part({})]), 'path "a\\u0000b" with a NUL'],
  ['a size that is none', Buffer.concat([pax({ size: '1e3' }), part({})]), 'size "1e3"'],
  ['a time that is none', Buffer.concat([pax({ mtime: 'noon' }), part({})]), 'mtime "noon"'],
  ['an extended header for nothing', pax({ path: 'a' }), 'without an entry'],
  ['an extended header too long', part({ flag: 'x', size: 1_048_577 }), 'more than 1048576'],
  ['a type that no layer has', part({ flag: 'V' }), 'type "V"'],
  [
    'a sparse file that overlaps',
    archive(pax({ 'GNU.sparse.size': '9', 'GNU.sparse.numblocks': '2', 'GNU.sparse.map': '0,2,1,1' }), { data: 'abc' }),
    'do not fit',
  ],
  [
    'a sparse file beyond its end',
    archive(pax({ 'GNU.sparse.size': '2', 'GNU.sparse.numblocks': '1', 'GNU.sparse.map': '0,3' }), { data: 'abc' }),
    'do not fit',
  ],
  [
    'a sparse file of fewer bytes',
    archive(pax({ 'GNU.sparse.size': '9', 'GNU.sparse.numblocks': '1', 'GNU.sparse.map': '0,2' }), { data: 'abc' }),
    'whose parts are 2',
  ],
  [
    'a sparse file of another version',
    archive(pax({ 'GNU.sparse.major': '2', 'GNU.sparse.minor': '0' }), {}),
    'version 2.0',
  ],
])('%s is refused', async (_, bytes, found) => {
  await expect(read(bytes)).rejects.toThrow(found);
});

test('contents of any size are whole, however the bytes are cut, and whether or not they are read', async () => {
  const file = fc.record({ size: fc.nat(2000), reads: fc.boolean() });
  const lengths = fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(fc.array(file, { maxLength: 8 }), lengths, async (files, cuts) => {
      const bytes = archive(
        ...files.map(({ size }, index) => ({ name: `${index}`, data: Buffer.alloc(size, index + 1) })),
      );
      let index = 0;
      for await (const { entry, data } of readTar(pieces(bytes, cuts), (what) => new Error(what))) {
        const { size, reads } = files[index] ?? { size: -1, reads: false };
        expect([entry.path, entry.size]).toEqual([`${index}`, size]);
        index += 1;
        if (!reads) continue;
        const chunks: Uint8Array[] = [];
        for await (const chunk of data) chunks.push(chunk);
        expect(Buffer.concat(chunks).equals(Buffer.alloc(size, index))).toBe(true);
      }
      expect(index).toBe(files.length);
    }),
  );
});

test('one changed byte of a header never goes unnoticed', async () => {
  const [before] = await read(archive({ name: 'a/b', data: 'content', uid: octal(7, 8) }));
  await fc.assert(
    fc.asyncProperty(fc.nat(block - 1), fc.integer({ min: 1, max: 255 }), async (at, change) => {
      const bytes = archive({ name: 'a/b', data: 'content', uid: octal(7, 8) });
      bytes[at] = (bytes[at] ?? 0) ^ change;
      const [after] = await read(bytes).catch(() => []);
      if (after) expect(after).toEqual(before);
    }),
  );
});

test('leaving early leaves the bytes', async () => {
  let left = false;
  async function* bytes(): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) yield part({ data: 'x' });
    } finally {
      left = true;
    }
  }
  for await (const { entry } of readTar(bytes(), (what) => new Error(what))) if (entry.path === 'file') break;
  expect(left).toBe(true);
});

test('what node-tar writes is read as it was', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-tar-'));
  try {
    const deep = join(folder, 'in', 'd'.repeat(120), 'e'.repeat(120));
    await mkdir(deep, { recursive: true });
    await writeFile(join(deep, 'größe'), 'deep');
    await writeFile(join(folder, 'in', 'first'), 'x'.repeat(100_000));
    await utimes(join(folder, 'in', 'first'), 1_000_000, 1_000_000);
    await link(join(folder, 'in', 'first'), join(folder, 'in', 'second'));
    await symlink('../first', join(folder, 'in', 'third'));
    await create({ file: join(folder, 'out.tar'), cwd: join(folder, 'in') }, ['.']);
    const found = await read(await readFile(join(folder, 'out.tar')), [4096, 1]);
    const told = new Map(found.map(({ entry, content }) => [entry.path, { ...entry, content: content.toString() }]));
    expect(told.get(`${'d'.repeat(120)}/${'e'.repeat(120)}/größe`)).toMatchObject({ type: 'file', content: 'deep' });
    expect(told.get('third')).toMatchObject({ type: 'symlink', linkPath: '../first' });
    const pair = [told.get('first'), told.get('second')];
    expect(pair.map((entry) => entry?.type).sort()).toEqual(['file', 'hardlink']);
    const real = pair.find((entry) => entry?.type === 'file');
    expect(real).toMatchObject({ size: 100_000, content: 'x'.repeat(100_000), modified: new Date(1_000_000_000) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
