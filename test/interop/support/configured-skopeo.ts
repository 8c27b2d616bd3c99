import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './process.ts';

/**
 * Copies an image as configured in the `.config/containers/registries.conf` of a home folder and the files of its `.d`.
 * No other file of the user or the system is read.
 */
export async function copyAsConfigured(home: string, reference: string): Promise<void> {
  const auth = join(home, 'auth.json');
  const signatures = join(home, 'registries.d');
  await writeFile(auth, '{}');
  await mkdir(signatures, { recursive: true });
  const env = { PATH: process.env.PATH, HOME: home, TMPDIR: home, REGISTRY_AUTH_FILE: auth };
  const settings = ['--insecure-policy', '--registries.d', signatures, '--tmpdir', home];
  const target = `dir:${join(home, 'copied')}`;
  await run(
    'skopeo',
    [...settings, 'copy', '--all', '--quiet', '--preserve-digests', `docker://${reference}`, target],
    {
      env,
      cwd: home,
    },
  );
}
