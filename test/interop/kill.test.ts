import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { bundleProgram } from '../support/program.ts';
import { createCleanup } from './support/cleanup.ts';
import { killed, wrongFiles } from './support/kills.ts';
import { type SlowRegistry, startSlowRegistry } from './support/slow-registry.ts';

let program: string;

const kills = 50;
/** Contents that a pull fetches at a time, and the bytes of each that may not be on the disk yet. */
const [atATime, inFlight] = [6, 1_572_864];

function pull(reference: string, folder: string): ChildProcess {
  const settings = ['--no-discover', '--json', '--concurrency', String(atATime)];
  return spawn(process.execPath, [program, 'pull', reference, folder, ...settings], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

describe('a pull of 40 layers', () => {
  const cleanup = createCleanup();
  let registry: SlowRegistry;

  beforeAll(async () => {
    const bundle = await bundleProgram();
    cleanup.add(bundle.remove);
    program = bundle.program;
    registry = await startSlowRegistry(cleanup, { layers: 40, largest: 2_000_000, rate: 4_000_000 });
  });
  afterAll(() => cleanup.close());

  test(`that is killed ${kills} times leaves no wrong file, and resumes where it was`, {
    timeout: 300_000,
  }, async () => {
    let folder = await cleanup.folder();
    let [killsHere, completed, killsInAll] = [0, 0, 0];
    registry.sent();
    const check = (sent: number): void => {
      const most = 1.2 * registry.size + killsHere * atATime * inFlight;
      expect(sent, `${sent} bytes for ${registry.size} with ${killsHere} kills`).toBeLessThanOrEqual(most);
    };
    while (killsInAll < kills) {
      const code = await killed(pull(registry.reference, folder), 250 + Math.random() * 1_250);
      expect(await wrongFiles(folder)).toEqual([]);
      if (code === null) {
        killsHere++;
        killsInAll++;
        continue;
      }
      expect(code).toBe(0);
      check(registry.sent());
      completed++;
      killsHere = 0;
      folder = await cleanup.folder();
    }
    const [code] = await once(pull(registry.reference, folder), 'exit');
    expect(code).toBe(0);
    check(registry.sent());
    expect(await wrongFiles(folder)).toEqual([]);
    expect((await readdir(join(folder, 'blobs', 'sha256'))).sort()).toEqual(
      registry.digests.map((digest) => digest.replace('sha256:', '')).sort(),
    );
    expect((await readdir(folder)).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
    console.log(`${killsInAll} kills in ${completed + 1} pulls`);
  });

  test('by two processes into one folder fetches each byte once', { timeout: 60_000 }, async () => {
    const folder = await cleanup.folder();
    registry.sent();
    const both = [pull(registry.reference, folder), pull(registry.reference, folder)];
    const codes = await Promise.all(both.map(async (child) => (await once(child, 'exit'))[0]));
    expect(codes).toEqual([0, 0]);
    expect(registry.sent()).toBeLessThanOrEqual(1.1 * registry.size);
    expect(await wrongFiles(folder)).toEqual([]);
    const { manifests } = JSON.parse(await readFile(join(folder, 'index.json'), 'utf8'));
    expect(manifests).toHaveLength(1);
  });
});
