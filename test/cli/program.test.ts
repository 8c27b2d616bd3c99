import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:fs';
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { testRegistry } from 'ocifetch/testing';
import { expect, test, vi } from 'vitest';
import { certificate } from '../server/certificate.ts';
import { atEnd } from '../support/http.ts';
import { bundledProgram } from '../support/program.ts';
import { folder, registry } from './support.ts';

const program = bundledProgram();

interface Ended {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

function start(...args: string[]): { readonly child: ChildProcess; readonly ended: Promise<Ended> } {
  const child = spawn(process.execPath, [program.path, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 15_000,
  });
  const told = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].on('data', (chunk: Buffer) => {
      told[name] += chunk.toString();
    });
  }
  const ended = once(child, 'close').then(([code]) => ({ code, ...told }));
  return { child, ended };
}

test('the built program prints, and ends with the exit code', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8'));
  expect(await start('--version').ended).toEqual({ code: 0, stdout: `${version}\n`, stderr: '' });
  expect(await start('plan', '--no-discover', 'alpine').ended).toMatchObject({
    code: 0,
    stdout: expect.stringMatching(/^docker\.io\/library\/alpine:latest\n\n1 {2}registry-1\.docker\.io\n/),
  });
  expect(await start('plam').ended).toMatchObject({ code: 2, stdout: '' });
});

test('help and version load neither the library nor any command', async () => {
  const { path } = await folder({});
  const environment = { ...process.env, NODE_V8_COVERAGE: path('loaded') };
  for (const flag of ['--help', '--version']) {
    await promisify(execFile)(process.execPath, [program.path, flag], { env: environment });
  }
  const reports = await readdir(path('loaded'));
  const texts = await Promise.all(reports.map((name) => readFile(join(path('loaded'), name), 'utf8')));
  const loaded = texts.flatMap((text) => (JSON.parse(text) as { result: { url: string }[] }).result);
  const files = [...new Set(loaded.flatMap(({ url }) => (url.startsWith('file:') ? [fileURLToPath(url)] : [])))];
  expect(reports).toHaveLength(2);
  expect(files).toContain(program.path);
  const sizes = await Promise.all(files.map(async (file) => (await stat(file)).size));
  expect(sizes.reduce((sum, size) => sum + size, 0)).toBeLessThan(50_000);
});

test('doctor knows the authorities that a pull knows, also those of NODE_EXTRA_CA_CERTS', async () => {
  const { port } = await registry({ tls: certificate });
  const mirrors = [{ url: `https://localhost:${port}` }];
  const { path } = await folder({
    'ca.pem': certificate.cert,
    'config.json': JSON.stringify({ registries: { 'registry.test': { mirrors, origin: 'never' } } }),
  });
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: path('ca.pem') };
  const args = ['doctor', '--no-discover', '--config', path('config.json'), 'registry.test/a'];
  const { stdout } = await promisify(execFile)(process.execPath, [program.path, ...args], { env });
  expect(stdout).toMatch(/^ok .*TLS \d+ ms .*, blob \d+ ms \(from localhost:\d+\)\./);
});

const layers = [1, 2].map((seed) => Buffer.alloc(6_000_000, seed));

/** A registry with an image of two layers, of which at first no more than 4 MB come. */
async function slowRegistry() {
  const mediaType = 'application/vnd.oci.image.layer.v1.tar';
  const registry = await testRegistry({
    images: { 'team/app:v1': { layers: layers.map((bytes) => ({ bytes, mediaType })) } },
    faults: [{ kind: 'blob', stall: 4_000_000 }],
  });
  atEnd(registry.close);
  const {
    reference,
    layers: [layer],
  } = registry.images['team/app:v1'];
  const sent = () => registry.requests.map(({ bytes = 0 }) => bytes);
  return {
    reference,
    layer: `${reference}@${layer?.descriptor.digest}`,
    reset: registry.reset,
    sent: () => sent().reduce((sum, bytes) => sum + bytes, 0),
    stalled: () => sent().filter((bytes) => bytes === 4_000_000).length,
  };
}

const until = (test: () => boolean | Promise<boolean>): Promise<void> =>
  vi.waitUntil(test, { timeout: 10_000, interval: 10 }).then(() => {});

/** Whether a process has opened this pipe to read it. */
const isRead = (pipe: string): Promise<boolean> =>
  open(pipe, constants.O_WRONLY | constants.O_NONBLOCK).then(
    (handle) => handle.close().then(() => true),
    () => false,
  );

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s ends a pull at once, and the same command resumes it', async (signal, code) => {
  const registry = await slowRegistry();
  const { path } = await folder({});
  const line = ['pull', registry.reference, path('layout'), '--no-discover'];
  const first = start(...line);
  await until(() => registry.stalled() === 2);
  // Progress is reported from time to time.
  await wait(200);
  const before = performance.now();
  first.child.kill(signal);
  const ended = await first.ended;
  // A process on a busy machine is given more than the 200 ms that it takes on an idle one.
  expect(performance.now() - before).toBeLessThan(1_000);
  expect(ended).toMatchObject({ code, stdout: '' });
  expect(ended.stderr.trimEnd().split('\n').at(-1)).toMatch(
    /^ocifetch: interrupted: about \d\.\d MB are kept in .*layout, and the same command resumes from there\.$/,
  );
  registry.reset();
  const second = await start(...line).ended;
  expect(second.code).toBe(0);
  expect(second.stderr).toMatch(/ begun .* resumed at \d\.\d MB\n/);
  expect(registry.sent()).toBeLessThan(4_500_000);
  expect(await start('verify', path('layout')).ended).toMatchObject({ code: 0 });
});

test.each([
  ['a configuration', ['config', 'check', '--registries-yaml']],
  ['a file to be checked', ['config', 'check']],
])('SIGTERM ends it if a pipe without a writer is given as %s', async (_, line) => {
  const { path } = await folder({});
  await promisify(execFile)('mkfifo', [path('pipe.yaml')]);
  const { child, ended } = start(...line, path('pipe.yaml'));
  const exited = once(child, 'exit');
  await until(() => isRead(path('pipe.yaml')));
  const before = performance.now();
  child.kill('SIGTERM');
  const [code, signal] = await exited;
  expect(performance.now() - before).toBeLessThan(2_000);
  // By itself, or by the signal if the system holds it.
  expect(code ?? signal).toSatisfy((end: unknown) => end === 143 || end === 'SIGTERM');
  expect((await ended).stderr).toContain('interrupted');
});

test('a second Ctrl-C ends it at once, without a message', async () => {
  const registry = await slowRegistry();
  const { path } = await folder({});
  const { child, ended } = start('pull', '--quiet', registry.reference, path('layout'), '--no-discover');
  await until(() => registry.stalled() === 2);
  child.kill('SIGINT');
  child.kill('SIGTERM');
  expect([130, 143]).toContain((await ended).code);
});

test('what was received of a file is kept under another name, and resumed', async () => {
  const registry = await slowRegistry();
  const { path } = await folder({});
  const { child, ended } = start('get', registry.layer, '-o', path('layer.tar'), '--no-discover');
  const sizes = async () => Promise.all((await readdir(path('.'))).map(async (name) => (await stat(path(name))).size));
  await until(async () => registry.stalled() === 1 && (await sizes()).some((size) => size > 1_000_000));
  child.kill('SIGINT');
  const kept = 'The first [\\d.]+ MB are kept: the same command resumes there.';
  const stderr = expect.stringMatching(new RegExp(`^${kept}\nocifetch: interrupted\n$`));
  expect(await ended).toMatchObject({ code: 130, stderr });
  expect(await readdir(path('.'))).toEqual([expect.stringMatching(/^\.layer\.tar\..*\.partial$/)]);
  registry.reset();
  const again = start('get', registry.layer, '-o', path('layer.tar'), '--no-discover');
  expect(await again.ended).toMatchObject({ code: 0 });
  expect(await readdir(path('.'))).toEqual(['layer.tar']);
  expect((await readFile(path('layer.tar'))).equals(layers[0] ?? Buffer.alloc(0))).toBe(true);
});

test('a reader that closes the output early is not reported, but the exit code is not 0', async () => {
  const { child, ended } = start('--help');
  child.stdout?.destroy();
  expect((await ended).stderr).toBe('');
  const registry = await slowRegistry();
  const get = start('get', registry.layer, '-o', '-', '--no-discover');
  await once(get.child.stdout ?? get.child, 'data');
  get.child.stdout?.destroy();
  expect(await get.ended).toMatchObject({ code: 141, stderr: '' });
});
