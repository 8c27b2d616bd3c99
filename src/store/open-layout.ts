import { cannot } from '../errors.ts';
import { builtin } from '../runtime.ts';
import type { Files } from './files.ts';
import { refuseLost } from './index-text.ts';
import { layoutStore } from './layout.ts';
import type { LayoutStore } from './layout-store.ts';
import { refuseLink } from './make-directory.ts';
import { nodeFiles } from './node-files.ts';
import { storeError, storeFault } from './store-error.ts';

/**
 * The layout of a directory that is to be written, which is looked at: `STORE_ERROR` for what is no layout and cannot
 * become one, or has lost its index. A layout that is there need not be writable, as all may be in it. Whether a new one
 * can be made is tried, and nothing is left of that.
 */
export async function openLayout(given: string): Promise<LayoutStore> {
  const store = layoutStore(given);
  const { directory } = store;
  const paths = builtin('node:path');
  if (!paths) throw cannot('UNSUPPORTED', 'use an image layout', 'this runtime has no node:path');
  const { join } = paths;
  const files = nodeFiles();
  if (await files.facts(directory)) throw storeError('use directory', directory, 'it is a file');
  await store.tags();
  if (await files.facts(join(directory, 'oci-layout'))) await refuseLost({ files, join }, directory);
  else await tryToMake(files, directory, paths);
  return store;
}

/**
 * Makes a directory of a name of its own where the layout's is to be made or filled, and removes it: what others may rely on
 * does not come and go.
 */
async function tryToMake(
  files: Files,
  directory: string,
  { join, dirname }: Pick<typeof import('node:path'), 'join' | 'dirname'>,
): Promise<void> {
  // One that cannot be listed is there.
  const isMissing = async (path: string): Promise<boolean> =>
    (await files.list(path).catch((): readonly string[] => [])) === undefined;
  let attempted = 'write into directory';
  try {
    let place = directory;
    for (; place !== dirname(place) && (await isMissing(place)); place = dirname(place)) {
      attempted = 'make directory';
      await refuseLink(place);
    }
    const trial = join(place, `.ocifetch-${crypto.randomUUID()}`);
    await files.makeDirectory(trial);
    await files.removeDirectory(trial);
  } catch (error) {
    throw storeFault(attempted, directory, error instanceof Error ? (error.cause ?? error) : error);
  }
}
