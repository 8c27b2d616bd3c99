import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { createClient, type LoadConfigOptions, loadConfig, type Plan } from 'ocifetch';
import { afterEach, beforeEach, expect, test } from 'vitest';

const page = await readFile(new URL('../docs/configuration.md', import.meta.url), 'utf8');
const examples = [...page.matchAll(/<!-- (\S+) → (\S+) -->\n```\w+\n([\s\S]*?)```\n```text\n([\s\S]*?)```/g)];
let folder: string;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'ocifetch-docs-'));
});
afterEach(() => rm(folder, { recursive: true }));

const optionOf: Readonly<Record<string, keyof LoadConfigOptions>> = {
  'registries.yaml': 'registriesYaml',
  'registries.conf': 'registriesConf',
  'config.json': 'dockerConfig',
  'regctl.json': 'regctlConfig',
  'ocifetch.yaml': 'file',
};

function lines({ endpoints, skipped }: Plan): string[] {
  return [
    ...endpoints.map(({ url, repository, namespace, capabilities, credentials }) =>
      [url, repository, namespace && `ns=${namespace}`, capabilities.join(','), credentials].filter(Boolean).join(' '),
    ),
    ...skipped.map(({ url, reason }) => `left out: ${url} (${reason})`),
  ];
}

test('there is an example of every kind of file', () => {
  expect(examples.map(([, path = '']) => path)).toEqual(['certs.d/docker.io/hosts.toml', ...Object.keys(optionOf)]);
});

test.each(examples.map(([, path = '', reference = '', text = '', plan = '']) => ({ path, reference, text, plan })))(
  'docs/configuration.md: $path is planned as it says',
  async ({ path, reference, text, plan }) => {
    const file = join(folder, path);
    await mkdir(dirname(file), { recursive: true });
    await writeFile(file, text);
    const option = optionOf[path];
    const config = await loadConfig(option ? { [option]: file } : { hostsDirectory: join(folder, 'certs.d') });
    await using client = createClient({ config });
    // A host's own login is shown where its page is about logins.
    const found = lines(client.plan(reference)).map((line) =>
      path === 'config.json' ? line : line.replace(/ credentials\[.*$/, ''),
    );
    expect(found).toEqual(plan.trimEnd().split('\n'));
  },
);

test('every file that the architecture names exists, and so does every function it places in one', async () => {
  const root = fileURLToPath(new URL('..', import.meta.url));
  const text = await readFile(join(root, 'docs/architecture.md'), 'utf8');
  const named = [...text.matchAll(/`([a-z0-9-]+(?:\/[a-z0-9-]+)*\.(?:ts|mjs))`/g)].map(([, path = '']) => path);
  const places = ['', 'src', 'scripts'];
  const missing = named.filter((path) => !places.some((place) => existsSync(join(root, place, path))));
  expect(missing.filter((path) => path.includes('/'))).toEqual([]);
  const placed = [...text.matchAll(/`([A-Za-z]+)` in `([a-z0-9/-]+\.ts)`/g)];
  for (const [, name = '', path = ''] of placed) {
    expect(await readFile(join(root, 'src', path), 'utf8'), path).toContain(name);
  }
});

/** Promises of SECURITY.md, the tests that each names, and their titles. */
async function promises() {
  const text = await readFile(new URL('../SECURITY.md', import.meta.url), 'utf8');
  const promised = text.slice(text.indexOf('## What is promised'), text.indexOf('## What is not promised'));
  return [...promised.matchAll(/^\*\*([^*]+)\*\*([\s\S]*?)\n(?=\n)/gm)].map(([, promise = '', words = '']) => {
    const named = [...words.replace(/\s+/g, ' ').matchAll(/`(test\/[^`]+\.ts)`(?: \(("[^)]*")\))?/g)];
    const tests = named.map(([, file = '', titles = '']) => ({
      file,
      titles: [...titles.matchAll(/"([^"]+)"/g)].map(([, title = '']) => title),
    }));
    return { promise, tests };
  });
}

test('each promise of SECURITY.md names tests that hold it, which exist', async () => {
  const all = await promises();
  expect(all.length).toBeGreaterThan(9);
  expect(all.filter(({ tests }) => tests.length === 0)).toEqual([]);
  for (const { file, titles } of all.flatMap(({ tests }) => tests)) {
    const text = await readFile(new URL(`../${file}`, import.meta.url), 'utf8').catch(() => `${file} does not exist`);
    expect([file, /\btest(?:\.[a-z]+)?\(/.test(text)]).toEqual([file, true]);
    for (const title of titles) expect(text, file).toContain(title);
  }
});
