import { isError } from '../errors.ts';
import type { Files } from './files.ts';
import { refuseLost } from './index-file.ts';
import { type LayoutStore, layoutStore, type NodePaths, nodePaths } from './layout.ts';
import { nodeFiles, refuseLink } from './node-files.ts';
import { fileSystemError, storeError } from './store-error.ts';

/**
 * The layout of a directory that is to be written, which is examined first: `STORE_ERROR` if it is not a layout and cannot
 * become one, or has lost its index. An existing layout need not be writable, as it may have everything already. Whether a
 * new one can be created is tried, and nothing is left of that.
 */
export async function openLayout(given: string | URL): Promise<LayoutStore> {
  const store = layoutStore(given);
  const { directory } = store;
  const paths = nodePaths();
  const { join } = paths;
  const files = nodeFiles();
  const found = await files.examine(directory);
  if (found && found.type !== 'directory' && found.type !== 'nothing')
    throw storeError('use directory', directory, `it is a ${found.type}`);
  await store.tags();
  if (await files.facts(join(directory, 'oci-layout'))) await refuseLost({ files, join }, directory);
  else await tryToCreate(files, directory, paths);
  return store;
}

/**
 * Creates a directory of a unique name where the layout will be created or filled, and removes it: what others may rely on
 * must not come and go.
 */
async function tryToCreate(files: Files, directory: string, { join, dirname }: NodePaths): Promise<void> {
  // A directory that cannot be listed exists.
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
    throw fileSystemError(attempted, directory, isError(error) ? (error.cause ?? error) : error);
  }
}
