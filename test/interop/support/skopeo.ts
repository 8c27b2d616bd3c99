import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { run } from './process.ts';

export interface SkopeoOptions {
  readonly login?: { readonly username: string; readonly password: string };
  /** Folder of CAs; without it TLS certificates are not verified. */
  readonly certificates?: string;
  /** Manifest format to convert to on a push. */
  readonly format?: 'oci' | 'v2s2';
  /** Milliseconds. Default 60,000. */
  readonly timeout?: number;
}

/** The user's settings are not read: no policy, no login, no registries.conf. */
async function skopeo(folder: string, args: readonly string[], timeout = 60_000): Promise<void> {
  const auth = join(folder, 'auth.json');
  const registries = join(folder, 'registries.conf');
  await writeFile(auth, '{}');
  await writeFile(registries, '');
  const env = { PATH: process.env.PATH, HOME: folder, TMPDIR: folder, REGISTRY_AUTH_FILE: auth };
  const settings = ['--insecure-policy', '--registries-conf', registries, '--registries.d', folder, '--tmpdir', folder];
  await run('skopeo', [...settings, 'copy', '--all', '--quiet', ...args], { env, cwd: folder, timeout });
}

function access(side: 'src' | 'dest', { login, certificates }: SkopeoOptions): string[] {
  return [
    ...(login ? [`--${side}-creds`, `${login.username}:${login.password}`] : []),
    ...(certificates === undefined ? [`--${side}-tls-verify=false`] : [`--${side}-cert-dir`, certificates]),
  ];
}

/** Copies a name of an OCI layout to a registry: `push(folder, layout, 'v1', '127.0.0.1:5000/team/app:v1')`. */
export async function push(
  folder: string,
  layout: string,
  name: string,
  reference: string,
  options: SkopeoOptions = {},
): Promise<void> {
  const form = options.format ? ['--format', options.format] : ['--preserve-digests'];
  const args = [...form, ...access('dest', options), `oci:${layout}:${name}`, `docker://${reference}`];
  await skopeo(folder, args, options.timeout);
}

/** An image as skopeo pulled it: the bytes of all its manifests and blobs, by digest (sha256 only). */
export async function pull(
  folder: string,
  reference: string,
  options: SkopeoOptions = {},
): Promise<{ readonly manifest: Buffer; readonly content: Map<string, Buffer> }> {
  const target = join(folder, `pulled-${reference.replaceAll(/[^a-z0-9]+/gi, '-')}`);
  await skopeo(folder, ['--preserve-digests', ...access('src', options), `docker://${reference}`, `dir:${target}`]);
  const content = new Map<string, Buffer>();
  for (const name of await readdir(target)) {
    const hex = /^([0-9a-f]{64})(?:\.manifest\.json)?$/.exec(name)?.[1];
    if (hex !== undefined) content.set(`sha256:${hex}`, await readFile(join(target, name)));
  }
  return { manifest: await readFile(join(target, 'manifest.json')), content };
}
