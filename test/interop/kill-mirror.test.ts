import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { layoutStore, mediaTypes } from 'ocifetch';
import { listen, memoryStore, serve } from 'ocifetch/server';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileSource } from '../support/compiled.ts';
import { createCleanup } from './support/cleanup.ts';
import { sha256, started, wrongFiles } from './support/kills.ts';
import { freePort } from './support/process.ts';

const rounds = 6;
const cleanup = createCleanup();
let directory: string;
let url: string;
let code: string;
/** Requests that reach the registry upstream, and whether it is there. */
let isUp = true;
const requested: string[] = [];

interface Known {
  readonly path: string;
  readonly digest: string;
}
const contents: Known[] = [];
const images: Known[] = [];

beforeAll(async () => {
  const store = memoryStore();
  const push = async (bytes: Uint8Array, mediaType: string) => {
    const descriptor = { mediaType, digest: sha256(bytes) as `sha256:${string}`, size: bytes.length };
    await store.push(
      descriptor,
      (async function* () {
        yield bytes;
      })(),
    );
    return descriptor;
  };
  for (let index = 0; index < 24; index++) {
    const layer = await push(
      randomBytes(randomInt(1_000, index % 6 === 0 ? 20_000_000 : 2_000_000)),
      mediaTypes.ociLayer,
    );
    const config = await push(Buffer.from(JSON.stringify({ index })), mediaTypes.ociConfig);
    const document = { schemaVersion: 2, mediaType: mediaTypes.ociManifest, config, layers: [layer] };
    const manifest = await push(Buffer.from(JSON.stringify(document)), mediaTypes.ociManifest);
    await store.tag(manifest, `t${index}`);
    for (const { digest } of [layer, config]) contents.push({ path: `/v2/team/app/blobs/${digest}`, digest });
    images.push({ path: `/v2/team/app/manifests/t${index}`, digest: manifest.digest });
    contents.push({ path: `/v2/team/app/manifests/${manifest.digest}`, digest: manifest.digest });
  }
  const registry = serve(() => store);
  const upstream = await listen(async (request) => {
    requested.push(new URL(request.url).pathname);
    return isUp ? registry(request) : new Response(null, { status: 503 });
  });
  cleanup.add(upstream.close);
  const { folder, remove } = await compileSource();
  cleanup.add(remove);
  directory = join(await cleanup.folder(), 'cache');
  const port = await freePort();
  const module = pathToFileURL(join(folder, 'server', 'index.js')).href;
  code = `
    import { listen, pullThrough, serve } from ${JSON.stringify(module)};
    const mirror = pullThrough({ store: ${JSON.stringify(directory)}, upstream: ${JSON.stringify(new URL(upstream.url).host)} });
    console.log((await listen(serve(mirror), { port: ${port} })).url);
    process.on('SIGTERM', async () => { await mirror.close(); process.exit(0); });`;
  url = `http://127.0.0.1:${port}`;
});
afterAll(() => cleanup.close());

/** What was served whole, so that it was kept before its last byte was sent. */
const kept = new Map<string, Known>();

/** Reads a content; fails if the mirror says that this is all, and it is not. */
async function read({ path, digest }: Known): Promise<void> {
  const response = await fetch(url + path, { signal: AbortSignal.timeout(30_000) });
  const bytes = new Uint8Array(await response.arrayBuffer());
  if (response.status !== 200 || sha256(bytes) !== digest)
    throw new WrongAnswer(`GET ${path}: ${response.status}, ${bytes.length} bytes of ${sha256(bytes)}`);
  kept.set(path, { path, digest });
}

/** The mirror did not do what it must, in contrast to a connection that broke as it was killed. */
class WrongAnswer extends Error {}

const any = (of: readonly Known[]): Known => {
  const found = of[randomInt(of.length)];
  if (!found) throw new Error('there is nothing to read');
  return found;
};

/** Reads until the mirror is gone; one reader leaves in the middle now and then. */
async function readUntil(isStopped: () => boolean): Promise<void> {
  while (!isStopped()) {
    try {
      if (randomInt(8) > 0) await read(any(randomInt(3) === 0 ? images : contents));
      else {
        const response = await fetch(url + any(contents).path);
        await response.body?.cancel();
      }
    } catch (error) {
      if (error instanceof WrongAnswer || !isStopped()) throw error;
    }
  }
}

async function ended(
  child: Awaited<ReturnType<typeof started>>['child'],
  signal: 'SIGKILL' | 'SIGTERM',
): Promise<void> {
  const exit = once(child, 'exit');
  child.kill(signal);
  await exit;
}

test(`a mirror that is killed ${rounds} times while clients pull serves nothing wrong, and has all that it served`, {
  timeout: 120_000,
}, async () => {
  for (let round = 0; round < rounds; round++) {
    const { child, line } = await started(code);
    expect(line).toBe(url);
    let isKilled = false;
    const readers = Array.from({ length: 12 }, () => readUntil(() => isKilled));
    await Promise.race([wait(randomInt(150, 700)), ...readers]);
    isKilled = true;
    await ended(child, 'SIGKILL');
    await Promise.all(readers);
    // What has a final name is whole, whatever else was under way.
    expect(await wrongFiles(directory)).toEqual([]);
  }
  expect(kept.size).toBeGreaterThan(5);
  const { child } = await started(code);
  // What was served is there without the registry.
  isUp = false;
  requested.length = 0;
  const byDigest = [...kept.values()].filter(({ path, digest }) => path.endsWith(digest));
  for (const known of byDigest) await read(known);
  expect(requested).toEqual([]);
  isUp = true;
  // And a clean rerun gets all the rest.
  for (const known of [...images, ...contents]) await read(known);
  await ended(child, 'SIGTERM');
  expect(await wrongFiles(directory)).toEqual([]);
  expect(await layoutStore(directory).verify()).toMatchObject({ wrong: [] });
  const left = await readdir(join(directory, '.ocifetch')).catch(() => []);
  expect(left.filter((name) => !/^(?:upload|expected)-/.test(name))).toEqual([]);
  console.log(`${kept.size} contents and tags, ${byDigest.length} of them from the disk`);
});
