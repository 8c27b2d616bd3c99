import { sleep } from '../abort.ts';
import { cannot } from '../errors.ts';
import { builtin } from '../runtime.ts';
import { quote } from '../text/quote.ts';
import type { FileFacts, Files, OpenFile, OpenMode } from './files.ts';
import { ifOffered, placeFile } from './push/place-file.ts';
import { fileSystemError, storeError, systemCode } from './store-error.ts';

/** How the file system is used. */
export interface NodeFilesOptions {
  /** Milliseconds to wait in total for other files to be closed if too many are open. */
  readonly patience?: number;
  /** Whether so many names of a file, `FileFacts.version`, are all of whoever uses it. Default: they are not. */
  readonly ownsAll?: (path: string, version: string, names: number) => Promise<boolean>;
}

/** The file system of Node. `UNSUPPORTED` if the runtime has none. */
export function nodeFiles({ patience = 5_000, ownsAll }: NodeFilesOptions = {}): Files {
  const { promises: fs, constants, lstatSync } = builtin('node:fs') ?? {};
  if (!fs || !constants || !lstatSync)
    throw cannot('UNSUPPORTED', 'use an image layout', 'this runtime has no node:fs');
  const modes = openModes(constants);

  /** Does the work, again while too many files are open; a failure with one of the codes `expected` is undefined. */
  const attempt = async <T>(
    attempted: string,
    path: string,
    expected: readonly string[],
    work: () => Promise<T>,
  ): Promise<T | undefined> => {
    for (let waited = 0, pause = 10; ; waited += pause, pause = Math.min(pause * 2, 200)) {
      try {
        return await work();
      } catch (error) {
        const code = systemCode(error) ?? '';
        if (expected.includes(code)) return undefined;
        if (!(code === 'EMFILE' || code === 'ENFILE') || waited > patience)
          throw fileSystemError(attempted, path, error);
        await sleep(pause);
      }
    }
  };
  const done = async (work: Promise<unknown>): Promise<true> => {
    await work;
    return true;
  };
  const absent = ['ENOENT'];
  const nowhere = [...absent, 'ENOTDIR'];

  /** The facts, of which `ownsAll` may say that the file is not shared with others. */
  const judged = async (path: string, facts: IdentifiedFacts): Promise<IdentifiedFacts> =>
    facts.names > 1 && !facts.isLink && (await ownsAll?.(path, facts.version, facts.names))
      ? { ...facts, isShared: false }
      : facts;
  const examine = async (path: string): Promise<IdentifiedFacts | undefined> => {
    // To look is much less work than to hand it to a thread, and a layout looks at its folders again and again.
    const named = await attempt('examine', path, nowhere, async () => lstatSync(path, { bigint: true }));
    if (!named?.isSymbolicLink()) return named && judged(path, factsOf(named, false));
    return factsOf(await attempt('examine', path, nowhere, () => fs.stat(path, { bigint: true })), true);
  };
  /** The file behind a handle, if it may be used as its mode says. */
  const checked = async (handle: FileHandle, path: string, mode: OpenMode): Promise<OpenFile | undefined> => {
    const { attempted } = modes[mode];
    const facts = await judged(path, factsOf(await handle.stat({ bigint: true }), false));
    refuseOther(attempted, path, facts);
    const refuseShared = (): void => {
      if (facts.isShared) throw storeError(attempted, path, 'the file has another name elsewhere (a hard link)');
    };
    if (mode === 'read-unlinked') refuseShared();
    if (mode !== 'write') return openFile(handle, path, facts);
    // Somebody may have taken it over since, or put it there.
    const named = await examine(path);
    if (!named) return undefined;
    if (named.isLink || named.identity !== facts.identity)
      throw storeError(attempted, path, 'it was replaced just now');
    refuseShared();
    return openFile(handle, path, facts);
  };

  return {
    open: async (path, mode) => {
      const { flags, attempted, expected } = modes[mode];
      const handle = await attempt(attempted, path, expected, () => fs.open(path, flags).catch(nameLink(mode)));
      if (!handle) return undefined;
      let file: OpenFile | undefined;
      try {
        file = await checked(handle, path, mode);
      } finally {
        if (!file) await handle.close();
      }
      return file;
    },
    place: (placement) => attempt('create', placement.temporary, absent, async () => placeFile(placement, factsOf)),
    examine,
    facts: async (path, links = true) => {
      const facts = await examine(path);
      if (!facts || facts.type === 'nothing') return undefined;
      if (!links && (facts.isLink || (facts.type === 'file' && facts.isShared))) return undefined;
      refuseOther('use', path, facts);
      return facts;
    },
    versionOf: (path) => {
      const found = lstatSync(path, { bigint: true, throwIfNoEntry: false });
      return found?.isFile() ? versionOf(found) : undefined;
    },
    list: (path) => attempt('list', path, absent, () => fs.readdir(path)),
    rename: async (from, to) =>
      (await attempt('rename a file to', to, absent, () => done(fs.rename(from, to)))) ?? false,
    link: async (from, to) => (await attempt('link', to, unlinkable, () => done(fs.link(from, to)))) ?? false,
    remove: async (path) => (await attempt('remove', path, absent, () => done(fs.unlink(path)))) ?? false,
    makeDirectory: async (path) => {
      await attempt('make directory', path, [], () => makeDirectory(fs, path));
    },
    removeDirectory: async (path) => {
      await fs.rmdir(path).catch(() => {});
    },
    touch: async (path) => {
      const now = new Date();
      return (await attempt('touch', path, absent, () => done(fs.lutimes(path, now, now)))) ?? false;
    },
    syncDirectory: async (path) => {
      const flags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NONBLOCK;
      const handle = await attempt('sync', path, unsyncable, () => fs.open(path, flags));
      if (!handle) return;
      try {
        await attempt('sync', path, unsyncable, () => ifOffered(() => handle.sync()));
      } finally {
        await handle.close();
      }
    },
  };
}

/**
 * What a system or a file system says that cannot sync a directory: Windows when it is opened (EISDIR, EPERM), others by
 * `fsync`; or that there is nothing to sync, or no permission to read the names.
 */
const unsyncable = [
  'EINVAL',
  'ENOTSUP',
  'EOPNOTSUPP',
  'ENOSYS',
  'EPERM',
  'EISDIR',
  'EBADF',
  'EACCES',
  'ENOENT',
  'ENOTDIR',
];

/** What a system says that has no hard links, or not between these paths, or has a file there. */
const unlinkable = ['EXDEV', 'EPERM', 'ENOTSUP', 'EOPNOTSUPP', 'ENOSYS', 'EMLINK', 'EEXIST', 'ENOENT', 'EACCES'];

type FileHandle = import('node:fs/promises').FileHandle;

/** How the system opens a file. `O_NONBLOCK`: opening a FIFO waits for nobody. What a system does not have is 0 here. */
function openModes(constants: typeof import('node:fs').constants) {
  const { O_RDONLY, O_RDWR, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK } = constants;
  const unlinked = O_NOFOLLOW | O_NONBLOCK;
  const mode = (flags: number, attempted: string, expected: readonly string[]) => ({ flags, attempted, expected });
  return {
    read: mode(O_RDONLY | O_NONBLOCK, 'read', ['ENOENT']),
    'read-unlinked': mode(O_RDONLY | unlinked, 'read', ['ENOENT']),
    write: mode(O_RDWR | unlinked, 'write', ['ENOENT']),
    create: mode(O_RDWR | O_CREAT | O_EXCL | unlinked, 'create', ['EEXIST', 'ENOENT']),
  };
}

/** What `O_NOFOLLOW` refuses is no loop of links. */
const nameLink =
  (mode: OpenMode) =>
  (error: unknown): never => {
    throw mode !== 'read' && systemCode(error) === 'ELOOP' ? new Error('it is a symbolic link') : error;
  };

/** Refuses what is not a regular file. */
function refuseOther(attempted: string, path: string, { type }: FileFacts): void {
  if (type !== 'file') throw storeError(attempted, path, `it is a ${type}, not a file`);
}

/** `found`: undefined for a link that leads nowhere. */
function factsOf(found: BigIntStats | undefined, isLink: boolean): IdentifiedFacts {
  if (!found) {
    const nothing = { user: -1, size: 0, modified: 0, version: '', identity: '', names: 0 };
    return { type: 'nothing', isLink, isShared: isLink, ...nothing };
  }
  const { size, mtimeMs, dev, ino, nlink, uid } = found;
  return {
    type: typeOf(found),
    isLink,
    isShared: isLink || nlink > 1n,
    user: Number(uid),
    size: Number(size),
    modified: Number(mtimeMs),
    version: versionOf(found),
    identity: `${dev}:${ino}`,
    names: Number(nlink),
  };
}

const versionOf = ({ dev, ino, size, mtimeNs, ctimeNs }: BigIntStats): string =>
  `${dev}:${ino}:${size}:${mtimeNs}:${ctimeNs}`;

/** `identity` is what distinguishes one file from all others. */
type IdentifiedFacts = FileFacts & { readonly identity: string; readonly names: number };

function typeOf(found: BigIntStats): FileFacts['type'] {
  if (found.isFile()) return 'file';
  if (found.isDirectory()) return 'directory';
  if (found.isFIFO()) return 'FIFO';
  return found.isSocket() ? 'socket' : 'device';
}

type BigIntStats = import('node:fs').BigIntStats;

/**
 * Creates a directory with its parents. Not by the option of `mkdir`, which never ends if a file system says that a
 * directory below it does not exist.
 */
async function makeDirectory(fs: typeof import('node:fs/promises'), path: string): Promise<void> {
  /** The parent, if it has to be created first. */
  const once = async (): Promise<string | undefined> => {
    try {
      await fs.mkdir(path);
    } catch (error) {
      const exists = await fs.stat(path).then(
        (facts) => facts.isDirectory(),
        () => false,
      );
      if (exists) return undefined;
      await refuseLink(path);
      if (systemCode(error) === 'ENOENT') return builtin('node:path')?.dirname(path);
      throw error;
    }
    return undefined;
  };
  const parent = await once();
  if (parent === undefined || parent === path) return;
  await makeDirectory(fs, parent);
  if ((await once()) !== undefined) throw Object.assign(new Error('no directory can be made here'), { code: 'ENOENT' });
}

/** A directory cannot be created where a symbolic link is, wherever it leads. */
export async function refuseLink(path: string): Promise<void> {
  const target = await builtin('node:fs')
    ?.promises.readlink(path)
    .catch(() => undefined);
  if (target !== undefined) throw new Error(`it is a symbolic link to ${quote(target)}, which is not a directory`);
}

function openFile(handle: FileHandle, path: string, found: FileFacts): OpenFile {
  const reported = async <T>(attempted: string, work: Promise<T>): Promise<T> => {
    try {
      return await work;
    } catch (error) {
      throw fileSystemError(attempted, path, error);
    }
  };
  return {
    found,
    read: async (buffer, position) => {
      const { bytesRead } = await reported('read', handle.read(buffer, 0, buffer.length, position));
      return bytesRead;
    },
    write: (chunks, position) => reported('write', writeAll(handle, chunks, position)),
    truncate: (size) => reported('write', handle.truncate(size)),
    sync: () =>
      reported(
        'write',
        ifOffered(() => handle.datasync()),
      ),
    facts: async () => factsOf(await reported('examine', handle.stat({ bigint: true })), false),
    close: () => reported('close', handle.close()),
  };
}

/** The system may take fewer bytes than it is given. */
async function writeAll(handle: FileHandle, chunks: readonly Uint8Array[], position: number): Promise<void> {
  let at = position;
  let left = [...chunks];
  while (left.length > 0) {
    const { bytesWritten } = await handle.writev(left, at);
    at += bytesWritten;
    left = after(left, bytesWritten);
  }
}

/** What is left of the chunks after the first `bytes` bytes. */
function after(chunks: readonly Uint8Array[], bytes: number): Uint8Array[] {
  let skip = bytes;
  const left: Uint8Array[] = [];
  for (const chunk of chunks) {
    if (skip < chunk.length) left.push(chunk.subarray(skip));
    skip = Math.max(0, skip - chunk.length);
  }
  return left;
}
