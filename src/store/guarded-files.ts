import type { Files } from './files.ts';
import { storeError } from './store-error.ts';

/** How paths are put together and taken apart. */
export interface PathTools {
  readonly dirname: (path: string) => string;
  readonly sep: string;
}

/**
 * Files of one directory that do nothing behind a symbolic link: every folder between the directory and a path that is
 * written, removed or read by `read-unlinked` must be a real one, else `STORE_ERROR`. The directory itself may be a link:
 * its user named it. Folders are examined before a file is opened and after it, as Node cannot open a file relative to a
 * folder that is held: whoever may replace a folder between these moments can still lead a new file elsewhere, but no bytes
 * are written into it.
 */
export function guardedFiles(files: Files, directory: string, { dirname, sep }: PathTools): Files {
  const refuseLinks = async (path: string): Promise<void> => {
    for (let folder = dirname(path); folder.startsWith(`${directory}${sep}`); folder = dirname(folder)) {
      const facts = await files.examine(folder);
      if (facts?.isLink) throw storeError('use folder', folder, 'it is a symbolic link, and is not followed');
    }
  };
  const guarded =
    <T>(work: (path: string) => Promise<T>) =>
    async (path: string): Promise<T> => {
      await refuseLinks(path);
      return work(path);
    };
  return {
    ...files,
    open: async (path, mode) => {
      if (mode === 'read') return files.open(path, mode);
      await refuseLinks(path);
      const file = await files.open(path, mode);
      try {
        if (file) await refuseLinks(path);
      } catch (error) {
        await file?.close();
        throw error;
      }
      return file;
    },
    rename: async (from, to) => {
      await refuseLinks(from);
      await refuseLinks(to);
      return files.rename(from, to);
    },
    link: async (from, to) => {
      await refuseLinks(to);
      return files.link(from, to);
    },
    remove: guarded(files.remove),
    touch: guarded(files.touch),
    // Never fails, and never removes a link.
    removeDirectory: async (path) => {
      await guarded(files.removeDirectory)(path).catch(() => {});
    },
    makeDirectory: async (path) => {
      await refuseLinks(path);
      await files.makeDirectory(path);
      const facts = await files.examine(path);
      if (facts?.isLink && path !== directory)
        throw storeError('use folder', path, 'it is a symbolic link, and is not followed');
    },
  };
}
