import { link, mkdir, mkdtemp, readdir, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { layoutRegistry } from '../../src/registry/layout-registry.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { deleterContract, mountsContract, uploadsContract } from '../contract/abilities.ts';
import { bytesOf, sampleOf, samples } from '../contract/source.ts';
import { fill, storeContract } from '../contract/store.ts';
import { ask } from '../server/support.ts';

const { large, manifest, config } = samples;
const at = (name: string) => ({ registry: 'localhost', name });

async function made(...names: readonly string[]) {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-registry-'));
  const registry = layoutRegistry(folder);
  const stores = names.map((name) => registry(at(name)));
  const [store = registry(at('a/b'))] = stores;
  return { store, stores, registry, close: () => rm(folder, { recursive: true }) };
}

storeContract('layout registry', () => made());
deleterContract('layout registry', () => made());
mountsContract('layout registry', async () => {
  const { stores, close } = await made('from', 'to/here');
  const [from, to] = stores;
  if (!from || !to) throw new Error('no repositories');
  return { store: { from, to }, close };
});
uploadsContract('layout registry', async () => {
  const { store, registry, close } = await made();
  return { store: { ...store, reopened: () => layoutRegistry(registry.directory)(at('a/b')) }, close };
});

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-registry-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const blobIn = (folder: string, digest: string) => join(directory, folder, 'blobs', digest.replace(':', '/'));

test('a repository is a layout in a folder of its name, and exists from its first content', async () => {
  const registry = layoutRegistry(directory);
  const missing = { code: 'NOT_FOUND', reason: 'no-repository' };
  await expect(registry(at('library/alpine')).resolve('latest')).rejects.toMatchObject(missing);
  await expect(registry(at('library/alpine')).tags()).rejects.toMatchObject(missing);
  expect(await readdir(directory)).toEqual([]);
  for (const name of ['library/alpine', 'library', 'a/blobs', 'a', 'index.json'])
    await fill(registry(at(name)), [config, manifest]);
  await mkdir(join(directory, 'not-a-layout'));
  await writeFile(join(directory, 'notes'), '');
  expect((await readdir(join(directory, 'library+alpine'))).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
  const names = ['a', 'a/blobs', 'index.json', 'library', 'library/alpine'];
  expect(await registry.repositories()).toEqual(names);
  expect(await layoutRegistry(directory).repositories()).toEqual(names);
  expect((await registry(at('library')).resolve('latest')).digest).toBe(manifest.descriptor.digest);
});

test('a name that leads elsewhere is no repository', () => {
  for (const name of ['..', '../x', 'a/../b', '', '/etc', 'A', 'a+b'])
    expect(() => layoutRegistry(directory)(at(name))).toThrow(expect.objectContaining({ code: 'INVALID_REFERENCE' }));
});

test('a mount copies no bytes, and what is mounted is served, also after a restart', async () => {
  const registry = layoutRegistry(directory);
  await fill(registry(at('from')), [large]);
  const { digest } = large.descriptor;
  const request = `POST /v2/to/blobs/uploads/?mount=${digest}&from=from`;
  expect((await serve(registry)(ask(request))).status).toBe(201);
  const [one, other] = await Promise.all([stat(blobIn('from', digest)), stat(blobIn('to', digest))]);
  expect([one.ino, one.nlink]).toEqual([other.ino, 2]);
  for (const served of [registry, layoutRegistry(directory)]) {
    const response = await serve(served)(ask(`GET /v2/to/blobs/${digest}`));
    expect(Buffer.compare(new Uint8Array(await response.arrayBuffer()), large.bytes)).toBe(0);
  }
});

test('a blob with a name outside the registry is not served, nor mounted', async () => {
  const secret = sampleOf(Buffer.from('the only copy of a secret'));
  const outside = join(directory, '..', `${directory.split('/').pop()}-outside`);
  try {
    await writeFile(outside, secret.bytes);
    const registry = layoutRegistry(directory);
    await fill(registry(at('app')), [large]);
    const { digest } = secret.descriptor;
    await link(outside, blobIn('app', digest));
    const requests = async () => {
      const got = await serve(registry)(ask(`GET /v2/app/blobs/${digest}`));
      const mounted = await serve(registry)(ask(`POST /v2/new/blobs/uploads/?mount=${digest}&from=app`));
      return [got.status, mounted.status];
    };
    expect(await requests()).toEqual([404, 202]);
    // Another name inside does not make it the registry's own.
    await mkdir(join(directory, 'fake', 'blobs', 'sha256'), { recursive: true });
    await link(outside, blobIn('fake', digest));
    await symlink(outside, join(directory, 'more'));
    expect(await requests()).toEqual([404, 202]);
  } finally {
    await rm(outside, { force: true });
  }
});

test('what is mounted stays after gc of the other repository', async () => {
  const { registry, stores, close } = await made('from', 'to');
  const [from, to] = stores;
  if (!from || !to) throw new Error('no repositories');
  await fill(from, [large]);
  await to.mount(large.descriptor.digest, from);
  expect((await from.gc()).removed).toEqual([large.descriptor.digest]);
  expect(Buffer.compare(await bytesOf(await to.fetch(large.descriptor, { links: false })), large.bytes)).toBe(0);
  expect(await registry.repositories()).toEqual(['from', 'to']);
  await close();
});
