import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { listen } from '../../../src/server/listen.ts';
import { serve } from '../../../src/server/registry/serve.ts';
import type { Registry } from '../../../src/source.ts';
import type { Cleanup } from './cleanup.ts';
import { run } from './process.ts';

/** What the suite does not do by default: the newest specification, and what it leaves open to registries. */
export const everything = {
  OCI_VERSION: 'dev',
  OCI_API_BLOBS_UPLOAD_CANCEL: 'true',
  OCI_API_BLOBS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_DIGEST_HEADER: 'true',
  OCI_API_MANIFESTS_TAG_PARAM: 'true',
};

/**
 * Runs the suite of the distribution specification over a registry; returns the counts of its report, and the kinds of tests
 * that did not pass. https://github.com/opencontainers/distribution-spec/tree/main/conformance
 */
export async function conformanceCounts(
  cleanup: Cleanup,
  registry: Registry,
  settings: Readonly<Record<string, string>> = everything,
): Promise<object> {
  const { url, close } = await listen(serve(registry, { mountsFromAny: true }));
  cleanup.add(close);
  return conformanceAt(cleanup, url, settings);
}

/** As `conformanceCounts`, of a server that listens already. */
export async function conformanceAt(
  cleanup: Cleanup,
  url: string,
  settings: Readonly<Record<string, string>> = everything,
): Promise<object> {
  const folder = await cleanup.folder();
  const place = { OCI_REGISTRY: new URL(url).host };
  const env = { ...settings, ...place, OCI_TLS: 'disabled', OCI_RESULTS_DIR: folder };
  await run('conformance', [], { cwd: folder, env });
  const report = await readFile(join(folder, 'junit.xml'), 'utf8');
  const [, attributes = ''] = /<testsuites ([^>]*)>/.exec(report) ?? [];
  const pairs = [...attributes.matchAll(/(\w+)="([\d.]+)"/g)].map(([, name = '', value]) => [name, Number(value)]);
  const { time: _time, ...found } = Object.fromEntries(pairs) as Record<string, number>;
  const cases = [...report.matchAll(/<testcase name="([^"]*)"[^>]* status="(\w+)"/g)];
  const others = cases.flatMap(([, name = '', status]) => (status === 'passed' ? [] : `${status} ${basename(name)}`));
  return { ...found, others: [...new Set(others)].sort() };
}
