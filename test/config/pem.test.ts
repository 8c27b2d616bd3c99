import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readPem } from '../../src/config/pem.ts';

const pem = '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n';
let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'pem-'));
  await writeFile(join(folder, 'ca.pem'), pem);
  await writeFile(join(folder, 'other.txt'), 'no certificate');
});
afterAll(() => rm(folder, { recursive: true }));

test('PEM text is taken as it is, a path as the text of its file', () => {
  expect(readPem(pem, 'tls.ca[0]')).toBe(pem);
  expect(readPem(join(folder, 'ca.pem'), 'tls.ca[0]')).toBe(pem);
});

test.each(['missing.pem', 'other.txt', '.'])('%s, which has no PEM, is INVALID_CONFIG naming key and file', (name) => {
  const path = join(folder, name);
  const read = () => readPem(path, 'registries["a.test"].origin.tls.ca[0]');
  expect(read).toThrow(expect.objectContaining({ code: 'INVALID_CONFIG' }));
  expect(read).toThrow(path);
  expect(read).toThrow('registries["a.test"].origin.tls.ca[0]');
});
