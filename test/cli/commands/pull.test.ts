import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { layoutStore, mediaTypes } from 'ocifetch';
import { expect, test } from 'vitest';
import { Interrupted } from '../../../src/cli/interrupted.ts';
import { main } from '../../../src/cli/main.ts';
import { sampleOf } from '../../contract/source.ts';
import { entry, image, index, layer } from '../../copy/support.ts';
import { deadPort } from '../../support/http.ts';
import { answers, folder, registry, run, tagged } from '../support.ts';

const big = sampleOf(Buffer.alloc(2_000_000, 'x'), 'application/vnd.oci.image.layer.v1.tar');
const amd64 = image('a', { platform: 'linux/amd64', layers: [big, layer('shared')] });
const arm64 = image('b', { platform: 'linux/arm64', layers: [layer('shared')] });
const both = index(entry(amd64, { on: 'linux/amd64' }), entry(arm64, { on: 'linux/arm64' }));
const digestOf = ({ root }: typeof both): string => root.descriptor.digest;

const short = (digest: string): string => digest.slice('sha256:'.length).slice(0, 12);

/** The registry, a directory, and a command line without what follows. */
async function prepared(options: Parameters<typeof registry>[0] = { content: tagged(both) }) {
  const { port, requests } = await registry(options);
  const { path, plain } = await folder({});
  const reference = `127.0.0.1:${port}/team/app`;
  const pull = (...more: string[]) => run(['pull', reference, path('layout'), '--no-discover', ...more]);
  return { pull, requests, path, plain, reference };
}

test('a pull logs each content and a summary, and prints the digest', async () => {
  const { pull, path, plain } = await prepared();
  const { code, out, err } = await pull('--platform', 'linux/amd64');
  expect(plain(out)).toEqual([`127.0.0.1:PORT/team/app@${digestOf(amd64)}`]);
  expect(code).toBe(0);
  const lines = plain(err);
  expect(lines).toContain(`${short(big.descriptor.digest)}  begun       2.0 MB`);
  expect(lines).toContain(`${short(big.descriptor.digest)}  stored      2.0 MB  127.0.0.1:PORT`);
  const end = lines.findIndex((line) => line.startsWith('pulled '));
  expect(lines.slice(end)).toEqual([
    'pulled 127.0.0.1:PORT/team/app:latest into /dir/layout',
    expect.stringMatching(/^ {2}2\.0 MB in .* s \(.*\/s\), 5 requests$/),
    expect.stringMatching(/^ {4}127\.0\.0\.1:PORT {4}2\.0 MB$/),
  ]);
  expect(await layoutStore(path('layout')).resolve('latest')).toMatchObject({ digest: digestOf(amd64) });
});

test('a second pull downloads only what the tag names', async () => {
  const { pull, requests, plain } = await prepared();
  await pull('--platform', 'linux/amd64');
  requests.length = 0;
  const { code, err } = await pull('--platform', 'linux/amd64');
  expect(code).toBe(0);
  expect(requests.filter((line) => line.includes('/blobs/'))).toEqual([]);
  expect(plain(err)).toContain('  not downloaded: 2.0 MB already there');
});

test('--verify reads what the layout has again, replaces what is wrong, and reports it', async () => {
  const { pull, requests, path, plain } = await prepared();
  const only = ['--platform', 'linux/amd64', '--verify'];
  expect(plain((await pull(...only)).err)).toContain('  verified: 0 B were read again in /dir/layout');
  const whole = await pull(...only, '--json');
  expect(JSON.parse(whole.out.at(-1) ?? '')).toMatchObject({ type: 'result', verified: true, copied: 0 });
  const blob = path(join('layout', 'blobs', big.descriptor.digest.replace(':', '/')));
  await writeFile(blob, Buffer.alloc(big.bytes.length, 'y'));
  requests.length = 0;
  const { code, err } = await pull(...only);
  expect(code).toBe(0);
  expect(requests.filter((line) => line.includes('/blobs/'))).toEqual([
    `GET /v2/team/app/blobs/${big.descriptor.digest}`,
  ]);
  expect(plain(err).find((line) => line.startsWith('  verified: '))).toMatch(/\d B were read again in \/dir\/layout$/);
  expect(Buffer.compare(await readFile(blob), big.bytes)).toBe(0);
  expect(plain((await pull(...only)).err)).toContain('  verified: 2.0 MB were read again in /dir/layout');
  expect((await pull('--platform', 'linux/amd64')).err.join('\n')).not.toContain('verified:');
});

test('--platform takes several platforms, or all; --name is its name in the layout', async () => {
  const { pull, path } = await prepared();
  expect(await pull('--platform', 'linux/amd64,linux/arm64', '--name', 'two', '-q')).toEqual({
    code: 0,
    out: [],
    err: [],
  });
  const store = layoutStore(path('layout'));
  expect(await store.resolve('two')).toMatchObject({ digest: digestOf(both) });
  expect((await pull('--platform', 'all', '--concurrency', '1')).code).toBe(0);
  const pair = await pull('--platform', 'linux/amd64', '--platform=linux/arm64', '--name', 'again', '--json');
  expect(JSON.parse(pair.out.at(-1) ?? '')).toMatchObject({ type: 'result', descriptor: { digest: digestOf(both) } });
  expect(await store.tags()).toEqual(['again', 'latest', 'two']);
});

test('a name that meant something else is reported, and whether that still has a name', async () => {
  const one = await registry({ content: tagged(amd64) });
  const other = await registry({ content: tagged(arm64) });
  const { path, plain } = await folder({});
  const pull = ({ port }: typeof one, ...more: string[]) =>
    run(['pull', `127.0.0.1:${port}/a`, path('layout'), '--no-discover', '--platform', 'all', ...more]);
  const notesOf = ({ err }: Awaited<ReturnType<typeof pull>>): string[] =>
    plain(err).filter((line) => line.startsWith('note: '));
  expect([...notesOf(await pull(one)), ...notesOf(await pull(one))]).toEqual([]);
  expect(notesOf(await pull(other))).toEqual([
    `note: "latest" was ${digestOf(amd64)} before, which has no name now; --name gives another`,
  ]);
  expect(notesOf(await pull(other, '--name', 'kept'))).toEqual([]);
  expect(notesOf(await pull(one))).toEqual([`note: "latest" was ${digestOf(arm64)} before; --name gives another`]);
  expect(await pull(one, '--name', 'kept', '-q')).toEqual({ code: 0, out: [], err: [] });
  const { out, err } = await pull(other, '--name', 'kept', '--json');
  expect(JSON.parse(out.at(-1) ?? '')).toMatchObject({ type: 'result', replaced: { digest: digestOf(amd64) } });
  expect(err).toEqual([]);
});

test("an image with Docker's media types is reported, as not every tool reads it from a layout", async () => {
  const made = sampleOf(Buffer.from('{"os":"linux","architecture":"amd64"}'), mediaTypes.dockerConfig);
  const document = (mediaType: string, fields: object) =>
    sampleOf(Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType, ...fields })), mediaType);
  const root = document(mediaTypes.dockerManifest, { config: made.descriptor, layers: [] });
  const docker = { root, parts: [made, root] };
  const list = document(mediaTypes.dockerList, {
    manifests: [{ ...root.descriptor, platform: { os: 'linux', architecture: 'amd64' } }],
  });
  for (const content of [
    docker,
    { root: list, parts: [...docker.parts, list] },
    index(entry(docker, { on: 'linux/s390x' }), entry(amd64, { on: 'linux/amd64' })),
  ]) {
    const { pull } = await prepared({ content: tagged(content) });
    for (const platform of ['linux/amd64', 'all']) {
      const { code, err } = await pull('--platform', platform);
      const isThere = content.root.descriptor.mediaType !== mediaTypes.ociIndex || platform === 'all';
      expect(err.filter((line) => line.startsWith('note: it has Docker'))).toHaveLength(isThere ? 1 : 0);
      expect(code).toBe(0);
    }
    expect((await pull('--platform', 'all', '-q')).err).toEqual([]);
  }
});

test('--json prints a line for each event, and last the result or the error', async () => {
  const { pull, path, reference } = await prepared();
  const { out, err, code } = await pull('--platform', 'linux/amd64', '--json');
  const records = out.map((line) => JSON.parse(line));
  expect({ code, err }).toEqual({ code: 0, err: [] });
  expect(records.filter(({ type, state }) => type === 'copy' && state === 'stored')).toHaveLength(4);
  expect(records.at(-1)).toMatchObject({
    type: 'result',
    reference: `${reference}:latest`,
    directory: path('layout'),
    descriptor: { digest: digestOf(amd64) },
    resolved: { digest: digestOf(both) },
    requests: 5,
    hosts: { [reference.split('/')[0] ?? '']: expect.any(Number) },
  });
  const failed = await pull('--platform', 'linux/s390x', '--json');
  expect(JSON.parse(failed.out.at(-1) ?? '')).toMatchObject({ error: { code: 'NOT_FOUND' } });
  expect(failed.err[0]).toMatch(/there are linux\/amd64, linux\/arm64\. "--platform all" takes all of it\.$/);
  expect(failed.code).toBe(4);
});

test('the failure of a host is reported when it happens, and the next one serves', async () => {
  const full = await registry({ content: tagged(both) });
  const broken = await registry({ gate: answers(500, '{}') });
  const dead = `http://127.0.0.1:${await deadPort()}`;
  const mirrors = [dead, broken.url, full.url].map((url) => ({ url }));
  const { path, plain } = await folder({
    'config.json': JSON.stringify({ registries: { 'r.test': { mirrors, origin: 'never' } } }),
  });
  const { code, err } = await run([
    'pull',
    '--config',
    path('config.json'),
    'r.test/a',
    path('out'),
    '--platform',
    'all',
  ]);
  expect(code).toBe(0);
  expect(plain(err).slice(0, 2)).toEqual([
    expect.stringMatching(/^127\.0\.0\.1:PORT failed: .*ECONNREFUSED/),
    expect.stringMatching(/^127\.0\.0\.1:PORT failed: status 500/),
  ]);
  expect(plain(err).filter((line) => line.includes(' failed: '))).toHaveLength(2);
  // They gave nothing: no content has changed its host.
  expect(plain(err).filter((line) => / switched |change/.test(line))).toEqual([]);
});

test('a mirror that sends wrong bytes is reported once, and counted as a change of host', async () => {
  const full = await registry({ content: tagged(both) });
  const liar = await registry({
    content: tagged(both),
    gate: (next) => async (request) => {
      const response = await next(request);
      if (request.method !== 'GET' || !request.url.includes('/blobs/')) return response;
      const bytes = new Uint8Array(await response.arrayBuffer()).fill(33);
      return new Response(bytes, { status: response.status, headers: response.headers });
    },
  });
  const { path, plain } = await folder({
    'config.json': JSON.stringify({
      registries: { 'r.test': { mirrors: [{ url: liar.url }, { url: full.url }], origin: 'never' } },
    }),
  });
  const line = ['pull', '--config', path('config.json'), 'r.test/a', path('out'), '--platform', 'linux/amd64'];
  const { code, err } = await run([...line, '--concurrency', '1']);
  expect(code).toBe(0);
  const host = new URL(liar.url).host;
  expect(err.filter((one) => one.includes(' failed: '))).toEqual([
    `${host} failed: its bytes have another digest; starting over`,
  ]);
  expect(plain(err).at(-1)).toMatch(/^ {2}[23] changes of host$/);
});

test('an error shows what each host said, and what to try', async () => {
  const mirrors = [
    { url: (await registry({ gate: answers(500, '{}') })).url },
    { url: (await registry({ gate: answers(403, '{"errors":[{"code":"DENIED"}]}') })).url },
  ];
  const { path, plain } = await folder({
    'config.json': JSON.stringify({ registries: { 'r.test': { mirrors, origin: 'never' } } }),
  });
  const { code, err } = await run(['pull', '-q', '--config', path('config.json'), 'r.test/a', path('out')]);
  expect(plain(err)).toHaveLength(1);
  expect(plain(err)[0]).toMatch(/^ocifetch: Cannot copy "r\.test\/a": .*status 500.*; .*403.* Run "ocifetch doctor"/);
  expect(code).toBe(5);
});

test('a directory that cannot be created is an error of the disk', async () => {
  const { path, plain } = await folder({ file: '' });
  const { port } = await registry({ content: tagged(both) });
  const line = ['pull', '-q', '--no-discover', `127.0.0.1:${port}/a`, path('file/layout'), '--platform', 'all'];
  const { code, err } = await run(line);
  expect(code).toBe(9);
  expect(plain(err)[0]).toMatch(/^ocifetch: .*"\/dir\/file.*Fix that, then run the same command again/);
});

const escaped = String.fromCharCode(27);

test('on a terminal the progress is redrawn in place, and the cursor is shown again at the end', async () => {
  const { reference, path } = await prepared();
  const frames: string[] = [];
  const stderr = {
    isTTY: true,
    columns: 80,
    rows: 24,
    write: (chunk: string | Uint8Array) => frames.push(String(chunk)),
  };
  const stdout: string[] = [];
  const io = {
    stdout: { write: (chunk: string | Uint8Array) => stdout.push(String(chunk)) },
    stderr,
    environment: {},
  };
  const line = ['pull', reference, path('layout'), '--no-discover', '--platform', 'linux/amd64'];
  // Long enough for a frame.
  const slow = await registry({
    content: tagged(both),
    gate: (next) => async (request) => {
      await new Promise((resolve) => setTimeout(resolve, 120));
      return next(request);
    },
  });
  line[1] = `127.0.0.1:${slow.port}/team/app`;
  expect(await main(line, io)).toBe(0);
  expect(frames[0]).toContain(`${escaped}[?25l`);
  const drawn = frames.filter((frame) => frame.includes(`${escaped}[?7l`));
  expect(drawn.length).toBeGreaterThan(2);
  const all = frames.join('');
  expect(all.lastIndexOf(`${escaped}[?25h`)).toBeGreaterThan(all.lastIndexOf(`${escaped}[?25l`));
  expect(stdout.join('')).toMatch(/@sha256:[0-9a-f]{64}\n$/);
});

test('a dumb terminal gets plain lines', async () => {
  const { reference, path } = await prepared();
  const line = ['pull', reference, path('layout'), '--no-discover', '--platform', 'linux/amd64'];
  const { err } = await run(line, { TERM: 'dumb' }, true);
  expect(err.join('\n')).not.toContain(escaped);
  expect(err.join('\n')).toContain('  stored  ');
});

test('a signal ends a pull, which reports what is kept', async () => {
  const { reference, path } = await prepared();
  const controller = new AbortController();
  const stderr: string[] = [];
  const io = {
    stdout: { write: () => true },
    stderr: { write: (chunk: string | Uint8Array) => stderr.push(String(chunk)) },
    environment: {},
    signal: controller.signal,
  };
  controller.abort(new Interrupted('SIGTERM'));
  expect(await main(['pull', reference, path('layout'), '--no-discover'], io)).toBe(143);
  expect(stderr.join('')).toMatch(/^ocifetch: interrupted: nothing is kept yet\.\n$/);
  expect(await readdir(path('.'))).toEqual([]);
});

test('docs/cli.md has the options of pull', async () => {
  const page = await readFile(new URL('../../../docs/cli.md', import.meta.url), 'utf8');
  const { out } = await run(['pull', '--help']);
  const own = out
    .slice(out.indexOf('Options:') + 1)
    .flatMap((line) => /^ {2}(?:-\w, )?(--[\w-]+)/.exec(line)?.[1] ?? []);
  for (const flag of own.slice(0, 5)) expect(page).toContain(flag);
});
