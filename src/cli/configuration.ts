import {
  type Config,
  type ConfigFiles,
  type ConfigText,
  configKinds,
  createClient,
  loadConfigText,
  type Plan,
  readConfigFiles,
} from '../index.ts';
import type { Given, Option } from './command.ts';
import { type Io, manyLines, painter, writeLines } from './io.ts';
import { oneOf } from './parse.ts';

/** The configuration that the flags name, or that of the usual places, and the private addresses that the flags allow. */
export async function readConfiguration({ texts, flags }: Given): Promise<ConfigFiles> {
  const { config, ...rest } = await readConfigFiles({
    file: texts.config,
    hostsDirectory: texts['hosts-dir'],
    registriesYaml: texts['registries-yaml'],
    registriesConf: texts['registries-conf'],
    dockerConfig: texts['docker-config'],
    authFile: texts['auth-file'],
    regctlConfig: texts['regctl-config'],
    ...(flags.has('no-default-endpoint') && { defaultEndpoint: false }),
    ...(flags.has('no-discover') && { discover: false }),
  });
  const listed = texts['allow-private']?.split(',').filter((entry) => entry !== '') ?? [];
  const allowPrivate = [...listed, ...(config.allowPrivate ?? [])];
  return { ...rest, config: allowPrivate.length > 0 ? { ...config, allowPrivate } : config };
}

/** The configuration and its plan for the reference that is given. Reports whatever a client would warn of. */
export async function readPlan(given: Given, io: Io): Promise<{ readonly config: Config; readonly plan: Plan }> {
  const { config } = await readConfiguration(given);
  const warnings = new Set<string>();
  const client = createClient({
    config,
    onEvent: (event) => {
      if (event.type === 'warning') warnings.add(event.text);
    },
  });
  reportWarnings([...warnings], io);
  try {
    return { config, plan: client.plan(given.words[0] ?? '') };
  } finally {
    await client.close();
  }
}

/** Options of commands that take configuration files as arguments. */
export const fileOptions: Readonly<Record<string, Option>> = {
  as: { type: 'string', value: 'KIND', help: `what FILE is: ${configKinds.join(', ')}` },
  registry: {
    type: 'string',
    value: 'HOST',
    help: 'the registry of a hosts.toml, if it is not the one its directory is named after',
  },
};

/** Reads the files that are arguments, their kind given by `--as`, or recognized by name or content. */
export function fileReader({ texts }: Given): (path: string) => Promise<ConfigText> {
  const kind = texts.as === undefined ? undefined : oneOf('kind', texts.as, configKinds);
  return (path) => loadConfigText(path, { kind, registry: texts.registry });
}

export function reportWarnings(warnings: readonly string[], io: Io): void {
  const paint = painter(io, io.stderr);
  writeLines(
    io.stderr,
    warnings.map((text) => `${paint('yellow', 'warning:')} ${manyLines(text)}`),
  );
}
