import { type Command, commonOptions, type Entry, type Option } from './command.ts';
import { exitCodes } from './exit-codes.ts';

const columns = (rows: readonly (readonly [string, string])[], least = 0): string[] => {
  const width = Math.max(least, ...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
};

const optionRows = (options: Readonly<Record<string, Option>>): [string, string][] =>
  Object.entries(options).map(([name, { value, short, help }]) => [
    `${short === undefined ? '' : `-${short}, `}--${name}${value === undefined ? '' : ` ${value}`}`,
    help,
  ]);

/** Meanings of the exit codes. docs/cli.md has the same. */
const exitMeanings: Readonly<Record<keyof typeof exitCodes, string>> = {
  ok: 'done',
  failed: 'a check found problems, no host can serve the reference, or another failure',
  usage: 'the command line, a reference or a digest is wrong',
  configuration: 'the configuration is wrong, or leaves no host',
  notFound: 'no host has it',
  denied: 'no login, a wrong one, or one without access',
  unavailable: 'hosts that are down, fail, break off, take too long or limit requests',
  wrongBytes: 'a response that is not what it should be, or wrong content',
  unsafe: 'a response that leads to an unsafe address, or something that is not supported',
  storage: 'the disk is full, read-only or unreachable, or a layout is damaged',
  aborted: 'interrupted',
  pipe: 'the reader of the output closed it before all was written',
  terminated: 'ended by SIGTERM',
};

const exitRows = (): [string, string][] =>
  Object.entries(exitMeanings).map(([name, meaning]) => [String(exitCodes[name as keyof typeof exitCodes]), meaning]);

const lineOf = ({ name, usage }: Entry): string => `${name} ${usage}`.trim();

const rowsOf = (entries: readonly Entry[]): [string, string][] =>
  entries.map((entry) => [lineOf(entry), entry.summary]);

/** The help of the program. */
export const programHelp = (groups: readonly (readonly [heading: string, entries: readonly Entry[]])[]): string[] => [
  'Usage: ocifetch COMMAND [options]',
  '',
  'Fetches content of OCI and Docker registries through mirrors, verified and resumed, and shows where it comes from.',
  ...groups.flatMap(([heading, entries]) => ['', `${heading}:`, ...columns(rowsOf(entries), widest(groups))]),
  '',
  'Options of all commands:',
  ...columns(optionRows(commonOptions)),
  '',
  'Without the path of a configuration file, the files in the usual places are read.',
  '',
  'Exit codes:',
  ...columns(exitRows()),
  '',
  'More: ocifetch help COMMAND',
];

const widest = (groups: Parameters<typeof programHelp>[0]): number =>
  Math.max(...groups.flatMap(([, entries]) => entries.map((entry) => lineOf(entry).length)));

/** The help of one command. `entries` are all; those whose first word is its name are listed as well. */
export const commandHelp = (entry: Entry, command: Command, entries: readonly Entry[]): string[] => {
  const others = entries.filter(({ name }) => name.startsWith(`${entry.name} `));
  const isLimit = ([, { key }]: [string, Option]): boolean => key !== undefined;
  const options = Object.entries(command.options);
  const own = Object.fromEntries(options.filter((option) => !isLimit(option)));
  const limits = optionRows(Object.fromEntries(options.filter(isLimit)));
  const width = Math.max(...[...optionRows(own), ...optionRows(commonOptions), ...limits].map(([left]) => left.length));
  return [
    `Usage: ocifetch ${entry.name} ${entry.usage} [options]`.replace(/ {2,}/g, ' '),
    '',
    command.about,
    '',
    'Options:',
    ...columns([...optionRows(own), ...optionRows(commonOptions)], width),
    ...(limits.length === 0 ? [] : ['', "Limits, in place of ocifetch's own file:", ...columns(limits, width)]),
    '',
    'Examples:',
    ...command.examples.flatMap(([line, purpose]) => [`  # ${purpose}`, `  ${line}`]),
    ...(others.length === 0 ? [] : ['', 'Other commands:', ...columns(rowsOf(others))]),
  ];
};
