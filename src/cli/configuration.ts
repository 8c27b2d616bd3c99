import { type Config, type ConfigFiles, createClient, type Plan, readConfigFiles } from '../index.ts';
import type { Given } from './command.ts';
import { type Io, manyLines, painter, writeLines } from './io.ts';

/** The configuration that the flags name, or that is at the usual places. */
export function readConfiguration({ texts, flags }: Given): Promise<ConfigFiles> {
  return readConfigFiles({
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
}

/** The configuration and what it plans for a reference, with whatever a client would warn of told. */
export async function readPlan(given: Given, io: Io): Promise<{ readonly config: Config; readonly plan: Plan }> {
  const { config } = await readConfiguration(given);
  const warnings = new Set<string>();
  const client = createClient({
    config,
    onEvent: (event) => {
      if (event.type === 'warning') warnings.add(event.text);
    },
  });
  tellWarnings([...warnings], io);
  try {
    return { config, plan: client.plan(given.words[0] ?? '') };
  } finally {
    await client.close();
  }
}

export function tellWarnings(warnings: readonly string[], io: Io): void {
  const paint = painter(io, io.stderr);
  writeLines(
    io.stderr,
    warnings.map((text) => `${paint('yellow', 'warning:')} ${manyLines(text)}`),
  );
}
