import { spawn } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdir, open, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from 'vitest';
import { compileSource } from '../support/compiled.ts';
import { type Cleanup, createCleanup } from './support/cleanup.ts';
import { push } from './support/skopeo.ts';
import { describeWith } from './support/tools.ts';

const mebibyte = 1_048_576;
/** The promise of the server, for a layer of 1 GiB. */
const mostMemory = 150;
const layerMebibytes = 1024;

const prefix = 'application/vnd.oci.image';
const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** A layout with one image, `big`, whose layer has so many MiB that do not compress. Returns the layer's digest. */
async function makeLayout(layout: string, mebibytes: number): Promise<string> {
  const blobs = join(layout, 'blobs', 'sha256');
  await mkdir(blobs, { recursive: true });
  const block = randomBytes(mebibyte);
  const hash = createHash('sha256');
  const file = await open(join(blobs, 'layer'), 'w');
  for (let index = 0; index < mebibytes; index += 1) {
    block.writeUInt32LE(index);
    hash.update(block);
    await file.write(block);
  }
  await file.close();
  const hex = hash.digest('hex');
  await rename(join(blobs, 'layer'), join(blobs, hex));
  const keep = async (mediaType: string, value: object) => {
    const bytes = Buffer.from(JSON.stringify(value));
    await writeFile(join(blobs, sha256(bytes)), bytes);
    return { mediaType, digest: `sha256:${sha256(bytes)}`, size: bytes.length };
  };
  const layer = { mediaType: `${prefix}.layer.v1.tar+gzip`, digest: `sha256:${hex}`, size: mebibytes * mebibyte };
  const config = await keep(`${prefix}.config.v1+json`, {
    architecture: 'amd64',
    os: 'linux',
    rootfs: { type: 'layers', diff_ids: [layer.digest] },
  });
  const mediaType = `${prefix}.manifest.v1+json`;
  const manifest = await keep(mediaType, { schemaVersion: 2, mediaType, config, layers: [layer] });
  const entry = { ...manifest, annotations: { 'org.opencontainers.image.ref.name': 'big' } };
  await writeFile(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return hex;
}

/** A registry of layouts in a process of its own. */
async function startServer(cleanup: Cleanup, directory: string) {
  const compiled = await compileSource();
  cleanup.add(compiled.remove);
  const program = `
    import { layoutRegistry, listen, serve } from ${JSON.stringify(join(compiled.folder, 'server/index.js'))};
    console.log((await listen(serve(layoutRegistry(${JSON.stringify(directory)})))).url);`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', program], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  cleanup.add(async () => {
    const exit = once(child, 'exit');
    if (child.kill()) await exit;
  });
  const [url] = (await once(createInterface(child.stdout), 'line')) as [string];
  return {
    host: new URL(url).host,
    /** MiB, of the process so far. */
    peak: async (): Promise<number> => {
      const [, kib] = /VmHWM:\s+(\d+)/.exec(await readFile(`/proc/${child.pid}/status`, 'utf8')) ?? [];
      return Number(kib) / 1024;
    },
  };
}

describeWith(['skopeo'], 'a layer of 1 GiB', () => {
  const cleanup = createCleanup();
  afterAll(() => cleanup.close(), 30_000);

  test(`skopeo pushes it, and the server never has more than ${mostMemory} MiB`, { timeout: 300_000 }, async () => {
    const folder = await cleanup.folder();
    const hex = await makeLayout(join(folder, 'layout'), layerMebibytes);
    const registry = join(folder, 'registry');
    const server = await startServer(cleanup, registry);
    await push(folder, join(folder, 'layout'), 'big', `${server.host}/team/big:v1`, { timeout: 240_000 });
    const peak = await server.peak();
    expect(peak).toBeGreaterThan(20);
    expect(peak).toBeLessThan(mostMemory);
    const pushed = createHash('sha256');
    const file = await open(join(registry, 'team+big', 'blobs', 'sha256', hex));
    for await (const chunk of file.createReadStream({ highWaterMark: mebibyte })) pushed.update(chunk);
    expect(pushed.digest('hex')).toBe(hex);
  });
});
