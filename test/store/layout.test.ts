import { mkdir, mkdtemp, readdir, readFile, readlink, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lenderOf } from '../../src/body.ts';
import { RegistryError } from '../../src/errors.ts';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { createLayout, type LayoutStore } from '../../src/store/layout.ts';
import { fileSystemError } from '../../src/store/store-error.ts';
import { deleterContract, uploadsContract } from '../contract/abilities.ts';
import { listsContract } from '../contract/lists.ts';
import { absent, bytesOf, failsWith, type Sample, sampleOf, samples } from '../contract/source.ts';
import { fill, pieces, storeContract } from '../contract/store.ts';
import { unsyncedFiles } from '../support/unsynced-files.ts';

/** Hundreds of small pushes, none of which has to wait for the disk. */
const layoutStore = (path: string): LayoutStore => createLayout(path, { files: unsyncedFiles() });

storeContract('layout', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-layout-'));
  return { store: layoutStore(join(folder, 'deep', 'layout')), close: () => rm(folder, { recursive: true }) };
});

listsContract('layout', async (prepare) => {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-layout-'));
  await prepare(layoutStore(folder));
  return { source: layoutStore(folder), close: () => rm(folder, { recursive: true }) };
});

/** A layout of its own in a folder. */
const made = async () => {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-layout-'));
  return { store: layoutStore(folder), close: () => rm(folder, { recursive: true }) };
};
deleterContract('layout', made);
uploadsContract('layout', async () => {
  const { store, close } = await made();
  return { store: { ...store, reopened: () => layoutStore(store.directory) }, close };
});

const { large, manifest, config, wide } = samples;
const unnamed: Sample = { descriptor: manifest.descriptor, bytes: manifest.bytes };
const nameKey = 'org.opencontainers.image.ref.name';
let directory = '';

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-layout-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const blobPath = (digest: string): string => join(directory, 'blobs', digest.replace(':', '/'));
const readIndex = async () => JSON.parse(await readFile(join(directory, 'index.json'), 'utf8'));
const writeIndex = (index: unknown) => writeFile(join(directory, 'index.json'), JSON.stringify(index));
const json = (value: unknown, mediaType: string): Sample => sampleOf(Buffer.from(JSON.stringify(value)), mediaType);

/** A layout as another tool writes it. */
async function foreignLayout(manifests: readonly object[], content: readonly Sample[]): Promise<void> {
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion": "1.0.0"}\n');
  await writeIndex({ schemaVersion: 2, manifests });
  for (const { descriptor, bytes } of content) {
    await mkdir(join(blobPath(descriptor.digest), '..'), { recursive: true });
    await writeFile(blobPath(descriptor.digest), bytes);
  }
}

describe('what is written', () => {
  test('a layout as the specification has it, and nothing else', async () => {
    await fill(layoutStore(directory));
    expect(JSON.parse(await readFile(join(directory, 'oci-layout'), 'utf8'))).toEqual({ imageLayoutVersion: '1.0.0' });
    expect(await readIndex()).toEqual({
      schemaVersion: 2,
      mediaType: mediaTypes.ociIndex,
      manifests: [{ ...manifest.descriptor, annotations: { [nameKey]: 'latest' } }],
    });
    expect((await readdir(directory)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
    expect((await readdir(join(directory, 'blobs'))).sort()).toEqual(['sha256', 'sha512']);
    expect(Buffer.compare(await readFile(blobPath(wide.descriptor.digest)), wide.bytes)).toBe(0);
  });

  test('a digest with several names has an entry for each, and a name that moves keeps its place', async () => {
    const store = layoutStore(directory);
    const newer = sampleOf(Buffer.concat([manifest.bytes, Buffer.from(' ')]), manifest.descriptor.mediaType);
    await fill(store, [config, manifest, newer]);
    await store.tag(manifest.descriptor, 'v1');
    await store.tag(newer.descriptor, 'latest');
    const { manifests } = await readIndex();
    expect(manifests.map((one: Descriptor) => [one.annotations?.[nameKey], one.digest])).toEqual([
      ['latest', newer.descriptor.digest],
      ['v1', manifest.descriptor.digest],
    ]);
    expect(await store.tags()).toEqual(['latest', 'v1']);
  });

  test('platform, type and annotations of what is tagged are entered; its old names are not', async () => {
    const store = layoutStore(directory);
    await fill(store, [unnamed]);
    const platform = { os: 'linux', architecture: 'arm64', variant: 'v8' };
    const told = { platform, artifactType: 'text/x', urls: ['https://x.test/'], data: 'e30=' };
    const annotations = { a: 'b', [nameKey]: 'old', 'io.containerd.image.name': 'docker.io/library/old:1' };
    await store.tag({ ...manifest.descriptor, ...told, annotations }, 'v1');
    const entry = { ...manifest.descriptor, platform, artifactType: 'text/x' };
    expect((await readIndex()).manifests).toEqual([{ ...entry, annotations: { a: 'b', [nameKey]: 'v1' } }]);
    expect(await store.resolve('v1')).toEqual({ ...entry, annotations: { a: 'b' } });
  });

  test('other entries, annotations and unknown fields stay, in their order', async () => {
    const other = { ...config.descriptor, strange: { deep: [1] }, annotations: { [nameKey]: 'other' } };
    await foreignLayout([other, { mediaType: 'x/y', digest: 'md5:00', size: 1 }], [config, manifest]);
    await writeIndex({ ...(await readIndex()), annotations: { of: 'the index' }, future: true });
    const before = await readIndex();
    const store = layoutStore(directory);
    await store.tag(manifest.descriptor, 'latest');
    const after = await readIndex();
    expect(after).toEqual({ ...before, manifests: [...before.manifests, expect.anything()] });
    await store.untag('latest');
    expect(await readIndex()).toEqual(before);
  });

  test('what is kept without a name is entered once, and gets the name that it is given later', async () => {
    const store = layoutStore(directory);
    await fill(store, [unnamed]);
    for (let times = 0; times < 2; times++) await store.keep(manifest.descriptor);
    expect((await readIndex()).manifests).toEqual([manifest.descriptor]);
    await store.tag(manifest.descriptor, 'v1');
    expect((await readIndex()).manifests).toHaveLength(1);
    expect(await store.tags()).toEqual(['v1']);
    await expect(store.keep({ ...manifest.descriptor, digest: absent })).rejects.toEqual(failsWith('NOT_FOUND'));
  });

  test.each(['', 'a b', '/a', 'a/', 'a//b', `a${'b'.repeat(1024)}`, large.descriptor.digest, 'ä'])(
    'the name "%s" is INVALID_REFERENCE',
    async (name) => {
      const store = layoutStore(directory);
      await fill(store, [manifest]);
      await expect(store.tag(manifest.descriptor, name)).rejects.toEqual(failsWith('INVALID_REFERENCE'));
    },
  );

  test.each(['a__b', '_x', 'docker.io/library/alpine:3.20', 'a--b', 'v1.0+build', 'x@sha'])(
    'the name "%s" can be given',
    async (name) => {
      const store = layoutStore(directory);
      await fill(store, [manifest]);
      await store.tag(manifest.descriptor, name);
      expect((await store.resolve(name)).digest).toBe(manifest.descriptor.digest);
      await store.untag(name);
      await expect(store.untag(name)).rejects.toEqual(failsWith('NOT_FOUND'));
    },
  );
});

describe('what others wrote', () => {
  const whole = 'docker.io/library/alpine:3.20';

  test('an entry without a name is "latest" if it is the only one', async () => {
    await foreignLayout([manifest.descriptor], [manifest]);
    expect(await layoutStore(directory).resolve('latest')).toEqual(manifest.descriptor);
    await expect(layoutStore(directory).resolve('v1')).rejects.toEqual(failsWith('NOT_FOUND'));
    await foreignLayout([manifest.descriptor, config.descriptor], [manifest, config]);
    await expect(layoutStore(directory).resolve('latest')).rejects.toEqual(failsWith('NOT_FOUND'));
  });

  test('the whole name that containerd writes is found, after those of the specification', async () => {
    const annotations = { 'io.containerd.image.name': whole, [nameKey]: '3.20' };
    await foreignLayout([{ ...manifest.descriptor, annotations }], [manifest]);
    expect(await layoutStore(directory).resolve(whole)).toEqual(manifest.descriptor);
    expect(await layoutStore(directory).tags()).toEqual(['3.20']);
    await foreignLayout(
      [
        { ...manifest.descriptor, annotations },
        { ...config.descriptor, annotations: { [nameKey]: whole } },
      ],
      [manifest, config],
    );
    expect((await layoutStore(directory).resolve(whole)).digest).toBe(config.descriptor.digest);
  });

  test('a list that is null, a missing index.json and a file system of its own are empty layouts', async () => {
    await foreignLayout([], []);
    await writeIndex({ schemaVersion: 2, manifests: null });
    expect(await layoutStore(directory).tags()).toEqual([]);
    await rm(join(directory, 'index.json'));
    expect(await layoutStore(directory).tags()).toEqual([]);
    await fill(layoutStore(directory), [manifest]);
    await rm(join(directory, 'oci-layout'));
    await rm(join(directory, 'blobs'), { recursive: true });
    await rm(join(directory, 'index.json'));
    await mkdir(join(directory, 'lost+found'));
    await fill(layoutStore(directory), [manifest]);
    expect(await layoutStore(directory).tags()).toEqual(['latest']);
  });

  test('content that index.json does not name has the media type that its bytes give', async () => {
    const { mediaType: _type, ...fields } = JSON.parse(new TextDecoder().decode(manifest.bytes));
    const silent = json(fields, mediaTypes.ociManifest);
    const index = json({ schemaVersion: 2, manifests: [] }, mediaTypes.ociIndex);
    const docker = json({ ...fields, mediaType: mediaTypes.dockerManifest }, mediaTypes.dockerManifest);
    const both = json({ ...fields, manifests: [] }, mediaTypes.octets);
    const list = json([fields], mediaTypes.octets);
    const content = [silent, index, docker, both, list, config, large, samples.empty];
    await foreignLayout([], content);
    const store = layoutStore(directory);
    for (const { descriptor } of content) expect(await store.resolve(descriptor.digest)).toEqual(descriptor);
  });

  const bad: readonly [title: string, files: Record<string, string>, code: string, says: string][] = [
    ['no oci-layout', { 'index.json': '{}' }, 'STORE_ERROR', 'no "oci-layout"'],
    ['another kind of directory', { 'README.md': '#' }, 'STORE_ERROR', 'README.md'],
    ['an oci-layout that is not JSON', { 'oci-layout': 'x' }, 'STORE_ERROR', 'oci-layout": not JSON'],
    ['an unknown version', { 'oci-layout': '{"imageLayoutVersion":"2.0.0"}' }, 'STORE_ERROR', '"2.0.0"'],
    ['an index.json that is not JSON', { 'index.json': '{"manifests":[' }, 'STORE_ERROR', 'index.json": not JSON'],
    ['an empty index.json', { 'index.json': '' }, 'STORE_ERROR', 'index.json": no bytes'],
    ['manifests that are not a list', { 'index.json': '{"manifests":{}}' }, 'STORE_ERROR', 'manifests is not a list'],
    ['another schema', { 'index.json': '{"schemaVersion":1}' }, 'STORE_ERROR', 'schemaVersion "1"'],
  ];
  test.each(bad)('%s: refused, and the file is named', async (title, files, code, says) => {
    const version =
      title.includes('oci-layout') || 'README.md' in files ? {} : { 'oci-layout': '{"imageLayoutVersion":"1.0.0"}' };
    for (const [name, text] of Object.entries({ ...version, ...files })) await writeFile(join(directory, name), text);
    const store = layoutStore(directory);
    for (const call of [() => store.resolve('latest'), () => store.tags(), () => fill(store)]) {
      const error = await call().catch((thrown) => thrown);
      expect(error).toBeInstanceOf(RegistryError);
      expect([error.code, error.message.includes(directory)]).toEqual([code, true]);
      expect(error.message).toContain(says);
    }
  });

  test('an invalid entry is BAD_RESPONSE if it is requested; others are found', async () => {
    const strange = { mediaType: 'x/y', digest: 'md5:00', size: 1, annotations: { [nameKey]: 'strange' } };
    await foreignLayout([strange, { ...manifest.descriptor, annotations: { [nameKey]: 'v1' } }], [manifest]);
    const store = layoutStore(directory);
    await expect(store.resolve('strange')).rejects.toThrow(/unknown algorithm "md5"/);
    expect((await store.resolve('v1')).digest).toBe(manifest.descriptor.digest);
    await expect(store.gc()).rejects.toEqual(failsWith('BAD_RESPONSE'));
  });

  test('a name whose content is not here is NOT_FOUND, and the content is named', async () => {
    await foreignLayout([{ ...manifest.descriptor, annotations: { [nameKey]: 'v1' } }], []);
    const resolved = layoutStore(directory).resolve('v1');
    await expect(resolved).rejects.toEqual(failsWith('NOT_FOUND'));
    await expect(resolved).rejects.toThrow(manifest.descriptor.digest);
  });

  test('a file of a wrong size is reported, and replaced by a push', async () => {
    await foreignLayout([], [{ ...large, bytes: large.bytes.subarray(1) }]);
    const store = layoutStore(directory);
    await expect(store.fetch(large.descriptor)).rejects.toEqual(failsWith('STORE_ERROR'));
    await expect(store.fetch(large.descriptor)).rejects.toThrow('300006 bytes, expected 300007');
    await store.push(large.descriptor, pieces(large.bytes));
    expect(Buffer.compare(await bytesOf(await store.fetch(large.descriptor)), large.bytes)).toBe(0);
  });

  test('a change by another store is seen', async () => {
    const store = layoutStore(directory);
    await fill(store, [manifest]);
    expect(await store.tags()).toEqual(['latest']);
    await fill(layoutStore(directory), [{ ...manifest, tag: 'v2' }]);
    expect(await store.tags()).toEqual(['latest', 'v2']);
  });
});

test('a thousand bodies can be open at the same time', async () => {
  const store = layoutStore(directory);
  await store.push(large.descriptor, pieces(large.bytes));
  const all = await Promise.all(Array.from({ length: 1_000 }, () => store.fetch(large.descriptor)));
  const readers = all.map(({ body }) => body[Symbol.asyncIterator]());
  for (const reader of readers) expect((await reader.next()).value?.length).toBeGreaterThan(0);
  const open = (await readdir('/proc/self/fd').catch(() => [])).length;
  expect(open).toBeLessThan(500);
  await Promise.all(all.map(({ body }) => body.cancel()));
});

test('the files of bodies that are open are closed when these end, are cancelled, or are of no use', async () => {
  const count = async (): Promise<number> => {
    const entries = await readdir('/proc/self/fd').catch(() => []);
    const paths = await Promise.all(entries.map((entry) => readlink(`/proc/self/fd/${entry}`).catch(() => '')));
    return paths.filter((path) => path.startsWith(directory)).length;
  };
  const store = layoutStore(directory);
  await fill(store, [samples.empty, large]);
  await store.fetch(samples.empty.descriptor);
  await bytesOf(await store.open(large.descriptor.digest));
  const wrong = { ...large.descriptor, size: 1 };
  await expect(store.fetch(wrong)).rejects.toEqual(failsWith('STORE_ERROR'));
  await expect(store.fetch(large.descriptor, { range: { start: 1e9 } })).rejects.toThrow('start beyond the end');
  const controller = new AbortController();
  const bodies = [];
  for (const signal of [controller.signal, undefined])
    bodies.push((await store.fetch(large.descriptor, { signal })).body);
  for (const body of bodies) await lenderOf(body)?.();
  controller.abort();
  await bodies[1]?.cancel();
  await expect.poll(count).toBe(0);
});

test('content that is wanted next is read when it is resolved, for one fetch of that descriptor', async () => {
  const opened: string[] = [];
  const real = unsyncedFiles();
  const store = createLayout(directory, {
    files: {
      ...real,
      open: (path, mode) => {
        if (mode.startsWith('read')) opened.push(path.slice(directory.length + 1, directory.length + 6));
        return real.open(path, mode);
      },
    },
  });
  await fill(store, [manifest, large]);
  for (const reference of [manifest.descriptor.digest, manifest.tag ?? '']) {
    await store.resolve(reference, { links: false });
    opened.length = 0;
    const descriptor = await store.resolve(reference, { content: true, links: false });
    expect(descriptor).toMatchObject(manifest.descriptor);
    expect(Buffer.compare(await bytesOf(await store.fetch(descriptor, { links: false })), manifest.bytes)).toBe(0);
    expect(opened).toEqual(['blobs']);
    await store.fetch(descriptor, { links: false }).then(bytesOf);
    const other = await store.resolve(reference, { content: true, links: false });
    const part = await store.fetch(other, { links: false, range: { start: 3, end: 9 } });
    expect(Buffer.compare(await bytesOf(part), manifest.bytes.subarray(3, 9))).toBe(0);
    // Not what was read through links for what must not be.
    const linked = await store.resolve(reference, { content: true });
    opened.length = 0;
    await store.fetch(linked, { links: false }).then(bytesOf);
    expect(opened).toEqual(['blobs']);
  }
});

test('chunks that are lent are smaller if many bodies are read', async () => {
  const store = layoutStore(directory);
  const bytes = new Uint8Array(1_200_000);
  const { descriptor } = sampleOf(bytes);
  await store.push(descriptor, pieces(bytes, 1_200_000));
  const all = await Promise.all(Array.from({ length: 200 }, () => store.fetch(descriptor)));
  const lent = async (index: number): Promise<number> => {
    const body = all[index]?.body;
    return (body && (await lenderOf(body)?.())?.length) ?? 0;
  };
  const lengths: number[] = [];
  for (const index of all.keys()) lengths.push(await lent(index));
  // Whoever came first had no need to share; later it has no more than all others.
  expect([lengths[0], lengths[199]]).toEqual([1_048_576, 32_768]);
  const share = Math.floor(16_777_216 / 200);
  expect([await lent(0), await lent(199)]).toEqual([share, share]);
  await Promise.all(all.map(({ body }) => body.cancel()));
  const { body } = await store.fetch(descriptor);
  expect((await lenderOf(body)?.())?.length).toBe(1_048_576);
  await body.cancel();
});

test('a directory that becomes a layout while it is examined is one', async () => {
  const real = unsyncedFiles();
  const store = createLayout(directory, {
    files: {
      ...real,
      list: async (path) => {
        // There was no "oci-layout" a moment ago.
        if (path === directory) await foreignLayout([], [large]);
        return real.list(path);
      },
    },
  });
  await fill(store, [manifest]);
  expect(await store.tags()).toEqual(manifest.tag === undefined ? [] : [manifest.tag]);
});

test('a new layout is created although another process, which creates it too, removes the folder of the locks', async () => {
  const real = unsyncedFiles();
  let failures = 3;
  const store = createLayout(directory, {
    files: {
      ...real,
      makeDirectory: async (path) => {
        // As `mkdir` fails if the folder exists, and is gone when it is examined.
        if (path.endsWith('.ocifetch') && failures-- > 0)
          throw fileSystemError('make directory', path, { code: 'EEXIST' });
        return real.makeDirectory(path);
      },
    },
  });
  await fill(store, [manifest]);
  expect(failures).toBeLessThan(0);
  expect(await layoutStore(directory).verify()).toMatchObject({ checked: 1, wrong: [] });
});

test('an index.json that is replaced while it is read is read completely', async () => {
  const real = unsyncedFiles();
  let round = 0;
  const store = createLayout(directory, {
    files: {
      ...real,
      open: async (path, mode) => {
        // Somebody else replaces it between the look at the file and its opening.
        if (mode === 'read' && path.endsWith('index.json') && round < 5) {
          await writeIndex({ schemaVersion: 2, annotations: { a: 'x'.repeat(1_000 * ++round) }, manifests: [] });
        }
        return real.open(path, mode);
      },
    },
  });
  await foreignLayout([], []);
  for (let times = 0; times < 5; times++) expect(await store.tags()).toEqual([]);
  expect(round).toBe(5);
});

test.runIf(process.platform === 'linux')('the file of a body that nobody reads or cancels is closed', async () => {
  setFlagsFromString('--expose-gc');
  const collect: () => void = runInNewContext('gc');
  const store = layoutStore(directory);
  await fill(store, [large]);
  const openFiles = async (): Promise<number> => {
    const paths = (await readdir('/proc/self/fd')).map((name) => readlink(`/proc/self/fd/${name}`).catch(() => ''));
    return (await Promise.all(paths)).filter((path) => path.startsWith(directory)).length;
  };
  // What the runtime says if it has to close one.
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  try {
    await store.fetch(large.descriptor);
    await expect
      .poll(() => {
        collect();
        return openFiles();
      })
      .toBe(0);
    expect(warnings).toEqual([]);
  } finally {
    process.off('warning', note);
  }
});
