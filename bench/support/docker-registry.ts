// Debian's docker-registry or distribution with an image, and what it was requested.
import { openSync } from 'node:fs';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Cleanup } from './cleanup.ts';
import { createCounter } from './file-server.ts';
import type { Image } from './images.ts';
import { freePort, type Measured, startServer } from './programs.ts';
import { pushBlob, pushManifest } from './push.ts';
import type { Costs } from './scenario.ts';

/** Starts one; its configuration is YAML, as JSON is. `output`: a file descriptor for its log, which names each request. */
export async function startDistribution(
  cleanup: Cleanup,
  program: string,
  output: number | 'ignore' = 'ignore',
): Promise<Measured> {
  const [folder, port] = [await cleanup.folder(), await freePort()];
  const path = join(folder, 'config.yml');
  const isLogged = output !== 'ignore';
  const config = {
    version: '0.1',
    log: { level: isLogged ? 'info' : 'error', formatter: 'json', accesslog: { disabled: true } },
    storage: { filesystem: { rootdirectory: join(folder, 'storage') } },
    http: { addr: `127.0.0.1:${port}`, secret: 'bench' },
  };
  await writeFile(path, JSON.stringify(config));
  // Version 3 sends traces to a collector that is not there, unless it is told not to.
  const command = ['env', 'OTEL_TRACES_EXPORTER=none', program, 'serve', path];
  return startServer(cleanup, command, `http://127.0.0.1:${port}/v2/`, output);
}

/** One with an image, as `host` has it, which counts. */
export async function startRegistryOf(
  cleanup: Cleanup,
  program: string,
  { folder, repository, manifest, config, layers }: Image,
): Promise<{ readonly host: string; counts(): Promise<Costs> }> {
  const log = join(await cleanup.folder(), 'log');
  const { url } = await startDistribution(cleanup, program, openSync(log, 'a'));
  const stored = (kind: string, digest: string): Promise<Buffer> =>
    readFile(join(folder, 'v2', repository, kind, digest));
  for (const { mediaType, digest } of [config, ...layers]) {
    await pushBlob(`${url}${repository}`, { mediaType, digest, bytes: await stored('blobs', digest) });
  }
  const bytes = await stored('manifests', manifest.digest);
  await pushManifest(`${url}${repository}`, { ...manifest, bytes }, 'latest');
  const counts = createCounter(log, (line) =>
    line.includes('response completed') ? /"http\.request\.remoteaddr":"([^"]+)"/.exec(line)?.[1] : undefined,
  );
  await counts();
  return { host: new URL(url).host, counts };
}
