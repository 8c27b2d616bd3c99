import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('../..', import.meta.url));
const source = join(root, 'src');

/**
 * `src` as JavaScript, module by module, for processes of their own, in a folder where its dependencies resolve. Types
 * are not checked, so a bundler does in a fraction of a second what takes tsc many.
 */
export async function compileSource(): Promise<{ readonly folder: string; readonly remove: () => Promise<void> }> {
  await mkdir(join(root, '.build'), { recursive: true });
  const folder = await mkdtemp(join(root, '.build', 'compiled-'));
  const paths = (await readdir(source, { recursive: true })).filter((path) => path.endsWith('.ts'));
  const bundle = await rolldown({
    input: paths.map((path) => join(source, path)),
    platform: 'node',
    // Packages and `node:` modules; what the bundler itself adds for `using` has a scope, and comes along.
    external: /^[a-z]/,
    treeshake: false,
    // As tsc is told: Node 20 knows no `using`.
    transform: { target: 'es2022' },
  });
  await bundle.write({ dir: folder, preserveModules: true, preserveModulesRoot: source });
  await bundle.close();
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) };
}
