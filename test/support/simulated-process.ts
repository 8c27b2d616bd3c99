import type { Files, OpenFile, PlacedFile } from '../../src/store/files.ts';
import type { Owners } from '../../src/store/owner.ts';
import { unsyncedFiles } from './unsynced-files.ts';

/** A process that only the file system knows: it can be killed between any two of its calls. */
export interface SimulatedProcess {
  readonly files: Files;
  readonly owners: Owners;
  /** Shorter than those of real processes, which simulated ones need not be spared. */
  readonly waits: readonly [number, number];
  /** Nothing that it began ever returns. */
  kill(): Promise<void>;
  readonly isDead: boolean;
}

/** Who runs, as the processes of one test see it. */
export type Alive = Set<number>;

const host = 'aaaaaaaaaaaa';
let last = 0;

/** A process of a machine of its own kind; it dies by itself before its call number `dies`. */
export function simulatedProcess(alive: Alive, dies = Number.POSITIVE_INFINITY): SimulatedProcess {
  const pid = ++last;
  alive.add(pid);
  const real = unsyncedFiles();
  const open = new Set<PlacedFile>();
  let calls = 0;
  const kill = async (): Promise<void> => {
    alive.delete(pid);
    await Promise.all([...open].map((file) => file.close()));
    open.clear();
  };
  const isDead = (): boolean => !alive.has(pid);
  /** Every call goes through here: before and after it others have their turn. */
  const call = async <T>(work: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls === dies) await kill();
    if (isDead()) return new Promise(() => {});
    const result = await work();
    return isDead() ? new Promise(() => {}) : result;
  };
  const placed = (file: PlacedFile): PlacedFile => {
    open.add(file);
    return {
      sync: () => call(() => file.sync()),
      facts: () => call(() => file.facts()),
      close: () =>
        call(() => {
          open.delete(file);
          return file.close();
        }),
    };
  };
  const opened = (file: OpenFile): OpenFile => {
    return {
      ...placed(file),
      found: file.found,
      read: (buffer, position) => call(() => file.read(buffer, position)),
      write: (chunks, position) => call(() => file.write(chunks, position)),
      truncate: (size) => call(() => file.truncate(size)),
    };
  };
  const files: Files = {
    versionOf: (path) => real.versionOf(path),
    open: (path, mode) =>
      call(async () => {
        const file = await real.open(path, mode);
        return file && opened(file);
      }),
    place: (placement) =>
      call(async () => {
        const file = await real.place(placement);
        return file && placed(file);
      }),
    examine: (path) => call(() => real.examine(path)),
    facts: (path, links) => call(() => real.facts(path, links)),
    list: (path) => call(() => real.list(path)),
    rename: (from, to) => call(() => real.rename(from, to)),
    link: (from, to) => call(() => real.link(from, to)),
    remove: (path) => call(() => real.remove(path)),
    makeDirectory: (path) => call(() => real.makeDirectory(path)),
    removeDirectory: (path) => call(() => real.removeDirectory(path)),
    touch: (path) => call(() => real.touch(path)),
    syncDirectory: (path) => call(() => real.syncDirectory(path)),
  };
  const owners: Owners = {
    next: () =>
      `${host}-${pid}-1-${Math.floor(Math.random() * 2 ** 47)
        .toString(16)
        .padStart(12, '0')}`,
    isRunning: (owner) => alive.has(Number(owner.split('-')[1])),
  };
  return {
    files,
    owners,
    waits: [2, 20],
    kill,
    get isDead() {
      return isDead();
    },
  };
}
