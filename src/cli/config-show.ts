import { type Config, convertConfig, type HostConfig, type Login, type RegistryConfig, redactUrl } from '../index.ts';
import type { Command } from './command.ts';
import { readConfiguration, tellWarnings } from './configuration.ts';
import { exitCodes } from './exit-codes.ts';
import { manyLines, painter, writeJson, writeLines } from './io.ts';
import { helperName, helpersOf, loginsOf } from './login-helpers.ts';
import { environmentOrigins, originsOf } from './origins.ts';

export const configShowCommand: Command = {
  about:
    'Prints what all files together were understood to say, as one model, with the line of the file that says it.\n' +
    'Secrets are struck out.',
  words: [0, 0],
  options: {},
  examples: [
    ['ocifetch config show', 'what is at the usual places'],
    ['ocifetch config show --hosts-dir ./certs.d --docker-config ~/.docker/config.json', 'two files together'],
  ],
  run: async (given, io) => {
    const { config, files, warnings } = await readConfiguration(given);
    tellWarnings(warnings, io);
    const shown = struckConfig(config);
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
      files.length === 0 ? 'no file was found' : 'read from, those that win first:',
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

const struck = '***';

/** The configuration as it may be printed. */
function struckConfig({ registries = {}, credentials, proxy, ...rest }: Config): Config {
  const logins = loginsOf(credentials);
  const proxies = Object.entries(proxy ?? {}).map(([name, value]) => [
    name,
    // Only a URL with a login is not shown as it was written.
    typeof value === 'string' && value.includes('@') ? redactUrl(value) : value,
  ]);
  return {
    ...rest,
    registries: mapValues(registries, struckRegistry),
    ...(logins && { credentials: mapValues(logins, struckLogin) }),
    ...(proxy && { proxy: Object.fromEntries(proxies) }),
  };
}

const mapValues = <Value, Result>(
  record: Readonly<Record<string, Value>>,
  change: (value: Value) => Result,
): Record<string, Result> => Object.fromEntries(Object.entries(record).map(([key, value]) => [key, change(value)]));

const struckRegistry = ({ mirrors, origin, ...registry }: RegistryConfig): RegistryConfig => ({
  ...registry,
  ...(mirrors && { mirrors: mirrors.map(struckHost) }),
  ...(origin !== undefined && { origin: origin === 'never' ? origin : struckHost(origin) }),
});

function struckHost<Host extends Omit<HostConfig, 'url'>>(whole: Host): Host {
  const { headers, tls } = whole;
  const named = (text: string): string => (text.includes('-----BEGIN ') ? struck : text);
  const { ca, cert, key, insecureSkipVerify } = tls ?? {};
  return {
    ...whole,
    ...(headers && { headers: mapValues(headers, () => struck) }),
    ...(tls && {
      tls: {
        ...(ca && { ca: ca.map(named) }),
        ...(cert !== undefined && { cert: named(cert) }),
        ...(key !== undefined && { key: named(key) }),
        ...(insecureSkipVerify !== undefined && { insecureSkipVerify }),
      },
    }),
  };
}

function struckLogin(login: Login): Login {
  if ('identityToken' in login) return { identityToken: struck };
  return 'registryToken' in login ? { registryToken: struck } : { username: login.username, password: struck };
}
