import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { loadConfigText, readConfigTexts } from '../../src/index.ts';

const folders: string[] = [];

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })));
});

async function written(name: string, text: string | Uint8Array): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-test-'));
  folders.push(folder);
  const path = join(folder, name);
  await mkdir(dirname(path), { recursive: true });
  await writeFile(path, text);
  return path;
}

test.each([
  ['certs.d/r.test/hosts.toml', 'r.test'],
  ['certs.d/r.test_5000_/hosts.toml', 'r.test:5000'],
  ['certs.d/[::1]_5000_/hosts.toml', '[::1]:5000'],
  ['certs.d/localhost/hosts.toml', 'localhost'],
  ['certs.d/_default/hosts.toml', '*'],
  ['project/hosts.toml', '*'],
  ['a b/hosts.toml', '*'],
])('a file %s is for the registry %s', async (name, registry) => {
  const file = await written(name, 'server = "https://m.test"');
  expect(await loadConfigText(file)).toEqual({ file, kind: 'hosts.toml', registry, text: 'server = "https://m.test"' });
});

test('options win over what the file shows, and only a hosts.toml has a registry', async () => {
  const file = await written('r.test/hosts.toml', '');
  expect(await loadConfigText(file, { registry: 'q.test' })).toMatchObject({ kind: 'hosts.toml', registry: 'q.test' });
  expect(await loadConfigText(file, { kind: 'ocifetch', registry: 'q.test' })).toEqual({
    file,
    kind: 'ocifetch',
    text: '',
  });
});

test('what it returns can be read', async () => {
  const file = await written('k3s.yml', 'mirrors: { r.test: { endpoint: [https://m.test] } }');
  const config = await readConfigTexts([await loadConfigText(file)]);
  expect(Object.keys(config.registries ?? {})).toEqual(['r.test']);
});

test.each([
  ['nothing of which tells its kind', 'file.txt', 'text', /neither its name nor its content shows its kind/],
  ['that is not UTF-8', 'registries.yaml', Uint8Array.of(0x61, 0xff), /:1:2: found bytes that are not UTF-8/],
  [
    'that is longer than 4 MiB',
    'registries.yaml',
    Buffer.alloc(4_194_305, '#'),
    /found 4194305 bytes, expected at most/,
  ],
])('a file %s is refused', async (_, name, text, message) => {
  const failed = loadConfigText(await written(name, text));
  await expect(failed).rejects.toMatchObject({ code: 'INVALID_CONFIG', message: expect.stringMatching(message) });
});
