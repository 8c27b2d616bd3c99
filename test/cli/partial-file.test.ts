import { link, lstat, mkdir, readdir, readFile, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openPartial, release } from '../../src/cli/partial-file.ts';
import { sampleOf } from '../contract/source.ts';
import { folder, registry, run } from './support.ts';

const bytes = Buffer.from(Uint8Array.from({ length: 20_000_000 }, (_, at) => (at * 7) & 255));
const big = sampleOf(bytes);
const { digest } = big.descriptor;
/** No process has this number: Linux and Windows keep theirs below. */
const gone = 2 ** 31 - 2;
const nameOf = (owner: number): string => `.out.${digest.slice(7, 23)}.${owner}-01234567.partial`;

async function host(options: Parameters<typeof registry>[0] = {}) {
  const ranges: string[] = [];
  const { port } = await registry({
    content: [big],
    gate: (next) => (request) => {
      if (request.method === 'GET' && request.url.includes('/blobs/'))
        ranges.push(request.headers.get('range') ?? 'whole');
      return next(request);
    },
    ...options,
  });
  const { path } = await folder({});
  const line = ['get', '--no-discover', '--json', `127.0.0.1:${port}/a@${digest}`, '-o', path('out')];
  return { line, ranges, path };
}

const right = async (path: (name: string) => string): Promise<void> => {
  expect(await readdir(path('.'))).toEqual(['out']);
  expect((await readFile(path('out'))).equals(bytes)).toBe(true);
};

test('what a process left that is gone is resumed, and verified with the rest', async () => {
  const { line, ranges, path } = await host();
  await writeFile(path(nameOf(gone)), bytes.subarray(0, 19_000_000));
  const { code, out } = await run(line);
  expect([code, JSON.parse(out.join('\n'))]).toMatchObject([0, { verified: true, descriptor: { digest } }]);
  expect(ranges.at(-1)).toBe(`bytes=19000000-${bytes.length - 1}`);
  await right(path);
});

test('a host without ranges sends the whole again, whose beginning is dropped, however long it is', async () => {
  const { line, path } = await host({
    gate: () => async () => new Response(bytes, { headers: { 'content-length': String(bytes.length) } }),
  });
  await writeFile(path(nameOf(gone)), bytes.subarray(0, 19_000_000));
  expect((await run(line)).code).toBe(0);
  await right(path);
});

test.each([
  ['wrong bytes', Buffer.alloc(1_000_000)],
  ['too many bytes', Buffer.alloc(21_000_000)],
  ['all bytes', bytes],
])('%s that were left are replaced if they are wrong', async (_, left) => {
  const { line, path } = await host();
  await writeFile(path(nameOf(gone)), left);
  expect((await run(line)).code).toBe(0);
  await right(path);
});

test('what a running process writes is left alone', async () => {
  const { line, path } = await host();
  await writeFile(path(nameOf(process.ppid)), 'x');
  expect((await run(line)).code).toBe(0);
  expect((await readdir(path('.'))).sort()).toEqual([nameOf(process.ppid), 'out'].sort());
});

test.runIf(process.platform !== 'win32')(
  'links and what is not a file are removed, and nothing is written through them',
  async () => {
    const { line, path } = await host();
    await writeFile(path('victim'), 'kept');
    const make = [
      (left: string) => symlink(path('victim'), left),
      (left: string) => link(path('victim'), left),
      (left: string) => mkdir(left),
    ];
    for (const prepare of make) {
      await prepare(path(nameOf(gone)));
      expect((await run(line)).code).toBe(0);
      expect((await readdir(path('.'))).sort()).toEqual(['out', 'victim']);
      expect(await readFile(path('victim'), 'utf8')).toBe('kept');
      expect((await lstat(path('out'))).nlink).toBe(1);
    }
  },
);

test('two at once in one process have a file each', async () => {
  const { path } = await folder({});
  const [first, second] = [
    await openPartial(path('out'), digest, undefined),
    await openPartial(path('out'), digest, undefined),
  ];
  expect(first.path).not.toBe(second.path);
  await first.file.close();
  release(first.path);
  const third = await openPartial(path('out'), digest, undefined);
  expect((await readdir(path('.'))).sort()).toEqual(
    [second.path, third.path].map((one) => one.slice(join(path('.'), '/').length)).sort(),
  );
  for (const each of [second, third]) {
    await each.file.close();
    release(each.path);
  }
});
