// What it costs to serve: blobs and manifests of 4 KiB, and a blob of 100 MB, over loopback, without TLS.
import type { Cleanup } from '../support/cleanup.ts';
import { startDistribution } from '../support/docker-registry.ts';
import { load } from '../support/load.ts';
import { freePort, type Measured, programPath, startServer, supportProgram } from '../support/programs.ts';
import { type Content, contentOf, described, noise, pushBlob, pushManifest } from '../support/push.ts';
import type { Scenario, Way } from '../support/scenario.ts';

const [small, config] = [noise(4096), contentOf(Buffer.from('{}'), 'application/vnd.oci.empty.v1+json')];
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const manifest = contentOf(
  Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: manifestType,
      config: described(config),
      layers: [described(small)],
      annotations: { 'org.example.padding': '-'.repeat(3_600) },
    }),
  ),
  manifestType,
);

const blobWork = 'blob of 4 KiB';
const manifestWork = 'manifest of 4 KiB';
const largeWork = 'blob of 100 MB';

interface Work {
  readonly name: string;
  readonly content: Content;
  readonly path: string;
  readonly connections: number;
}

const worksWith = (large: Content): readonly Work[] => [
  { name: blobWork, content: small, path: `/blobs/${small.digest}`, connections: 16 },
  { name: manifestWork, content: manifest, path: `/manifests/${manifest.digest}`, connections: 16 },
  { name: largeWork, content: large, path: `/blobs/${large.digest}`, connections: 4 },
];

async function startServerOf(cleanup: Cleanup, kind: 'memory' | 'layout'): Promise<Measured> {
  const port = await freePort();
  const command = [process.execPath, supportProgram('own-server'), kind, String(port), await cleanup.folder()];
  return startServer(cleanup, command, `http://127.0.0.1:${port}/v2/`);
}

function wayOf(name: string, server: Measured, { name: work, content, path, connections }: Work, seconds: number): Way {
  const size = content.bytes.length;
  return {
    work,
    name,
    run: async () => {
      const before = await server.cpu();
      const loaded = await load(`${server.url}bench/app${path}`, size, {
        connections,
        seconds,
        accept: content.mediaType,
      });
      const cpu = (await server.cpu()) - before;
      const { requests, bytes, seconds: taken } = loaded;
      const served = Math.max(requests, bytes / size);
      return {
        'requests/s': served / taken,
        'MB/s': bytes / 1e6 / taken,
        'server CPU µs a request': (cpu * 1e6) / served,
        'peak MiB': await server.peak(),
      };
    },
  };
}

export const scenario: Scenario = {
  title: 'blobs and manifests served from memory and from a layout, beside docker-registry and distribution v3',
  columns: ['requests/s', 'MB/s', 'server CPU µs a request', 'peak MiB'],
  bars: [
    { work: blobWork, column: 'requests/s', way: 'ocifetch, memory', than: 'distribution v3', least: 3 },
    { work: blobWork, column: 'requests/s', way: 'ocifetch, layout', than: 'distribution v3', least: 3 },
    { work: manifestWork, column: 'requests/s', way: 'ocifetch, memory', than: 'distribution v3', least: 3 },
    { work: manifestWork, column: 'requests/s', way: 'ocifetch, layout', than: 'distribution v3', least: 3 },
    { work: largeWork, column: 'MB/s', way: 'ocifetch, memory', than: 'docker-registry', least: 1 },
    { work: largeWork, column: 'MB/s', way: 'ocifetch, layout', than: 'docker-registry', least: 1 },
  ],
  prepare: async ({ cleanup, hasPeers, isSmall }) => {
    const large = noise(isSmall ? 100_000 : 100_000_000);
    const servers = new Map<string, Measured>();
    servers.set('ocifetch, memory', await startServerOf(cleanup, 'memory'));
    servers.set('ocifetch, layout', await startServerOf(cleanup, 'layout'));
    const lacking: string[] = [];
    for (const [name, program] of [
      ['docker-registry', 'docker-registry'],
      ['distribution v3', 'registry'],
    ] as const) {
      if (!hasPeers) continue;
      const path = programPath(program);
      if (path) servers.set(name, await startDistribution(cleanup, path));
      else lacking.push(`${name}: there is no program "${program}"`);
    }
    for (const { url } of servers.values()) {
      for (const content of [small, large, config]) await pushBlob(`${url}bench/app`, content);
      await pushManifest(`${url}bench/app`, manifest, 'latest');
    }
    const ways = worksWith(large).flatMap((work) =>
      [...servers].map(([name, server]) => wayOf(name, server, work, isSmall ? 0.1 : 2)),
    );
    return { ways, lacking };
  },
};
