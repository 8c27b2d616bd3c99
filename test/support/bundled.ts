import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { rolldown } from 'rolldown';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** Bundles modules with everything that they import, so that separate processes load them fast. */
export async function bundleSource(...paths: readonly string[]): Promise<{
  /** The URL of a module: `urlOf('src/store/layout')`. */
  readonly urlOf: (path: string) => string;
  readonly remove: () => Promise<void>;
}> {
  const folder = await mkdtemp(join(tmpdir(), 'ocifetch-bundled-'));
  const input = Object.fromEntries(paths.map((path) => [path, join(root, `${path}.ts`)]));
  const bundle = await rolldown({
    input,
    platform: 'node',
    resolve: { alias: { 'ocifetch/server': join(root, 'src/server/index.ts'), ocifetch: join(root, 'src/index.ts') } },
    // Node 20 knows no `using`.
    transform: { target: 'es2022' },
  });
  await bundle.write({ dir: folder, entryFileNames: '[name].mjs', chunkFileNames: '[name].mjs' });
  await bundle.close();
  return {
    urlOf: (path) => pathToFileURL(join(folder, `${path}.mjs`)).href,
    remove: () => rm(folder, { recursive: true, force: true }),
  };
}
