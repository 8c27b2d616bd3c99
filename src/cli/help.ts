import { type Command, commonOptions, type Option } from './command.ts';
import { exitCodes, exitMeanings } from './exit-codes.ts';

const columns = (rows: readonly (readonly [string, string])[]): string[] => {
  const width = Math.max(...rows.map(([left]) => left.length));
  return rows.map(([left, right]) => `  ${left.padEnd(width)}  ${right}`);
};

const optionRows = (options: Readonly<Record<string, Option>>): [string, string][] =>
  Object.entries(options).map(([name, { value, help }]) => [
    `--${name}${value === undefined ? '' : ` ${value}`}`,
    help,
  ]);

const exitRows = (): [string, string][] =>
  Object.entries(exitMeanings).map(([name, meaning]) => [String(exitCodes[name as keyof typeof exitCodes]), meaning]);

/** The help of the program. */
export const programHelp = (commands: readonly Command[]): string[] => [
  'Usage: ocifetch COMMAND [options]',
  '',
  'Shows where content of OCI and Docker registries would be fetched from, and whether it can be.',
  '',
  'Commands:',
  ...columns(commands.map(({ name, usage, summary }) => [`${name} ${usage}`.trim(), summary])),
  '',
  'Options of all commands:',
  ...columns(optionRows(commonOptions)),
  '',
  'Without a path the usual places are looked at. Exit codes:',
  ...columns(exitRows()),
  '',
  'More: ocifetch COMMAND --help',
];

/** The help of one command. */
export const commandHelp = ({ name, usage, about, options, examples }: Command): string[] => [
  `Usage: ocifetch ${name} ${usage} [options]`.replace(/ {2,}/g, ' '),
  '',
  about,
  '',
  'Options:',
  ...columns([...optionRows(options), ...optionRows(commonOptions)]),
  '',
  'Examples:',
  ...examples.flatMap(([line, purpose]) => [`  # ${purpose}`, `  ${line}`]),
];
