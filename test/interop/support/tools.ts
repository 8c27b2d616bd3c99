import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { describe, test } from 'vitest';

/** The programs the suite runs, and how Debian and Ubuntu name the packages they are in. */
const packages = {
  'docker-registry': 'docker-registry',
  skopeo: 'skopeo',
  containerd: 'containerd',
  ctr: 'containerd',
  nginx: 'nginx-light',
  htpasswd: 'apache2-utils',
  openssl: 'openssl',
  zstd: 'zstd',
  tar: 'tar',
} as const;

export type Tool = keyof typeof packages;

/** PATH, and the folders of system programs that a user's PATH may lack. */
const folders = [...(process.env.PATH ?? '').split(delimiter), '/usr/local/sbin', '/usr/sbin', '/sbin'];

/** Where a program is, or `undefined`. */
export function locate(tool: Tool): string | undefined {
  return folders
    .map((folder) => join(folder, tool))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch {
        return false;
      }
    });
}

/**
 * Declares a suite that needs programs. Where one is missing, the suite names it and how to get it, and is skipped;
 * with CI in the environment it fails instead.
 */
export function describeWith(tools: readonly Tool[], name: string, declare: () => void): void {
  const missing = tools.filter((tool) => locate(tool) === undefined);
  const messages = missing.map((tool) => `${tool} is missing: apt-get install ${packages[tool]}`);
  if (missing.length === 0) {
    describe(name, declare);
  } else if (process.env.CI) {
    describe(name, () => {
      test('the programs that the suite runs are installed', () => {
        throw new Error(messages.join('; '));
      });
    });
  } else {
    for (const message of messages) console.warn(message);
    describe.skip(`${name} (${messages.join('; ')})`, declare);
  }
}
