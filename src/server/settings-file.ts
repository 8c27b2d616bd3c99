import { configError } from '../errors.ts';
import type { KeyPath } from '../text/problems.ts';

/** A problem of a value that was read from a file. */
export interface SettingsProblem {
  /** The keys from the root of the file to what is wrong. */
  readonly path: KeyPath;
  /** What was found, and what was expected: `found 5, expected a text`. Left out for a key that is not known. */
  readonly found?: string | undefined;
  /** The keys that are known there, in place of one that is not. */
  readonly known?: readonly string[] | undefined;
}

/** Says what a file means, or what is wrong with it. */
export type SettingsReader<Settings> = (
  value: unknown,
) => { readonly settings: Settings } | { readonly problems: readonly SettingsProblem[] };

/** A file of settings, and where its keys are. */
export interface SettingsFile<Settings> {
  readonly settings: Settings;
  /** An `INVALID_CONFIG` about what is found at a key only when the settings are used. */
  refuse(path: KeyPath, found: string): Error;
}

/**
 * Reads a file of settings in YAML, or in JSON or TOML by the ending of its name, for a program of your own. `INVALID_CONFIG` with
 * all problems that `read` reports, each with `file:line:column` and its key, for duplicate keys, and if it cannot be read.
 */
export async function loadSettings<Settings>(
  path: string,
  read: SettingsReader<Settings>,
): Promise<SettingsFile<Settings>> {
  const [{ fileError }, { decodeText, readNamed }, { formatOf, placed, readSettings }, { unknownKey }] =
    await Promise.all([
      import('../config/document/document.ts'),
      import('../config/files.ts'),
      import('../config/own/read.ts'),
      import('../text/quote.ts'),
    ]);
  const worded = ({ path: key, found, known = [] }: SettingsProblem) => ({
    path: key,
    found: found ?? unknownKey(String(key.at(-1)), known),
  });
  const text = decodeText(await readNamed(path), path);
  const accepted: Settings[] = [];
  const { root } = readSettings(text, { file: path, format: formatOf(path) }, (value) => {
    const result = read(value);
    if ('problems' in result) return result.problems.map(worded);
    accepted.push(result.settings);
    return [];
  });
  const [settings] = accepted;
  if (settings === undefined) throw configError(`read file "${path}"`, []);
  return { settings, refuse: (key, found) => fileError(path, [placed(root, { path: key, found })]) };
}
