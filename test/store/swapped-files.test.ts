import { link, lstat, mkdir, mkdtemp, readdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { serve } from '../../src/server/registry/serve.ts';
import type { Files } from '../../src/store/files.ts';
import { createLayout, layoutStore } from '../../src/store/layout.ts';
import { bytesOf, samples } from '../contract/source.ts';
import { fill, pieces } from '../contract/store.ts';
import { simulatedProcess } from '../support/simulated-process.ts';
import { unsyncedFiles } from '../support/unsynced-files.ts';

/* Somebody puts another file in a place between the moment when it is examined and the moment when it is opened or renamed. */

const { config, manifest, large } = samples;
const nameKey = 'org.opencontainers.image.ref.name';
const nameOf = (digest: string): string => join('blobs', digest.replace(':', '/'));
const subject = large.descriptor;
/** Documents elsewhere, which a link leads to. Each would show in a response. */
const outside = {
  index: { schemaVersion: 2, manifests: [{ ...manifest.descriptor, annotations: { [nameKey]: 'SECRET' } }] },
  version: { imageLayoutVersion: 'SECRET' },
  document: {
    schemaVersion: 2,
    mediaType: manifest.descriptor.mediaType,
    config: config.descriptor,
    layers: [],
    subject,
    annotations: { 'org.example': 'SECRET' },
  },
};

let root = '';
let directory = '';
beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'ocifetch-swapped-'));
  directory = join(root, 'layout');
  await fill(createLayout(directory, { files: unsyncedFiles() }), [config, manifest]);
  for (const [name, value] of Object.entries(outside)) await writeFile(join(root, name), JSON.stringify(value));
});
afterEach(() => rm(root, { recursive: true, force: true }));

/** The file system, in which `swap` happens just before the first opening, or after the first look, at a place. */
function swapping(place: string, when: 'opened' | 'examined', swap: (path: string) => Promise<unknown>): Files {
  const real = unsyncedFiles();
  const path = join(directory, place);
  let isSwapped = false;
  const swapOnce = async (at: string): Promise<void> => {
    if (at !== path || isSwapped) return;
    isSwapped = true;
    await swap(path);
  };
  const looking =
    <T extends unknown[], R>(look: (path: string, ...rest: T) => Promise<R>) =>
    async (at: string, ...rest: T): Promise<R> => {
      const found = await look(at, ...rest);
      if (when === 'examined') await swapOnce(at);
      return found;
    };
  return {
    ...real,
    open: async (at, mode) => {
      if (when === 'opened') await swapOnce(at);
      return real.open(at, mode);
    },
    examine: looking(real.examine),
    facts: looking(real.facts),
  };
}

const toLink =
  (target: keyof typeof outside) =>
  async (path: string): Promise<void> => {
    await rm(path);
    await symlink(join(root, target), path);
  };

async function get(files: Files, path: string, method = 'GET'): Promise<string> {
  const response = await serve(() => createLayout(directory, { files }))(
    new Request(`http://x/v2/a/${path}`, { method }),
  );
  return `${response.status} ${JSON.stringify([...response.headers])} ${await response.text().catch(String)}`;
}

describe.each(['opened', 'examined'] as const)('a link that is put in place when a file is %s', (when) => {
  const { digest } = manifest.descriptor;
  const other = config.descriptor.digest;
  test.each([
    ['index.json', 'index', 'tags/list', 'GET'],
    ['index.json', 'index', 'manifests/SECRET', 'GET'],
    ['oci-layout', 'version', 'tags/list', 'GET'],
    [nameOf(digest), 'document', 'manifests/latest', 'GET'],
    [nameOf(digest), 'document', `manifests/${digest}`, 'HEAD'],
    [nameOf(digest), 'document', `blobs/${digest}`, 'GET'],
    [nameOf(digest), 'document', `blobs/${digest}`, 'HEAD'],
    [nameOf(digest), 'document', `referrers/${subject.digest}`, 'GET'],
    [nameOf(other), 'document', `manifests/${other}`, 'GET'],
  ] as const)('at %s (to %s) is not followed by a server: %s, %s', async (place, target, path, method) => {
    const told = await get(swapping(place, when, toLink(target)), path, method);
    expect(told).not.toContain('SECRET');
    expect(told).not.toContain(`"content-length","${JSON.stringify(outside[target]).length}"`);
    // The type is that of the bytes if the index says nothing.
    if (place === nameOf(other)) expect(told).not.toContain('image.manifest');
    if (path === 'manifests/SECRET') expect(told).toMatch(/^(404|500) /);
  });
});

test('a file that replaces content just after that got its name is not taken for what was written', async () => {
  const real = unsyncedFiles();
  const path = join(directory, nameOf(large.descriptor.digest));
  const wrong = Buffer.alloc(large.bytes.length, 1);
  const store = createLayout(directory, {
    files: {
      ...real,
      rename: async (from, to) => {
        const isRenamed = await real.rename(from, to);
        if (to !== path) return isRenamed;
        await writeFile(join(root, 'wrong'), wrong);
        await rename(join(root, 'wrong'), path);
        return isRenamed;
      },
    },
  });
  await store.push(large.descriptor, pieces(large.bytes));
  expect(wrong.equals(await readFile(path))).toBe(true);
  const next = layoutStore(directory);
  await next.push(large.descriptor, pieces(large.bytes));
  expect(Buffer.compare(await bytesOf(await next.fetch(large.descriptor)), large.bytes)).toBe(0);
});

test.each(['symbolic link', 'hard link'])(
  'a %s that is put in place of the bytes of a silent owner is not copied from',
  async (kind) => {
    const folder = join(directory, '.ocifetch');
    const key = large.descriptor.digest.replace(':', '-');
    await mkdir(folder);
    await writeFile(
      join(folder, `${key}.${'f'.repeat(12)}-1-1-${String(kind.length).padStart(12, '0')}`),
      large.bytes.subarray(0, 1000),
    );
    const { owners } = simulatedProcess(new Set());
    const real = unsyncedFiles();
    let copied = '';
    const store = createLayout(directory, {
      owners: { next: owners.next, isRunning: () => undefined },
      waits: [2, 20],
      goneAfter: 50,
      mostSmall: 0,
      files: {
        ...real,
        open: async (path, mode) => {
          if (mode === 'read-unlinked' && path.includes(key)) {
            copied = path;
            await rm(path);
            await (kind === 'hard link' ? link(join(root, 'document'), path) : symlink(join(root, 'document'), path));
          }
          return real.open(path, mode);
        },
      },
    });
    const pushed = store.pushFrom(large.descriptor, (offset) => pieces(large.bytes.subarray(offset)));
    await expect(pushed).rejects.toMatchObject({ code: 'STORE_ERROR', message: expect.stringContaining(kind) });
    expect(copied).toContain(key);
    for (const name of await readdir(folder)) {
      const facts = await lstat(join(folder, name));
      const isCopy = facts.isFile() && facts.nlink === 1;
      if (isCopy) expect(await readFile(join(folder, name), 'utf8')).not.toContain('SECRET');
    }
    expect(JSON.parse(await readFile(join(root, 'document'), 'utf8'))).toEqual(outside.document);
  },
);
