import { basename, dirname } from 'node:path';
import type { ConfigKind } from './read-texts.ts';

/** What a configuration file is, by its name or what is in it; undefined where neither tells. */
export function kindOf(file: string, text: string): ConfigKind | undefined {
  const name = basename(file).toLowerCase();
  if (name === 'hosts.toml') return 'hosts.toml';
  if (/^registries\.ya?ml$/.test(name)) return 'registries.yaml';
  if (name.endsWith('.conf')) return 'registries.conf';
  if (name === 'auth.json') return 'docker';
  if (basename(dirname(file)) === '.regctl') return 'regctl';
  return signs.find(([, sign]) => sign.test(text))?.[0];
}

const signs: readonly [ConfigKind, RegExp][] = [
  ['docker', /^\s*\{[\s\S]*?"(?:auths|credHelpers|credsStore|HttpHeaders)"\s*:/],
  ['regctl', /^\s*\{[\s\S]*?"(?:hosts|hostDefault)"\s*:/],
  ['registries.conf', /^\s*(?:\[\[registry|unqualified-search-registries\s*=)/m],
  ['hosts.toml', /^\s*(?:\[host\.|server\s*=)/m],
  ['registries.yaml', /^['"]?(?:mirrors|configs)['"]?\s*:/m],
  ['ocifetch', /^\s*['"[{]*\s*['"]?(?:registries|credentials|proxy|shortNames|\$schema)\b/m],
];
