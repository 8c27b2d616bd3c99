import { parseArgs } from 'node:util';
import { type Command, commonOptions, type Given, type Option, UsageError } from './command.ts';
import { suggest } from './suggest.ts';

/** What was asked for: a command, or help with one or with all. */
export interface Line {
  /** Undefined where none was named. */
  readonly command?: Command;
  readonly given: Given;
}

/** Reads a command line. UsageError for whatever is wrong with it, with the nearest word for a typo. */
export function parseLine(args: readonly string[], commands: readonly Command[]): Line {
  const all: Readonly<Record<string, Option>> = Object.assign(
    {},
    commonOptions,
    ...commands.map(({ options }) => options),
  );
  const short = { help: 'h', version: 'V' } as const;
  const { tokens } = parseArgs({
    args: [...args],
    options: Object.fromEntries(
      Object.entries(all).map(([name, { type }]) => [
        name,
        { type, ...(name in short && { short: short[name as keyof typeof short] }) },
      ]),
    ),
    strict: false,
    allowPositionals: true,
    tokens: true,
  });
  const positionals = tokens.flatMap((token) => (token.kind === 'positional' ? [token.value] : []));
  const written = tokens.flatMap((token) => (token.kind === 'option' ? [token] : []));
  const command = commandOf(positionals, commands);
  const known = command ? { ...commonOptions, ...command.options } : all;
  const texts: Record<string, string> = {};
  const flags = new Set<string>();
  for (const { name, rawName, value } of written) {
    const option = Object.hasOwn(known, name) ? known[name] : undefined;
    if (!option) throw new UsageError(unknownFlag(rawName, known, command));
    if (option.type === 'boolean' && value !== undefined) throw new UsageError(`Flag "${rawName}" takes no value`);
    if (option.type === 'string' && (value === undefined || value === ''))
      throw new UsageError(`Flag "${rawName}" needs a value: ${rawName} ${option.value}`);
    if (value === undefined) flags.add(name);
    else texts[name] = value;
  }
  const words = positionals.slice(command?.name.split(' ').length ?? 0);
  return { ...(command && { command }), given: { words, texts, flags } };
}

/** Whether a command has as many words as it takes; help needs none. */
export function checkWords({ name, usage, words: [least, most] }: Command, words: readonly string[]): void {
  const line = `ocifetch ${name} ${usage}`.trim();
  if (words.length < least) throw new UsageError(`Command "${name}" needs more: ${line}`);
  if (words.length > most) throw new UsageError(`Command "${name}" takes no "${words[most]}": ${line}`);
}

function commandOf(positionals: readonly string[], commands: readonly Command[]): Command | undefined {
  const [first] = positionals;
  if (first === undefined) return undefined;
  const found = commands.find(({ name }) => `${positionals.join(' ')} `.startsWith(`${name} `));
  if (found) return found;
  const group = commands.filter(({ name }) => name.startsWith(`${first} `));
  const among = group.length > 0 ? group.map(({ name }) => name.split(' ')[1] ?? '') : commands.map(({ name }) => name);
  const typed = group.length > 0 ? positionals[1] : first;
  if (typed === undefined) throw new UsageError(`Command "${first}" needs one of: ${among.join(', ')}`);
  const near = suggest(typed, [...among, ...(group.length > 0 ? [] : ['config'])]);
  const hint = near === undefined ? `there are ${among.join(', ')}` : `did you mean "${near}"?`;
  throw new UsageError(`Unknown command "${[...(group.length > 0 ? [first] : []), typed].join(' ')}": ${hint}`);
}

function unknownFlag(rawName: string, known: Readonly<Record<string, Option>>, command: Command | undefined): string {
  const near = suggest(rawName.replace(/^-+/, ''), Object.keys(known));
  const hint =
    near === undefined ? `see "ocifetch${command ? ` ${command.name}` : ''} --help"` : `did you mean "--${near}"?`;
  return `Unknown flag "${rawName}": ${hint}`;
}
