import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { deadPort } from '../support/http.ts';
import { bundleProgram } from '../support/program.ts';
import { createCleanup } from './support/cleanup.ts';
import { startContainerd } from './support/containerd.ts';
import { type Images, makeImages } from './support/images.ts';
import { run } from './support/process.ts';
import { type RegistryServer, startRegistry } from './support/registry.ts';
import { pull, push } from './support/skopeo.ts';
import { describeWith } from './support/tools.ts';

const cleanup = createCleanup();
let program = '';
beforeAll(async () => {
  const bundle = await bundleProgram();
  cleanup.add(bundle.remove);
  program = bundle.program;
}, 120_000);
afterAll(() => cleanup.close());

/** Starts `ocifetch serve` on a free port; `files` are what it prints for other programs. */
async function serve(...args: string[]) {
  const line = [program, 'serve', '--listen', '127.0.0.1:0', '--no-discover', '--json', ...args];
  const child = spawn(process.execPath, line, { stdio: ['ignore', 'pipe', 'ignore'] });
  cleanup.add(async () => {
    child.kill('SIGTERM');
    if (child.exitCode === null) await once(child, 'close');
  });
  let printed = '';
  while (printed.split('\n').length < 3) printed += String((await once(child.stdout, 'data'))[0]);
  const [url = '', facts = '{}'] = printed.split('\n');
  const { files = [] } = JSON.parse(facts) as { files?: { path: string; text: string }[] };
  const status = async () => (await fetch(`${url}/status`)).json();
  return { url, host: new URL(url).host, files, status };
}

/** The page as a browser shows it after a while, at this width. */
async function shown(url: string, width = 400): Promise<string> {
  const profile = await cleanup.folder();
  const flags = [
    '--headless',
    '--no-sandbox',
    '--disable-gpu',
    `--user-data-dir=${profile}`,
    `--window-size=${width},900`,
  ];
  return run('chromium', [...flags, '--virtual-time-budget=5000', '--dump-dom', url]);
}

describeWith(['chromium', 'skopeo', 'zstd', 'tar'], 'the page of a registry in a browser', () => {
  let images: Images;
  beforeAll(async () => {
    images = await makeImages(cleanup);
  }, 60_000);

  test('it is live, and shows what was pushed and pulled', async () => {
    const { url, host } = await serve(join(await cleanup.folder(), 'registry'));
    const folder = await cleanup.folder();
    await push(folder, images.layout, 'gzip', `${host}/team/app:v1`);
    await pull(folder, `${host}/team/app:v1`);
    const dom = await shown(`${url}/`);
    expect(dom).toContain('<p class="live" role="status" id="live">live</p>');
    expect(dom).toMatch(/<p class="name">team\/app<\/p>/);
    expect(dom).not.toContain('class="lost"');
  });

  test('the script renews the page, which a change of the server after it was loaded shows', async () => {
    const { url } = await serve();
    // Each renewal is a request that the page does not count; this one counts, once it is loaded.
    const later = setInterval(
      () => void fetch(`${url}/v2/made/up/manifests/none`).then((response) => response.text()),
      50,
    );
    const dom = await shown(`${url}/`).finally(() => clearInterval(later));
    expect(dom).toMatch(/<b class="status">404<\/b> GET \/v2\/made\/up\/manifests\/none/);
  });

  test('names, paths and user agents that are markup are text, and nothing of them runs', async () => {
    const { url } = await serve();
    const markup = `<img src=x onerror="document.title='taken'"><script>document.title='taken'</script>`;
    const agent = `${markup}<style>main{display:none}</style>`;
    await fetch(`${url}/v2/team/${encodeURIComponent(markup)}/manifests/v1`, { headers: { 'user-agent': agent } });
    await fetch(`${url}/v2/team/app/manifests/v1?${encodeURIComponent(markup)}`, { headers: { 'user-agent': agent } });
    const dom = await shown(`${url}/`);
    expect(dom).toContain('<title>ocifetch registry</title>');
    expect(dom).toContain('&lt;img src=x onerror=');
    expect(dom).not.toMatch(/<img|<style>main/);
    expect(dom.match(/<script/g)).toHaveLength(1);
  });

  test('nothing is wider than a phone', async () => {
    const { url } = await serve();
    const long = 'x'.repeat(120);
    await fetch(`${url}/v2/${long}/${long}/manifests/${long}`, { headers: { 'user-agent': long } });
    const folder = await cleanup.folder();
    const frame = join(folder, 'width.html');
    // The page forbids frames: its own copy is measured.
    const page = await (await fetch(`${url}/`)).text();
    const measure = `<script>document.title = 'width ' + document.documentElement.scrollWidth + ' of ' + innerWidth;</script>`;
    await writeFile(frame, page.replace(/<script>[\s\S]*<\/script>/, measure));
    const [, width, window] = /<title>width (\d+) of (\d+)<\/title>/.exec(await shown(`file://${frame}`, 500)) ?? [];
    expect(Number(width)).toBeGreaterThan(0);
    expect(Number(width)).toBeLessThanOrEqual(Number(window));
  });
});

describeWith(['docker-registry', 'skopeo', 'zstd', 'tar'], 'a mirror that the printed lines lead to', () => {
  let images: Images;
  let upstream: RegistryServer;
  let other: RegistryServer;
  beforeAll(async () => {
    images = await makeImages(cleanup);
    [upstream, other] = [await startRegistry(cleanup), await startRegistry(cleanup)];
    const folder = await cleanup.folder();
    await push(folder, images.layout, 'gzip', `${upstream.host}/team/app:v1`);
    await push(folder, images.layout, 'mixed', `${other.host}/team/other:v1`);
  }, 60_000);

  /** A mirror of both, and its files below a folder. */
  async function mirror(...more: string[]) {
    const flags = ['--mirror', upstream.host, '--mirror', other.host, '--dir', join(await cleanup.folder(), 'cache')];
    const served = await serve(...flags, ...more);
    const folder = await cleanup.folder();
    for (const { path, text } of served.files) {
      await mkdir(dirname(join(folder, path)), { recursive: true });
      await writeFile(join(folder, path), text);
    }
    return { ...served, folder };
  }

  test('skopeo pulls through it by registries.conf, the second time without a request upstream', async () => {
    const { folder, status } = await mirror();
    const conf = join(folder, 'etc/containers/registries.conf.d/ocifetch.conf');
    const copy = (reference: string, target: string) =>
      run('skopeo', [
        ...[
          '--insecure-policy',
          '--registries-conf',
          conf,
          '--tmpdir',
          folder,
          'copy',
          '--quiet',
          '--src-tls-verify=false',
        ],
        ...[`docker://${reference}`, `dir:${join(folder, target)}`],
      ]);
    await upstream.requests();
    await copy(`${upstream.host}/team/app:v1`, 'first');
    await copy(`${other.host}/team/other:v1`, 'other');
    const manifest = JSON.parse(await readFile(join(folder, 'first/manifest.json'), 'utf8'));
    expect(manifest.layers.length).toBeGreaterThan(1);
    const { misses } = await status();
    expect(misses).toBeGreaterThan(4);
    const first = await upstream.requests();
    expect(first.filter((line) => line.startsWith('GET /v2/team/app/blobs/')).length).toBe(manifest.layers.length + 1);
    await copy(`${upstream.host}/team/app:v1`, 'second');
    expect(await upstream.requests()).toEqual([]);
    const names = [`${upstream.host}/team/app`, `${other.host}/team/other`];
    const { repositories, misses: after, hits } = await status();
    expect(repositories.used.map(({ name }: { name: string }) => name).sort()).toEqual(names.sort());
    expect([after, hits > 3]).toEqual([misses, true]);
  });

  describeWith(['containerd', 'ctr'], 'with containerd', () => {
    test('containerd pulls through it by hosts.toml', async () => {
      const { folder, status } = await mirror();
      const containerd = await startContainerd(cleanup);
      const hosts = join(folder, 'etc/containerd/certs.d');
      await upstream.requests();
      await containerd.fetch(`${upstream.host}/team/app:v1`, hosts);
      expect((await status()).misses).toBeGreaterThan(2);
      expect(await upstream.requests()).not.toEqual([]);
      await containerd.fetch(`${other.host}/team/other:v1`, hosts);
      const { upstreams } = await status();
      expect(upstreams.map(({ registry }: { registry: string }) => registry)).toEqual([upstream.host, other.host]);
    });
  });

  test('a configuration that leads a mirror to itself is noticed, and the registry requested', async () => {
    const folder = await cleanup.folder();
    const port = await deadPort();
    const own = { registries: { [upstream.host]: { mirrors: [{ url: `http://127.0.0.1:${port}` }] } } };
    await writeFile(join(folder, 'ocifetch.json'), JSON.stringify(own));
    const flags = ['--mirror', upstream.host, '--config', join(folder, 'ocifetch.json'), '--listen'];
    const child = spawn(process.execPath, [program, 'serve', ...flags, `127.0.0.1:${port}`], {
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    cleanup.add(async () => {
      child.kill('SIGTERM');
      await once(child, 'close');
    });
    await once(child.stdout, 'data');
    const response = await fetch(`http://127.0.0.1:${port}/v2/team/app/manifests/v1`);
    expect(response.status).toBe(200);
    const loops = (await (await fetch(`http://127.0.0.1:${port}/status`)).json()).errors;
    expect(loops).toMatchObject([{ status: 404, found: 'this mirror is configured as a mirror of itself' }]);
  });

  test('what it kept is pulled while the registries are down', async () => {
    const { host } = await mirror('--fresh', '0');
    const folder = await cleanup.folder();
    const first = await pull(folder, `${host}/team/app:v1`);
    await upstream.stop();
    const second = await pull(await cleanup.folder(), `${host}/team/app:v1`);
    // skopeo has verified the digests.
    expect([...second.content.keys()].sort()).toEqual([...first.content.keys()].sort());
    const response = await fetch(`http://${host}/v2/team/app/manifests/v1`);
    expect([response.status, response.headers.get('warning')]).toEqual([200, expect.stringMatching(/^110 /)]);
  });
});
