import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { layoutStore } from 'ocifetch';
import { expect, test } from 'vitest';
import { fill, pieces } from '../../contract/store.ts';
import { image, layer } from '../../copy/support.ts';
import { folder, run, tagged } from '../support.ts';

const one = image('a');
const other = image('b');

async function layout() {
  const { path, plain } = await folder({});
  const store = layoutStore(path('layout'));
  await fill(store, [...tagged(one, 'one'), ...tagged(other, 'other')]);
  const fileOf = (digest: string): string => path(`layout/blobs/${digest.replace(':', '/')}`);
  return { store, path, plain, fileOf };
}

test('a sound layout is ok', async () => {
  const { path, plain } = await layout();
  const { code, out, err } = await run(['verify', path('layout')]);
  expect(plain(out)).toEqual(['ok: /dir/layout: 8 contents, 1.2 kB']);
  expect({ code, err }).toEqual({ code: 0, err: [] });
  expect(await run(['verify', '-q', path('layout')])).toEqual({ code: 0, out: [], err: [] });
});

test('wrong and missing content is reported, and the exit code is 7', async () => {
  const { path, plain, fileOf } = await layout();
  const [layer, second] = one.parts.map(({ descriptor }) => descriptor);
  await writeFile(fileOf(layer?.digest ?? ''), 'layer X 1');
  await rm(fileOf(second?.digest ?? ''));
  const { code, out, err } = await run(['verify', path('layout')]);
  expect(code).toBe(7);
  expect(err).toEqual(['Pull into the layout again: content that is right is not downloaded again.']);
  expect(plain(out)).toEqual([
    expect.stringMatching(/^wrong: \/dir\/layout\/blobs\/sha256\/[0-9a-f]{64}: .*sha256:/),
    `missing: ${second?.digest} (9 B), needed by ${one.root.descriptor.digest}`,
    expect.stringMatching(/^wrong: \/dir\/layout: 7 contents, .*; 1 wrong, 1 missing$/),
  ]);
  const json = await run(['verify', '--json', path('layout')]);
  expect(JSON.parse(json.out.join('\n'))).toMatchObject({ wrong: [{ digest: layer?.digest }], missing: [{ size: 9 }] });
});

test('the advice for a directory in the place of a content is to remove it', async () => {
  const { path, fileOf } = await layout();
  const file = fileOf(one.parts[0]?.descriptor.digest ?? '');
  await rm(file);
  await mkdir(file);
  const { code, err } = await run(['verify', path('layout')]);
  expect(code).toBe(7);
  expect(err).toEqual([
    'Remove what is not a readable file, then pull into the layout again: content that is right is not downloaded again.',
  ]);
});

test('the advice for a manifest or an index.json with a wrong size is not to remove it', async () => {
  const { path, plain } = await folder({});
  const [layer] = one.parts;
  const wrong = layer && { ...layer, descriptor: { ...layer.descriptor, size: 1 } };
  const built = image('s', { layers: wrong ? [wrong] : [] });
  await fill(layoutStore(path('layout')), [...(layer ? [layer] : []), ...tagged(built).slice(1)]);
  const manifest = await run(['verify', path('layout')]);
  expect(plain(manifest.out)[0]).toMatch(/^wrong: .*" has 9 bytes where sha256:[0-9a-f]{64} says 1$/);
  expect(manifest.err).toEqual(['Pulling a manifest that is itself wrong does not help: have the image built again.']);
  const sound = await layout();
  const text = await readFile(sound.path('layout/index.json'), 'utf8');
  await writeFile(sound.path('layout/index.json'), text.replace(/"size": ?\d+/, '"size":1'));
  const index = await run(['verify', sound.path('layout')]);
  expect(sound.plain(index.out)[0]).toMatch(/^wrong: \/dir\/layout\/index\.json: .* where index\.json says 1$/);
  expect(index.err).toEqual(['Pull into the layout again: content that is right is not downloaded again.']);
});

test.each(['verify', 'gc'])(
  '%s of a directory that does not exist, a file or another directory is a failure',
  async (command) => {
    const { path, plain } = await folder({ file: '', 'other/readme.md': '' });
    for (const [name, found] of [
      ['nothere', /\/dir\/nothere": not an image layout, as it has neither/],
      ['file', /\/dir\/file\/oci-layout": a part of the path is not a directory/],
      ['other', /\/dir\/other": .* "readme\.md" but no "oci-layout"/],
    ] as const) {
      const { code, out, err } = await run([command, path(name)]);
      expect({ code, out }).toEqual({ code: 9, out: [] });
      expect(plain(err)[0]).toMatch(found);
    }
    expect(await readdir(path('other'))).toEqual(['readme.md']);
  },
);

test('a layer that is not distributable is reported as not copied', async () => {
  const { path, plain } = await folder({});
  const foreign = layer('w', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
  const built = image('w', { layers: [foreign] });
  const content = tagged(built).filter(({ descriptor }) => descriptor.digest !== foreign.descriptor.digest);
  await fill(layoutStore(path('layout')), content);
  const { code, out } = await run(['verify', path('layout')]);
  expect(plain(out)[0]).toBe('note: 1 content not copied: of another platform, or not distributable');
  expect(code).toBe(0);
});

test('a damaged layout is a failure', async () => {
  const { path } = await folder({ 'layout/oci-layout': '{}' });
  const { code, err } = await run(['verify', path('layout')]);
  expect(code).not.toBe(0);
  expect(err[0]).toMatch(/^ocifetch: /);
});

test('gc leaves what a server took for as long as it is told to', async () => {
  const { store, path } = await layout();
  const extra = layer('extra');
  await fill(store, [one.root]);
  await store.push(extra.descriptor, pieces(extra.bytes), { isExpected: true });
  const removed = async (...flags: string[]): Promise<unknown> =>
    JSON.parse((await run(['gc', '--json', ...flags, path('layout')])).out.join('\n')).removed;
  expect(await removed('--dry-run')).toEqual([]);
  expect(await removed('--grace', '1h')).toEqual([]);
  expect((await run(['gc', '--grace', 'soon', path('layout')])).code).toBe(2);
  expect(await removed('--grace', '0')).toEqual([extra.descriptor.digest]);
});

test('gc shows what it would remove, and then removes it', async () => {
  const { store, path, plain } = await layout();
  const blobs = async (): Promise<number> => (await readdir(path('layout/blobs/sha256'))).length;
  await store.untag('other');
  const dry = await run(['gc', '--dry-run', path('layout')]);
  expect(dry.out).toHaveLength(5);
  expect(plain(dry.out).at(-1)).toMatch(/^\/dir\/layout: 4 contents, 0 partial downloads, \d+ B would be removed$/);
  expect(await blobs()).toBe(8);
  const { code, out } = await run(['gc', path('layout')]);
  expect(plain(out).at(-1)).toMatch(/^\/dir\/layout: 4 contents, 0 partial downloads, \d+ B removed$/);
  expect({ code, left: await blobs() }).toEqual({ code: 0, left: 4 });
  expect(JSON.parse((await run(['gc', '--json', path('layout')])).out.join('\n'))).toMatchObject({ removed: [] });
});
