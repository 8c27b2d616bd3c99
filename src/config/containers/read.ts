import { parseRepository } from '../../oci/reference.ts';
import { hostProblem } from '../../oci/registry.ts';
import { quote } from '../../text/quote.ts';
import {
  anything,
  type Decoded,
  listOf,
  type Named,
  namesOf,
  type Placed,
  tableOf,
  text,
} from '../document/decoders.ts';
import { createFileReport, type FileReport, type ParsedFile } from '../document/file-report.ts';
import { parseToml } from '../document/toml.ts';
import type { Config, ShortNames } from '../model.ts';
import { containersRegistry, readRegistries } from './registry.ts';

/** What a registries.conf, or a file of its `.d` folder, was understood to say. */
export interface RegistriesConfRead extends ParsedFile {
  /** Helpers to ask for logins, in this order; `containers-auth.json` is the file of logins. Undefined if not set. */
  readonly credentialHelpers?: readonly string[] | undefined;
  /** Aliases of earlier files that this one takes back. */
  readonly erasedAliases: readonly string[];
}

const root = {
  'unqualified-search-registries': listOf(text),
  'short-name-mode': text,
  'credential-helpers': listOf(text),
  'additional-layer-store-auth-helper': anything,
  aliases: namesOf(text),
  registry: listOf(tableOf(containersRegistry)),
  registries: anything,
};

/**
 * Reads registries.conf of containers' tools (Podman, skopeo, CRI-O), version 2 of the format. `INVALID_CONFIG` with all
 * problems, and for version 1. Beyond what those tools refuse, prefixes of a single tag or digest are refused; `insecure`
 * never means http but on this machine.
 * https://github.com/containers/image/blob/main/docs/containers-registries.conf.5.md
 */
export function readRegistriesConf(toml: string, { file }: { readonly file: string }): RegistriesConfRead {
  const report = createFileReport(file);
  const table = parseToml(toml, file, report.duplicate);
  const read = tableOf(root)({ value: table, at: table.at, path: [] }, report)?.value ?? {};
  if (read.registries) {
    report.problem(read.registries, 'found version 1 of the format, expected version 2, [[registry]] tables');
  }
  warnUnused(read, report);
  const registries = readRegistries(read.registry?.value ?? [], report);
  const { aliases, erased } = readAliases(read.aliases?.value ?? [], report);
  const search = readSearch(read['unqualified-search-registries'], report);
  const helpers = readHelpers(read['credential-helpers'], report);
  const shortNames = { ...(search && { search }), ...(aliases && { aliases }) };
  return {
    ...report.end({
      ...(registries && { registries }),
      ...(Object.keys(shortNames).length > 0 && { shortNames }),
    }),
    ...(helpers && { credentialHelpers: helpers }),
    erasedAliases: erased,
  };
}

function warnUnused(read: Decoded<typeof root>, report: FileReport): void {
  const mode = read['short-name-mode'];
  if (mode && !['', 'enforcing', 'permissive', 'disabled'].includes(mode.value)) {
    report.problem(mode, `found ${quote(mode.value)}, expected "enforcing", "permissive" or "disabled"`);
  } else if (mode?.value) {
    report.warn(mode, 'not used, there is no prompt to choose a registry');
  }
  const helper = read['additional-layer-store-auth-helper'];
  if (helper) report.warn(helper, 'not used, there is no layer store');
}

interface Aliases {
  /** Full names by short ones; undefined if there are none. */
  readonly aliases: Readonly<Record<string, string>> | undefined;
  /** Short names whose alias is taken back. */
  readonly erased: readonly string[];
}

/** Reads `[aliases]`. An empty name takes an alias of an earlier file back. */
function readAliases(entries: readonly Named<string>[], report: FileReport): Aliases {
  const aliases = new Map<string, string>();
  const erased: string[] = [];
  for (const entry of entries) {
    const isShort = !/[:@]/.test(entry.key) && !hasRegistry(entry.key) && isRepository(entry.key);
    if (!isShort) report.problem(entry, `found ${quote(entry.key)}, expected a name without registry, tag and digest`);
    if (entry.value === '') erased.push(entry.key);
    else if (hasRegistry(entry.value) && isRepository(entry.value)) aliases.set(entry.key, fullName(entry.value));
    else report.problem(entry, `found ${quote(entry.value)}, expected registry/name without tag and digest`);
  }
  return { aliases: aliases.size > 0 ? Object.fromEntries(aliases) : undefined, erased };
}

/** Whether a name has a registry, by the rules of Docker. */
function hasRegistry(name: string): boolean {
  const slash = name.indexOf('/');
  return slash !== -1 && (name.startsWith('localhost/') || /[.:]/.test(name.slice(0, slash)));
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

function readSearch(found: Placed<readonly Placed<string>[]> | undefined, report: FileReport): string[] | undefined {
  return found?.value.map((registry) => {
    const host = registry.value.replace(/(?<!\/)\/+$/, '');
    const problem = hostProblem(host);
    if (problem !== undefined) report.problem(registry, `found ${quote(registry.value)}, ${problem}`);
    return host;
  });
}

function readHelpers(found: Placed<readonly Placed<string>[]> | undefined, report: FileReport): string[] | undefined {
  return found?.value.map((helper) => {
    if (!/^[A-Za-z0-9._-]+$/.test(helper.value)) {
      report.problem(
        helper,
        `found ${quote(helper.value)}, expected the end of a name, docker-credential-*, without a path`,
      );
    }
    return helper.value;
  });
}

/**
 * The files of one system in their order: registries.conf, then those of the `.d` folders by name. A later table takes
 * the place of an earlier one with the same prefix, a later list the place of the whole earlier list.
 * https://github.com/containers/image/blob/main/docs/containers-registries.conf.d.5.md
 */
export function mergeRegistriesConf(reads: readonly RegistriesConfRead[]): RegistriesConfRead {
  const registries = new Map<string, NonNullable<Config['registries']>[string]>();
  const aliases = new Map<string, string>();
  let search: readonly string[] | undefined;
  let credentialHelpers: readonly string[] | undefined;
  for (const read of reads) {
    for (const [key, registry] of Object.entries(read.config.registries ?? {})) registries.set(key, registry);
    for (const name of read.erasedAliases) aliases.delete(name);
    for (const [name, value] of Object.entries(read.config.shortNames?.aliases ?? {})) aliases.set(name, value);
    search = read.config.shortNames?.search ?? search;
    credentialHelpers = read.credentialHelpers ?? credentialHelpers;
  }
  const shortNames: ShortNames = {
    ...(search && { search }),
    ...(aliases.size > 0 && { aliases: Object.fromEntries(aliases) }),
  };
  return {
    config: {
      ...(registries.size > 0 && { registries: Object.fromEntries(registries) }),
      ...(Object.keys(shortNames).length > 0 && { shortNames }),
    },
    warnings: [...new Set(reads.flatMap(({ warnings }) => warnings))],
    ...(credentialHelpers && { credentialHelpers }),
    erasedAliases: [],
  };
}

/** The programs that provide logins; `containers-auth.json` is a file, which is read with those of logins. */
export const helpersOf = ({ credentialHelpers = [] }: RegistriesConfRead) =>
  credentialHelpers.filter((name) => name !== 'containers-auth.json').map((credsStore) => ({ credsStore }));
