// node scripts/count-modules.mjs: how many modules of the built package run code in one fetch and in one pull. Needs `npm run build`. With --list, names them.
// A module counts if one of its functions runs during the operation, which begins with a client that exists already; what
// only runs while it is imported does not count.
import { fork } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { Session } from 'node:inspector/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const dist = new URL('../dist/', import.meta.url);

/** Most modules, as docs/architecture.md promises. */
const limits = { fetch: 66, pull: 104 };

/** A registry of one image with two layers, in a process of its own, so that its modules do not count. */
async function serveImage() {
  const { digestOf, mediaTypes, memoryStore } = await import(new URL('index.js', dist));
  const { listen, serve } = await import(new URL('server/index.js', dist));
  const store = memoryStore();
  const push = async (mediaType, bytes) => {
    const descriptor = { mediaType, digest: digestOf(bytes), size: bytes.length };
    await store.push(descriptor, [bytes]);
    return descriptor;
  };
  const json = (value) => new TextEncoder().encode(JSON.stringify(value));
  const layers = [];
  for (const fill of [1, 2]) layers.push(await push(mediaTypes.ociLayer, new Uint8Array(300_000).fill(fill)));
  const platform = { os: 'linux', architecture: 'amd64' };
  const config = await push(mediaTypes.ociConfig, json({ ...platform, rootfs: { type: 'layers', diff_ids: [] } }));
  const manifest = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers };
  const entry = { ...(await push(mediaTypes.ociManifest, json(manifest))), platform };
  const index = { schemaVersion: 2, mediaType: mediaTypes.ociIndex, manifests: [entry] };
  await store.tag(await push(mediaTypes.ociIndex, json(index)), '1');
  const { url } = await listen(serve(() => store));
  process.send({ host: new URL(url).host, layer: layers[0] });
  process.once('disconnect', () => process.exit());
}

async function measure() {
  const registry = fork(fileURLToPath(import.meta.url), ['--registry']);
  const folder = await mkdtemp(join(tmpdir(), 'count-modules-'));
  try {
    const { host, layer } = await new Promise((resolve, reject) => {
      registry.once('message', resolve).once('exit', reject);
    });
    const { createClient } = await import(new URL('index.js', dist));
    const session = new Session();
    session.connect();
    await session.post('Profiler.enable');
    const running = async (operation) => {
      await session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: false });
      await session.post('Profiler.takePreciseCoverage');
      await operation();
      const { result } = await session.post('Profiler.takePreciseCoverage');
      await session.post('Profiler.stopPreciseCoverage');
      return namesOf(result);
    };
    const client = createClient();
    const fetchOnce = async () => (await client.fetcher(`${host}/app`).fetch(layer)).bytes();
    const pullOnce = () => client.pull(`${host}/app:1`, { to: join(folder, 'layout') });
    report('fetch', await running(fetchOnce));
    report('pull', await running(pullOnce));
    await client.close();
  } finally {
    registry.disconnect();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Paths below dist of modules of which a function ran; the first entry of a script is the module itself, being imported. */
const namesOf = (scripts) =>
  scripts
    .filter(
      ({ url, functions }) =>
        url.startsWith(dist.href) &&
        functions.some(({ functionName, ranges }) => functionName !== '' && ranges[0].count > 0),
    )
    .map(({ url }) => url.slice(dist.href.length).replace(/\.js$/, ''))
    .sort();

function report(operation, modules) {
  console.log(`${operation}: ${modules.length} modules run code, at most ${limits[operation]}`);
  if (process.argv.includes('--list')) console.log(modules.map((name) => `  ${name}`).join('\n'));
  if (modules.length > limits[operation]) process.exitCode = 1;
}

if (process.argv[2] === '--registry') await serveImage();
else await measure();
