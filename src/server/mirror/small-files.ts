import { digestOf } from '../../oci/digest.ts';
import { builtin } from '../../runtime.ts';
import { readFile } from '../../store/file-io.ts';
import { nodeFiles } from '../../store/node-files.ts';
import { readJson } from '../../text/json.ts';

/** Documents of a folder, by any key. */
export interface SmallFiles {
  /** The value; undefined if there is none, or a file that nobody could have written here. */
  read(key: string): Promise<unknown>;
  /** Writes all of it or nothing, also if the process is killed; one after the other for one key. `STORE_ERROR`. */
  write(key: string, value: unknown): Promise<void>;
}

/** Most bytes of one. */
const mostBytes = 16_777_216;

export function smallFiles(folder: string): SmallFiles {
  const files = nodeFiles();
  const join = builtin('node:path')?.join ?? ((...parts: string[]) => parts.join('/'));
  const writing = new Map<string, Promise<void>>();
  // A hash, as no file system takes every name, and some do not tell upper case from lower case.
  const pathOf = (key: string): string => {
    const [, hex = ''] = digestOf(new TextEncoder().encode(key)).split(':');
    return join(folder, `${hex}.json`);
  };
  const writeNow = async (path: string, value: unknown): Promise<void> => {
    const draft = `${path}.${crypto.randomUUID()}`;
    await files.makeDirectory(folder);
    try {
      const file = await files.open(draft, 'create');
      try {
        await file?.write([new TextEncoder().encode(JSON.stringify(value))], 0);
        await file?.sync();
      } finally {
        await file?.close();
      }
      await files.rename(draft, path);
    } catch (error) {
      await files.remove(draft).catch(() => {});
      throw error;
    }
  };
  return {
    read: async (key) => {
      await writing.get(key)?.catch(() => {});
      const bytes = await readFile(files, pathOf(key), mostBytes, 'read-unlinked');
      const found = bytes && readJson(bytes);
      return found && 'value' in found ? found.value : undefined;
    },
    write: async (key, value) => {
      const before = writing.get(key) ?? Promise.resolve();
      const written = before.catch(() => {}).then(() => writeNow(pathOf(key), value));
      writing.set(key, written);
      await written.finally(() => {
        if (writing.get(key) === written) writing.delete(key);
      });
    },
  };
}
