import { parseArgs } from 'node:util';
import { type Command, commonOptions, type Entry, type Given, type Option, UsageError } from './command.ts';

/** A parsed command line: a command to run, or a request for help. */
export interface Line {
  /** Undefined if no command is named. */
  readonly requested?: { readonly entry: Entry; readonly command: Command };
  readonly given: Given;
}

type Options = Readonly<Record<string, Option>>;

/**
 * Parses a command line and loads its command. UsageError for anything wrong with it, with the nearest word for a typo.
 * `help` before a command is the same as `--help` after it.
 */
export async function parseLine(args: readonly string[], entries: readonly Entry[]): Promise<Line> {
  if (args[0] !== 'help') return parseCommand(args, entries);
  const { given, ...line } = await parseLine(args.slice(1), entries);
  return { ...line, given: { ...given, flags: new Set([...given.flags, 'help']) } };
}

async function parseCommand(args: readonly string[], entries: readonly Entry[]): Promise<Line> {
  const flag = args.findIndex((arg) => arg.startsWith('-'));
  const possible = possibleEntries(flag === -1 ? args : args.slice(0, flag), args, entries);
  // Only the command's flags say which words are values of flags, and its name may come after them.
  const loaded = await Promise.all(possible.map(async (entry) => ({ entry, command: await entry.load() })));
  const all: Options = Object.assign({}, commonOptions, ...loaded.map(({ command }) => command.options));
  const { positionals, written } = tokensOf(args, all);
  const entry = findEntry(positionals, entries);
  const command = entry && (loaded.find((one) => one.entry === entry)?.command ?? (await entry.load()));
  const known = command ? { ...commonOptions, ...command.options } : all;
  const texts: Record<string, string> = {};
  const flags = new Set<string>();
  for (const { name, rawName, value } of written) {
    const option = Object.hasOwn(known, name) ? known[name] : undefined;
    const refuse = (text: string): UsageError => new UsageError(text, entry?.name);
    if (!option) throw refuse(`Unknown flag "${rawName}"${didYouMean(rawName.replace(/^-+/, ''), known)}`);
    if (option.type === 'boolean' && value !== undefined) throw refuse(`Flag "${rawName}" takes no value`);
    if (option.type === 'string' && (value === undefined || value === ''))
      throw refuse(`Flag "${rawName}" needs a value: ${rawName} ${option.value}`);
    const before = texts[name];
    if (value === undefined) flags.add(name);
    else if (before === undefined) texts[name] = value;
    else if (option.isList) texts[name] = `${before},${value}`;
    else throw refuse(`Flag "--${name}" is given twice: "${before}" and "${value}"`);
  }
  const words = positionals.slice(entry?.name.split(' ').length ?? 0);
  return { ...(entry && command && { requested: { entry, command } }), given: { words, texts, flags } };
}

function didYouMean(flag: string, known: Options): string {
  const near = nearestWord(flag, Object.keys(known));
  return near === undefined ? '' : `: did you mean "--${near}"?`;
}

/** Checks that a command has as many arguments as it takes. Not called for `--help`. */
export function checkWords(
  { entry: { name, usage }, command }: NonNullable<Line['requested']>,
  words: readonly string[],
  entries: readonly Entry[],
): void {
  const [least, most] = command.words;
  const line = `ocifetch ${name} ${usage}`.trim();
  const subcommands = subcommandsOf(name, entries);
  const others =
    subcommands.length > 0 ? `, or one of: ${subcommands.map((word) => `${name} ${word}`).join(', ')}` : '';
  if (words.length < least) throw new UsageError(`Command "${name}" needs more: ${line}${others}`);
  if (usage.split(' ').some((word, at) => /^\[?DIR\]?$/.test(word) && words[at] === ''))
    throw new UsageError(`Command "${name}" needs a directory, and its name is empty: ${line}`);
  if (words.length > most) throw new UsageError(`Command "${name}" takes no "${words[most]}": ${line}`);
}

/** The commands that a line may name, by the words before its first flag; none if it has no words at all. */
function possibleEntries(
  leading: readonly string[],
  args: readonly string[],
  entries: readonly Entry[],
): readonly Entry[] {
  const [first, second] = leading;
  if (first === undefined) return tokensOf(args, commonOptions).positionals.length > 0 ? entries : [];
  const named = entries.find(({ name }) => name === `${first} ${second}`);
  if (named) return [named];
  return entries.filter(({ name }) => name === first || (second === undefined && name.startsWith(`${first} `)));
}

function tokensOf(args: readonly string[], options: Options) {
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(options).map(([name, { type, short }]) => [name, { type, ...(short && { short }) }]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  return {
    positionals: tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : [])),
    written: tokens.flatMap((token) => (token.kind === 'option' ? [token] : [])),
  };
}

/** The second words of commands: `check` of `config check`, for `config`. */
const subcommandsOf = (first: string, entries: readonly Entry[]): string[] =>
  entries.flatMap(({ name }) => (name.startsWith(`${first} `) ? [name.slice(first.length + 1)] : []));

/**
 * The command with the longest name that the words begin with; UsageError with the nearest name if there is none.
 * `config check` is a command, and `config alpine` is `config` with a reference. A reference that is nearly a second word,
 * such as `config chekc`, is taken for a typo; the error says how to write it as a reference.
 */
function findEntry(words: readonly string[], entries: readonly Entry[]): Entry | undefined {
  const [first, second] = words;
  if (first === undefined) return undefined;
  const line = `${words.join(' ')} `;
  const [found] = entries
    .filter(({ name }) => line.startsWith(`${name} `))
    .sort((a, b) => b.name.length - a.name.length);
  if (found) {
    const isPlain = found.name === first && second !== undefined && !/[/:@.]/.test(second);
    const near = isPlain ? nearestWord(second, subcommandsOf(first, entries)) : undefined;
    if (near === undefined) return found;
    const written = ` As a reference it is "docker.io/library/${second}"`;
    throw new UsageError(`Unknown command "${first} ${second}": did you mean "${first} ${near}"?${written}`);
  }
  const names = entries.map(({ name }) => name);
  const near = nearestWord(first, [...names, 'help']);
  throw new UsageError(
    `Unknown command "${first}": ${near === undefined ? `there are ${names.join(', ')}` : `did you mean "${near}"?`}`,
  );
}

/** One of a few allowed values of a flag; UsageError with the nearest one for any other. `what` is `format`. */
export function oneOf<Value extends string>(what: string, text: string, allowed: readonly Value[]): Value {
  const found = allowed.find((value) => value === text);
  if (found !== undefined) return found;
  const near = nearestWord(text, allowed);
  const hint = near === undefined ? `there are ${allowed.join(', ')}` : `did you mean "${near}"?`;
  throw new UsageError(`Unknown ${what} "${text}": ${hint}`);
}

/** The word that a typo is nearest to, if it is near to any. Not the library's: a wrong command line loads none of it. */
function nearestWord(typed: string, words: readonly string[]): string | undefined {
  const wrong = (word: string): number => (typed.length > 2 && word.startsWith(typed) ? 1 : edits(typed, word));
  const [best] = words
    .filter((word) => wrong(word) < typed.length && wrong(word) <= Math.max(2, word.length / 3))
    .sort((a, b) => wrong(a) - wrong(b));
  return best;
}

/** Levenshtein's distance: letters to add, drop or change. */
function edits(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, at) => at);
  for (const letter of a.slice(0, 40)) {
    let diagonal = row[0] ?? 0;
    row = row.reduce<number[]>((next, above, at) => {
      const changed = diagonal + Number(letter !== b[at - 1]);
      diagonal = above;
      next.push(at === 0 ? above + 1 : Math.min(changed, above + 1, (next[at - 1] ?? 0) + 1));
      return next;
    }, []);
  }
  return row[b.length] ?? 0;
}
