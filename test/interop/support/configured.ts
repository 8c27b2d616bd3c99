import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import type { LoadConfigOptions } from 'ocifetch';
import type { Behaviour } from './recording-hosts.ts';

/** `127.0.0.1:port` by host key of a case. */
export type At = Readonly<Record<string, string>>;

/** One configuration, its hosts, and what is requested with it. */
export interface Case {
  /** What it tests: the name of its tests. */
  readonly name: string;
  readonly hosts: Readonly<Record<string, Behaviour>>;
  /** The hosts that use TLS. */
  readonly tls?: readonly string[];
  /** Texts by path below the folder that the tool reads. */
  readonly files: (at: At) => Readonly<Record<string, string>>;
  /** `registry/name`. */
  readonly repository: (at: At) => string;
  /** Whether the digest of the index is requested instead of the tag `v1`. */
  readonly byDigest?: boolean;
}

/** How a kind of configuration is laid out: the tool's own folder, and the options of `loadConfig`. */
export interface Kind {
  readonly folder: string;
  readonly options: (folder: string) => LoadConfigOptions;
}

export const kinds = {
  hostsDirectory: { folder: 'certs.d', options: (folder) => ({ hostsDirectory: folder }) },
  registriesConf: {
    folder: '.config/containers',
    options: (folder) => ({ registriesConf: join(folder, 'registries.conf') }),
  },
  registriesYaml: { folder: 'k3s', options: (folder) => ({ registriesYaml: join(folder, 'registries.yaml') }) },
  regctlConfig: { folder: '.regctl', options: (folder) => ({ regctlConfig: join(folder, 'config.json') }) },
  // These files have no mirrors: if a case needs some, they are in ocifetch's own file.
  dockerConfig: {
    folder: '.docker',
    options: (folder) => ({ dockerConfig: join(folder, 'config.json'), file: join(folder, 'ocifetch.json') }),
  },
  authFile: {
    folder: 'containers',
    options: (folder) => ({ authFile: join(folder, 'auth.json'), file: join(folder, 'ocifetch.json') }),
  },
  file: { folder: 'ocifetch', options: (folder) => ({ file: join(folder, 'ocifetch.json') }) },
} as const satisfies Record<string, Kind>;

/** Writes the files of a case below `parent` (those below `bin/` executable), and returns the folder of its tool. */
export async function writeCase(parent: string, kind: Kind, files: Readonly<Record<string, string>>): Promise<string> {
  const folder = join(parent, kind.folder);
  // Even if it is empty: without it skopeo reads the system's.
  if (kind === kinds.registriesConf) await mkdir(join(folder, 'registries.conf.d'), { recursive: true });
  const own = 'file' in kind.options(folder) ? { 'ocifetch.json': '{}' } : {};
  for (const [name, text] of Object.entries({ ...own, ...files })) {
    const path = join(folder, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, text, name.startsWith('bin/') ? { mode: 0o755 } : {});
  }
  return folder;
}
