import { createHash } from 'node:crypto';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { run } from './process.ts';

type Run = (...args: readonly string[]) => Promise<string>;

/** Programs that use layouts and registries. Each returns its standard output, or throws with its error output. */
export interface LayoutTools {
  readonly skopeo: Run;
  readonly umoci: Run;
  readonly crane: Run;
  readonly regctl: Run;
  readonly oras: Run;
  /** `support/oras-layout/main.go` */
  readonly orasLayout: Run;
}

/** The user's settings are not read. These hosts are contacted without TLS. */
export async function openTools(cleanup: Cleanup, ...hosts: readonly string[]): Promise<LayoutTools> {
  const home = await cleanup.folder();
  const auth = join(home, 'auth.json');
  const registries = join(home, 'registries.conf');
  const regctl = join(home, 'regctl.json');
  await writeFile(auth, '{}');
  await writeFile(registries, hosts.map((host) => `[[registry]]\nlocation = "${host}"\ninsecure = true\n`).join(''));
  await writeFile(
    regctl,
    JSON.stringify({ version: 1, hosts: Object.fromEntries(hosts.map((host) => [host, { tls: 'disabled' }])) }),
  );
  const settings = { HOME: home, TMPDIR: home, DOCKER_CONFIG: home, REGISTRY_AUTH_FILE: auth, REGCTL_CONFIG: regctl };
  const options = { env: { PATH: process.env.PATH, ...settings }, cwd: home };
  const machine = ['--override-os', 'linux', '--override-arch', 'amd64'];
  const own = ['--insecure-policy', '--registries-conf', registries, '--registries.d', home, '--tmpdir', home];
  return {
    skopeo: (...args) => run('skopeo', [...own, ...machine, ...args], options),
    umoci: (...args) => run('umoci', args, options),
    crane: (...args) => run('crane', ['--insecure', ...args], options),
    regctl: (...args) => run('regctl', ['--verbosity', 'error', ...args], options),
    oras: (...args) => run('oras', args, options),
    orasLayout: (...args) => run('oras-layout', args, options),
  };
}

/** Lines of a program's output, without empty ones. */
export const linesOf = (output: string): string[] => output.split('\n').filter((line) => line !== '');

/** The contents of a layout, sorted: the digest of each file's name, and that of its bytes if it differs. */
export async function blobsOf(layout: string): Promise<string[]> {
  const blobs = join(layout, 'blobs');
  const found: string[] = [];
  for (const algorithm of await readdir(blobs)) {
    for (const name of await readdir(join(blobs, algorithm))) {
      const bytes = await readFile(join(blobs, algorithm, name));
      const hex = createHash(algorithm).update(bytes).digest('hex');
      found.push(`${algorithm}:${name}${hex === name ? '' : ` has ${hex}`}`);
    }
  }
  return found.sort();
}

/** `index.json` of a layout, as it is in the file. */
export const indexOf = async (layout: string): Promise<{ readonly manifests: readonly object[] }> =>
  JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'));

/** The files below a folder with the digests of their bytes, without links and empty folders. */
export async function filesOf(folder: string): Promise<Record<string, string>> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const hashed = files.sort().map(async (path) => {
    const hex = createHash('sha256')
      .update(await readFile(path))
      .digest('hex');
    return [path.slice(folder.length + 1), hex] as const;
  });
  return Object.fromEntries(await Promise.all(hashed));
}
