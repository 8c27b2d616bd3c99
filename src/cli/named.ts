import { type Entry, UsageError } from './command.ts';
import { suggest } from './suggest.ts';

/** The second words of the commands that begin with this one: `check` of `config check`. */
export const groupOf = (first: string, entries: readonly Entry[]): string[] =>
  entries.flatMap(({ name }) => (name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : []));

/**
 * The command that words name: the longest name that they begin with. UsageError where they name none, with the nearest
 * name. `config check` is a command of its own, and `config alpine` is `config` with a reference; what is a word of a
 * group but for a letter or two is taken for a typo, and told how to be written as a reference.
 */
export function namedBy(words: readonly string[], entries: readonly Entry[]): Entry | undefined {
  const [first, second] = words;
  if (first === undefined) return undefined;
  const line = `${words.join(' ')} `;
  const [found] = entries
    .filter(({ name }) => line.startsWith(`${name} `))
    .sort((a, b) => b.name.length - a.name.length);
  const group = groupOf(first, entries);
  if (found) {
    const isPlain = found.name === first && second !== undefined && !/[/:@.]/.test(second);
    const near = isPlain ? suggest(second, group) : undefined;
    if (near === undefined) return found;
    const written = ` As a reference it is "docker.io/library/${second}"`;
    throw new UsageError(`Unknown command "${first} ${second}": did you mean "${first} ${near}"?${written}`);
  }
  const names = entries.map(({ name }) => name);
  const near = suggest(first, [...names, 'help']);
  throw new UsageError(
    `Unknown command "${first}": ${near === undefined ? `there are ${names.join(', ')}` : `did you mean "${near}"?`}`,
  );
}
