import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, test } from 'vitest';

/** The programs that the suite runs, and the Debian and Ubuntu packages that have them. */
const packages = {
  'docker-registry': 'docker-registry',
  skopeo: 'skopeo',
  umoci: 'umoci',
  containerd: 'containerd',
  ctr: 'containerd',
  nginx: 'nginx-light',
  htpasswd: 'apache2-utils',
  openssl: 'openssl',
  zstd: 'zstd',
  tar: 'tar',
  tmux: 'tmux',
  unshare: 'util-linux',
  ip: 'iproute2',
  bash: 'bash',
  chromium: 'chromium',
  podman: 'podman',
  'redis-server': 'redis-server',
  buildah: 'buildah',
} as const;

/** Programs that no package has: `scripts/install-go-tools.mjs` builds them if Go is installed. */
const built = [
  'versitygw',
  'minio',
  'regctl',
  'crane',
  'oras',
  'conformance',
  'conformance-1.0',
  'oras-layout',
] as const;

export type Tool = keyof typeof packages | (typeof built)[number];

const isBuilt = (tool: Tool): boolean => built.some((name) => name === tool);

/** PATH, and the folders of system programs, which may not be on a user's PATH. */
const folders = [
  ...(process.env.PATH ?? '').split(delimiter),
  ...['/usr/local/sbin', '/usr/sbin', '/sbin'],
  fileURLToPath(new URL('../../../.tools/bin', import.meta.url)),
  ...(process.env.GOBIN ? [process.env.GOBIN] : []),
  '/usr/local/go/bin',
];

/** The path of a program, or `undefined`. */
export function locate(tool: Tool | 'go'): string | undefined {
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

function missingText(tool: Tool): string {
  const how =
    tool in packages
      ? `apt-get install ${packages[tool as keyof typeof packages]}`
      : `node scripts/install-go-tools.mjs${locate('go') === undefined ? ', where there is a Go' : ''}`;
  return `${tool} is missing: ${how}`;
}

/**
 * Declares a suite that needs programs. If one is missing, the suite reports it and how to install it, and is skipped; if `CI`
 * is set in the environment, it fails instead. A program that is built with Go is not required if Go is not installed, or if
 * `WITHOUT_GO_TOOLS` says that it builds nothing: the suite is then not declared.
 */
export function describeWith(tools: readonly Tool[], name: string, declare: () => void): void {
  const missing = tools.filter((tool) => locate(tool) === undefined);
  const messages = missing.map(missingText);
  if (missing.length === 0) {
    describe(name, declare);
    return;
  }
  const canBuild = locate('go') !== undefined && !process.env.WITHOUT_GO_TOOLS;
  const isPossible = canBuild || !missing.some(isBuilt);
  if (process.env.CI && isPossible) {
    describe(name, () => {
      test('the programs that the suite runs are installed', () => {
        throw new Error(messages.join('; '));
      });
    });
    return;
  }
  for (const message of messages) console.warn(message);
  if (isPossible) describe.skip(`${name} (${messages.join('; ')})`, declare);
}
