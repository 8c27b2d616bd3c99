import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ConfigFormat, convertConfig, readConfigTexts, type Written } from '../index.ts';
import { type Command, type Given, UsageError } from './command.ts';
import { fileOptions, readNamed } from './config-files.ts';
import { readConfiguration, tellWarnings } from './configuration.ts';
import { exitCodes } from './exit-codes.ts';
import { manyLines, painter, writeJson, writeLines } from './io.ts';
import { suggest } from './suggest.ts';

const formats: readonly ConfigFormat[] = ['hosts.toml', 'registries.yaml', 'ocifetch'];

export const configConvertCommand: Command = {
  about:
    'Writes the files, or the configuration that the options or the usual places name, in another format. What that has\n' +
    'no words for is told on stderr. Secrets are left out unless they are asked for.',
  words: [0, 1000],
  options: {
    to: { type: 'string', value: 'FORMAT', help: formats.join(', ') },
    output: { type: 'string', value: 'DIR', help: 'write files below DIR, where none of them may be yet' },
    'with-secrets': { type: 'boolean', help: 'also write logins and header values' },
    ...fileOptions,
  },
  examples: [
    ['ocifetch config convert --to ocifetch /etc/rancher/k3s/registries.yaml', "k3s' mirrors as ocifetch's own file"],
    [
      'ocifetch config convert --to hosts.toml --output certs.d registries.yaml',
      'a directory for each registry, as containerd reads it',
    ],
  ],
  run: async (given, io) => {
    const to = formatOf(given);
    const config =
      given.words.length > 0
        ? await readConfigTexts(await Promise.all(given.words.map(readNamed(given))))
        : (await readConfiguration(given)).config;
    const written = await convertConfig(config, to, { secrets: given.flags.has('with-secrets') });
    const paint = painter(io, io.stderr);
    tellWarnings(config.warnings ?? [], io);
    writeLines(
      io.stderr,
      written.unexpressed.map((text) => `${paint('yellow', 'not written:')} ${manyLines(text)}`),
    );
    const { output } = given.texts;
    if (output !== undefined) await writeBelow(output, written);
    if (given.flags.has('json')) writeJson(io, written);
    else if (output !== undefined)
      writeLines(
        io.stdout,
        written.files.map(({ path }) => join(output, path)),
      );
    else writeLines(io.stdout, textLines(written));
    return exitCodes.ok;
  },
};

function formatOf({ texts: { to } }: Given): ConfigFormat {
  const format = formats.find((one) => one === to);
  if (format) return format;
  if (to === undefined) throw new UsageError(`Command "config convert" needs --to: ${formats.join(', ')}`);
  const near = suggest(to, formats);
  throw new UsageError(
    `Unknown format "${to}": ${near === undefined ? `there are ${formats.join(', ')}` : `did you mean "${near}"?`}`,
  );
}

/** One file as it is; of several, each below its name. */
const textLines = ({ files }: Written): string[] =>
  files.flatMap(({ path, text }, index) => [
    ...(files.length > 1 ? [...(index > 0 ? [''] : []), `# ${path}`] : []),
    text.trimEnd(),
  ]);

async function writeBelow(directory: string, { files }: Written): Promise<void> {
  for (const { path, text } of files) {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true });
    // Not readable by others: there may be secrets in it.
    await writeFile(file, text, { flag: 'wx', mode: 0o600 }).catch((cause: NodeJS.ErrnoException) => {
      throw new Error(
        `Cannot write file "${file}": ${cause.code === 'EEXIST' ? 'it is there already' : cause.message}`,
      );
    });
  }
}
