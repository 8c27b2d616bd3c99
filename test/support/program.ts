import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** The command line as it is published, bundled from `src` into a new folder. */
export async function bundleProgram(): Promise<{ readonly program: string; readonly remove: () => Promise<void> }> {
  await mkdir(join(root, '.build'), { recursive: true });
  const folder = await mkdtemp(join(root, '.build', 'program-'));
  await promisify(execFile)(process.execPath, [join(root, 'scripts', 'bundle-cli.mjs'), folder], { cwd: root });
  return { program: join(folder, 'ocifetch.js'), remove: () => rm(folder, { recursive: true, force: true }) };
}

/** The same for all tests of a file: `path` exists once they run. */
export function bundledProgram(): { readonly path: string } {
  const bundled = { path: '' };
  let remove = (): Promise<void> => Promise.resolve();
  beforeAll(async () => {
    const made = await bundleProgram();
    bundled.path = made.program;
    remove = made.remove;
  }, 120_000);
  afterAll(() => remove());
  return bundled;
}
