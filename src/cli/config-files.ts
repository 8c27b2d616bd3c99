import { resolve } from 'node:path';
import { type ConfigKind, type ConfigText, configKinds, loadConfigText } from '../index.ts';
import { type Given, type Option, UsageError } from './command.ts';
import { suggest } from './suggest.ts';

/** Options of commands that are given files. */
export const fileOptions: Readonly<Record<string, Option>> = {
  as: { type: 'string', value: 'KIND', help: `what FILE is: ${configKinds.join(', ')}` },
  registry: {
    type: 'string',
    value: 'HOST',
    help: 'whose hosts.toml FILE is, if not that of the host its directory is named after',
  },
};

/** How the files that are named are read, their kinds told by `--as`, their names or what is in them. */
export function readNamed({ texts }: Given): (word: string) => Promise<ConfigText> {
  const kind = texts.as === undefined ? undefined : checkKind(texts.as);
  return (word) => loadConfigText(word, { kind, registry: texts.registry });
}

function checkKind(asked: string): ConfigKind {
  const kind = configKinds.find((one) => one === asked);
  if (kind) return kind;
  const near = suggest(asked, configKinds);
  const hint = near === undefined ? `there are ${configKinds.join(', ')}` : `did you mean "${near}"?`;
  throw new UsageError(`Unknown kind "${asked}": ${hint}`);
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
