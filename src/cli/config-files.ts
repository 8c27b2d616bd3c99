import { readFile } from 'node:fs/promises';
import { basename, dirname, resolve } from 'node:path';
import type { ConfigKind, ConfigText } from '../index.ts';
import { type Given, type Option, UsageError } from './command.ts';
import { suggest } from './suggest.ts';

const kinds: readonly ConfigKind[] = [
  'hosts.toml',
  'registries.yaml',
  'registries.conf',
  'docker',
  'regctl',
  'ocifetch',
];

/** Why a file cannot be read, by the system's code. */
const unread: ReadonlyMap<string, string> = new Map([
  ['ENOENT', 'no such file'],
  ['EACCES', 'permission denied'],
  ['EISDIR', 'it is a directory; name a certs.d with --hosts-dir'],
]);

/** Options of commands that are given files. */
export const fileOptions: Readonly<Record<string, Option>> = {
  as: { type: 'string', value: 'KIND', help: `what FILE is: ${kinds.join(', ')}` },
  registry: {
    type: 'string',
    value: 'HOST',
    help: 'whose hosts.toml FILE is, if not that of the host its directory is named after',
  },
};

/** The files that are named, read, their kinds told by `--as`, their names or what is in them. */
export function readNamedFiles({ words, texts }: Given): Promise<ConfigText[]> {
  const asked = texts.as === undefined ? undefined : checkKind(texts.as);
  return Promise.all(
    words.map(async (word) => {
      const file = resolve(word);
      const text = await readFile(file, 'utf8').catch((cause: NodeJS.ErrnoException) => {
        throw new UsageError(`Cannot read file "${word}": ${unread.get(cause.code ?? '') ?? cause.message}`);
      });
      const kind = asked ?? kindOf(file, text);
      if (!kind) throw new UsageError(`Cannot tell what file "${word}" is: say --as ${kinds.join('|')}`);
      return { text, file, kind, ...(kind === 'hosts.toml' && { registry: texts.registry ?? registryOf(file) }) };
    }),
  );
}

function checkKind(asked: string): ConfigKind {
  const kind = kinds.find((one) => one === asked);
  if (kind) return kind;
  const near = suggest(asked, kinds);
  const hint = near === undefined ? `there are ${kinds.join(', ')}` : `did you mean "${near}"?`;
  throw new UsageError(`Unknown kind "${asked}": ${hint}`);
}

/** As containerd names the directories of `certs.d`; a name that is no host is no registry's. */
function registryOf(file: string): string {
  const name = basename(dirname(file)).replace(/^(.+)_(\d+)_$/, '$1:$2');
  return name === 'localhost' || /^[^\s.:_]+(?:\.[^\s.:_]+)+(?::\d+)?$|:\d+$|^\[.*\]$/.test(name) ? name : '*';
}

/** What a file is, by its name or what is in it. */
export function kindOf(file: string, text: string): ConfigKind | undefined {
  const name = basename(file).toLowerCase();
  if (name === 'hosts.toml') return 'hosts.toml';
  if (/^registries\.ya?ml$/.test(name)) return 'registries.yaml';
  if (name.endsWith('.conf')) return 'registries.conf';
  if (name === 'auth.json') return 'docker';
  if (basename(dirname(file)) === '.regctl') return 'regctl';
  const signs: readonly [ConfigKind, RegExp][] = [
    ['docker', /^\s*\{[\s\S]*?"(?:auths|credHelpers|credsStore|HttpHeaders)"\s*:/],
    ['regctl', /^\s*\{[\s\S]*?"(?:hosts|hostDefault)"\s*:/],
    ['registries.conf', /^\s*(?:\[\[registry|unqualified-search-registries\s*=)/m],
    ['hosts.toml', /^\s*(?:\[host\.|server\s*=)/m],
    ['registries.yaml', /^['"]?(?:mirrors|configs)['"]?\s*:/m],
    ['ocifetch', /^\s*['"[{]*\s*['"]?(?:registries|credentials|proxy|shortNames|\$schema)\b/m],
  ];
  return signs.find(([, sign]) => sign.test(text))?.[0];
}

/** The usual names of files that are called otherwise. */
export type FileNames = ReadonlyMap<string, string>;

/** What the files usually are called that flags name. */
export function usualNames({ texts }: Given): FileNames {
  const names = {
    'registries-yaml': 'registries.yaml',
    'registries-conf': 'registries.conf',
    'regctl-config': '.regctl/config.json',
  };
  return new Map(Object.entries(names).map(([flag, name]) => [resolve(texts[flag] ?? name), name]));
}
