import fs, { chmod, mkdir, mkdtemp, readdir, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runInNewContext } from 'node:vm';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import type { RegistryError } from '../../src/errors.ts';
import type { Files } from '../../src/store/files.ts';
import { createLayout, layoutStore } from '../../src/store/layout.ts';
import { nodeFiles } from '../../src/store/node-files.ts';
import { fileSystemError } from '../../src/store/store-error.ts';
import { samples } from '../contract/source.ts';
import { fill, pieces } from '../contract/store.ts';

let directory = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-disk-errors-'));
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const { large, manifest } = samples;
const failure = (code: string): Error => Object.assign(new Error(`${code}: as the system says it`), { code });

/** A file system that fails with the code that `refuses` returns, until `repair` is called. */
function failingFiles(refuses: (call: string, path: string, bytes: number) => string | undefined) {
  const real = nodeFiles();
  let isBroken = true;
  const check = (call: string, path: string, bytes = 0): void => {
    const code = isBroken ? refuses(call, path, bytes) : undefined;
    if (code) throw fileSystemError(call, path, failure(code));
  };
  const files: Files = {
    ...real,
    open: async (path, mode) => {
      check(mode === 'read' ? 'read' : 'create', path);
      const file = await real.open(path, mode);
      return (
        file && {
          ...file,
          write: async (chunks, position) => {
            check('write', path, position + chunks.reduce((sum, { length }) => sum + length, 0));
            await file.write(chunks, position);
          },
          sync: async () => {
            check('sync', path);
            await file.sync();
          },
        }
      );
    },
    place: async (placement) => {
      const { temporary, final, bytes } = placement;
      check('create', temporary);
      check('write', temporary, bytes.length);
      check('rename', final);
      const file = await real.place(placement);
      return (
        file && {
          ...file,
          sync: async () => {
            check('sync', temporary);
            await file.sync();
          },
        }
      );
    },
    rename: async (from, to) => {
      check('rename', to);
      return real.rename(from, to);
    },
    makeDirectory: async (path) => {
      check('make directory', path);
      await real.makeDirectory(path);
    },
  };
  return {
    files,
    repair: () => {
      isBroken = false;
    },
  };
}

const inBlobs = (path: string): boolean => /sha256-/.test(path);

test.each([
  ['ENOSPC', 'the disk is full'],
  ['EDQUOT', 'the disk quota is used up'],
  ['EIO', 'the disk failed'],
])(
  '%s while content is written is reported, nothing incomplete has its final name, and the next run resumes',
  async (code, says) => {
    const { files, repair } = failingFiles((call, path, bytes) =>
      call === 'write' && inBlobs(path) && bytes > 100_000 ? code : undefined,
    );
    const store = createLayout(directory, { files, mostSmall: 0 });
    const offsets: number[] = [];
    const push = () =>
      store.pushFrom(large.descriptor, (offset) => {
        offsets.push(offset);
        return pieces(large.bytes.subarray(offset));
      });
    const error: RegistryError = await push().catch((thrown) => thrown);
    expect([error.code, (error.cause as { code: string }).code]).toEqual(['STORE_ERROR', code]);
    expect(error.message).toContain(says);
    expect(error.message).toContain(`"${directory}`);
    expect(error.message).toContain(JSON.stringify(error.value));
    expect(await readdir(join(directory, 'blobs', 'sha256'))).toEqual([]);
    repair();
    await push();
    expect(offsets[0]).toBe(0);
    expect(offsets[1]).toBeGreaterThan(0);
    expect((await layoutStore(directory).verify()).wrong).toEqual([]);
  },
);

test.each(['create', 'write', 'sync', 'rename', 'make directory'])(
  'a disk that is full at "%s" leaves a whole index.json, and blocks nobody',
  async (call) => {
    await fill(layoutStore(directory), [manifest]);
    const { files, repair } = failingFiles((each, path) =>
      each === call && !path.includes('blobs') ? 'ENOSPC' : undefined,
    );
    const store = createLayout(directory, { files });
    const tagged = store.tag(manifest.descriptor, 'v1');
    await expect(tagged).rejects.toMatchObject({ code: 'STORE_ERROR' });
    await expect(tagged).rejects.toThrow('the disk is full (ENOSPC)');
    expect(await layoutStore(directory).tags()).toEqual(['latest']);
    repair();
    await store.tag(manifest.descriptor, 'v2');
    expect(await layoutStore(directory).tags()).toEqual(['latest', 'v2']);
    expect(await readdir(directory)).not.toContain('.ocifetch');
  },
);

test('a read-only file system is reported; what it has can be read', async () => {
  await fill(layoutStore(directory), [manifest]);
  const { files } = failingFiles((call) => (call === 'read' ? undefined : 'EROFS'));
  const store = createLayout(directory, { files });
  await expect(store.push(large.descriptor, pieces(large.bytes))).rejects.toThrow(
    'the file system is read-only (EROFS)',
  );
  expect((await store.resolve('latest')).digest).toBe(manifest.descriptor.digest);
});

test('a directory without write permission is refused with a clear message, and the body is cancelled', async () => {
  const closed = join(directory, 'closed');
  await mkdir(closed);
  await chmod(closed, 0o500);
  // Even root may not write below a process's own list of files.
  const target = process.getuid?.() === 0 ? '/proc/self/fdinfo/layout' : join(closed, 'layout');
  let isLeft = false;
  const body = (async function* () {
    try {
      yield large.bytes.slice();
    } finally {
      isLeft = true;
    }
  })();
  await body.next();
  const pushed = layoutStore(target).push(large.descriptor, body);
  await expect(pushed).rejects.toMatchObject({ code: 'STORE_ERROR' });
  await expect(pushed).rejects.toThrow(/^Cannot make directory ".*layout.*": .* \(E[A-Z]+\)$/);
  expect(isLeft).toBe(true);
  await chmod(closed, 0o700);
});

test('if the disk fails to sync the bytes, they get no final name', async () => {
  const { files, repair } = failingFiles((call, path) => (call === 'sync' && inBlobs(path) ? 'EIO' : undefined));
  const store = createLayout(directory, { files });
  await expect(store.push(large.descriptor, pieces(large.bytes))).rejects.toThrow('the disk failed');
  await expect(stat(join(directory, 'blobs', large.descriptor.digest.replace(':', '/')))).rejects.toThrow('ENOENT');
  repair();
  await store.push(large.descriptor, pieces(large.bytes));
  expect((await store.verify()).checked).toBe(1);
});

describe('a directory whose names cannot be synced', () => {
  const realOpen = fs.open;
  /** Each `fsync` of a directory fails with the code. */
  const failing = (code: string): void => {
    vi.spyOn(fs, 'open').mockImplementation(async (path, ...rest) => {
      const handle = await realOpen(path, ...rest);
      if ((await handle.stat()).isDirectory()) handle.sync = () => Promise.reject(failure(code));
      return handle;
    });
  };
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test('because the disk failed is an error', async () => {
    failing('EIO');
    await expect(fill(layoutStore(directory), [manifest])).rejects.toMatchObject({
      code: 'STORE_ERROR',
      attempted: expect.stringContaining('sync'),
      found: expect.stringContaining('EIO'),
    });
  });

  test.each(['EINVAL', 'ENOTSUP', 'EPERM'])('because the file system has no such thing (%s) is fine', async (code) => {
    failing(code);
    await fill(layoutStore(directory), [manifest]);
    expect(await layoutStore(directory).tags()).toEqual(['latest']);
  });
});

describe('a runtime that does not offer to sync', () => {
  const realOpen = fs.open;
  /** Neither files nor directories can be synced; `refuse` throws. */
  const without = (refuse: () => never, isAsync: boolean): void => {
    vi.spyOn(fs, 'open').mockImplementation(async (path, ...rest) => {
      const handle = await realOpen(path, ...rest);
      const sync = isAsync ? async () => refuse() : refuse;
      return Object.assign(handle, { sync, datasync: sync });
    });
  };
  afterEach(() => {
    vi.restoreAllMocks();
  });

  test.each([
    ["Yarn's Plug'n'Play, at the call", false, new Error('Method not implemented.')],
    [
      "Node's permission model",
      true,
      Object.assign(new Error('fdatasync API is disabled'), { code: 'ERR_ACCESS_DENIED' }),
    ],
  ])('is gone without: %s', async (_, isAsync, error) => {
    without(() => {
      throw error;
    }, isAsync);
    await fill(layoutStore(directory), [large, manifest]);
    vi.restoreAllMocks();
    expect((await layoutStore(directory).verify()).checked).toBe(2);
  });

  test.each(['EIO', 'ENOSPC', 'EDQUOT'])('is not one in which the system fails to: %s is an error', async (code) => {
    without(() => {
      throw failure(code);
    }, true);
    await expect(fill(layoutStore(directory), [large])).rejects.toMatchObject({
      code: 'STORE_ERROR',
      found: expect.stringContaining(code),
    });
  });
});

test('a layout works where the errors of the system are of another realm, as in a VM context', async () => {
  const foreign = runInNewContext('(code, message) => Object.assign(new Error(message), { code })');
  for (const name of [
    'open',
    'lstat',
    'stat',
    'readdir',
    'mkdir',
    'rename',
    'unlink',
    'readlink',
    'lutimes',
  ] as const) {
    const real = fs[name] as (...args: unknown[]) => Promise<unknown>;
    vi.spyOn(fs, name as 'open').mockImplementation((...args) =>
      (real(...args) as ReturnType<typeof fs.open>).catch((error) => {
        throw foreign(error.code, error.message);
      }),
    );
  }
  try {
    const store = layoutStore(join(directory, 'deep', 'layout'));
    await fill(store);
    expect((await store.resolve(manifest.descriptor.digest)).digest).toBe(manifest.descriptor.digest);
    const error = await layoutStore(join(directory, 'deep', 'layout', 'index.json'))
      .push(large.descriptor, pieces(large.bytes))
      .catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code: 'STORE_ERROR' });
  } finally {
    vi.restoreAllMocks();
  }
});
