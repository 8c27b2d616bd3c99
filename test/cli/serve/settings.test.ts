import { stat } from 'node:fs/promises';
import { expect, test } from 'vitest';
import { isLoopback, prepareDirectory, serveSettings } from '../../../src/cli/serve/settings.ts';
import { certificate } from '../../server/certificate.ts';
import { folder } from '../support.ts';

const settings = (texts: Readonly<Record<string, string>> = {}, words: string[] = [], flags: string[] = []) =>
  serveSettings({ texts, words, flags: new Set(flags) });

test.each([
  ['127.0.0.1:5000', '127.0.0.1', 5000],
  ['localhost:0', 'localhost', 0],
  ['[::1]:65535', '::1', 65_535],
  ['[fe80::1%eth0]:80', 'fe80::1%eth0', 80],
  ['registry.example:443', 'registry.example', 443],
])('--listen %s', async (text, host, port) => {
  expect(await settings({ listen: text })).toMatchObject({ host, port });
});

test.each([
  '5000',
  ':5000',
  'localhost',
  '::1:5000',
  '127.0.0.1:65536',
  '127.0.0.1:-1',
  'http://a:1',
  'a b:1',
  '[x]:1',
  '@a:1',
  'a:1/',
])('--listen %s is refused', async (text) => {
  await expect(settings({ listen: text })).rejects.toThrow(
    /^Flag "--listen" needs HOST:PORT, such as 127\.0\.0\.1:5000/,
  );
});

test('--listen with a port only says what to write for this machine and for all', async () => {
  await expect(settings({ listen: ':80' })).rejects.toThrow(
    '127.0.0.1:80 for this machine only, 0.0.0.0:80 for all addresses',
  );
});

test('loopback is this machine only', () => {
  const hosts = [
    '127.0.0.1',
    '127.9.9.9',
    '::1',
    'localhost',
    'a.localhost',
    'LOCALHOST',
    '0.0.0.0',
    '::',
    '10.0.0.1',
    'localhost.example',
    '1127.0.0.1',
  ];
  expect(hosts.map(isLoopback)).toEqual([true, true, true, true, true, true, false, false, false, false, false]);
});

test('a certificate needs its key, and both must be usable', async () => {
  const { path } = await folder({
    'cert.pem': certificate.cert,
    'key.pem': certificate.key,
    text: 'none',
    'other.pem': otherKey,
  });
  const [cert, key] = [path('cert.pem'), path('key.pem')];
  expect((await settings({ 'tls-cert': cert, 'tls-key': key })).tls).toEqual({
    cert: certificate.cert,
    key: certificate.key,
  });
  const refused = (texts: Readonly<Record<string, string>>) =>
    settings(texts).then(
      () => 'accepted',
      (error: Error) => error.message.replaceAll(path('x').slice(0, -1), ''),
    );
  expect(await refused({ 'tls-cert': cert })).toBe(
    'Flag "--tls-cert" needs the other one: --tls-cert FILE --tls-key FILE',
  );
  expect(await refused({ 'tls-key': key })).toBe(
    'Flag "--tls-key" needs the other one: --tls-cert FILE --tls-key FILE',
  );
  expect(await refused({ 'tls-cert': path('text'), 'tls-key': key })).toBe(
    'Cannot use "--tls-cert text": it has none in PEM',
  );
  expect(await refused({ 'tls-cert': cert, 'tls-key': path('text') })).toBe(
    'Cannot use "--tls-key text": it has none in PEM',
  );
  expect(await refused({ 'tls-cert': cert, 'tls-key': path('other.pem') })).toBe(
    'Cannot use "--tls-key other.pem": it is the key of another certificate',
  );
  expect(await refused({ 'tls-cert': path('no'), 'tls-key': key })).toBe(
    'Cannot read "--tls-cert no": it does not exist',
  );
  expect(await refused({ 'tls-cert': `${path('x').slice(0, -1)}.`, 'tls-key': key })).toBe(
    'Cannot read "--tls-cert .": it is a directory',
  );
});

test('users are lines of a file', async () => {
  const { path } = await folder({
    users: '# who\njoe:se:cret\r\n\n__proto__:p@ss\n',
    empty: '# nobody\n',
    bad: 'joe:one\nno password\n',
    hashed: 'joe:$2y$05$abcdefghijklmnopqrstuv\n',
    twice: 'joe:a\njoe:b\n',
  });
  const { users } = await settings({ users: path('users') });
  expect(Object.entries(users ?? {})).toEqual([
    ['joe', 'se:cret'],
    ['__proto__', 'p@ss'],
  ]);
  const refused = (name: string) =>
    settings({ users: path(name) }).catch((error: Error) => error.message.replace(/^.*": /, ''));
  expect(await refused('empty')).toBe('it has no line NAME:PASSWORD');
  expect(await refused('bad')).toBe('line 2: not NAME:PASSWORD');
  expect(await refused('hashed')).toBe('line 1: a hashed password, which is not supported; write the password itself');
  expect(await refused('twice')).toBe('line 2: a user of an earlier line');
});

test('a registry in memory cannot be read-only', async () => {
  await expect(settings({}, [], ['read-only'])).rejects.toThrow('--read-only');
  expect(await settings({}, ['dir'], ['read-only'])).toMatchObject({ directory: 'dir', isReadOnly: true });
});

test('a directory is created, unless it is only read; a file is refused', async () => {
  const { path } = await folder({ file: '' });
  await prepareDirectory(path('a/b'), false);
  expect((await stat(path('a/b'))).isDirectory()).toBe(true);
  await expect(prepareDirectory(path('c'), true)).rejects.toThrow(/: it does not exist$/);
  await expect(prepareDirectory(path('file'), false)).rejects.toThrow(/: it is not a directory$/);
  await expect(prepareDirectory(path('file'), true)).rejects.toThrow(/: it is not a directory$/);
  await expect(prepareDirectory(path('file/below'), false)).rejects.toThrow(/: a part of the path is not a directory$/);
});

test('registries of a mirror are called as in references, each once', async () => {
  const hosts = async (mirror: string) => (await settings({ mirror })).mirror?.hosts;
  expect(await hosts('index.docker.io,ghcr.io,docker.io,localhost:5000,[::1]:1')).toEqual([
    ...['docker.io', 'ghcr.io', 'localhost:5000', '[::1]:1'],
  ]);
  for (const text of ['quay', 'http://docker.io', 'ghcr.io/team', 'docker.io,', 'a b.io', 'docker.io:x'])
    await expect(hosts(text)).rejects.toThrow('Flag "--mirror" needs a registry, such as docker.io');
});

test('a mirror in memory keeps 1 GiB, one in a directory everything, unless a flag says otherwise', async () => {
  const mirror = async (texts: Readonly<Record<string, string>>) =>
    (await settings({ mirror: 'docker.io', ...texts })).mirror;
  expect(await mirror({})).toMatchObject({ bytes: 2 ** 30, fresh: undefined });
  expect(await mirror({ dir: 'cache' })).toMatchObject({ bytes: undefined });
  expect(await mirror({ dir: 'cache', 'cache-size': '20GiB', fresh: '0' })).toMatchObject({
    bytes: 20 * 2 ** 30,
    fresh: 0,
  });
  expect(await mirror({ fresh: '2m' })).toMatchObject({ fresh: 120_000 });
  await expect(mirror({ 'cache-size': '0' })).rejects.toThrow('Flag "--cache-size" needs a size above 0');
  await expect(mirror({ fresh: 'soon' })).rejects.toThrow('Flag "--fresh" needs a time');
});

test.each([
  [{ mirror: 'docker.io', front: 'f' }, [], [], 'are for two servers'],
  [{ mirror: 'docker.io' }, ['cache'], [], 'takes no directory "cache": use --dir'],
  [{ front: 'f' }, ['dir'], [], 'takes no directory "dir"'],
  [{ mirror: 'docker.io' }, [], ['read-only'], 'with --mirror nothing can be pushed'],
  [{ dir: 'cache' }, [], [], 'Flag "--dir" is for a mirror'],
  [{ 'cache-size': '1GB' }, ['dir'], [], 'Flag "--cache-size" is for a mirror'],
  [{ front: 'f', fresh: '1m' }, [], [], 'Flag "--fresh" is for a mirror'],
])('flags of one server are refused for another: %j %j %j', async (texts, words, flags, text) => {
  await expect(settings(texts, words, flags)).rejects.toThrow(text);
});

const otherKey = `-----BEGIN PRIVATE KEY-----
MC4CAQAwBQYDK2VwBCIEIJ1hsZ3v/VpguoRK9JLsLMREScVpezJpGXA7rAMcrn9g
-----END PRIVATE KEY-----
`;
