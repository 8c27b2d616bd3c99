import { quote } from '../oci/quote.ts';
import { parseRepository } from '../oci/reference.ts';
import type { Named } from './decoders.ts';
import type { Reading } from './reading.ts';

interface Aliases {
  /** Full names by short ones; undefined where there are none. */
  readonly aliases: Readonly<Record<string, string>> | undefined;
  /** Short names whose alias is taken back. */
  readonly erased: readonly string[];
}

/** Whether a name says its registry itself, as Docker tells it. */
function hasRegistry(name: string): boolean {
  const slash = name.indexOf('/');
  return slash !== -1 && (name.startsWith('localhost/') || /[.:]/.test(name.slice(0, slash)));
}

/** Reads `[aliases]`. An empty name takes an alias of an earlier file back. */
export function readAliases(entries: readonly Named<string>[], reading: Reading): Aliases {
  const aliases = new Map<string, string>();
  const erased: string[] = [];
  for (const entry of entries) {
    const isShort = !/[:@]/.test(entry.key) && !hasRegistry(entry.key) && isRepository(entry.key);
    if (!isShort) reading.problem(entry, `found ${quote(entry.key)}, expected a name without registry, tag and digest`);
    if (entry.value === '') erased.push(entry.key);
    else if (hasRegistry(entry.value) && isRepository(entry.value)) aliases.set(entry.key, fullName(entry.value));
    else reading.problem(entry, `found ${quote(entry.value)}, expected registry/name without tag and digest`);
  }
  return { aliases: aliases.size > 0 ? Object.fromEntries(aliases) : undefined, erased };
}

function isRepository(name: string): boolean {
  try {
    parseRepository(name);
    return true;
  } catch {
    return false;
  }
}

function fullName(text: string): string {
  const { registry, name } = parseRepository(text);
  return `${registry}/${name}`;
}
