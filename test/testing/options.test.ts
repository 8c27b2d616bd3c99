import type { RegistryError } from 'ocifetch';
import { type Fault, testRegistry } from 'ocifetch/testing';
import { expect, test } from 'vitest';
import { checkFault, checkTestOptions } from '../../src/testing/options.ts';

/** What is found wrong with options, each with its key. */
function problemsOf(options: unknown): string[] {
  try {
    checkTestOptions(options);
  } catch (error) {
    const { code, problems } = error as RegistryError;
    expect(code).toBe('INVALID_CONFIG');
    return problems.map(({ key, found }) => (key === undefined ? found : `${key}: ${found}`));
  }
  return [];
}

test.each<[fault: unknown, found: string]>([
  [5, 'faults[0]: found 5, expected an object of options'],
  [{ cutt: 3 }, 'unknown option "faults[0].cutt", did you mean "faults[0].cut"?'],
  [
    {},
    'faults[0]: nothing goes wrong, expected one of status, rateLimit, expiredToken, cut, reset, stall, shorten, raw, down, delay, headers, speed, body, wrongBytes, change, ignoreRange',
  ],
  [{ kind: 'blob' }, 'faults[0]: nothing goes wrong'],
  [{ cut: -1 }, 'faults[0].cut: found -1, expected "head" or a number of bytes'],
  [{ cut: 'body' }, 'faults[0].cut: found "body", expected "head" or a number of bytes'],
  [{ shorten: 'head' }, 'faults[0].shorten: found "head", expected a whole number, at least 0'],
  [{ status: 99 }, 'faults[0].status: found 99, expected a whole number, 200 to 599'],
  [{ status: '500' }, 'faults[0].status: found "500", expected a whole number, 200 to 599'],
  [{ status: 500, rateLimit: 1 }, 'faults[0]: found "status" and "rateLimit", expected one of them'],
  [{ cut: 1, stall: 2, raw: '' }, 'faults[0]: found "cut" and "stall" and "raw", expected one of them'],
  [{ expiredToken: true }, 'faults[0]: found "expiredToken", expected a registry with access "token"'],
  [{ kind: 'blobs', cut: 1 }, 'faults[0].kind: found "blobs", expected "base", "catalog", "manifest", "blob",'],
  [{ method: 'get', cut: 1 }, 'faults[0].method: found "get", expected a method, in capital letters'],
  [{ nth: 0, cut: 1 }, 'faults[0].nth: found 0, expected a whole number from 1 on, several of them, or { from, to }'],
  [{ nth: { from: 3, to: 2 }, cut: 1 }, 'faults[0].nth: found an object, expected a whole number from 1 on'],
  [{ nth: { form: 3 }, cut: 1 }, 'faults[0].nth: found an object'],
  [{ nth: [], cut: 1 }, 'faults[0].nth: found a list'],
  [{ repository: 5, cut: 1 }, 'faults[0].repository: found 5, expected a text or a pattern'],
  [{ headers: { 'a b': '' } }, 'faults[0].headers: found an object, expected values of headers by name, or null'],
  [{ headers: { a: 'x\r\ny' } }, 'faults[0].headers: found an object'],
  [{ change: 'x' }, 'faults[0].change: found "x", expected a function'],
  [{ delay: Number.NaN }, 'faults[0].delay: found NaN'],
  [{ down: 0 }, 'faults[0].down: found 0, expected true or milliseconds'],
  [{ down: false }, 'faults[0].down: found false'],
])('a wrong fault is refused, with what was expected: %j', (fault, found) => {
  expect(problemsOf({ faults: [fault] })).toEqual([expect.stringContaining(found)]);
});

test.each<Fault>([
  { cut: 'head' },
  { nth: { to: 2 }, status: 500, delay: 1, cut: 3, headers: { a: ['b', 'c'], d: null } },
  {
    nth: [1, 5],
    method: ['GET', 'HEAD'],
    kind: ['blob', 'token'],
    repository: /x/,
    reference: 'a',
    host: 'b',
    raw: '',
  },
  { rateLimit: 'Wed, 21 Oct 2015 07:28:00 GMT', when: () => true },
  { ignoreRange: true, speed: 1 },
])('a right one is not: %o', (fault) => {
  expect(problemsOf({ faults: [fault] })).toEqual([]);
});

test.each<[image: unknown, found: string, name?: string]>([
  [{}, 'images["Team/app"]: found "Team/app", ', 'Team/app'],
  [{}, 'images["a:b:c"]: found "a:b:c", expected repository:tag', 'a:b:c'],
  [{}, 'images["a:.x"]: found "a:.x", expected repository:tag', 'a:.x'],
  [[], 'images.app: found a list, expected an object of options'],
  [{ file: {} }, 'unknown option "images.app.file", did you mean "images.app.files"?'],
  [{ files: [] }, 'images.app.files: found a list, expected files by path'],
  [{ files: { '/a': '' } }, 'images.app.files["/a"]: found "", expected a path without "/" at the beginning'],
  [{ files: { 'a/../b': '' } }, 'images.app.files["a/../b"]: found ""'],
  [{ files: { a: 5 } }, 'images.app.files.a: found 5, expected a text, bytes, or an object with content, size or link'],
  [
    { files: { a: { content: '', size: 3 } } },
    'images.app.files.a: found an object, expected only one of content, size',
  ],
  [{ files: { a: { mode: '755' } } }, 'images.app.files.a.mode: found "755", expected a whole number, 0 to 4095'],
  [{ files: {}, layers: [] }, 'images.app: found "files" and "layers", expected one of them'],
  [{ layers: {} }, 'images.app.layers: found an object, expected a list'],
  [{ layers: [{ files: {}, bytes: '' }] }, 'images.app.layers[0]: found "files" and "bytes", expected one of them'],
  [{ layers: ['x'] }, 'images.app.layers[0]: found "x", expected an object of options'],
  [
    { layers: [{ compression: 'xz' }] },
    'images.app.layers[0].compression: found "xz", expected "gzip", "zstd", "none"',
  ],
  [{ platforms: ['amd64/'] }, 'images.app.platforms: found "amd64/", expected os/architecture'],
  [{ platforms: [5] }, 'images.app.platforms: found 5, expected os/architecture'],
  [{ platforms: { 'linux/arm64': { tag: 1 } } }, 'unknown option "images.app.platforms[\\"linux/arm64\\"].tag"'],
  [{ subject: 'other:1' }, 'images.app.subject: found "other:1", expected an image of "app" before this one'],
  [{ tags: ['a/b'] }, 'images.app.tags: found a list, expected a list of tags'],
  [{ format: 'OCI' }, 'images.app.format: found "OCI", expected "oci", "docker"'],
])('a wrong image is refused, with what was expected: %j', (image, found, name = 'app') => {
  expect(problemsOf({ images: { [name]: image } })).toEqual([expect.stringContaining(found)]);
});

test('everything that is wrong is said at once, and nothing starts', async () => {
  const options = { fault: [], images: { app: { files: 1 } }, faults: [{ cut: 1 }, { cut: 'x' }], access: 'none' };
  expect(problemsOf(options)).toEqual([
    'unknown option "fault", did you mean "faults"?',
    expect.stringMatching(/^access: found "none", expected "token", "basic"/),
    expect.stringMatching(/^images\.app\.files: /),
    expect.stringMatching(/^faults\[1\]\.cut: /),
  ]);
  await expect(testRegistry(options as object)).rejects.toMatchObject({ code: 'INVALID_CONFIG' });
});

test('a fault that is added later is checked, too', () => {
  expect(() => checkFault({ expiredToken: true }, { access: 'token' })).not.toThrow();
  expect(() => checkFault({ expiredToken: true }, { users: {} })).not.toThrow();
  expect(() => checkFault({ cut: 'x' }, {})).toThrow(
    'Cannot add a fault: cut: found "x", expected "head" or a number of bytes',
  );
});
