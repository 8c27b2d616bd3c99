import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { certsDirectoryNames, registryOfDirectory } from '../../../src/config/containerd/directory.ts';
import { readConfigFiles } from '../../../src/config/load.ts';

let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'ocifetch-certs-d-'));
});
afterEach(() => rm(home, { recursive: true }));

const mirror = (host: string): string => `[host."https://${host}"]\n`;

/** What a `certs.d` with these files is read to, without the name of its directory. */
async function load(files: Readonly<Record<string, string>>) {
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(home, path)), { recursive: true });
    await writeFile(join(home, path), text);
  }
  const told = await readConfigFiles({ hostsDirectory: home }).catch((error: Error) => error);
  if (told instanceof Error) return { error: told.message.replaceAll(home, '/certs.d') };
  const registries = Object.entries(told.config.registries ?? {});
  return {
    mirrors: Object.fromEntries(registries.map(([key, { mirrors }]) => [key, mirrors?.map(({ url }) => url)])),
    warnings: told.warnings.map((text) => text.replaceAll(home, '/certs.d')),
  };
}

// As containerd's hostDirectory and hostPaths have them.
test.each([
  'docker.io',
  'myregistry.io:5000',
  '[::1]:5000',
  '[::1]',
  '[2001:db8::5]',
  '[2001:db8::5]:443',
  'localhost',
])('each directory that %s is looked for in is read as its own', (registry) => {
  const own = certsDirectoryNames(registry).filter((name) => name !== '_default');
  expect(own.map(registryOfDirectory)).toEqual(own.map(() => registry));
});

test.each(['docker.io_old', 'docker.io_', '_5000_', '*.example', 'a b', 'a_b_', '.git', '_default_'])(
  'no registry is looked for in %j',
  (name) => {
    expect(registryOfDirectory(name)).toBeUndefined();
  },
);

test('an IPv6 address is read in the form that containerd looks for first', async () => {
  const { mirrors } = await load({ '[:_1]_/hosts.toml': mirror('a'), '[::1]_5000_/hosts.toml': mirror('b') });
  expect(mirrors).toEqual({ '[::1]': ['https://a'], '[::1]:5000': ['https://b'] });
});

test.each([
  ['Q.IO', 'q.io', 'q.io'],
  ['docker.io', 'registry-1.docker.io', 'docker.io'],
  ['index.docker.io', 'registry-1.docker.io', 'docker.io'],
  ['A.example_5000_', 'a.example:5000', 'a.example:5000'],
])('%s beside %s is an error that names both', async (one, other, registry) => {
  const { error } = await load({ [`${one}/hosts.toml`]: mirror('a'), [`${other}/hosts.toml`]: mirror('b') });
  expect(error).toBe(
    `Cannot use config directory "/certs.d": found "/certs.d/${one}" and "/certs.d/${other}", expected one directory for "${registry}"`,
  );
});

test('of both forms of one registry containerd takes the first, and the other is reported', async () => {
  const files = { 'r.example_5000_/hosts.toml': mirror('a'), 'r.example:5000/hosts.toml': mirror('b') };
  expect(await load(files)).toEqual({
    mirrors: { 'r.example:5000': ['https://a'] },
    warnings: ['/certs.d/r.example:5000: not read, "r.example_5000_" is for the same registry'],
  });
});

test('a directory whose name is not a registry is a warning, if anything in it would be read', async () => {
  const files = {
    'docker.io_old/hosts.toml': 'no toml',
    'my_certs/ca.crt': '',
    '..data/docker.io/hosts.toml': 'no toml',
    'docker.io/hosts.toml': mirror('a'),
  };
  expect(await load(files)).toEqual({
    mirrors: { 'docker.io': ['https://a'] },
    warnings: [
      `/certs.d/docker.io_old: not read, "docker.io_old" is not the name of a registry`,
      `/certs.d/my_certs: not read, "my_certs" is not the name of a registry`,
    ],
  });
});

test("another registry's broken file is an error, as nobody knows whether it will be asked", async () => {
  const { error } = await load({ 'quay.io.bak/hosts.toml': 'typo = 1\n', 'docker.io/hosts.toml': mirror('a') });
  expect(error).toContain('/certs.d/quay.io.bak/hosts.toml:1:1: typo: unknown key');
});
