import { link, mkdir, mkdtemp, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import fc from 'fast-check';
import { create } from 'tar';
import { expect, test } from 'vitest';
import type { BareEntry } from '../../src/files/entry.ts';
import { readTar } from '../../src/files/tar.ts';
import { archive, block, end, octal, part, pax, pieces, type TarPart, withSum } from '../support/tar.ts';

interface ReadEntry {
  readonly entry: BareEntry;
  readonly content: Buffer;
}

async function read(bytes: Uint8Array, lengths: readonly number[] = [700]): Promise<ReadEntry[]> {
  const found: ReadEntry[] = [];
  for await (const { entry, data } of readTar(pieces(bytes, lengths), (...what) => new Error(what.join()))) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of data) chunks.push(chunk);
    found.push({ entry, content: Buffer.concat(chunks) });
  }
  return found;
}

const one = async (...parts: readonly (Buffer | TarPart)[]): Promise<ReadEntry> => {
  const [found, ...rest] = await read(archive(...parts));
  if (!found || rest.length > 0) throw new Error(`${rest.length + (found ? 1 : 0)} entries`);
  return found;
};

test('an entry has every field of its header', async () => {
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

test('numbers are octal with spaces or NULs, or of base 256', async () => {
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
});

test('an extended header has what does not fit into a header', async () => {
  const records = {
    size: '3',
    uid: '4294967294',
    mtime: '1000.5009',
    uname: 'größe',
    'SCHILY.xattr.user.k': Uint8Array.of(0, 127),
    'SCHILY.xattr.user.no-text': Uint8Array.of(0, 255),
  };
  const { entry, content } = await one(
    pax(records),
    part({ size: 0 }),
    Buffer.concat([Buffer.from('abc'), Buffer.alloc(509)]),
  );
  expect(entry).toMatchObject({ size: 3, uid: 4294967294, modified: new Date(1_000_500), userName: 'größe' });
  expect(entry.xattrs).toEqual({ 'user.k': Uint8Array.of(0, 127), 'user.no-text': Uint8Array.of(0, 255) });
  expect(content.toString()).toBe('abc');
  expect((await one(pax({ mtime: '-1.25' }), {})).entry.modified).toEqual(new Date(-1250));
});

test('a global extended header does not apply to entries without one of their own', async () => {
  expect((await one(pax({ path: 'other', comment: 'by git' }, 'g'), { name: 'own' })).entry.path).toBe('own');
});

test('a size of more than 8 GiB is known before its bytes arrive', async () => {
  const bytes = Buffer.concat([pax({ size: '9000000000' }), part({ size: 0 })]);
  const archived = readTar(pieces(bytes, [512]), (what) => new Error(what));
  expect((await archived.next()).value?.entry.size).toBe(9_000_000_000);
  await archived.return();
});

test('bytes that are not UTF-8 are kept, in headers, extended headers and those of GNU, and in targets of links', async () => {
  const bytes = Uint8Array.of(0x61, 0xff);
  const entries = await read(
    archive(
      { name: bytes },
      { name: 'größe' },
      pax({ path: bytes, linkpath: Uint8Array.of(0x2f, 0xc3, 0x28), hdrcharset: 'BINARY' }),
      { flag: '2' },
      part({ magic: 'ustar  \0', flag: 'L', data: Uint8Array.of(...bytes, 0) }),
      { flag: '1', fields: { 157: bytes } },
    ),
  );
  expect(entries.map(({ entry }) => [entry.path, entry.linkPath])).toEqual([
    ['a\\xff', undefined],
    ['größe', undefined],
    ['a\\xff', '/\\xc3('],
    ['a\\xff', 'a\\xff'],
  ]);
});

test.each([
  ['/etc/passwd', 'etc/passwd'],
  ['../../etc/passwd', 'etc/passwd'],
  ['a/../../b', 'b'],
  ['./', ''],
])('the path %j is %j', async (name, path) => {
  expect((await one({ name })).entry.path).toBe(path);
});

test('the archive ends with two blocks of zeros or its bytes; what follows them is not part of it', async () => {
  const paths = async (bytes: Buffer) => (await read(bytes)).map(({ entry }) => entry.path);
  const whole = part({ name: 'a', data: 'x' });
  expect(await paths(whole)).toEqual(['a']);
  expect(await paths(Buffer.concat([whole, Buffer.alloc(block)]))).toEqual(['a']);
  expect(await paths(Buffer.concat([whole, Buffer.alloc(2 ** 21)]))).toEqual(['a']);
  expect(await paths(Buffer.concat([whole, Buffer.alloc(block), part({ name: 'b' })]))).toEqual(['a', 'b']);
  expect(await paths(whole.subarray(0, block + 1)), 'without padding, as umoci insert writes it').toEqual(['a']);
  expect(await paths(whole.subarray(0, block + 100))).toEqual(['a']);
  expect(await paths(Buffer.concat([whole, Buffer.alloc(100)]))).toEqual(['a']);
  expect(await paths(Buffer.alloc(0))).toEqual([]);
  expect(await paths(Buffer.concat([end, part({ name: 'b' })]))).toEqual([]);
  for (const rest of [part({ name: 'b' }), Buffer.from('junk'), Buffer.alloc(2 ** 21, 'junk'), Buffer.alloc(1, 1)]) {
    expect(await paths(Buffer.concat([whole, end, rest]))).toEqual(['a']);
  }
});

test('the end is found however the bytes are cut, and zeros in contents and extended headers do not end it', async () => {
  const parts = [
    part({ name: 'd/', flag: '5' }),
    part({ name: 'zeros', data: Buffer.alloc(5 * block) }),
    pax({ path: `long/${'\u0001'.repeat(40)}`, comment: 'x\0'.repeat(900) }),
    part({ name: 'short', data: Buffer.alloc(700) }),
    part({ magic: 'ustar  \0', flag: 'L', data: Buffer.concat([Buffer.from('name'), Buffer.alloc(3 * block)]) }),
    part({ data: 'x' }),
    Buffer.alloc(block),
    part({ name: 'last', data: Buffer.alloc(3 * block) }),
  ];
  const bytes = Buffer.concat([archive(...parts), part({ name: 'hidden' }), Buffer.from('junk')]);
  const lengths = fc.array(fc.integer({ min: 1, max: 3000 }), { minLength: 1, maxLength: 5 });
  await fc.assert(
    fc.asyncProperty(lengths, async (cuts) => {
      const found = (await read(bytes, cuts)).map(({ entry, content }) => [entry.path.slice(0, 5), content.length]);
      expect(found).toEqual([
        ['d', 0],
        ['zeros', 2560],
        ['long/', 700],
        ['name', 1],
        ['last', 1536],
      ]);
    }),
  );
});

test('errors of the bytes after the end are reported', async () => {
  async function* failing(): AsyncGenerator<Uint8Array, void> {
    yield archive({ name: 'a' });
    yield Buffer.from('junk');
    throw new Error('a wrong digest');
  }
  const found = readTar(failing(), (what) => new Error(what));
  expect((await found.next()).value?.entry.path).toBe('a');
  await expect(found.next()).rejects.toThrow('a wrong digest');
});

test.each(['1', '2', '3', '4', '5', '6'])('the size of an entry of type %s is not that of a content', async (flag) => {
  const entries = await read(archive({ name: 'odd', flag, size: 700, link: 'x' }, { name: 'next', data: 'next' }));
  expect(entries.map(({ entry, content }) => [entry.path, entry.size, content.toString()])).toEqual([
    ['odd', 0, ''],
    ['next', 4, 'next'],
  ]);
});

const version1 = { 'GNU.sparse.major': '1', 'GNU.sparse.minor': '0', 'GNU.sparse.realsize': '9000' };
const version0 = { 'GNU.sparse.size': '9000', 'GNU.sparse.numblocks': '2' };
const data = Buffer.concat([Buffer.alloc(700, 'x'), Buffer.alloc(12, 'y')]);
const sparseContent = Buffer.alloc(9000);
sparseContent.set(data.subarray(0, 700), 100);
sparseContent.set(data.subarray(700), 8000);
const records = (pairs: readonly (readonly [string, string])[]): Buffer =>
  part({
    flag: 'x',
    data: pairs
      .map(([key, value]) =>
        pax({ [key]: value })
          .subarray(block)
          .toString()
          .replace(/\0+$/, ''),
      )
      .join(''),
  });
/** The numbers of parts in a header of the old format. */
const oldParts = (numbers: readonly number[], at: number) =>
  Object.fromEntries(numbers.map((number, index) => [at + 12 * index, octal(number)]));
const old = { flag: 'S', magic: 'ustar  \0', data };
const tiny = Array.from({ length: 30 }, (_, index) => [100 + 20 * index, 10]).flat();

test.each([
  [
    '0.0',
    records([
      ...Object.entries(version0),
      ['GNU.sparse.offset', '100'],
      ['GNU.sparse.numbytes', '700'],
      ['GNU.sparse.offset', '8000'],
      ['GNU.sparse.numbytes', '12'],
    ]),
    { name: 'real', data },
  ],
  ['0.1', pax({ ...version0, 'GNU.sparse.map': '100,700,8000,12', 'GNU.sparse.name': 'real' }), { data }],
  [
    '1.0',
    pax({ ...version1, 'GNU.sparse.name': 'real' }),
    { data: Buffer.concat([Buffer.alloc(block, '2\n100\n700\n8000\n12\n\0'.padEnd(block, '\0')), data]) },
  ],
  [
    'of the old GNU format',
    Buffer.alloc(0),
    { ...old, name: 'real', fields: { ...oldParts([100, 700, 8000, 12], 386), 483: octal(9000) } },
  ],
])('a sparse file, version %s, is whole, and so is what follows it', async (_, before, file) => {
  for (const lengths of [[700], [1], [100_000]]) {
    const found = await read(Buffer.concat([before, part(file), part({ name: 'next', data: 'next' }), end]), lengths);
    expect(found.map(({ entry }) => [entry.path, entry.type, entry.size])).toEqual([
      ['real', 'file', 9000],
      ['next', 'file', 4],
    ]);
    expect(found[0]?.content.equals(sparseContent)).toBe(true);
    expect(found[1]?.content.toString()).toBe('next');
  }
});

test('a sparse file of the old GNU format may have its parts in more blocks', async () => {
  const content = Buffer.alloc(300, 'z');
  const header = part({
    ...old,
    data: '',
    size: 300,
    fields: { ...oldParts(tiny.slice(0, 8), 386), 482: Uint8Array.of(1), 483: octal(900) },
  });
  const blocks = [tiny.slice(8, 50), tiny.slice(50)].map((numbers, index) => {
    const bytes = Buffer.alloc(block);
    for (const [at, text] of Object.entries(oldParts(numbers, 0))) bytes.write(text, Number(at));
    bytes[504] = index === 0 ? 1 : 0;
    return bytes;
  });
  const padded = Buffer.concat([content, Buffer.alloc(block - 300)]);
  const [found, next] = await read(archive(header, ...blocks, padded, { name: 'next' }));
  const expected = Buffer.alloc(900);
  for (let index = 0; index < tiny.length; index += 2) expected.fill('z', tiny[index], (tiny[index] ?? 0) + 10);
  expect([found?.content.equals(expected), next?.entry.path]).toEqual([true, 'next']);
});

test.each([
  ['parts beyond its end', pax({ ...version0, 'GNU.sparse.map': '8999,700' }), 'parts are not in it'],
  ['parts out of order', pax({ ...version0, 'GNU.sparse.map': '100,10,50,10' }), 'parts are not in it'],
  ['more bytes than are stored', pax({ ...version0, 'GNU.sparse.map': '0,5000' }), 'parts are not in it'],
  ['parts that are no numbers', pax({ ...version0, 'GNU.sparse.map': 'x,y' }), 'parts are not in it'],
  ['no list of parts', pax(version1), 'without a list of its parts'],
])('a sparse file with %s is refused when it is read', async (_, before, found) => {
  await expect(read(archive(before, { data }))).rejects.toThrow(found);
});

test.each([
  ['a wrong checksum', part({ damage: 0 }), 'wrong checksum'],
  ['bytes that are not tar', Buffer.alloc(block, 'x'), 'wrong checksum'],
  ['a uid that is not a number', part({ uid: 'x' }), '"file" with the uid NaN'],
  ['a number too large', part({ size: 0, uid: new Uint8Array(8).fill(0xbf) }), '"file" with the uid'],
  ['a size too large', part({ fields: { 124: new Uint8Array(12).fill(0xbf) } }), '"file" with the size'],
  ['an end in a header', part({}).subarray(0, 300), 'cut off'],
  ['an end in a file', part({ data: 'x'.repeat(600) }).subarray(0, block + 100), 'cut off'],
  ['a path with a NUL', Buffer.concat([pax({ path: 'a\0b' }), part({})]), 'the name "a\\u0000b", with a NUL'],
  [
    'a size that is not a number',
    Buffer.concat([pax({ size: '1e3' }), part({ data: 'x' })]),
    '"file" with the size NaN',
  ],
  ['a size below zero', part({ fields: { 124: new Uint8Array(12).fill(0xff, 0, 11) } }), '"file" with the size -256'],
  [
    'a sparse size below zero',
    archive(pax({ ...version1, 'GNU.sparse.realsize': '-5' }), {}),
    '"file" with the size -5',
  ],
  ['a time that is not a number', Buffer.concat([pax({ mtime: 'noon' }), part({})]), '"file" with the time NaN'],
  ['an extended header too long', archive(part({ flag: 'x', data: Buffer.alloc(2 ** 21, 'x') })), 'more than 1114112'],
  ['an extended header of zeros', archive(part({ flag: 'x', data: Buffer.alloc(2 ** 21) })), 'more than 1114112'],
  ['a long name of zeros', archive(part({ flag: 'L', data: Buffer.alloc(2 ** 21) })), 'more than 1114112'],
  ['an unknown type', part({ flag: 'V' }), 'of a type that no layer has,UNSUPPORTED'],
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

test('leaving early closes the bytes', async () => {
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

test('leaving does not wait for bytes that never arrive, however many of the entry have', async () => {
  const bytes = archive({ name: 'first', data: 'x' }, { data: Buffer.alloc(200_000) });
  for (let length = block; length < bytes.length; length += 9000) {
    let requests = 0;
    const stalled: AsyncIterable<Uint8Array> = {
      [Symbol.asyncIterator]: () => ({
        next: () => (requests++ === 0 ? Promise.resolve({ value: bytes.subarray(0, length) }) : new Promise(() => {})),
        return: async () => ({ value: undefined, done: true }),
      }),
    };
    for await (const { entry } of readTar(stalled, (what) => new Error(what))) if (entry.path === 'first') break;
    expect(requests).toBe(1);
  }
});

test('nor does refusing an archive', async () => {
  async function* stalled(): AsyncGenerator<Uint8Array, void> {
    yield part({ damage: 0 });
    throw new Error('more was requested');
  }
  await expect(readTar(stalled(), (what) => new Error(what)).next()).rejects.toThrow('wrong checksum');
});

test('reading content fails if the archive is closed while it waits for bytes', async () => {
  let requests = 0;
  let arrive = (): void => {};
  const value = part({ size: 9 });
  const bytes: AsyncIterator<Uint8Array> = {
    next: () =>
      new Promise((resolve) => {
        arrive = () => resolve({ value, done: false });
        if (requests++ === 0) arrive();
      }),
    return: async () => ({ value: undefined, done: true }),
  };
  const archived = readTar({ [Symbol.asyncIterator]: () => bytes }, (what) => new Error(what));
  const reading = (await archived.next()).value?.data[Symbol.asyncIterator]().next();
  const refused = expect(reading).rejects.toThrow('cut off');
  await archived.return();
  expect(requests).toBe(2);
  arrive();
  await refused;
});

test('reading an archive ends, whatever is changed in it', async () => {
  const parts = [
    part({ name: 'd/', flag: '5' }),
    pax({ path: 'long', mtime: '5.5', 'GNU.sparse.size': '7' }),
    part({ data: 'x'.repeat(700) }),
    part({ magic: 'ustar  \0', flag: 'L', data: 'name\0' }),
    part({ magic: 'ustar  \0', flag: '1', link: 'long' }),
    pax({ comment: 'by git' }, 'g'),
    part({ name: 'last', data: 'y'.repeat(512) }),
  ];
  const places = [0, 100, 108, 124, 130, 135, 136, 156, 257, 263, 345, 386, 482, 483, 520];
  const bytes = [0, 0x20, 0x30, 0x31, 0x37, 0x80, 0xff, ...Buffer.from('012345678xgLKSDVN=')];
  const change = fc.record({ at: fc.constantFrom(...places), byte: fc.constantFrom(...bytes) });
  const changed = fc.record({ part: fc.nat(parts.length - 1), changes: fc.array(change, { maxLength: 3 }) });
  const cuts = fc.array(fc.integer({ min: 1, max: 1500 }), { minLength: 1, maxLength: 3 });
  const length = fc.option(fc.nat(6000), { nil: undefined });
  await fc.assert(
    fc.asyncProperty(fc.array(changed, { maxLength: 3 }), cuts, length, async (mutations, lengths, end) => {
      const mutated = parts.map((one) => Buffer.from(one));
      for (const { part: index, changes } of mutations) {
        const one = mutated[index] ?? Buffer.alloc(0);
        for (const { at, byte } of changes) if (at < one.length) one[at] = byte;
        withSum(one);
      }
      const ending = read(archive(...mutated).subarray(0, end), lengths).then(
        () => 'ended',
        () => 'ended',
      );
      expect(await Promise.race([ending, setTimeout(1000, 'hangs', { ref: false })])).toBe('ended');
    }),
    { numRuns: 500 },
  );
}, 30_000);

test('an archive of node-tar is read as it was written', async () => {
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
    const entries = new Map(found.map(({ entry, content }) => [entry.path, { ...entry, content: content.toString() }]));
    expect(entries.get(`${'d'.repeat(120)}/${'e'.repeat(120)}/größe`)).toMatchObject({ type: 'file', content: 'deep' });
    expect(entries.get('third')).toMatchObject({ type: 'symlink', linkPath: '../first' });
    const pair = [entries.get('first'), entries.get('second')];
    expect(pair.map((entry) => entry?.type).sort()).toEqual(['file', 'hardlink']);
    const real = pair.find((entry) => entry?.type === 'file');
    expect(real).toMatchObject({ size: 100_000, content: 'x'.repeat(100_000), modified: new Date(1_000_000_000) });
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
