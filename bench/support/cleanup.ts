// What is stopped and removed after a benchmark, whatever happens.
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface Cleanup {
  add(work: () => Promise<unknown>): void;
  /** A new folder, in memory if this machine has a place for that; it is removed. */
  folder(): Promise<string>;
  close(): Promise<void>;
}

const memory = '/dev/shm';

export function createCleanup(): Cleanup {
  const works: (() => Promise<unknown>)[] = [];
  return {
    add: (work) => void works.push(work),
    folder: async () => {
      const folder = await mkdtemp(join(existsSync(memory) ? memory : tmpdir(), 'ocifetch-bench-'));
      works.push(() => rm(folder, { recursive: true, force: true }));
      return folder;
    },
    close: async () => {
      for (const work of works.splice(0).reverse()) await work().catch(() => undefined);
    },
  };
}
