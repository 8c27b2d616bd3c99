import { spawnSync } from 'node:child_process';
import { chown, link, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createLiars } from '../../src/content/attempts.ts';
import { Content } from '../../src/content/content.ts';
import { copy } from '../../src/copy/copy.ts';
import { createImageFiles } from '../../src/files/image-files.ts';
import { serve } from '../../src/server/registry/serve.ts';
import { createLayout, type LayoutStore } from '../../src/store/layout.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { processOwners } from '../../src/store/owner.ts';
import { bytesOf, sampleOf } from '../contract/source.ts';
import { fill, pieces } from '../contract/store.ts';
import { unsyncedFiles } from '../support/unsynced-files.ts';

/*
 * A layout that somebody else prepared: every kind of file at every path. Whatever is done with it, nothing outside changes,
 * nothing from outside is sent, and everything ends soon.
 */

/** Hundreds of pulls, none of which has to wait for the disk. */
const layoutStore = (path: string): LayoutStore => createLayout(path, { files: unsyncedFiles() });

const config = sampleOf(Buffer.from('{}'));
const layer = sampleOf(Uint8Array.from({ length: 60_000 }, (_, index) => (index * 7 + (index >> 8)) & 255));
const type = 'application/vnd.oci.image.manifest.v1+json';
const document = { schemaVersion: 2, mediaType: type, config: config.descriptor, layers: [layer.descriptor] };
const image = { ...sampleOf(Buffer.from(JSON.stringify(document)), type), tag: 'latest' };
const contents = [config, layer, image];

const nameOf = (digest: string): string => join('blobs', digest.replace(':', '/'));
const partialOf = (digest: string): string => join('.ocifetch', `${digest.replace(':', '-')}.partial`);
const dead = `${processOwners().next().split('-')[0]}-${spawnSync('true').pid}-1-${'0'.repeat(12)}`;

const places = [
  'oci-layout',
  'index.json',
  nameOf(layer.descriptor.digest),
  nameOf(image.descriptor.digest),
  partialOf(layer.descriptor.digest),
  join('.ocifetch', `index.${dead}`),
  join('.ocifetch', `session.${dead}`),
  join('.ocifetch', `gc.${dead}`),
  'blobs',
  join('blobs', 'sha256'),
  '.ocifetch',
];

let root = '';
let directory = '';
/** The files of a layout with all contents. */
let sound: readonly (readonly [name: string, bytes: Buffer])[] = [];
let outside = '';
/** FIFOs and devices, which only programs make: a process for all of them. */
let special = '';
let servers: Server[] = [];

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'ocifetch-hostile-'));
  [directory, outside, special] = [join(root, 'layout'), join(root, 'outside'), join(root, 'special')];
  await fill(layoutStore(directory), contents);
  const names = ['oci-layout', 'index.json', ...contents.map(({ descriptor }) => nameOf(descriptor.digest))];
  sound = await Promise.all(names.map(async (name) => [name, await readFile(join(directory, name))] as const));
  await rm(directory, { recursive: true });
  for (const folder of [outside, special]) await mkdir(folder);
  const make = 'for n in $(seq 50); do mkfifo FIFO.$n; [ $(id -u) = 0 ] && mknod device.$n c 1 5; done; true';
  expect(spawnSync('sh', ['-c', make], { cwd: special }).status).toBe(0);
  await writeFile(join(outside, 'file'), `SECRET:${'x'.repeat(40_000)}`);
  await mkdir(join(outside, 'folder', 'sha256'), { recursive: true });
  await writeFile(join(outside, 'folder', 'sha256', layer.descriptor.digest.slice(7)), 'SECRET of the folder');
  await writeFile(join(outside, 'folder', layer.descriptor.digest.slice(7)), 'SECRET of the folder');
});
afterAll(() => rm(root, { recursive: true, force: true }));
beforeEach(() => mkdir(directory));
afterEach(async () => {
  for (const server of servers) server.close();
  servers = [];
  await rm(directory, { recursive: true, force: true });
});

async function placeSpecial(kind: 'FIFO' | 'device', path: string): Promise<void> {
  const [name] = (await readdir(special)).filter((one) => one.startsWith(kind));
  if (name) await rename(join(special, name), path);
}

const kinds: Readonly<Record<string, (path: string) => Promise<unknown>>> = {
  'symbolic link to a file': (path) => symlink(join(outside, 'file'), path),
  'symbolic link to a folder': (path) => symlink(join(outside, 'folder'), path),
  'symbolic link to nothing': (path) => symlink(join(outside, 'new'), path),
  'symbolic link to itself': (path) => symlink(path, path),
  'hard link': (path) => link(join(outside, 'file'), path),
  FIFO: (path) => placeSpecial('FIFO', path),
  directory: (path) => mkdir(path),
  socket: async (path) => {
    // A path of a socket is short, so it is made elsewhere and renamed.
    const short = join(root, 's');
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(short, resolve));
    servers.push(server);
    await rename(short, path);
  },
  // Only root makes one.
  device: (path) => placeSpecial('device', path),
};

/** All there is outside, with what would show a change. */
async function snapshot(): Promise<string> {
  const names = (await readdir(outside, { recursive: true })).sort();
  const lines = names.map(async (name) => {
    const facts = await stat(join(outside, name));
    const text = facts.isFile() ? await readFile(join(outside, name), 'latin1') : '';
    return [name, facts.ino, facts.mtimeMs, facts.mode, text].join(' ');
  });
  return (await Promise.all(lines)).join('\n');
}

const get = async (store: LayoutStore, path: string, init?: RequestInit): Promise<string> => {
  const response = await serve(() => store)(new Request(`http://x/v2/a/${path}`, init));
  const headers = JSON.stringify([...response.headers]);
  return `${response.status} ${headers} ${await response.text().catch((error) => `${error}`)}`;
};

/** What is done with a layout: first what only reads it, one after the other, then what changes it. */
const works: Readonly<Record<string, (store: LayoutStore) => Promise<unknown>>> = {
  verify: (store) => store.verify(),
  'a dry run of gc': (store) => store.gc({ dryRun: true }),
  'a copy from it': (store) => copy(store, memoryStore(), 'latest'),
  serve: async (store) => {
    const digests = contents.map(({ descriptor }) => descriptor.digest);
    const paths = [
      'tags/list',
      'manifests/latest',
      ...digests.flatMap((digest) => [`blobs/${digest}`, `manifests/${digest}`, `referrers/${digest}`]),
    ];
    for (const path of paths) expect(await get(store, path)).not.toContain('SECRET');
    // Not even whether a file is there, and its size.
    for (const digest of digests)
      expect(await get(store, `blobs/${digest}`, { method: 'HEAD' })).not.toContain('40007');
  },
  'the files of an image': async (store) => {
    const shared = { source: store, emit: () => {}, liars: createLiars(), signals: [] };
    const layers = [new Content({ ...shared, descriptor: layer.descriptor })];
    await using files = createImageFiles({ descriptor: image.descriptor, layers });
    for await (const { path } of files.list()) expect(path).not.toContain('SECRET');
  },
  gc: (store) => store.gc(),
  'a pull into it': async (store) => {
    const from = memoryStore();
    await fill(from, contents);
    await copy(from, store, 'latest');
  },
};
const changing = ['gc', 'a pull into it'];

/** The sound layout again, with one thing in place of what is at a place. */
async function prepare(kind: string, place: string): Promise<void> {
  await rm(directory, { recursive: true, force: true });
  await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true });
  await Promise.all(sound.map(([name, bytes]) => writeFile(join(directory, name), bytes)));
  const path = join(directory, place);
  await rm(path, { recursive: true, force: true });
  await mkdir(dirname(path), { recursive: true });
  await kinds[kind]?.(path);
}

const listing = async (): Promise<string[]> => (await readdir(directory, { recursive: true })).sort();

describe.each(Object.keys(kinds))('in a layout, a %s', (kind) => {
  test.each(places)(
    'at %s',
    async (place) => {
      await prepare(kind, place);
      const before = await snapshot();
      const prepared = await listing();
      for (const [name, work] of Object.entries(works)) {
        if (name === 'a pull into it') await prepare(kind, place);
        const begun = performance.now();
        // Whether it fails depends on what is needed of it.
        const failed = await work(layoutStore(directory)).catch((error: { code?: string }) => error);
        if (failed instanceof Error)
          expect([name, failed]).toEqual([name, expect.objectContaining({ name: 'RegistryError' })]);
        expect([name, performance.now() - begun < 5_000]).toEqual([name, true]);
        expect([name, await snapshot()]).toEqual([name, before]);
        if (!changing.includes(name)) expect([name, await listing()]).toEqual([name, prepared]);
      }
    },
    30_000,
  );
});

describe('a pull that finds a partial', () => {
  const pushed = async (): Promise<void> => {
    const store = createLayout(directory, { files: unsyncedFiles(), mostSmall: 0 });
    await store.pushFrom(layer.descriptor, (offset) => pieces(layer.bytes.subarray(offset)));
    expect((await store.verify()).wrong).toEqual([]);
    expect(await readdir(directory)).not.toContain('.ocifetch');
  };
  const path = (): string => join(directory, partialOf(layer.descriptor.digest));
  beforeEach(() => mkdir(join(directory, '.ocifetch'), { recursive: true }));

  test.each(['symbolic link to a file', 'symbolic link to nothing', 'hard link'])(
    'that is a %s begins a new file',
    async (kind) => {
      await kinds[kind]?.(path());
      const before = await snapshot();
      await pushed();
      expect(await snapshot()).toBe(before);
    },
  );

  test.skipIf(process.getuid?.() !== 0)('of another user begins a new file', async () => {
    await writeFile(path(), layer.bytes.subarray(0, 30_000));
    await chown(path(), 12_345, 12_345);
    const { ino } = await stat(path());
    await pushed();
    const facts = await stat(join(directory, nameOf(layer.descriptor.digest)));
    expect([facts.uid, facts.ino === ino]).toEqual([0, false]);
  });

  test.each(['FIFO', 'directory', 'socket'])('that is a %s fails', async (kind) => {
    await kinds[kind]?.(path());
    await expect(pushed()).rejects.toMatchObject({ code: 'STORE_ERROR', found: `it is a ${kind}, not a file` });
  });
});

describe('a layout of links to files elsewhere', () => {
  /** As a build system makes it: contents, index and all. */
  beforeEach(async () => {
    await fill(layoutStore(join(outside, 'store')), contents);
    await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true });
    for (const { descriptor } of contents) {
      const name = nameOf(descriptor.digest);
      await symlink(join(outside, 'store', name), join(directory, name));
    }
    for (const name of ['index.json', 'oci-layout']) await symlink(join(outside, 'store', name), join(directory, name));
  });

  test('is verified, copied from and pulled into, and the files stay as they are', async () => {
    const before = await snapshot();
    const store = layoutStore(directory);
    expect(await store.verify()).toMatchObject({ checked: 3, wrong: [], missing: [] });
    const to = memoryStore();
    await copy(store, to, 'latest');
    expect(Buffer.compare(await bytesOf(await to.fetch(layer.descriptor)), layer.bytes)).toBe(0);
    const from = memoryStore();
    await fill(from, contents);
    expect(await copy(from, store, 'latest', { name: 'again' })).toMatchObject({ copied: 0 });
    expect(await store.tags()).toEqual(['again', 'latest']);
    await store.untag('again');
    await store.untag('latest');
    expect(await store.gc()).toMatchObject({ bytes: 0 });
    expect(await snapshot()).toBe(before);
  });

  test('is served only with the option "links"', async () => {
    const path = `blobs/${layer.descriptor.digest}`;
    expect(await get(layoutStore(directory), path)).toMatch(/^404 /);
    expect(await get(layoutStore(directory), 'manifests/latest')).toMatch(/^404 /);
    const response = await serve(() => layoutStore(directory), { links: true })(new Request(`http://x/v2/a/${path}`));
    expect([response.status, Buffer.compare(Buffer.from(await response.arrayBuffer()), layer.bytes)]).toEqual([200, 0]);
  });
});
