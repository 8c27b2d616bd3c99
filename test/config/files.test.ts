import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import fc from 'fast-check';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { decodeText, filesIn, namesIn, readBytes, textOf } from '../../src/config/files.ts';
import { readConfigFiles } from '../../src/config/load.ts';

import { problemOf } from './problem.ts';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ocifetch-files-'));
});
afterEach(() => rm(home, { recursive: true }));

const message = async (reading: Promise<unknown>): Promise<string> =>
  reading.then(
    () => 'accepted',
    (error: Error & { code: string }) => `${error.code} ${error.message.replaceAll(home, '')}`,
  );

const read = (name: string): Promise<string | undefined> => textOf({ path: join(home, name), named: true });

test('a file is read as it is, with its byte order mark', async () => {
  await writeFile(join(home, 'file'), '\ufeffa: ü\u{1f600}\0\n');
  expect(await read('file')).toBe('\ufeffa: ü\u{1f600}\0\n');
  await writeFile(join(home, 'empty'), '');
  expect(await read('empty')).toBe('');
});

test('what cannot be read is reported in words, with its path once', async () => {
  await mkdir(join(home, 'directory'));
  await writeFile(join(home, 'file'), '');
  await symlink('loop', join(home, 'loop'));
  expect(await message(read('none'))).toBe('INVALID_CONFIG Cannot read config file "/none": no such file');
  expect(await message(read('file/none'))).toBe('INVALID_CONFIG Cannot read config file "/file/none": no such file');
  expect(await message(read('directory'))).toBe(
    'INVALID_CONFIG Cannot read config file "/directory": it is a directory',
  );
  expect(await message(read('loop'))).toBe('INVALID_CONFIG Cannot read config file "/loop": a loop of symbolic links');
  const names = (name: string) => message(namesIn({ path: join(home, name), named: true }));
  expect(await names('none')).toBe('INVALID_CONFIG Cannot read config directory "/none": no such directory');
  expect(await names('file')).toBe('INVALID_CONFIG Cannot read config directory "/file": it is not a directory');
});

test('a file that is too long is not read', async () => {
  await writeFile(join(home, 'long'), '');
  await truncate(join(home, 'long'), 2 ** 40);
  expect(await message(read('long'))).toBe(
    'INVALID_CONFIG Cannot use config file "/long": found 1099511627776 bytes, expected at most 4194304',
  );
});

describe('a pipe', () => {
  const pipe = async (): Promise<string> => {
    await promisify(execFile)('mkfifo', [join(home, 'pipe')]);
    return join(home, 'pipe');
  };

  test('that nobody writes to is given up', async () => {
    const path = await pipe();
    expect(await message(readBytes(path, { limit: 100 }))).toBe(
      'INVALID_CONFIG Cannot read config file "/pipe": it is a pipe that did not end within 100 ms',
    );
  });

  test('is read to its end, however slowly it comes', async () => {
    const path = await pipe();
    const reading = read('pipe');
    await promisify(execFile)('sh', ['-c', 'exec > "$0"; sleep 0.2; echo one; sleep 0.2; echo two', path]);
    expect(await reading).toBe('one\ntwo\n');
  });

  test('without an end is read no further than any file', async () => {
    const path = await pipe();
    const reading = message(read('pipe'));
    await promisify(execFile)('sh', ['-c', 'cat /dev/zero > "$0" || true', path]).catch(() => {});
    expect(await reading).toMatch(/^INVALID_CONFIG Cannot use config file "\/pipe": found \d+ bytes, expected at most/);
  });
});

test('a device is a file like any other', async () => {
  expect(await textOf({ path: '/dev/null', named: true })).toBe('');
});

test.each<[name: string, bytes: Buffer, expected: string]>([
  ['Latin-1', Buffer.from('a: b\npassword: hunter2\xe9x\n', 'latin1'), 'f:2:18: found bytes that are not UTF-8'],
  ['a character that is cut off', Buffer.from([0x61, 0xe2, 0x82]), 'f:1:2: found bytes that are not UTF-8'],
  ['half a surrogate pair', Buffer.from([0x0a, 0x0a, 0xed, 0xa0, 0x80]), 'f:3:1: found bytes that are not UTF-8'],
  ['UTF-16 with its mark', Buffer.from('\ufeffmirrors:', 'utf16le'), 'f:1:1: found UTF-16, expected UTF-8'],
  ['UTF-16, the other way', Buffer.from('\ufeffmirrors:', 'utf16le').swap16(), 'f:1:1: found UTF-16, expected UTF-8'],
  ['UTF-16 without a mark', Buffer.from('mirrors:', 'utf16le'), 'f:1:1: found UTF-16, expected UTF-8'],
])('%s is refused by its place, and not shown', (_, bytes, expected) => {
  const told = problemOf(() => decodeText(bytes, 'f'));
  expect(told).toContain(`Cannot use config file "f": ${expected}`);
  expect(told).not.toMatch(/hunter2|mirrors|\ufffd/);
});

test('a text of any characters is what it was', () => {
  for (const text of ['', 'a', '\0', '\0\0\0\0', 'a\0b', '\ufffd', '\u{10ffff}\n', 'é\r\nü']) {
    expect(decodeText(Buffer.from(text), 'f')).toBe(text);
  }
});

test('any bytes are a text that is written as they are, or refused at their first wrong one, in linear time', () => {
  const pieces = fc.constantFrom('\n', 'a', 'ü', '\u{1f600}', '\ufffd', '\ufeff').map((text) => Buffer.from(text));
  const wrong = fc.constantFrom([0x80], [0xff], [0xe2, 0x82], [0xed, 0xa0, 0x80]).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(fc.array(pieces), fc.option(wrong), fc.array(pieces), (before, fault, after) => {
      const right = Buffer.concat([Buffer.from('a: "b"'), ...before]);
      const bytes = Buffer.concat([right, fault ?? Buffer.of(), Buffer.from('"'), ...after]);
      const lines = right.toString('utf8').split('\n');
      const place = `f:${lines.length}:${(lines.at(-1) ?? '').length + 1}: found bytes that are not UTF-8`;
      const told = problemOf(() => expect(Buffer.from(decodeText(bytes, 'f')).equals(bytes)).toBe(true));
      if (fault) expect(told).toContain(place);
      else expect(told).toBeUndefined();
    }),
  );
  const started = performance.now();
  const long = Buffer.concat([Buffer.from('\ufffd\n'.repeat(250_000)), Buffer.of(0xff)]);
  expect(problemOf(() => decodeText(long, 'f'))).toContain('f:250001:1: ');
  expect(performance.now() - started).toBeLessThan(8_000);
});

test('directories are not drop-ins, also behind a link', async () => {
  await mkdir(join(home, 'registries.conf.d/x.conf'), { recursive: true });
  await symlink('x.conf', join(home, 'registries.conf.d/link.conf'));
  await writeFile(join(home, 'registries.conf.d/y.conf'), 'unqualified-search-registries = ["quay.io"]\n');
  expect(await filesIn(join(home, 'registries.conf.d'))).toEqual([join(home, 'registries.conf.d/y.conf')]);
  expect(await filesIn(join(home, 'none'))).toEqual([]);
  const { config, files } = await readConfigFiles({ registriesConf: join(home, 'registries.conf') });
  expect(config.shortNames?.search).toEqual(['quay.io']);
  expect(files).toHaveLength(1);
});
