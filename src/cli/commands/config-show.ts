import { type Config, convertConfig, loadConfigText, readConfigTexts, redactConfig } from '../../index.ts';
import type { Command } from '../command.ts';
import { readConfiguration, reportWarnings } from '../configuration.ts';
import { exitCodes } from '../exit-codes.ts';
import { manyLines, painter, writeJson, writeLines } from '../io.ts';
import { helperName, helpersOf, loginsOf } from '../login-helpers.ts';

export const configShowCommand: Command = {
  about:
    'Prints the configuration of all files merged, with the line of the file that each host comes from. Secrets are\n' +
    'replaced by ***.',
  words: [0, 0],
  options: {},
  examples: [
    ['ocifetch config show', 'the files in the usual places'],
    ['ocifetch config show --hosts-dir ./certs.d --docker-config ~/.docker/config.json', 'two files merged'],
  ],
  run: async (given, io) => {
    const { config, files, warnings } = await readConfiguration(given);
    reportWarnings(warnings, io);
    const shown = redactConfig(config);
    const declared = await originsOf(files);
    const origins = new Map([...declared, ...environmentOrigins(config.proxy, declared)]);
    const helpers = helpersOf(config.credentials);
    if (given.flags.has('json')) {
      writeJson(io, { files, origins: Object.fromEntries(origins), config: shown, helpers, warnings });
      return exitCodes.ok;
    }
    const paint = painter(io, io.stdout);
    const { files: written } = await convertConfig(shown, 'ocifetch', { secrets: true, places: true });
    const comments = [
      files.length === 0 ? 'no file was found' : 'read from, in order of precedence:',
      ...files.map((file) => `  ${file}`),
      ...[...origins].map(([part, file]) => `${part}: ${file}`),
      ...helpers.map(helperName).filter((name) => !origins.has(name)),
    ];
    writeLines(io.stdout, [
      ...comments.map((text) => paint('dim', `# ${manyLines(text)}`)),
      ...written.map(({ text }) => text.trimEnd()),
    ]);
    return exitCodes.ok;
  },
};

/**
 * The files of parts that do not carry where they were declared: logins, proxies, short names. By key path; `files` are
 * those that were read, and the first one that has a part wins.
 */
async function originsOf(files: readonly string[]): Promise<ReadonlyMap<string, string>> {
  const origins = new Map<string, string>();
  const parts = await Promise.all(files.map(partsOf));
  for (const [index, names] of parts.entries()) {
    for (const name of names) if (!origins.has(name)) origins.set(name, files[index] ?? '');
  }
  return origins;
}

async function partsOf(file: string): Promise<string[]> {
  // A directory has only certificates. A file that is read as the wrong kind is left without origins.
  const read = loadConfigText(file).then((text) => readConfigTexts([text]));
  const { credentials, proxy, shortNames } = await read.catch((): Config => ({}));
  return [
    ...Object.keys(loginsOf(credentials) ?? {}).map((key) => `credentials["${key}"]`),
    ...helpersOf(credentials).map(helperName),
    ...proxyParts(proxy),
    ...(shortNames ? ['shortNames'] : []),
  ];
}

/** Each scheme has the proxy of the first file that names one, so each has its own origin. */
const proxyParts = (proxy: Config['proxy']): string[] => Object.keys(proxy ?? {}).map((scheme) => `proxy.${scheme}`);

/** The environment variables of proxies that are in no file. */
const environmentOrigins = (proxy: Config['proxy'], origins: ReadonlyMap<string, string>): [string, string][] =>
  proxyParts(proxy)
    .filter((part) => !origins.has(part))
    .map((part) => [part, `${part.replace('proxy.', '').toUpperCase()}_PROXY of the environment`]);
