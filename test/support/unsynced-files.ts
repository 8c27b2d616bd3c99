import type { Files } from '../../src/store/files.ts';
import { nodeFiles } from '../../src/store/node-files.ts';

/**
 * The file system, without waiting for the disk: that matters only if the machine fails, not if a process is killed, and takes
 * most of the time of a small push.
 */
export function unsyncedFiles(options: Parameters<typeof nodeFiles>[0] = {}): Files {
  const files = nodeFiles(options);
  return {
    ...files,
    open: async (path, mode) => {
      const file = await files.open(path, mode);
      return file && { ...file, sync: async () => {} };
    },
    place: async (placement) => {
      const file = await files.place(placement);
      return file && { ...file, sync: async () => {} };
    },
    syncDirectory: async () => {},
  };
}
