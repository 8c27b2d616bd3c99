import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pemName, readPem } from '../../src/config/pem.ts';

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pem-'));
  await writeFile(join(folder, 'ca.pem'), pem);
  await writeFile(join(folder, 'other.txt'), 'no certificate');
});
afterAll(() => rm(folder, { recursive: true }));

test('PEM text is taken as it is, a path as the text of its file', () => {
  expect(readPem(pem)).toEqual({ text: pem });
  expect(readPem(join(folder, 'ca.pem'))).toEqual({ text: pem });
});

test.each([
  ['missing.pem', 'no such file'],
  ['ca.pem/below', 'no such file'],
  ['x'.repeat(300), 'no such file'],
  ['other.txt', 'not PEM'],
  ['.', 'it is a directory'],
])('of %s it is told that it is %s', (name, found) => {
  expect(readPem(join(folder, name))).toEqual({ found });
});

test('a file that may not be read is reported as such', async () => {
  const file = join(folder, 'secret.key');
  await writeFile(file, pem);
  await chmod(file, 0);
  // The administrator may read everything.
  expect(readPem(file)).toEqual(process.getuid?.() === 0 ? { text: pem } : { found: 'permission denied' });
});

test('what may be a key is not named', () => {
  expect(pemName('/etc/ca.pem')).toBe('file "/etc/ca.pem"');
  for (const text of [pem, 'MIIE\nMIIE', `MIIE${'A'.repeat(5000)}`]) expect(pemName(text)).not.toMatch(/MIIE|AAAA/);
  expect(readPem('MIIE\nMIIE')).toEqual({ found: 'not PEM' });
});
