import { resolve } from 'node:path';
import { type Config, type ConfigProblem, createClient, RegistryError, readConfigTexts } from '../../index.ts';
import type { Command, Given } from '../command.ts';
import { fileOptions, fileReader, readConfiguration } from '../configuration.ts';
import { exitCodes } from '../exit-codes.ts';
import { counted, manyLines, type Paint, painter, writeJson, writeLines } from '../io.ts';

/** What is wrong with a file. */
interface Finding {
  readonly file: string;
  readonly kind?: string;
  readonly problems: readonly string[];
  readonly warnings: readonly string[];
}

export const configCheckCommand: Command = {
  about:
    'Reports every problem of the files with its line and column, and settings that have no effect here as warnings.\n' +
    'Certificates are read, too. Without FILE it checks the configuration that the options name, or the usual places.',
  words: [0, 1000],
  options: fileOptions,
  examples: [
    ['ocifetch config check', 'the configuration in the usual places'],
    ['ocifetch config check /etc/containerd/certs.d/*/hosts.toml', "all of containerd's files"],
    ['ocifetch config check --as registries.yaml mirrors.yaml', 'a file whose name does not show its kind'],
  ],
  run: async (given, io) => {
    const findings = given.words.length > 0 ? await checkNamed(given) : [await checkFound(given)];
    const paint = painter(io, io.stdout);
    if (given.flags.has('json')) writeJson(io, { files: findings });
    else
      writeLines(
        io.stdout,
        findings.flatMap((finding) => findingLines(finding, paint)),
      );
    return findings.some(({ problems }) => problems.length > 0) ? exitCodes.failed : exitCodes.ok;
  },
};

function checkNamed(given: Given): Promise<Finding[]> {
  const load = fileReader(given);
  return Promise.all(
    given.words.map(async (word) => {
      let known: Pick<Finding, 'file' | 'kind'> = { file: resolve(word) };
      const found = await checked(async () => {
        const text = await load(word);
        known = { file: text.file, kind: text.kind };
        return readConfigTexts([text]);
      });
      return { ...known, ...found };
    }),
  );
}

async function checkFound(given: Given): Promise<Finding> {
  let files: readonly string[] = [];
  let homeless: string | undefined;
  const found = await checked(async () => {
    const read = await readConfiguration(given);
    files = read.files;
    homeless = read.homeless;
    return read.config;
  });
  if (homeless !== undefined) {
    found.warnings.push(`this user has no home directory, so only files of the system were looked for: ${homeless}`);
  }
  return { file: files.length === 0 ? 'configuration' : files.join(', '), ...found };
}

/** Makes a client with it, which compiles its patterns and reads its certificates. */
async function checked(read: () => Promise<Config>): Promise<{ problems: readonly string[]; warnings: string[] }> {
  const warnings = new Set<string>();
  try {
    const config = await read();
    const onEvent = (event: { type: string; text?: string }) => {
      if (event.type === 'warning' && event.text !== undefined) warnings.add(event.text);
    };
    for (const text of config.warnings ?? []) warnings.add(text);
    await createClient({ config, onEvent }).close();
    return { problems: [], warnings: [...warnings] };
  } catch (error) {
    if (!(error instanceof RegistryError) || error.code !== 'INVALID_CONFIG') throw error;
    return { problems: problemTexts(error), warnings: [...warnings] };
  }
}

const problemTexts = ({ reason, message, problems }: RegistryError): readonly string[] =>
  reason === 'unreadable' || problems.length === 0 ? [message] : problems.map(problemText);

/** `hosts.toml:3:1: server: …` */
const problemText = ({ file, line, column, key, found }: ConfigProblem): string => {
  const place = [file, line, column].filter((part) => part !== undefined).join(':');
  return [place, key, found].filter((part) => part !== undefined && part !== '').join(': ');
};

function findingLines({ file, kind, problems, warnings }: Finding, paint: Paint): string[] {
  const counts = [counted(problems.length, 'problem'), counted(warnings.length, 'warning')].join(', ');
  const verdict = problems.length > 0 ? paint('red', 'wrong') : paint('green', 'ok');
  return [
    ...problems.map((text) => `${paint('red', 'error:')} ${manyLines(text)}`),
    ...warnings.map((text) => `${paint('yellow', 'warning:')} ${manyLines(text)}`),
    `${verdict}: ${file}${kind === undefined ? '' : ` (${kind})`}: ${counts}`,
  ];
}
