import { rmSync } from 'node:fs';
import { mkdtemp, realpath, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const folders = new Set<string>();

// What an interrupted suite left behind.
process.once('exit', () => {
  for (const path of folders) rmSync(path, { recursive: true, force: true });
});

/** Everything that a suite opened; one call closes it in reverse order. */
export interface Cleanup {
  /** Registers `close` to be called at the end. */
  add(close: () => Promise<unknown>): void;
  /** A new temporary folder, removed at the end. */
  folder(): Promise<string>;
  /** Closes everything, even if one `close` fails; then throws the first error. */
  close(): Promise<void>;
}

export function createCleanup(): Cleanup {
  const closing: (() => Promise<unknown>)[] = [];
  return {
    add: (close) => void closing.push(close),
    async folder() {
      const path = await realpath(await mkdtemp(join(tmpdir(), 'ocifetch-interop-')));
      folders.add(path);
      closing.push(async () => {
        await rm(path, { recursive: true, force: true });
        folders.delete(path);
      });
      return path;
    },
    async close() {
      const failures: unknown[] = [];
      for (const close of closing.splice(0).reverse()) await close().catch((error) => failures.push(error));
      if (failures.length > 0) throw failures[0];
    },
  };
}
