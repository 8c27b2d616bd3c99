import { mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { type ConfigFormat, convertConfig, readConfigTexts, type Written } from '../../index.ts';
import { type Command, type Given, UsageError } from '../command.ts';
import { fileOptions, fileReader, readConfiguration, reportWarnings } from '../configuration.ts';
import { exitCodes } from '../exit-codes.ts';
import { manyLines, painter, writeJson, writeLines } from '../io.ts';
import { oneOf } from '../parse.ts';

const formats: readonly ConfigFormat[] = ['hosts.toml', 'registries.yaml', 'ocifetch'];

export const configConvertCommand: Command = {
  about:
    'Writes the files, or else the configuration that the options name or the usual places, in another format. Reports on\n' +
    'stderr what that format cannot express. Leaves secrets out unless --with-secrets is given.',
  words: [0, 1000],
  options: {
    to: { type: 'string', value: 'FORMAT', help: formats.join(', ') },
    output: { type: 'string', value: 'DIR', help: 'write files below DIR; existing ones are not replaced' },
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
        ? await readConfigTexts(await Promise.all(given.words.map(fileReader(given))))
        : (await readConfiguration(given)).config;
    const written = await convertConfig(config, to, { secrets: given.flags.has('with-secrets') });
    const paint = painter(io, io.stderr);
    reportWarnings(config.warnings ?? [], io);
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
  if (to === undefined) throw new UsageError(`Command "config convert" needs --to: ${formats.join(', ')}`);
  return oneOf('format', to, formats);
}

/** The text of one file, or several, each after its name. */
const textLines = ({ files }: Written): string[] =>
  files.flatMap(({ path, text }, index) => [
    ...(files.length > 1 ? [...(index > 0 ? [''] : []), `# ${path}`] : []),
    text.trimEnd(),
  ]);

async function writeBelow(directory: string, { files }: Written): Promise<void> {
  for (const { path, text } of files) {
    const file = join(directory, path);
    await mkdir(dirname(file), { recursive: true });
    // Only its owner may read it: there may be secrets in it.
    await writeFile(file, text, { flag: 'wx', mode: 0o600 }).catch((cause: NodeJS.ErrnoException) => {
      throw new Error(`Cannot write file "${file}": ${cause.code === 'EEXIST' ? 'it already exists' : cause.message}`);
    });
  }
}
