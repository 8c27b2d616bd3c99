import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Descriptor, mediaTypes } from 'ocifetch';
import { type Listening, listen, memoryStore, serve } from 'ocifetch/server';
import { afterAll, afterEach, beforeAll, expect, test, vi } from 'vitest';
import { pushBytes, pushJson } from './support/push.ts';

const folder = new URL('../examples/', import.meta.url);
const programs = (await readdir(folder)).filter((name) => name.endsWith('.ts')).sort();
const argv = process.argv;
let registry: Listening;
let scratch: string;

/** The start of a tar archive, as far as the examples look into it. */
function tar(size: number): Uint8Array {
  const bytes = new Uint8Array(size);
  bytes.set(new TextEncoder().encode('ustar'), 257);
  return bytes;
}

beforeAll(async () => {
  const store = memoryStore();
  const layers: Descriptor[] = [];
  for (const size of [3072, 4096]) layers.push(await pushBytes(store, tar(size), mediaTypes.ociLayer));
  const config = await pushJson(store, {}, mediaTypes.ociConfig);
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
  await store.tag(await pushJson(store, manifest, mediaTypes.ociManifest), '1.0');
  registry = await listen(serve(() => store));
  scratch = await mkdtemp(join(tmpdir(), 'ocifetch-examples-'));
});
afterEach(() => {
  process.argv = argv;
  vi.restoreAllMocks();
});
afterAll(async () => {
  await registry.close();
  await rm(scratch, { recursive: true });
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
  const { host } = new URL(registry.url);
  process.argv = [...argv.slice(0, 2), name.startsWith('mirrors') ? registry.url : host, scratch];
  const printed: string[] = [];
  vi.spyOn(console, 'log').mockImplementation((...line: unknown[]) => void printed.push(line.join(' ')));
  vi.spyOn(console, 'error').mockImplementation((...line: unknown[]) => void printed.push(`error: ${line.join(' ')}`));
  await import(`../examples/${name.replace(/\.ts$/, '')}.ts`);
  expect(printed).toEqual(promised(await readFile(new URL(name, folder), 'utf8')));
});

test('the README shows the examples as they are', async () => {
  const readme = await readFile(new URL('../README.md', import.meta.url), 'utf8');
  const shown = [...readme.matchAll(/<!-- (examples\/\S+) -->\n```ts\n([\s\S]*?)```/g)];
  expect(shown.length).toBeGreaterThanOrEqual(3);
  for (const [, path = '', code = ''] of shown) {
    const source = await readFile(new URL(`../${path}`, import.meta.url), 'utf8');
    expect(code, path).toBe(source);
  }
});
