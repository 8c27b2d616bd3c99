import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { deflateSync, gzipSync } from 'node:zlib';
import { expect, test } from 'vitest';
import { createBody } from '../../src/body.ts';
import type { Content } from '../../src/content/content.ts';
import { listFiles, openFile } from '../../src/files/layer.ts';
import { createClient } from '../../src/remote/client.ts';
import type { Source } from '../../src/source.ts';
import { errorOf } from '../support/hosts.ts';
import { contentOf, contentOver, layerOf } from '../support/layers.ts';
import { archive, pax } from '../support/tar.ts';
import { zstdFrame } from '../support/zstd-frames.ts';

const large = randomBytes(60_000);
const plain = archive(
  { name: 'etc/', flag: '5' },
  { name: 'etc/hostname', data: 'host\n' },
  { name: 'etc/.wh.gone' },
  { name: 'bin/large', data: large },
  { name: 'bin/again', flag: '1', link: './bin/large' },
  { name: 'bin/soft', flag: '2', link: 'large' },
  { name: 'bin/later', flag: '1', link: 'usr/last' },
  { name: 'usr/last', data: 'last' },
);
const types = {
  tar: 'application/vnd.oci.image.layer.v1.tar',
  gzip: 'application/vnd.oci.image.layer.v1.tar+gzip',
  zstd: 'application/vnd.oci.image.layer.v1.tar+zstd',
};
const gzip = gzipSync(plain);
const zstd = zstdFrame({ blocks: [{ kind: 'raw', bytes: plain }], window: 0x60 });

async function pathsOf(layer: Content): Promise<string[]> {
  const paths: string[] = [];
  for await (const { path } of listFiles(layer)) paths.push(path);
  return paths;
}

test.each([
  ['tar', plain, types.tar],
  ['gzip', gzip, types.gzip],
  ['gzip members', Buffer.concat([gzipSync(plain.subarray(0, 700)), gzipSync(plain.subarray(700))]), types.gzip],
  ['zstd', zstd, types.zstd],
  ['Docker', gzip, 'application/vnd.docker.image.rootfs.diff.tar.gzip'],
  ['Docker, not distributable', gzip, 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip'],
  ['not distributable', gzip, 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip'],
  ['bytes without a type', zstd, 'application/octet-stream'],
  ['a wrong type', plain, types.gzip],
  ['another wrong type', zstd, types.tar],
])('%s: listed in the order of the archive, and opened', async (_, bytes, mediaType) => {
  const { content } = await contentOf(layerOf(bytes, mediaType));
  const expected = [
    'etc',
    'etc/hostname',
    'etc/.wh.gone',
    'bin/large',
    'bin/again',
    'bin/soft',
    'bin/later',
    'usr/last',
  ];
  expect(await pathsOf(content)).toEqual(expected);
  expect(content.verified).toBe(true);
  await using file = await openFile(content, '/etc/hostname');
  expect(file.entry).toMatchObject({ path: 'etc/hostname', size: 5, layer: content.descriptor.digest });
  expect([await file.text(), file.verified]).toEqual(['host\n', false]);
});

test('a file is read in pieces; with verify, so is the rest of the layer', async () => {
  const { content } = await contentOf(layerOf(gzip, types.gzip));
  const file = await openFile(content, 'bin/large', { verify: true });
  const chunks: Uint8Array[] = [];
  for await (const chunk of file) {
    expect(file.verified).toBe(false);
    chunks.push(chunk);
  }
  expect([Buffer.concat(chunks).equals(large), file.verified, content.verified]).toEqual([true, true, true]);
});

test('a layer with wrong bytes is DIGEST_MISMATCH with verify; without it that cannot be known', async () => {
  const right = layerOf(archive({ name: 'etc/hostname', data: 'good\n' }, { data: large }));
  const { source } = sourceOf(archive({ name: 'etc/hostname', data: 'evil\n' }, { data: large }));
  const { content } = contentOver(source, right.descriptor);
  expect(await (await openFile(content, 'etc/hostname')).text()).toBe('evil\n');
  const file = await openFile(content, 'etc/hostname', { verify: true });
  expect((await errorOf(file.text())).code).toBe('DIGEST_MISMATCH');
  expect((await errorOf(pathsOf(content))).code).toBe('DIGEST_MISMATCH');
});

/** A source of these bytes in pieces of 1000, with the bytes read and how often it was cancelled. */
function sourceOf(bytes: Uint8Array) {
  const seen = { read: 0, cancelled: 0 };
  const fetch: Source['fetch'] = async (descriptor, { range, signal } = {}) => {
    const { start, end = bytes.length } = range ?? { start: 0 };
    let at = start;
    const next = () => {
      if (at >= end) return undefined;
      const piece = bytes.slice(at, Math.min(end, at + 1000));
      at += piece.length;
      seen.read += piece.length;
      return piece;
    };
    const cancel = () => {
      seen.cancelled += 1;
    };
    return { descriptor, from: 'test', body: createBody({ next, cancel }, { signal }).body };
  };
  return { seen, source: { resolve: () => Promise.reject(new Error('not expected')), fetch } };
}

function counted(bytes: Buffer, mediaType: string) {
  const { seen, source } = sourceOf(bytes);
  return { ...contentOver(source, layerOf(bytes, mediaType).descriptor), seen };
}

const long = archive(
  { name: 'first', data: 'first' },
  ...Array.from({ length: 40 }, () => ({ data: randomBytes(20_000) })),
);

test.each([
  ['tar', long, types.tar],
  ['gzip', gzipSync(long), types.gzip],
  [
    'zstd',
    zstdFrame({
      blocks: Array.from({ length: 9 }, (_, at) => ({
        kind: 'raw' as const,
        bytes: long.subarray(at * 100_000, (at + 1) * 100_000),
      })),
    }),
    types.zstd,
  ],
])('%s: the layer is read no further than the file, and cancelled', async (_, bytes, mediaType) => {
  const { content, seen } = counted(bytes, mediaType);
  expect(await (await openFile(content, 'first')).text()).toBe('first');
  expect(seen.cancelled).toBe(1);
  expect(seen.read).toBeLessThan(bytes.length / 2);
  for await (const { path } of listFiles(content)) if (path === 'first') break;
  expect(seen.cancelled).toBe(2);
});

test('closing a file that was not read, leaving its loop, and closing the layer each free the connection', async () => {
  const { content, seen } = counted(long, types.tar);
  const unread = await openFile(content, 'file');
  await unread.close();
  expect(seen.cancelled).toBe(1);
  expect((await errorOf(unread.bytes())).code).toBe('CLOSED');
  const left = await openFile(content, 'file');
  for await (const chunk of left) if (chunk.length > 0) break;
  expect(seen.cancelled).toBe(2);
  expect((await errorOf(left.text())).code).toBe('CLOSED');
  const closed = await openFile(content, 'file');
  await content.close();
  expect(seen.cancelled).toBe(3);
  expect((await errorOf(closed.bytes())).code).toBe('CLOSED');
});

test('a file is read once', async () => {
  const { content } = await contentOf(layerOf(plain));
  const file = await openFile(content, 'etc/hostname');
  await file.bytes();
  expect((await errorOf(file.bytes())).message).toContain('open it again');
});

test('a signal aborts listing, opening and reading', async () => {
  const { content } = await contentOf(layerOf(plain));
  const ended = AbortSignal.abort(new Error('enough'));
  expect((await errorOf(openFile(content, 'etc/hostname', { signal: ended }))).code).toBe('ABORTED');
  expect((await errorOf(listFiles(content, { signal: ended }).next())).code).toBe('ABORTED');
  const controller = new AbortController();
  const file = await openFile(content, 'bin/large', { signal: controller.signal });
  controller.abort(new Error('enough'));
  expect((await errorOf(file.bytes())).code).toBe('ABORTED');
});

test('a hard link is what it links to, even if that comes later; a symbolic link is reported', async () => {
  const { content } = await contentOf(layerOf(gzip, types.gzip));
  const again = await openFile(content, 'bin/again');
  expect(again.entry).toMatchObject({ path: 'bin/again', type: 'file', size: large.length });
  expect(Buffer.from(await again.bytes()).equals(large)).toBe(true);
  expect(await (await openFile(content, 'bin/later')).text()).toBe('last');
  const error = await errorOf(openFile(content, 'bin/soft'));
  expect([error.code, error.message]).toEqual(['UNSUPPORTED', expect.stringContaining('symbolic link to "large"')]);
  expect((await errorOf(openFile(content, 'etc'))).message).toContain('it is a directory');
});

test('hard links to a missing path or back to themselves are DECODE_ERROR', async () => {
  const bytes = archive(
    { name: 'a', flag: '1', link: 'b' },
    { name: 'b', flag: '1', link: 'a' },
    { name: 'c', flag: '1', link: 'd' },
  );
  const { content } = await contentOf(layerOf(bytes));
  expect((await errorOf(openFile(content, 'a'))).code).toBe('DECODE_ERROR');
  expect((await errorOf(openFile(content, 'c'))).message).toContain('a hard link to "d", which is not there');
});

test.each([
  ['the same path', [{ name: 'd/a', data: '2' }]],
  ['a hard link', [{ name: './d//a', flag: '1', link: 'b' }]],
  ['a file below it, which makes it a directory', [{ name: 'd/a/b', data: '2' }]],
  ['a file that replaces its directory', [{ name: 'd', data: '2' }]],
])('the first of duplicate paths is read, which verify refuses: %s', async (_, parts) => {
  const { content } = await contentOf(
    layerOf(archive({ name: 'd/', flag: '5' }, { name: 'd/a', data: '1' }, ...parts)),
  );
  expect(await (await openFile(content, 'd/a')).text()).toBe('1');
  const file = await openFile(content, 'd/a', { verify: true });
  const chunks: string[] = [];
  const reading = (async () => {
    for await (const chunk of file) chunks.push(Buffer.from(chunk).toString());
  })();
  const error = await errorOf(reading);
  expect([error.code, error.message]).toEqual(['BAD_RESPONSE', expect.stringContaining('"d/a"')]);
  expect([chunks, file.verified]).toEqual([['1'], false]);
});

test('what follows the end of the archive is hashed, unpacked and ignored', async () => {
  const trailing = Buffer.concat([plain, Buffer.alloc(400, 'junk')]);
  for (const [bytes, mediaType] of [
    [trailing, types.tar],
    [gzipSync(trailing), types.gzip],
  ] as const) {
    const { content } = await contentOf(layerOf(bytes, mediaType));
    expect(await pathsOf(content)).toContain('usr/last');
    const file = await openFile(content, 'etc/hostname', { verify: true });
    expect([await file.text(), file.verified, content.verified]).toEqual(['host\n', true, true]);
  }
  const damaged = await contentOf(layerOf(Buffer.concat([gzip, Buffer.from('junk')]), types.gzip));
  expect((await errorOf(pathsOf(damaged.content))).code).toBe('DECODE_ERROR');
  const wrong = layerOf(trailing);
  const { source } = sourceOf(Buffer.concat([plain, Buffer.alloc(400, 'evil')]));
  expect((await errorOf(pathsOf(contentOver(source, wrong.descriptor).content))).code).toBe('DIGEST_MISMATCH');
});

test.each([
  ['etc/hostnam', 'etc/hostname'],
  ['ETC/Hostname', 'etc/hostname'],
  ['usr/bin/large', 'bin/large'],
])('%j is NOT_FOUND, with the nearest path %j', async (path, near) => {
  const { content } = await contentOf(layerOf(plain));
  const error = await errorOf(openFile(content, path));
  expect(error).toMatchObject({ code: 'NOT_FOUND', reason: 'path', value: path });
  expect(error.message).toContain(`did you mean "${near}"?`);
});

test('a file that is read into memory is bounded', async () => {
  const { content } = await contentOf(layerOf(plain));
  const file = await openFile(content, 'bin/large');
  expect(await errorOf(file.bytes({ limit: 59_999 }))).toMatchObject({
    code: 'TOO_LARGE',
    reason: 'limit',
    value: 'bin/large',
  });
  const bomb = archive(pax({ 'GNU.sparse.size': '9000000000' }), { name: 'bomb' });
  const huge = await openFile((await contentOf(layerOf(bomb))).content, 'bomb');
  expect(huge.entry.size).toBe(9_000_000_000);
  expect((await errorOf(huge.bytes())).code).toBe('TOO_LARGE');
});

test.each([
  ['it is encrypted', gzip, `${types.gzip}+encrypted`, 'UNSUPPORTED'],
  ['it is JSON', Buffer.from('{}'), 'application/vnd.oci.image.config.v1+json', 'UNSUPPORTED'],
  ['it is packed as xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1, 2]), types.gzip, 'UNSUPPORTED'],
  ['it is packed as bzip2', Buffer.from('BZh91AY&SY'), types.tar, 'UNSUPPORTED'],
  ['wrong checksum', deflateSync(randomBytes(9000)), types.tar, 'DECODE_ERROR'],
  ['cut off', plain.subarray(0, 1900), types.tar, 'DECODE_ERROR'],
  ['unexpected end of input', gzip.subarray(0, -20), types.gzip, 'DECODE_ERROR'],
  ['wrong checksum', Buffer.from('x'.repeat(600)), types.tar, 'DECODE_ERROR'],
] as const)('%s: refused, naming the layer', async (found, bytes, mediaType, code) => {
  const { content } = await contentOf(layerOf(Buffer.from(bytes), mediaType));
  for (const doing of [() => pathsOf(content), () => openFile(content, 'not/there')]) {
    const error = await errorOf(doing());
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(found)]);
    expect(error.message).toContain(content.descriptor.digest);
  }
});

test.each(['text/plain', 'application/vnd.example.blob', 'application/octet-stream'])(
  'content of type %s is read if it is an archive, and otherwise refused by its type',
  async (type) => {
    const { content } = await contentOf(layerOf(long, type));
    expect(await pathsOf(content)).toContain('first');
    const other = await contentOf(layerOf(Buffer.from('some text'), type));
    const error = await errorOf(pathsOf(other.content));
    expect([error.code, error.message]).toEqual([
      'UNSUPPORTED',
      expect.stringContaining(`"${type}": it is not an archive`),
    ]);
  },
);

test('the socket is closed when the file was read, and when the loop is left', async () => {
  const size = 2 ** 30;
  const closed: Promise<void>[] = [];
  const server = createServer((_, response) => {
    closed.push(new Promise((resolve) => void response.on('close', () => resolve())));
    response.writeHead(200, { 'content-length': size });
    response.write(long);
  }).listen(0, '127.0.0.1');
  try {
    await once(server, 'listening');
    await using client = createClient();
    const { port } = server.address() as AddressInfo;
    const descriptor = { ...layerOf(long).descriptor, size };
    await using layer = await client.fetcher(`127.0.0.1:${port}/app`).fetch(descriptor);
    expect(await (await openFile(layer, 'first')).text()).toBe('first');
    await closed[0];
    for await (const { path } of listFiles(layer)) if (path === 'file') break;
    await closed[1];
    const unread = await openFile(layer, 'first');
    await unread.close();
    await closed[2];
    // The rest never comes: closing does not wait for it.
    const waiting = openFile(layer, 'missing');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await layer.close();
    expect((await errorOf(waiting)).code).toBe('CLOSED');
    expect(closed.length).toBe(4);
  } finally {
    server.closeAllConnections();
    server.close();
  }
});

test('unknown options and wrong values are INVALID_CONFIG before anything is read', async () => {
  const { content, ranges } = await contentOf(layerOf(archive({ name: 'a', data: 'x' })));
  const wrong: readonly [options: object, problem: string][] = [
    [{ unindex: true }, 'unknown option "unindex", did you mean "unindexed"?'],
    [{ unindexed: 'yes' }, 'found "yes", expected true or false'],
    [{ signal: 5 }, 'expected an AbortSignal'],
    [{ onWarning: 'print' }, 'expected a function'],
  ];
  for (const [options, problem] of wrong) {
    for (const asked of [listFiles(content, options).next(), openFile(content, 'a', options)]) {
      const error = await errorOf(asked);
      expect([error.code, error.message]).toEqual(['INVALID_CONFIG', expect.stringContaining(problem)]);
    }
  }
  expect((await errorOf(openFile(content, 'a', { verify: 1 } as object))).code).toBe('INVALID_CONFIG');
  expect(ranges).toEqual([]);
});
