import { builtin } from '../runtime.ts';
import { quote } from '../text/quote.ts';
import { systemCode } from './store-error.ts';

/** A directory with its parents. Not by the option of `mkdir`, which never ends where a file system says that a directory below it is not there. */
export async function makeDirectory(fs: typeof import('node:fs/promises'), path: string): Promise<void> {
  const once = async (): Promise<string | undefined> => {
    try {
      await fs.mkdir(path);
    } catch (error) {
      const isThere = await fs.stat(path).then(
        (facts) => facts.isDirectory(),
        () => false,
      );
      if (isThere) return undefined;
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

/** A directory cannot be made where a symbolic link is, wherever it leads. */
export async function refuseLink(path: string): Promise<void> {
  const target = await builtin('node:fs')
    ?.promises.readlink(path)
    .catch(() => undefined);
  if (target !== undefined) throw new Error(`it is a symbolic link to ${quote(target)}, where no directory is`);
}
