import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { pathToFileURL } from 'node:url';
import { layoutStore } from 'ocifetch';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { compileSource } from '../support/compiled.ts';
import { createCleanup } from './support/cleanup.ts';
import { sha256, started, wrongFiles } from './support/kills.ts';
import { freePort } from './support/process.ts';

const rounds = 5;
const manifestType = 'application/vnd.oci.image.manifest.v1+json';
const repositories = ['team/one', 'team/two', 'three'];

const cleanup = createCleanup();
let directory: string;
let url: string;
let code: string;

beforeAll(async () => {
  const { folder, remove } = await compileSource();
  cleanup.add(remove);
  directory = join(await cleanup.folder(), 'registry');
  const port = await freePort();
  const module = pathToFileURL(join(folder, 'server', 'index.js')).href;
  code = `
    import { layoutRegistry, listen, serve } from ${JSON.stringify(module)};
    const registry = layoutRegistry(${JSON.stringify(directory)});
    console.log((await listen(serve(registry), { port: ${port} })).url);`;
  url = `http://127.0.0.1:${port}`;
});
afterAll(() => cleanup.close());

/** What was pushed, by path: the digests in their order, and which of them was the last that the server acknowledged. */
const kept = new Map<string, { readonly digests: string[]; last: number }>();

function sent(path: string, digest: string): void {
  const known = kept.get(path);
  if (known) known.digests.push(digest);
  else kept.set(path, { digests: [digest], last: -1 });
}

function acknowledged(path: string): void {
  const known = kept.get(path);
  if (known) known.last = known.digests.length - 1;
}

const send = (path: string, init: RequestInit = {}): Promise<Response> =>
  fetch(new URL(path, url), { ...init, signal: AbortSignal.timeout(20_000) });

async function must(status: number, path: string, init?: RequestInit): Promise<Headers> {
  const response = await send(path, init);
  const text = await response.text();
  if (response.status !== status) throw new WrongAnswer(`${init?.method ?? 'GET'} ${path}: ${response.status} ${text}`);
  return response.headers;
}

/** The server did not do what it must, in contrast to a connection that broke as the server was killed. */
class WrongAnswer extends Error {}

const blobPath = (name: string, digest: string): string => `/v2/${name}/blobs/${digest}`;

type Bytes = Uint8Array<ArrayBuffer>;
const random = (size: number): Bytes => new Uint8Array(randomBytes(size));

/** Pushes a blob in one of the ways that there are. */
async function pushBlob(name: string, bytes: Bytes): Promise<string> {
  const digest = sha256(bytes);
  sent(blobPath(name, digest), digest);
  const uploads = `/v2/${name}/blobs/uploads/`;
  const way = randomInt(3);
  if (way === 0) await must(201, `${uploads}?digest=${digest}`, { method: 'POST', body: bytes });
  else {
    let location = (await must(202, uploads, { method: 'POST' })).get('location') ?? '';
    const middle = way === 1 ? 0 : Math.floor(bytes.length / 2);
    if (middle > 0) {
      const body = bytes.subarray(0, middle);
      location = (await must(202, location, { method: 'PATCH', body })).get('location') ?? '';
    }
    const end = new URL(location, url);
    end.searchParams.set('digest', digest);
    await must(201, end.href, { method: 'PUT', body: bytes.subarray(middle) });
  }
  acknowledged(blobPath(name, digest));
  return digest;
}

/** Pushes an image of one layer under a tag, which it moves. */
async function pushImage(name: string, tag: string, bytes = random(randomInt(1_000, 500_000))): Promise<void> {
  const config = new TextEncoder().encode(JSON.stringify({ os: 'linux', architecture: 'amd64', made: sha256(bytes) }));
  const layer = {
    mediaType: 'application/vnd.oci.image.layer.v1.tar',
    digest: await pushBlob(name, bytes),
    size: bytes.length,
  };
  const described = {
    mediaType: 'application/vnd.oci.image.config.v1+json',
    digest: await pushBlob(name, config),
    size: config.length,
  };
  const body = JSON.stringify({ schemaVersion: 2, mediaType: manifestType, config: described, layers: [layer] });
  const digest = sha256(Buffer.from(body));
  const paths = [tag, digest].map((reference) => `/v2/${name}/manifests/${reference}`);
  for (const path of paths) sent(path, digest);
  await must(201, paths[0] ?? '', { method: 'PUT', body, headers: { 'content-type': manifestType } });
  for (const path of paths) acknowledged(path);
}

/**
 * Reads what was acknowledged, and throws if it is not there or is other content. A tag may also stand for what was pushed
 * after that: the server may have taken it, and not have come to say so.
 */
async function check(path: string): Promise<void> {
  const { digests = [], last = -1 } = kept.get(path) ?? {};
  if (last === -1) return;
  const response = await send(path, { headers: { accept: manifestType } });
  const found = sha256(new Uint8Array(await response.arrayBuffer()));
  if (response.status !== 200 || !digests.slice(last).includes(found)) {
    throw new WrongAnswer(`GET ${path}: ${response.status}, ${found}, of ${digests.slice(last).join()}`);
  }
}

/** Does one thing after the other until the server is gone. */
async function until(stopped: () => boolean, work: () => Promise<unknown>): Promise<void> {
  while (!stopped()) {
    try {
      await work();
    } catch (error) {
      if (error instanceof WrongAnswer || !stopped()) throw error;
    }
  }
}

/** Starts the server, and kills it while clients push and read, and an upload is open. */
async function round(): Promise<void> {
  const { child, line } = await started(code);
  expect(line).toBe(url);
  for (const path of kept.keys()) await check(path);
  await continued();
  const broken = await begun();
  let isKilled = false;
  const stopped = (): boolean => isKilled;
  const pushers = [0, 1, 2, 3, 4, 5].map((index) =>
    until(stopped, () => pushImage(repositories[index % 3] ?? '', `t${index}`)),
  );
  const readers = [0, 1].map(() =>
    until(stopped, async () => {
      const paths = [...kept].filter(([, { last }]) => last >= 0);
      const [path] = paths[randomInt(Math.max(1, paths.length))] ?? [];
      if (path) await check(path);
      else await must(200, '/v2/');
    }),
  );
  const kill = async (): Promise<void> => {
    await wait(randomInt(300, 900));
    isKilled = true;
    child.kill('SIGKILL');
    await once(child, 'exit');
  };
  await Promise.all([kill(), ...pushers, ...readers]);
  open = broken;
}

interface Open {
  readonly bytes: Bytes;
  readonly location: string;
}
/** An upload of which half was acknowledged before the server was killed. */
let open: Open | undefined;

async function begun(): Promise<Open> {
  const bytes = random(600_001);
  const location = (await must(202, '/v2/three/blobs/uploads/', { method: 'POST' })).get('location') ?? '';
  const half = bytes.subarray(0, 300_000);
  const headers = await must(202, location, { method: 'PATCH', body: half });
  return { bytes, location: headers.get('location') ?? '' };
}

/** Continues the upload from the byte that the server says it has. */
async function continued(): Promise<void> {
  if (!open) return;
  const { bytes, location } = open;
  const headers = await must(204, location);
  expect(headers.get('range')).toBe('0-299999');
  const end = new URL(headers.get('location') ?? location, url);
  const digest = sha256(bytes);
  end.searchParams.set('digest', digest);
  await must(201, end.href, { method: 'PUT', body: bytes.subarray(300_000) });
  sent(blobPath('three', digest), digest);
  acknowledged(blobPath('three', digest));
  await check(blobPath('three', digest));
}

test(`a registry in layouts that is killed ${rounds} times while clients push loses nothing that it acknowledged`, {
  timeout: 120_000,
}, async () => {
  for (let count = 0; count < rounds; count++) await round();
  console.log(`${kept.size} contents and tags in ${rounds} rounds`);
  expect(kept.size).toBeGreaterThan(50);
  const { child } = await started(code);
  for (const path of kept.keys()) await check(path);
  await continued();
  // A rerun does not notice what was left behind.
  for (const name of repositories) for (const tag of ['t0', 'clean']) await pushImage(name, tag);
  for (const path of kept.keys()) await check(path);
  const ended = once(child, 'exit');
  child.kill('SIGTERM');
  await ended;
  for (const name of repositories) {
    const folder = join(directory, name.replace('/', '+'));
    expect(await wrongFiles(folder)).toEqual([]);
    const layout = layoutStore(folder);
    expect(await layout.verify()).toMatchObject({ wrong: [], missing: [] });
    await layout.gc();
    expect(await layout.verify()).toMatchObject({ wrong: [], missing: [] });
    // Uploads that nobody continued wait for a day, and content whose manifest did not come for an hour; nothing else stays.
    const left = await readdir(join(folder, '.ocifetch')).catch(() => []);
    expect(left.filter((name) => !/^(?:upload|expected)-/.test(name))).toEqual([]);
  }
});
