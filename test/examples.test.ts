import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import nock from 'nock';
import { type Descriptor, mediaTypes, type Store } from 'ocifetch';
import { type Listening, listen, memoryStore, serve } from 'ocifetch/server';
import { create } from 'tar';
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

/** `library/app`: one manifest, whose layers are only the start of archives. */
async function putApp(store: Store): Promise<void> {
  const layers: Descriptor[] = [];
  for (const size of [3072, 4096]) layers.push(await pushBytes(store, tar(size), mediaTypes.ociLayer));
  const config = await pushJson(store, {}, mediaTypes.ociConfig);
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
  await store.tag(await pushJson(store, manifest, mediaTypes.ociManifest), '1.0');
}

/** A layer with `etc/os-release`. */
async function layerOf(folder: string, text: string): Promise<Uint8Array> {
  await mkdir(join(folder, 'etc'), { recursive: true });
  await writeFile(join(folder, 'etc', 'os-release'), text);
  const chunks: Uint8Array[] = [];
  for await (const chunk of create({ cwd: folder, portable: true }, ['etc'])) chunks.push(chunk);
  return gzipSync(Buffer.concat(chunks));
}

/** `team/tools`: images behind indexes, and an SBOM that refers to one. */
async function putTools(store: Store, folder: string): Promise<void> {
  for (const tag of ['1.0', '2.0']) {
    const platform = { os: 'linux', architecture: 'amd64' };
    const bytes = await layerOf(join(folder, tag), 'ID=tools');
    const layers = [await pushBytes(store, bytes, mediaTypes.ociLayerGzip)];
    const config = await pushJson(
      store,
      { ...platform, rootfs: { type: 'layers', diff_ids: [] } },
      mediaTypes.ociConfig,
    );
    const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers, annotations: { tag } };
    const manifests = [{ ...(await pushJson(store, document, mediaTypes.ociManifest)), platform }];
    const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests };
    await store.tag(await pushJson(store, index, mediaTypes.ociIndex), tag);
  }
  const subject = await store.resolve('1.0');
  const config = await pushJson(store, {}, mediaTypes.ociEmpty);
  const layers = [await pushJson(store, { spdxVersion: 'SPDX-2.3' }, 'application/spdx+json')];
  const artifactType = 'application/spdx+json';
  const sbom = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, artifactType, config, layers, subject };
  await pushJson(store, sbom, mediaTypes.ociManifest);
}

beforeAll(async () => {
  scratch = await mkdtemp(join(tmpdir(), 'ocifetch-examples-'));
  const [app, tools] = [memoryStore(), memoryStore()];
  await putApp(app);
  await putTools(tools, scratch);
  // What the example that imports it counts on; but only the first import in a process starts it.
  if (!nock.isActive()) nock.activate();
  registry = await listen(serve(({ name }) => (name === 'team/tools' ? tools : app)));
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
  const { host } = new URL(registry.url);
  const place = join(scratch, name);
  process.argv = [...argv.slice(0, 2), name.startsWith('mirrors') ? registry.url : host, place];
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
