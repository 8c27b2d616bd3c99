import { randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import type { Content } from '../../src/content/content.ts';
import { listFiles, openFile } from '../../src/files/layer.ts';
import type { FilesOptions } from '../../src/files/locate.ts';
import { createClient } from '../../src/remote/client.ts';
import { createHosts, errorOf, sampleHost } from '../support/hosts.ts';
import { contentOf, type Layer, type LazyFile, type LazyShape, stargz, zstdChunked } from '../support/layers.ts';

const files: readonly LazyFile[] = [
  { path: 'etc/first', content: randomBytes(3000) },
  { path: 'etc/empty', content: Buffer.alloc(0) },
  { path: 'usr/large', content: randomBytes(250_000) },
  { path: 'usr/last', content: Buffer.from('the last') },
];

async function read(layer: Content, path: string, options: FilesOptions = {}) {
  const file = await openFile(layer, path, options);
  return { bytes: Buffer.from(await file.bytes()), verified: file.verified, entry: file.entry };
}

async function pathsOf(layer: Content, options: FilesOptions = {}): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of listFiles(layer, options)) paths.push(path);
  return paths;
}

const makers: readonly (readonly [string, number, (shape?: LazyShape) => Layer])[] = [
  ['eStargz', 2, (shape) => stargz(files, shape)],
  ['stargz', 2, (shape) => stargz(files, { ...shape, legacy: true })],
  ['zstd:chunked', 1, (shape) => zstdChunked(files, shape)],
];

test.each(makers)('%s: each file is whole and verified, by only its own range', async (_, tableRequests, make) => {
  for (const chunk of [4_194_304, 1000, 4096]) {
    const layer = make({ chunk });
    const { content, ranges } = await contentOf(layer);
    for (const { path, content: expected } of files) {
      const { bytes, verified, entry } = await read(content, path);
      expect([path, bytes.equals(expected), verified, entry.size]).toEqual([path, true, true, expected.length]);
      expect(entry.modified).toEqual(new Date('2020-01-02T03:04:05Z'));
    }
    expect(ranges.length).toBe(tableRequests + files.filter((file) => file.content.length > 0).length);
    expect(ranges.every((range) => range?.end !== undefined && range.end - range.start < layer.bytes.length)).toBe(
      true,
    );
  }
});

test.each(makers)('%s: the table lists the same entries as the layer', async (_, tableRequests, make) => {
  const { content, ranges } = await contentOf(make());
  const listed = await pathsOf(content);
  expect([listed, ranges.length]).toEqual([files.map(({ path }) => path), tableRequests]);
  const whole = await pathsOf(content, { unindexed: true });
  expect(whole.filter((path) => path !== 'stargz.index.json')).toEqual(listed);
  expect((await read(content, 'usr/last', { unindexed: true })).verified).toBe(false);
});

test.each(makers)('%s: a file that is not in the table is not there', async (_, tableRequests, make) => {
  const { content, ranges } = await contentOf(make());
  const error = await errorOf(openFile(content, 'etc/lasst'));
  expect([error.code, ranges.length]).toEqual(['NOT_FOUND', tableRequests]);
  expect((await errorOf(openFile(content, 'bin/first'))).message).toContain('did you mean "etc/first"?');
});

const digestKeys = ['containerd.io/snapshot/stargz/toc.digest', 'io.github.containers.zstd-chunked.manifest-checksum'];

test.each(makers)(
  '%s: the table of another digest is stale: the layer is read, with a warning',
  async (_, __, make) => {
    const layer = make();
    const wrong = `sha256:${'0'.repeat(64)}`;
    const annotations = Object.fromEntries(
      Object.entries(layer.descriptor.annotations ?? {}).map(([key, value]) => [
        key,
        digestKeys.includes(key) ? wrong : value,
      ]),
    );
    const { content } = await contentOf({ ...layer, descriptor: { ...layer.descriptor, annotations } });
    const warnings: string[] = [];
    const { bytes, verified } = await read(content, 'etc/first', { onWarning: (text) => void warnings.push(text) });
    expect([bytes.equals(files[0]?.content ?? Buffer.alloc(0)), verified]).toEqual([true, false]);
    expect(warnings).toEqual([expect.stringContaining(`instead of ${wrong}`)]);
  },
);

test.each(makers)('%s: bytes that are not those of the table are DIGEST_MISMATCH', async (_, __, make) => {
  const layer = make({
    table: ([first = {}]) => {
      first.chunkDigest = `sha256:${'1'.repeat(64)}`;
    },
  });
  const { content } = await contentOf(layer);
  const file = await openFile(content, 'etc/first');
  expect((await errorOf(file.bytes())).code).toBe('DIGEST_MISMATCH');
  expect(file.verified).toBe(false);
  expect((await read(content, 'usr/last')).verified).toBe(true);
});

const problems: readonly (readonly [string, string, (entries: Record<string, unknown>[]) => void])[] = [
  ['offsets outside of the layer', 'beyond its end', ([first = {}]) => Object.assign(first, { offset: 1e9 })],
  ['an invalid offset', 'has offset -1', ([first = {}]) => Object.assign(first, { offset: -1 })],
  [
    'a file without a digest',
    'without a digest',
    ([first = {}]) => Object.assign(first, { digest: '', chunkDigest: '' }),
  ],
  ['chunks that are not a whole file', 'chunks of', ([first = {}]) => Object.assign(first, { chunkSize: 5 })],
  ['chunks out of order', 'out of order', ([first = {}]) => Object.assign(first, { chunkOffset: 5 })],
  ['an unknown type', 'type "socket"', ([first = {}]) => Object.assign(first, { type: 'socket' })],
  ['a chunk without a file', 'in the middle of a file', ([first = {}]) => Object.assign(first, { type: 'chunk' })],
  ['a name that was not UTF-8', 'not UTF-8', ([first = {}]) => Object.assign(first, { name: 'a\ufffd' })],
];

test.each(problems)('a table with %s is not used, with a warning: the layer is read', async (_, found, table) => {
  for (const make of [stargz, zstdChunked]) {
    const { content } = await contentOf(make(files, { table }));
    const warnings: string[] = [];
    const onWarning = (text: string) => void warnings.push(text);
    const { bytes, verified } = await read(content, 'etc/first', { onWarning });
    expect([bytes.equals(files[0]?.content ?? Buffer.alloc(0)), verified]).toEqual([true, false]);
    expect(warnings).toEqual([expect.stringContaining(found)]);
    await read(content, 'usr/last', { onWarning });
    expect(warnings.length, 'reported once').toBe(1);
  }
});

test.each([
  ['io.github.containers.zstd-chunked.manifest-position', '1:2:3'],
  ['io.github.containers.zstd-chunked.manifest-position', '99999999:100:100:1'],
  ['io.github.containers.zstd-chunked.manifest-position', '10:100:100:2'],
  ['io.github.containers.zstd-chunked.manifest-position', `10:100:${2 ** 40}:1`],
  ['containerd.io/snapshot/stargz/toc.digest', `sha256:${'0'.repeat(64)}`],
])('the annotation %s with %j causes a warning if the layer has no table', async (key, value) => {
  const layer = zstdChunked(files);
  const { content } = await contentOf({ ...layer, descriptor: { ...layer.descriptor, annotations: { [key]: value } } });
  const warnings: string[] = [];
  const { bytes } = await read(content, 'usr/last', { onWarning: (text) => void warnings.push(text) });
  expect([bytes.toString(), warnings.length]).toEqual(['the last', 1]);
});

test('a file in the first unit of the layer is read', async () => {
  for (const make of [stargz, zstdChunked]) {
    const layer = make(files, {
      table: (entries) => {
        // As stargz-snapshotter writes small files: after their headers, in one unit.
        const [first = {}] = entries;
        Object.assign(first, { innerOffset: 512 });
        delete first.offset;
      },
      joinsFirst: true,
    });
    const { content } = await contentOf(layer);
    const { bytes, verified } = await read(content, 'etc/first');
    expect([bytes.equals(files[0]?.content ?? Buffer.alloc(0)), verified]).toEqual([true, true]);
  }
});

test.each([
  ['a list that is null', 'has no list of entries', () => '{"version":1,"entries":null}'],
  ['nothing', 'has version undefined', () => 'null'],
  ['a row that is null', 'has no list of entries', (json: string) => json.replace('[', '[null,')],
  ['a row that is a number', 'has no list of entries', (json: string) => json.replace('[', '[5,')],
  ['text that is not JSON', 'is not JSON', (json: string) => json.replace('"name"', 'name')],
  ['more than one list', 'has no list', (json: string) => json.replace('{', '{"entries":[],')],
])('a table with %s is not used, with a warning', async (_, found, change) => {
  for (const make of [stargz, zstdChunked]) {
    const { content } = await contentOf(make(files, { json: change }));
    const warnings: string[] = [];
    const { bytes } = await read(content, 'usr/last', { onWarning: (text) => void warnings.push(text) });
    expect([bytes.toString(), warnings]).toEqual(['the last', [expect.stringContaining(found)]]);
  }
});

test('rows may have null, text with brackets, and other fields around the list', async () => {
  const layer = stargz(files, {
    table: (entries) => {
      for (const entry of entries) Object.assign(entry, { linkName: null, xattrs: null, note: '}]{["\\' });
    },
    json: (json) => json.replace('{', '{"more":{"entries":[{"name":"no"}]},').replace(/}$/, ',"entriesMore":[1]}'),
  });
  const { content } = await contentOf(layer);
  expect(await pathsOf(content)).toEqual(files.map(({ path }) => path));
  expect((await read(content, 'usr/last')).verified).toBe(true);
});

test('the name of a table that looks like an escaped byte is that of the layer', async () => {
  const odd = [{ path: 'a\\xff', content: Buffer.from('odd') }];
  for (const unindexed of [true, false]) {
    const { content } = await contentOf(stargz(odd));
    expect((await pathsOf(content, { unindexed }))[0]).toBe('a\\x5cxff');
    expect((await read(content, 'a\\x5cxff', { unindexed })).bytes.toString()).toBe('odd');
  }
});

test('if a host refuses the part with a file, the layer is read', async () => {
  const layer = stargz(files);
  const host = await sampleHost([{ bytes: new Uint8Array(layer.bytes), descriptor: layer.descriptor }]);
  let requests = 0;
  const { transport } = createHosts({
    'origin.test': (request) => {
      const isPart = request.headers.get('range') !== null;
      // The table is read, by two parts.
      return isPart && ++requests > 2 ? new Response('no', { status: 403 }) : host(request);
    },
  });
  await using client = createClient({ transport });
  await using content = await client.fetcher('origin.test/app').fetch(layer.descriptor);
  const warnings: string[] = [];
  const { bytes, verified } = await read(content, 'usr/last', { onWarning: (text) => void warnings.push(text) });
  expect([bytes.toString(), verified, warnings.length]).toEqual(['the last', false, 1]);
});

test('a hard link leads to its file; a symbolic link and a directory are not files', async () => {
  const layer = stargz(files, {
    table: (entries) => {
      entries.push({ type: 'hardlink', name: 'link', linkName: './usr/last', mode: 0o644 });
      entries.push({ type: 'symlink', name: 'soft', linkName: 'usr/last', mode: 0o777, uid: 7, userName: 'seven' });
      entries.push({ type: 'dir', name: 'etc/', mode: 0o755, uid: 7, xattrs: { 'user.k': 'AP8=' } });
    },
  });
  const { content } = await contentOf(layer);
  const { bytes, entry } = await read(content, '/link');
  expect([bytes.toString(), entry.path, entry.type]).toEqual(['the last', 'link', 'file']);
  const error = await errorOf(openFile(content, 'soft'));
  expect([error.code, error.message]).toEqual([
    'UNSUPPORTED',
    expect.stringContaining('a symbolic link to "usr/last"'),
  ]);
  expect((await errorOf(openFile(content, 'etc'))).code).toBe('UNSUPPORTED');
  for await (const listed of listFiles(content)) {
    if (listed.path === 'etc')
      expect(listed).toMatchObject({ userName: 'seven', xattrs: { 'user.k': Uint8Array.of(0, 255) } });
  }
});

/** A host of one layer of which only the end exists; the rest is served as zeros. */
function hugeHost({ bytes, descriptor }: Layer, size: number) {
  const served: number[] = [];
  const hosts = createHosts({
    'origin.test': (request) => {
      const [, start, last] = /^bytes=(\d+)-(\d+)$/.exec(request.headers.get('range') ?? '') ?? [];
      if (start === undefined || last === undefined) return new Response('whole', { status: 500 });
      const body = new Uint8Array(Number(last) + 1 - Number(start));
      const at = Number(start) - (size - bytes.length);
      body.set(bytes.subarray(Math.max(0, at), Math.max(0, at) + body.length), Math.max(0, -at));
      served.push(body.length);
      return new Response(body, { status: 206, headers: { 'content-range': `bytes ${start}-${last}/${size}` } });
    },
  });
  return { ...hosts, served, descriptor: { ...descriptor, size } };
}

test.each([
  ['eStargz', stargz, 3],
  ['zstd:chunked', zstdChunked, 2],
] as const)('%s: a file of 1 KiB out of a layer of 1 GiB takes few requests and few bytes', async (_, make, most) => {
  const size = 2 ** 30;
  const many = Array.from({ length: 2000 }, (__, index) => ({
    path: `usr/share/doc/${index}`,
    content: Buffer.alloc(index % 90, 1),
  }));
  const wanted = { path: 'etc/wanted', content: randomBytes(1024) };
  const shape = [...many, wanted, ...files];
  const { bytes } = make(shape);
  const huge = make(shape, { before: size - bytes.length });
  const { transport, served, descriptor, log } = hugeHost(huge, size - bytes.length + huge.bytes.length);
  await using client = createClient({ transport });
  await using layer = await client.fetcher('origin.test/app').fetch(descriptor);
  const found = await read(layer, 'etc/wanted');
  expect([found.bytes.equals(wanted.content), found.verified]).toEqual([true, true]);
  expect(log().length).toBe(most);
  expect(served.reduce((sum, count) => sum + count, 0)).toBeLessThan(1_048_576);
  const next = await read(layer, 'usr/last');
  expect([next.bytes.toString(), log().length]).toEqual(['the last', most + 1]);
});

test('the last of duplicate paths in a table is read', async () => {
  const [first, last] = [Buffer.from('first'), Buffer.from('LAST')];
  const files = [
    { path: 'a', content: first },
    { path: 'b', content: Buffer.from('b') },
    { path: 'a', content: last },
  ];
  for (const make of [stargz, zstdChunked]) {
    const { content } = await contentOf(make(files));
    const file = await openFile(content, 'a', { verify: true });
    expect([await file.text(), file.verified]).toEqual(['LAST', true]);
    const through = await contentOf(make([...files, { path: 'a/b', content: first }]));
    expect((await errorOf(openFile(through.content, 'a'))).code).toBe('BAD_RESPONSE');
  }
});

test('the layer of a host without ranges is read as a whole, with a warning', async () => {
  const layer = stargz(files);
  const host = await sampleHost([{ bytes: new Uint8Array(layer.bytes), descriptor: layer.descriptor }]);
  const { transport } = createHosts({ 'origin.test': ({ url }) => host(new Request(url)) });
  await using client = createClient({ transport, limits: { discardBytes: 1000 } });
  await using content = await client.fetcher('origin.test/app').fetch(layer.descriptor);
  const warnings: string[] = [];
  const { bytes, verified } = await read(content, 'usr/last', { onWarning: (text) => void warnings.push(text) });
  expect([bytes.toString(), verified]).toEqual(['the last', false]);
  expect(warnings).toEqual([expect.stringContaining('the whole content for a range')]);
});
