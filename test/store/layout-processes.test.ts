import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { digestOf } from '../../src/oci/digest.ts';
import { layoutStore } from '../../src/store/layout.ts';
import { samples } from '../contract/source.ts';
import { pieces } from '../contract/store.ts';
import { bundleSource } from '../support/bundled.ts';

const { large, manifest } = samples;
const { digest, size } = large.descriptor;
const nameKey = 'org.opencontainers.image.ref.name';
let bundled: Awaited<ReturnType<typeof bundleSource>>;
let directory = '';
const children: ChildProcess[] = [];

beforeAll(async () => {
  bundled = await bundleSource('src/store/layout', 'test/support/unsynced-files');
}, 60_000);
afterAll(() => bundled.remove());
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-processes-'));
});
afterEach(async () => {
  for (const child of children.splice(0)) child.kill('SIGKILL');
  await rm(directory, { recursive: true, force: true });
});

/** The program of a process: `body` has `store`, the sample `bytes` and their `target`, and may `say` lines. */
function script(body: string): string {
  const url = (path: string): string => JSON.stringify(bundled.urlOf(path));
  return `
    import { createLayout } from ${url('src/store/layout')};
    import { unsyncedFiles } from ${url('test/support/unsynced-files')};
    const files = unsyncedFiles({ patience: 300 });
    const store = createLayout(${JSON.stringify(join(directory, 'layout'))}, { files, waits: [5, 50], mostSmall: 0 });
    const say = (line) => process.stdout.write(line + '\\n');
    const bytes = Uint8Array.from({ length: ${size} }, (_, index) => (index * 31 + (index >> 8)) & 255);
    const target = { mediaType: 'application/octet-stream', digest: '${digest}', size: ${size} };
    const wait = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));
    const slowly = (pause, end = bytes.length) => async function* (offset) {
      say('from ' + offset);
      for (let at = offset; at < end; at += 10_000) {
        await wait(pause);
        yield bytes.slice(at, Math.min(at + 10_000, end));
        say('gave ' + Math.min(at + 10_000, end));
      }
      if (end < bytes.length) await wait(60_000);
    };
    try {
      ${body}
    } catch (error) {
      say(error.code + ' ' + error.message);
    }`;
}

interface Running {
  readonly lines: string[];
  readonly child: ChildProcess;
  readonly ended: Promise<readonly string[]>;
}

function run(body: string, wrapped: readonly string[] = []): Running {
  const node = [process.execPath, '--input-type=module', '--eval', script(body)];
  const [command = '', ...parameters] = [...wrapped, ...node];
  const child = spawn(command, parameters, { stdio: ['ignore', 'pipe', 'inherit'] });
  children.push(child);
  const lines: string[] = [];
  let text = '';
  child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    text += chunk;
    lines.splice(0, lines.length, ...text.split('\n').slice(0, -1));
  });
  const ended = once(child, 'close').then(() => lines);
  return { lines, child, ended };
}

/** Runs a shell that sets limits before it becomes the process. */
const limited = (limit: string): readonly string[] => ['/bin/sh', '-c', `${limit} && exec "$@"`, 'sh'];

const push = (pause: number, end?: number): string =>
  `await store.pushFrom(target, slowly(${pause}${end === undefined ? '' : `, ${end}`}), { onWait: () => say('waits') });
   say('done');`;

async function expectWhole(): Promise<void> {
  const path = join(directory, 'layout', 'blobs', digest.replace(':', '/'));
  expect(Buffer.compare(await readFile(path), large.bytes)).toBe(0);
  expect(await readdir(join(directory, 'layout'))).not.toContain('.ocifetch');
}

test('two processes that push the same content share the work: one waits, both succeed', async () => {
  const both = [run(push(10)), run(push(10))];
  const [a, b] = await Promise.all(both.map(({ ended }) => ended));
  const lines = [...(a ?? []), ...(b ?? [])].filter((line) => !line.startsWith('gave'));
  // If they see each other's file in the first moment, both withdraw, and each has waited.
  if (lines.filter((line) => line === 'waits').length === 2) lines.splice(lines.indexOf('waits'), 1);
  expect(lines.sort()).toEqual(['done', 'done', 'from 0', 'waits']);
  await expectWhole();
});

test('after kill -9 the next run requests only what is missing', async () => {
  const first = run(push(1, 200_000));
  await expect.poll(() => first.lines, { timeout: 15_000, interval: 5 }).toContain('gave 200000');
  await new Promise((resolve) => setTimeout(resolve, 50));
  first.child.kill('SIGKILL');
  await first.ended;
  const second = await run(push(0)).ended;
  expect(second.filter((line) => !line.startsWith('gave'))).toEqual(['from 200000', 'done']);
  await expectWhole();
});

test('after kill -9 of the process that pushes, one that waits resumes', async () => {
  const first = run(push(1, 200_000));
  await expect.poll(() => first.lines, { timeout: 15_000, interval: 5 }).toContain('gave 200000');
  const second = run(push(0));
  await expect.poll(() => second.lines, { timeout: 15_000, interval: 5 }).toContain('waits');
  first.child.kill('SIGKILL');
  expect((await second.ended).filter((line) => !line.startsWith('gave'))).toEqual(['waits', 'from 200000', 'done']);
  await expectWhole();
});

test('names that many processes give at the same time all exist in the end', async () => {
  await layoutStore(join(directory, 'layout')).push(manifest.descriptor, pieces(manifest.bytes));
  const target = JSON.stringify(manifest.descriptor);
  const tagging = (process: number): string =>
    `for (let n = 0; n < 25; n++) await store.tag(${target}, 'p${process}-' + n); say('done');`;
  const all = await Promise.all([0, 1, 2, 3].map((process) => run(tagging(process)).ended));
  expect(all).toEqual([['done'], ['done'], ['done'], ['done']]);
  const names = [0, 1, 2, 3].flatMap((process) => Array.from({ length: 25 }, (_, n) => `p${process}-${n}`)).sort();
  expect(await layoutStore(join(directory, 'layout')).tags()).toEqual(names);
});

test('kill -9 of processes that give names leaves a whole index.json, and blocks nobody', async () => {
  const layout = join(directory, 'layout');
  await layoutStore(layout).push(manifest.descriptor, pieces(manifest.bytes));
  const target = JSON.stringify(manifest.descriptor);
  for (let round = 0; round < 6; round++) {
    const tagging = run(`for (let n = 0; ; n++) { await store.tag(${target}, 'r${round}-' + n); say('named'); }`);
    await expect.poll(() => tagging.lines.length, { timeout: 15_000, interval: 5 }).toBeGreaterThan(round);
    tagging.child.kill('SIGKILL');
    await tagging.ended;
    const { manifests } = JSON.parse(await readFile(join(layout, 'index.json'), 'utf8'));
    const names: string[] = manifests.map((one: { annotations: Record<string, string> }) => one.annotations[nameKey]);
    expect(names.filter((name) => name.startsWith(`r${round}-`)).length).toBeGreaterThanOrEqual(tagging.lines.length);
    await layoutStore(layout).tag(manifest.descriptor, `after-${round}`);
  }
  expect(await readdir(layout)).not.toContain('.ocifetch');
});

test('a limit of file size is reported; without it the next run resumes', async () => {
  // In blocks of 512 or 1024 bytes, as shells differ.
  const refused = await run(push(0), limited('ulimit -f 128')).ended;
  expect(refused.at(-1)).toMatch(/^STORE_ERROR Cannot write ".*": the file is larger than .* \(EFBIG\)$/);
  const lines = await run(push(0)).ended;
  expect(lines[0]).toMatch(/^from \d{5,}$/);
  expect(lines.at(-1)).toBe('done');
  await expectWhole();
});

/** Leaves only `count` files to be opened; Node itself needs more than that to load this. */
const leaving = (count: number): string => `
  const fs = await import('node:fs');
  const taken = [];
  try { for (;;) taken.push(fs.openSync('/dev/null')); } catch {}
  for (const one of taken.splice(0, ${count})) fs.closeSync(one);`;

test('with 40 files to open a hundred pushes at the same time succeed', async () => {
  const many = `
    const { createHash } = await import('node:crypto');
    const one = async (n) => {
      const content = Buffer.alloc(100_000, n);
      const own = 'sha256:' + createHash('sha256').update(content).digest('hex');
      await store.pushFrom({ ...target, digest: own, size: content.length }, async function* (offset) {
        for (let at = offset; at < content.length; at += 50_000) { await wait(5); yield content.subarray(at, at + 50_000); }
      });
    };
    ${leaving(40)}
    await Promise.all(Array.from({ length: 100 }, (_, n) => one(n)));
    say('done');`;
  expect(await run(many, limited('ulimit -n 256')).ended).toEqual(['done']);
  const report = await layoutStore(join(directory, 'layout')).verify();
  expect([report.checked, report.wrong]).toEqual([100, []]);
});

test('if other files stay open, the limit is reported after a while', async () => {
  const empty = { mediaType: 'application/octet-stream', digest: digestOf(new Uint8Array(0)), size: 0 };
  const blocked = `
    await store.push(${JSON.stringify(empty)}, (async function* () {})());
    ${leaving(0)}
    ${push(0)}`;
  const lines = await run(blocked, limited('ulimit -n 256')).ended;
  expect(lines.at(-1)).toMatch(/^STORE_ERROR .*too many open files in this process.*\(EMFILE\)$/);
});

test('a directory below a file is refused with a clear message', async () => {
  await mkdir(directory, { recursive: true });
  await writeFile(join(directory, 'layout'), 'a file');
  expect((await run(push(0)).ended).at(-1)).toMatch(/^STORE_ERROR Cannot .*layout.*: .*\(E[A-Z]+\)$/);
});

test.runIf(process.platform === 'linux')(
  'what a worker was writing when it was terminated is taken over at once in the same process',
  async () => {
    const body = script(`
      const { parentPort } = await import('node:worker_threads');
      const { readdirSync, statSync } = await import('node:fs');
      const folder = store.directory + '/.ocifetch/';
      const isWritten = () => readdirSync(folder).some((name) => statSync(folder + name).size === 10_000);
      await store.pushFrom(target, async function* (offset) {
        yield bytes.slice(offset, 10_000);
        while (!isWritten()) await wait(5);
        parentPort.postMessage('wrote');
        await wait(60_000);
      });`);
    const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(body)}`));
    await once(worker, 'message');
    await worker.terminate();
    const began = performance.now();
    const from: number[] = [];
    await layoutStore(join(directory, 'layout')).pushFrom(large.descriptor, (offset) => {
      from.push(offset);
      return pieces(large.bytes.slice(offset));
    });
    // A lock that nobody gives a sign of life is waited for a minute.
    expect(performance.now() - began).toBeLessThan(20_000);
    expect(from).toEqual([10_000]);
  },
);
