import { parseArgs } from 'node:util';
import { type Command, commonOptions, type Entry, type Given, type Option, UsageError } from './command.ts';
import { groupOf, namedBy } from './named.ts';
import { suggest } from './suggest.ts';

/** What was asked for: a command, or help with one or with all. */
export interface Line {
  /** Undefined where none was named. */
  readonly asked?: { readonly entry: Entry; readonly command: Command };
  readonly given: Given;
}

type Options = Readonly<Record<string, Option>>;

/**
 * Reads a command line, and loads its command. UsageError for whatever is wrong with it, with the nearest word for a typo.
 * `help` before a command is `--help` behind it.
 */
export async function parseLine(args: readonly string[], entries: readonly Entry[]): Promise<Line> {
  if (args[0] !== 'help') return parseCommand(args, entries);
  const { given, ...line } = await parseLine(args.slice(1), entries);
  return { ...line, given: { ...given, flags: new Set([...given.flags, 'help']) } };
}

async function parseCommand(args: readonly string[], entries: readonly Entry[]): Promise<Line> {
  const flag = args.findIndex((arg) => arg.startsWith('-'));
  const possible = possibleOf(flag === -1 ? args : args.slice(0, flag), args, entries);
  // Which words are values of flags is known by the flags of the command, whose name may come after them.
  const loaded = await Promise.all(possible.map(async (entry) => ({ entry, command: await entry.load() })));
  const all: Options = Object.assign({}, commonOptions, ...loaded.map(({ command }) => command.options));
  const { positionals, written } = tokensOf(args, all);
  const entry = namedBy(positionals, entries);
  const command = entry && (loaded.find((one) => one.entry === entry)?.command ?? (await entry.load()));
  const known = command ? { ...commonOptions, ...command.options } : all;
  const texts: Record<string, string> = {};
  const flags = new Set<string>();
  for (const { name, rawName, value } of written) {
    const option = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!option) throw new UsageError(unknownFlag(rawName, known, entry));
    if (option.type === 'boolean' && value !== undefined) throw new UsageError(`Flag "${rawName}" takes no value`);
    if (option.type === 'string' && (value === undefined || value === ''))
      throw new UsageError(`Flag "${rawName}" needs a value: ${rawName} ${option.value}`);
    const before = texts[name];
    if (value === undefined) flags.add(name);
    else if (before === undefined) texts[name] = value;
    else if (option.isList) texts[name] = `${before},${value}`;
    else throw new UsageError(`Flag "--${name}" is given twice: "${before}" and "${value}"`);
  }
  const words = positionals.slice(entry?.name.split(' ').length ?? 0);
  return { ...(entry && command && { asked: { entry, command } }), given: { words, texts, flags } };
}

/** Whether a command has as many words as it takes; help needs none. */
export function checkWords(
  { entry: { name, usage }, command }: NonNullable<Line['asked']>,
  words: readonly string[],
  entries: readonly Entry[],
): void {
  const [least, most] = command.words;
  const line = `ocifetch ${name} ${usage}`.trim();
  const group = groupOf(name, entries);
  const others = group.length > 0 ? `, or one of: ${group.map((one) => `${name} ${one}`).join(', ')}` : '';
  if (words.length < least) throw new UsageError(`Command "${name}" needs more: ${line}${others}`);
  if (usage.split(' ').some((word, at) => word === 'DIR' && words[at] === ''))
    throw new UsageError(`Command "${name}" needs a directory, and its name is empty: ${line}`);
  if (words.length > most) throw new UsageError(`Command "${name}" takes no "${words[most]}": ${line}`);
}

/** The commands that a line may be of, by the words before its first flag; none where it has no words at all. */
function possibleOf(leading: readonly string[], args: readonly string[], entries: readonly Entry[]): readonly Entry[] {
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

function unknownFlag(rawName: string, known: Options, entry: Entry | undefined): string {
  const near = suggest(rawName.replace(/^-+/, ''), Object.keys(known));
  const hint =
    near === undefined ? `see "ocifetch${entry ? ` ${entry.name}` : ''} --help"` : `did you mean "--${near}"?`;
  return `Unknown flag "${rawName}": ${hint}`;
}
