import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import nock from 'nock';
import { type TestImage, type TestImageContent, type TestRegistry, testRegistry } from 'ocifetch/testing';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';

const folder = new URL('../examples/', import.meta.url);
const programs = (await readdir(folder)).filter((name) => name.endsWith('.ts')).sort();
const argv = process.argv;
let registry: TestRegistry;
let scratch: string;

const tools: TestImageContent = { files: { 'etc/': '', 'etc/os-release': 'ID=tools' } };
const app: TestImage = { layers: [1_500, 2_500].map((size) => ({ files: { data: { size } } })), compression: 'none' };
const images = {
  'library/app:1.0': app,
  'hub/app:1.0': app,
  'team/tools:1.0': { ...tools, platforms: { 'linux/amd64': {} } },
  'team/tools:2.0': { ...tools, platforms: { 'linux/amd64': { annotations: { version: '2' } } } },
  'team/tools:sbom': {
    artifactType: 'application/spdx+json',
    layers: [{ bytes: '{"spdxVersion":"SPDX-2.3"}', mediaType: 'application/spdx+json' }],
    subject: 'team/tools:1.0',
    untagged: true,
  },
} satisfies Record<string, TestImage>;

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ocifetch-examples-'));
  // What the example that imports it counts on; but only the first import in a process starts it.
  if (!nock.isActive()) nock.activate();
  registry = await testRegistry({ images });
});
afterEach(() => {
  process.argv = argv;
  vi.restoreAllMocks();
});
afterAll(async () => {
  nock.restore();
  await registry.close();
  // An example may still write behind what it printed.
  await rm(scratch, { recursive: true, maxRetries: 5 });
});

/** What follows `// Output:` at the end of a program. */
function promised(source: string): string[] {
  const [, output = ''] = source.split('\n// Output:\n');
  return output
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/^\/\/ ?/, ''));
}

test.each(programs)('examples/%s prints what it promises', async (name) => {
  const place = join(scratch, name);
  process.argv = [...argv.slice(0, 2), name.startsWith('mirrors') ? registry.url : registry.host, place];
  const printed: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((...line: unknown[]) => void printed.push(line.join(' ')));
  vi.spyOn(console, 'error').mockImplementation((...line: unknown[]) => void printed.push(`error: ${line.join(' ')}`));
  await import(`../examples/${name.replace(/\.ts$/, '')}.ts`);
  expect(printed).toEqual(promised(await readFile(new URL(name, folder), 'utf8')));
});

test.each(['README.md', 'docs/recipes.md'])('%s shows the examples as they are', async (page) => {
  const readme = await readFile(new URL(`../${page}`, import.meta.url), 'utf8');
  const shown = [...readme.matchAll(/<!-- (examples\/\S+) -->\n```ts\n([\s\S]*?)```/g)];
  expect(shown.length).toBeGreaterThanOrEqual(3);
  for (const [, path = '', code = ''] of shown) {
    const source = await readFile(new URL(`../${path}`, import.meta.url), 'utf8');
    expect(code, path).toBe(source);
  }
});
