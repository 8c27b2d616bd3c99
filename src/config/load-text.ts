import { basename, dirname, resolve } from 'node:path';
import { registryOfDirectory } from './certs-directory.ts';
import { kindOf } from './config-kind.ts';
import { unreadable } from './file-problems.ts';
import { textOf } from './files.ts';
import type { LoadConfigTextOptions } from './load-options.ts';
import { type ConfigText, configKinds } from './read-texts.ts';

/** As `loadConfigText` of load.ts tells. */
export async function loadText(path: string, options: LoadConfigTextOptions): Promise<ConfigText> {
  const file = resolve(path);
  const text = (await textOf({ path: file, named: true })) ?? '';
  const kind = options.kind ?? kindOf(file, text);
  if (!kind) {
    const expected = `expected its kind to be named: ${configKinds.join(', ')}`;
    throw unreadable(file, `neither its name nor what is in it tells what it is, ${expected}`);
  }
  return { text, file, kind, ...(kind === 'hosts.toml' && { registry: options.registry ?? registryOf(file) }) };
}

/** Outside of a `certs.d` a directory has any name: only what a reference would take for a host is a registry's. */
function registryOf(file: string): string {
  const registry = registryOfDirectory(basename(dirname(file))) ?? '*';
  return registry === 'localhost' || /[.:]/.test(registry) ? registry : '*';
}
