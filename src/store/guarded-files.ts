import type { Files } from './files.ts';
import { linkedFolder } from './store-error.ts';

/** How paths are put together and taken apart. */
export interface PathTools {
  readonly dirname: (path: string) => string;
  readonly sep: string;
}

/**
 * Files of one directory that do nothing behind a symbolic link: every folder between the directory and a path that is
 * written, removed or read by `read-unlinked` must be a real one, else `STORE_ERROR`. The directory itself may be a link:
 * its user named it. Folders are examined after a file is opened, and before that too unless it is only read, as Node cannot
 * open a file relative to a folder that is held: whoever may replace a folder between these moments can still lead a new file
 * elsewhere, but no bytes are written into it.
 */
export function guardedFiles(files: Files, directory: string, { dirname, sep }: PathTools): Files {
  const foldersOf = (path: string): readonly string[] => {
    const folder = dirname(path);
    return folder.startsWith(`${directory}${sep}`) ? [folder, ...foldersOf(folder)] : [];
  };
  const refuseLinks = async (path: string): Promise<void> => {
    for (const folder of foldersOf(path)) if ((await files.examine(folder))?.isLink) throw linkedFolder(folder);
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
      if (mode !== 'read-unlinked') await refuseLinks(path);
      const file = await files.open(path, mode);
      try {
        if (file) await refuseLinks(path);
      } catch (error) {
        await file?.close();
        throw error;
      }
      return file;
    },
    place: (placement) => {
      const { temporary, final } = placement;
      return files.place({ ...placement, folders: [...foldersOf(temporary), ...foldersOf(final)] });
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
      if (facts?.isLink && path !== directory) throw linkedFolder(path);
    },
  };
}
