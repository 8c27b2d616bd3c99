import { join } from 'node:path';
import { run } from './process.ts';

/**
 * Copies an image with all its platforms, as configured in a `config.json`, into a layout below a home folder. No other file
 * of the user is read.
 */
export async function copyWithRegctl(home: string, config: string, reference: string): Promise<void> {
  const env = { PATH: process.env.PATH, HOME: home, TMPDIR: home, REGCTL_CONFIG: config };
  const target = `ocidir://${join(home, 'copied')}`;
  await run('regctl', ['image', 'copy', '--verbosity', 'error', reference, target], { env, cwd: home });
}
