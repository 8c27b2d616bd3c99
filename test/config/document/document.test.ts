import { expect, test } from 'vitest';
import {
  allFiles,
  declaredPlace,
  directoryError,
  fileError,
  unreadable,
} from '../../../src/config/document/document.ts';

test('the problems of a file are data, sorted by place, and the message shows the same', () => {
  const error = fileError('/a.toml', [
    { found: 'too long' },
    { at: { line: 3, column: 2 }, key: 'host.ca', found: 'found 5' },
    { at: { line: 1, column: 9 }, found: 'not TOML' },
  ]);
  expect(error.problems).toEqual([
    { file: '/a.toml', line: 1, column: 9, key: undefined, found: 'not TOML' },
    { file: '/a.toml', line: 3, column: 2, key: 'host.ca', found: 'found 5' },
    { file: '/a.toml', line: undefined, column: undefined, key: undefined, found: 'too long' },
  ]);
  expect(error).toMatchObject({ attempted: 'use config file "/a.toml"', value: '/a.toml' });
  expect(error.message).toBe(
    'Cannot use config file "/a.toml": 3 problems\n  /a.toml:1:9: not TOML\n  /a.toml:3:2: host.ca: found 5\n  too long',
  );
});

test('the errors of several files become one, however they are nested', async () => {
  const places = allFiles([
    Promise.reject(fileError('/a', [{ at: { line: 1, column: 1 }, found: 'bad' }])),
    Promise.reject(directoryError('/d', [{ file: '/d', found: 'found two' }])),
  ]);
  const all = allFiles<unknown>([places, Promise.resolve(1), Promise.reject(unreadable('/c', 'no such file'))]);
  const error = await all.catch((thrown) => thrown);
  expect(error).toMatchObject({ code: 'INVALID_CONFIG', reason: undefined });
  expect(error.problems.map(({ file }: { file: string }) => file)).toEqual(['/a', '/d', '/c']);
  expect(error.message).toBe(
    'Cannot use 3 config files: 3 problems\n  /a:1:1: bad\n  /d: found two\n  /c: no such file',
  );
});

test('a file that cannot be read has its own reason', () => {
  expect(unreadable('/c', 'no such file')).toMatchObject({
    reason: 'unreadable',
    value: '/c',
    problems: [{ file: '/c', found: 'no such file' }],
    message: 'Cannot read config file "/c": no such file',
  });
});

test.each([
  ['C:\\k\\r.yaml:9:7: configs["*"].tls', { file: 'C:\\k\\r.yaml', line: 9, column: 7, key: 'configs["*"].tls' }],
  ['/etc/certs.d/q.io:5000', { file: '/etc/certs.d/q.io:5000' }],
])('the place %s is read as it was written', (text, place) => {
  expect(declaredPlace(text)).toEqual(place);
});
