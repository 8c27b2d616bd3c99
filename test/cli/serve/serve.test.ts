import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { bytesBody, layoutStore } from 'ocifetch';
import { expect, test } from 'vitest';
import { samples } from '../../contract/source.ts';
import { certificate } from '../../server/certificate.ts';
import { atEnd, httpServer } from '../../support/http.ts';
import { bundledProgram } from '../../support/program.ts';
import { folder, registry, run } from '../support.ts';

const program = bundledProgram();
const { config: content, large } = samples;

interface Served {
  readonly child: ChildProcess;
  readonly url: string;
  readonly printed: { stdout: string; stderr: string };
  readonly ended: Promise<{ code: number | null; stdout: string; stderr: string }>;
  /** Resolves when the program has printed this. */
  said(stream: 'stdout' | 'stderr', text: RegExp): Promise<void>;
}

/** Starts `ocifetch serve` on a free port, and waits for its URL. */
async function serve(...args: string[]): Promise<Served> {
  const served = launch('serve', '--listen', '127.0.0.1:0', ...args);
  await served.said('stdout', /\n/);
  return { ...served, url: served.printed.stdout.split('\n')[0] ?? '' };
}

function launch(...args: string[]): Served {
  const child = spawn(process.execPath, [program.path, ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 60_000,
  });
  atEnd(async () => void child.kill('SIGKILL'));
  const printed = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const)
    collect(child[name], (text) => {
      printed[name] += text;
    });
  const ended = once(child, 'close').then(([code]) => ({ code, ...printed }));
  const said = async (stream: 'stdout' | 'stderr', text: RegExp): Promise<void> => {
    while (!text.test(printed[stream])) {
      const gone = ended.then(() => Promise.reject(new Error(`the program ended: ${printed.stderr}`)));
      await Promise.race([once(child[stream], 'data'), gone]);
    }
  };
  return { child, url: '', printed, ended, said };
}

const collect = (stream: Readable | null, add: (text: string) => void): void =>
  void stream?.on('data', (chunk: Buffer) => add(chunk.toString()));

/** Pushes a content and a name for it; returns the status of each. */
async function push(url: string, name: string, init: RequestInit = {}): Promise<number[]> {
  const upload = `${url}/v2/${name}/blobs/uploads/?digest=${content.descriptor.digest}`;
  const body = content.bytes as Uint8Array<ArrayBuffer>;
  const pushed = await fetch(upload, { method: 'POST', body, ...init });
  const read = await fetch(`${url}/v2/${name}/blobs/${content.descriptor.digest}`, init);
  return [pushed.status, read.status, (await read.arrayBuffer()).byteLength];
}

test('the first line is the URL of a registry in memory on this machine, and SIGTERM ends it with 0', async () => {
  const { url, child, ended } = await serve();
  expect(url).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
  expect(await push(url, 'team/app')).toEqual([201, 200, content.bytes.length]);
  expect(await (await fetch(`${url}/`)).text()).toContain('<title>ocifetch registry</title>');
  child.kill('SIGTERM');
  expect(await ended).toMatchObject({ code: 0, stdout: `${url}\n` });
});

test('a directory keeps what was pushed, also read-only, and Ctrl-C ends it with 0', async () => {
  const { path } = await folder({});
  const first = await serve(path('new/registry'));
  expect(await push(first.url, 'team/app')).toEqual([201, 200, content.bytes.length]);
  first.child.kill('SIGINT');
  expect((await first.ended).code).toBe(0);
  const second = await serve('--read-only', '--json', path('new/registry'));
  expect(await push(second.url, 'team/app')).toEqual([405, 200, content.bytes.length]);
  expect(await (await fetch(`${second.url}/status`)).json()).toMatchObject({
    kind: 'registry',
    repositories: { total: 1 },
  });
  expect(JSON.parse(second.printed.stdout.split('\n')[1] ?? '')).toEqual({ url: second.url, page: `${second.url}/` });
  expect(second.printed.stderr).toContain('1 repository');
});

test('a file says all of a registry; one that is wrong is refused with the line, and flags for a directory are', async () => {
  const { path } = await folder({
    'registry.yml': 'version: 0.1\nstorage:\n  filesystem:\n    rootdirectory: data\nlog:\n  formatter: json\n',
    'wrong.yml': 'version: 0.1\nstorage:\n  gcs:\n    bucket: b\n',
  });
  const { url, child, ended, printed } = await serve('--json', path('registry.yml'));
  expect(await push(url, 'team/app')).toEqual([201, 200, content.bytes.length]);
  expect(JSON.parse(printed.stdout.split('\n')[1] ?? '')).toEqual({ url });
  child.kill('SIGTERM');
  const { code, stderr } = await ended;
  const lines = stderr.split('\n').filter((line) => line.startsWith('{'));
  expect([code, lines.map((line) => (JSON.parse(line) as { 'vars.name': string })['vars.name'])]).toEqual([
    0,
    ['team/app', 'team/app'],
  ]);
  const wrong = await launch('serve', path('wrong.yml')).ended;
  expect([wrong.code, wrong.stdout]).toEqual([3, '']);
  expect(wrong.stderr).toMatch(/wrong\.yml:3:3: storage\.gcs: .*not supported/);
  const flagged = await launch('serve', '--read-only', path('registry.yml')).ended;
  expect(flagged.stderr).toContain('Flag "--read-only" is for a directory');
});

test('what "pull" has written is served as one repository', async () => {
  const { path } = await folder({});
  const store = layoutStore(path('My App'));
  await store.push(content.descriptor, bytesBody(content.bytes));
  await store.tag(content.descriptor, 'v1');
  const { url, printed, said } = await serve(path('My App'));
  await said('stderr', /page/);
  expect(printed.stderr).toContain('is one image layout: it is the repository "my-app"');
  expect(await (await fetch(`${url}/v2/my-app/tags/list`)).json()).toEqual({ name: 'my-app', tags: ['v1'] });
});

test('a signal lets a response under way end, and a second one does not', async () => {
  for (const isPatient of [true, false]) {
    const { path } = await folder({});
    const { url, child, ended, said } = await serve(path('registry'));
    const begun = await fetch(`${url}/v2/team/app/blobs/uploads/`, { method: 'POST' });
    const { port } = new URL(url);
    const socket = connect(Number(port), '127.0.0.1').on('error', () => undefined);
    atEnd(async () => void socket.destroy());
    const { pathname } = new URL(begun.headers.get('location') ?? '', url);
    socket.write(`PATCH ${pathname} HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\nab`);
    await expect.poll(async () => (await fetch(`${url}/status`)).json()).toMatchObject({ active: { total: 1 } });
    child.kill('SIGTERM');
    await said('stderr', /waiting for 1 request/);
    await expect(fetch(url)).rejects.toThrow();
    let response = '';
    collect(socket, (text) => {
      response += text;
    });
    if (isPatient) socket.write('cde');
    else child.kill('SIGTERM');
    expect((await ended).code).toBe(isPatient ? 0 : 143);
    if (isPatient) await expect.poll(() => response).toMatch(/^HTTP\/1\.1 202 /);
  }
});

test('an address that cannot be used ends it with 1, and says why', async () => {
  const { port } = await httpServer(() => undefined);
  const inUse = await launch('serve', '--listen', `127.0.0.1:${port}`).ended;
  expect(inUse).toMatchObject({ code: 1, stdout: '' });
  expect(inUse.stderr).toMatch(
    /^ocifetch: Cannot listen on "127\.0\.0\.1:\d+": another program uses this port; choose one with --listen HOST:PORT/,
  );
  const elsewhere = await run(['serve', '--listen', '192.0.2.1:5000']);
  expect([elsewhere.code, elsewhere.err.join()]).toEqual([
    1,
    expect.stringContaining('this machine does not have that address'),
  ]);
});

test.each([
  [2, ['--listen', '5000'], 'needs HOST:PORT'],
  [2, ['--read-only'], 'needs a directory'],
  [2, ['--tls-cert', 'x.pem'], 'needs the other one'],
  [2, ['--users', '/nowhere/users'], 'it does not exist'],
  [2, ['a', 'b'], 'takes no "b"'],
  [2, [''], 'its name is empty'],
  [2, ['--colour'], 'Unknown flag'],
  [2, ['--mirror', 'quay'], 'needs a registry, such as docker.io'],
  [2, ['--mirror', 'quay.io', '--front', 'x'], 'are for two servers'],
  [2, ['--mirror', 'quay.io', 'dir'], 'use --dir'],
  [2, ['--dir', 'cache'], 'is for a mirror'],
  [3, ['--front', '/nowhere/front.yaml'], '/nowhere/front.yaml'],
  [9, ['--mirror', 'quay.io', '--dir', fileURLToPath(import.meta.url)], 'it is not a directory'],
  [3, [fileURLToPath(import.meta.url)], 'Cannot use config file'],
  [2, ['--read-only', fileURLToPath(import.meta.url)], 'which says it itself'],
  [9, [fileURLToPath(new URL('serve.test.ts/below', import.meta.url))], 'ot a directory'],
  [9, ['--read-only', '/nowhere'], 'it does not exist'],
])('it ends with %i for %j', async (code, args, text) => {
  const { code: ended, out, err } = await run(['serve', ...args]);
  expect([ended, out, err.join('\n')]).toEqual([code, [], expect.stringContaining(text)]);
});

test('https and users: everything requires a login, and the log has no secret', async () => {
  const { path } = await folder({
    'cert.pem': certificate.cert,
    'key.pem': certificate.key,
    users: 'joe:canary-password\n',
  });
  const { url, printed, said } = await serve(
    ...['--tls-cert', path('cert.pem'), '--tls-key', path('key.pem'), '--users', path('users')],
    ...['--log', '--json'],
  );
  expect(url).toMatch(/^https:/);
  const script = `
    for (const headers of [{}, { authorization: 'Basic ' + btoa('joe:canary-password') }])
      for (const path of ['/', '/v2/?token=canary-query'])
        console.log((await fetch(${JSON.stringify(url)} + path, { headers })).status);`;
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: path('cert.pem') };
  const args = ['--input-type=module', '--eval', script.replaceAll(url, url.replace('127.0.0.1', 'localhost'))];
  const { stdout } = await promisify(execFile)(process.execPath, args, { env });
  expect(stdout.trim().split('\n')).toEqual(['401', '401', '200', '200']);
  await said('stderr', /"user":"joe"/);
  const lines = printed.stderr.split('\n').flatMap((line) => (line.startsWith('{') ? [JSON.parse(line)] : []));
  expect(lines.map(({ path: shown, status, user }) => [shown, status, user])).toEqual([
    ['/', 401, undefined],
    ['/v2/?token=***', 401, undefined],
    ['/v2/?token=***', 200, 'joe'],
  ]);
  expect(printed.stderr).not.toMatch(/canary|Basic|PRIVATE/);
});

test('--log prints a line for each response but those of the page', async () => {
  const { url, printed, said } = await serve('--log');
  await fetch(url);
  await fetch(`${url}/v2/team/app/manifests/none`, { headers: { 'user-agent': 'evil\u{85}agent' } });
  await said('stderr', /manifests/);
  expect(printed.stderr.split('\n').slice(2)).toEqual([
    expect.stringMatching(
      /^\S+ 127\.0\.0\.1 - GET \/v2\/team\/app\/manifests\/none 404 .* "evil\u{fffd}agent" error: /u,
    ),
    '',
  ]);
});

test('an address that others can reach is warned of, unless nothing is open', async () => {
  const { path } = await folder({ 'cert.pem': certificate.cert, 'key.pem': certificate.key, users: 'joe:secret\n' });
  const tls = ['--tls-cert', path('cert.pem'), '--tls-key', path('key.pem')];
  const warned = async (...args: string[]): Promise<string> => {
    const served = launch('serve', '--no-page', '--listen', '0.0.0.0:0', ...args);
    await served.said('stderr', /\n(?=warning|$)/);
    served.child.kill('SIGTERM');
    return (await served.ended).stderr;
  };
  expect(await warned()).toMatch(/\nwarning: .*read it and push: see --users and --tls-cert with --tls-key/);
  expect(await warned('--users', path('users'))).toMatch(
    /\nwarning: .*their passwords are not encrypted: see --tls-cert/,
  );
  expect(await warned('--read-only', ...tls, path('.'))).toMatch(/\nwarning: .*may read it: see --users, or/);
  expect(await warned('--users', path('users'), ...tls)).not.toContain('warning');
});

test('a mirror prints the lines that lead to it, and requests upstream once what it sends three times', async () => {
  const { url: upstream } = await registry();
  const { host } = new URL(upstream);
  const { path } = await folder({ 'auth.json': '{}' });
  const flags = [
    '--no-discover',
    '--mirror',
    host,
    '--mirror',
    'ghcr.io',
    '--dir',
    path('cache'),
    '--cache-size',
    '1GB',
    '--fresh',
    '1h',
  ];
  const { url, printed, child, ended, said } = await serve(...flags);
  await said('stderr', /its page/);
  expect(printed.stderr).toContain(`a mirror of ${host}, ghcr.io, which keeps content in ${path('cache')}`);
  const lines = printed.stdout.split('\n');
  expect(lines[0]).toBe(url);
  for (const line of [
    `# containerd: /etc/containerd/certs.d/${host.replace(':', '_')}_/hosts.toml`,
    `[host."${url}"]`,
    '# k3s and RKE2: /etc/rancher/k3s/registries.yaml',
    '# podman, skopeo and buildah: /etc/containers/registries.conf.d/ocifetch.conf',
    `location = "${url.replace('http://', '')}/upstream/ghcr.io"`,
  ])
    expect(lines).toContain(line);
  const blob = `${url}/v2/library/app/blobs/${large.descriptor.digest}`;
  for (const query of ['', `?ns=${host}`, '']) {
    const response = await fetch(`${blob}${query}`);
    expect([response.status, (await response.arrayBuffer()).byteLength]).toEqual([200, large.bytes.length]);
  }
  expect(await (await fetch(`${url}/status`)).json()).toMatchObject({
    ...{ kind: 'mirror', hits: 2, misses: 1, saved: 2 * large.bytes.length, kept: { bound: 1e9 } },
    repositories: { used: [{ name: `${host}/library/app`, requests: 3 }] },
  });
  expect((await fetch(`${url}/v2/library/app/blobs/uploads/`, { method: 'POST' })).status).toBe(405);
  child.kill('SIGTERM');
  expect((await ended).code).toBe(0);
});

test('a mirror on all addresses names one that can be connected to; with --json its files are an object', async () => {
  const { printed, said } = launch(
    'serve',
    '--listen',
    '0.0.0.0:0',
    '--no-discover',
    '--json',
    '--mirror',
    'docker.io',
  );
  await said('stderr', /warning: .*may read it: see --users and --tls-cert/);
  const [url = '', json = ''] = printed.stdout.split('\n');
  const { files } = JSON.parse(json) as { files: { path: string; text: string }[] };
  expect(files.map(({ path }) => path)).toEqual([
    '/etc/containerd/certs.d/docker.io/hosts.toml',
    '/etc/rancher/k3s/registries.yaml',
    '/etc/containers/registries.conf.d/ocifetch.conf',
  ]);
  expect(url).toMatch(/^http:\/\/0\.0\.0\.0:\d+$/);
  const reached = url.replace('0.0.0.0', '127.0.0.1');
  expect(files[0]?.text).toContain(`[host."${reached}"]`);
  expect(await (await fetch(`${reached}/`)).text()).toContain('not contacted yet');
});

test('a front redirects as its file says, and its info page has /', async () => {
  const { path } = await folder({
    'front.yaml': 'upstream: https://registry.example\nprefix: team\ninfo: https://about.example/\n',
    'bad.yaml': 'upstream: https://registry.example\nprefx: team\n',
  });
  const { url } = await serve('--front', path('front.yaml'));
  const get = async (at: string) => (await fetch(url + at, { redirect: 'manual' })).headers.get('location');
  expect(await get('/v2/app/manifests/v1')).toBe('https://registry.example/v2/team/app/manifests/v1');
  expect(await get('/')).toBe('https://about.example/');
  expect(await (await fetch(`${url}/status`)).json()).toMatchObject({
    kind: 'front',
    requests: 2,
    redirects: { upstream: 1, info: 1 },
  });
  const bad = await launch('serve', '--front', path('bad.yaml')).ended;
  expect(bad).toMatchObject({ code: 3, stdout: '' });
  expect(bad.stderr).toMatch(/bad\.yaml:2:1.*did you mean "prefix"/s);
});

test('its help names every flag', async () => {
  const { code, out } = await run(['help', 'serve']);
  expect(code).toBe(0);
  const registryFlags = ['--listen', '--read-only', '--tls-cert', '--tls-key', '--users', '--log', '--no-page'];
  for (const flag of [...registryFlags, '--mirror', '--dir', '--cache-size', '--fresh', '--front'])
    expect(out.join('\n')).toContain(flag);
});

test('a command that fetches loads nothing of a server', async () => {
  const { url } = await registry();
  const { path } = await folder({});
  const env = { ...process.env, NODE_V8_COVERAGE: path('loaded') };
  const reference = `${url.replace('http://', '')}/library/app@${large.descriptor.digest}`;
  await promisify(execFile)(process.execPath, [program.path, 'get', reference, '--no-discover', '-o', path('out')], {
    env,
  });
  const [report = ''] = await readdir(path('loaded'));
  const { result } = JSON.parse(await readFile(join(path('loaded'), report), 'utf8')) as { result: { url: string }[] };
  const files = result.flatMap((script) => (script.url.startsWith('file:') ? [fileURLToPath(script.url)] : []));
  const texts = await Promise.all(files.map((file) => readFile(file, 'utf8')));
  expect(files.length).toBeGreaterThan(2);
  const isServer = (text: string): boolean => /docker-distribution-api-version|content-security-policy/.test(text);
  expect(files.filter((_, index) => isServer(texts[index] ?? ''))).toEqual([]);
  const all = await readdir(join(program.path, '..'));
  const servers = await Promise.all(
    all.map(async (name) => isServer(await readFile(join(program.path, '..', name), 'utf8'))),
  );
  expect(servers.filter(Boolean).length).toBeGreaterThan(0);
});
