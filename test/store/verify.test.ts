import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { type LayoutStore, layoutStore } from '../../src/store/layout.ts';
import { documentOf, referring } from '../contract/lists.ts';
import { failsWith, type Sample, sampleOf, samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';
import { a, b, blob, both, digests, first, image, index, named, second, shared } from '../support/two-images.ts';

let directory = '';
let store: LayoutStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-verify-'));
  store = layoutStore(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const { config } = samples;
const pathOf = ({ descriptor }: Sample): string => join(directory, 'blobs', descriptor.digest.replace(':', '/'));

test('a sound layout is read completely, with progress', async () => {
  await fill(store, [config, a, b, shared, first, second, named(both, 'v1')]);
  const seen: number[] = [];
  const report = await store.verify({ onProgress: ({ checked, contents }) => seen.push(checked, contents) });
  const bytes = [config, a, b, shared, first, second, both].reduce((sum, { descriptor }) => sum + descriptor.size, 0);
  const nothing = { wrong: [], missing: [], notCopied: [], strangers: [], partials: 0 };
  expect(report).toEqual({ checked: 7, bytes, ...nothing });
  expect(seen).toEqual([1, 7, 2, 7, 3, 7, 4, 7, 5, 7, 6, 7, 7, 7]);
});

test('an empty layout has nothing wrong', async () => {
  await fill(store, [config]);
  await rm(pathOf(config));
  expect(await store.verify()).toMatchObject({ checked: 0, wrong: [], missing: [] });
});

test.each(['none', ''])('a directory that is not a layout is refused, not sound: "%s"', async (name) => {
  const none = layoutStore(join(directory, name));
  for (const look of [() => none.verify(), () => none.gc(), () => none.gc({ dryRun: true })]) {
    const refused = look();
    await expect(refused).rejects.toEqual(failsWith('STORE_ERROR'));
    await expect(refused).rejects.toThrow(`"${join(directory, name)}": not an image layout`);
  }
  expect(await readdir(directory)).toEqual([]);
});

test('a lost index.json is reported as such, and is not replaced unless somebody writes another', async () => {
  await fill(store, [config, a, shared, named(first, 'v1')]);
  await rm(join(directory, 'index.json'));
  const later = layoutStore(directory);
  for (const work of [() => store.verify(), () => fill(later, [b]), () => later.tag(first.descriptor, 'v2')]) {
    const failing = work();
    await expect(failing).rejects.toEqual(failsWith('STORE_ERROR'));
    await expect(failing).rejects.toThrow(`"${directory}": "index.json" is missing`);
  }
  expect((await readdir(directory)).sort()).toEqual(['blobs', 'oci-layout']);
  await writeFile(join(directory, 'index.json'), '{"schemaVersion":2,"manifests":[]}');
  await fill(later, [named(first, 'v1')]);
  expect(await store.verify()).toMatchObject({ checked: 4, wrong: [], missing: [] });
});

test('a layout that lost its index.json before it had any content can be filled', async () => {
  await fill(store, [config]);
  await rm(pathOf(config));
  await rm(join(directory, 'index.json'));
  await fill(layoutStore(directory), [config]);
  expect(await store.verify()).toMatchObject({ checked: 1, wrong: [] });
});

test('a file beside the algorithms is a stranger, and a directory at the name of content is wrong', async () => {
  await fill(store, [config, a, shared, named(first, 'v1')]);
  const stray = join(directory, 'blobs', '.DS_Store');
  await writeFile(stray, 'x');
  await rm(pathOf(a));
  await mkdir(pathOf(a));
  await mkdir(pathOf(b));
  const { wrong, strangers } = await store.verify();
  expect(wrong.map(({ path }) => path).sort()).toEqual([pathOf(a), pathOf(b)].sort());
  expect(wrong[0]?.found).toContain('a directory');
  expect(strangers).toEqual([stray]);
  expect(await store.gc()).toEqual({ removed: [], partials: 0, bytes: 0 });
});

test('changed content is reported with its digest now, also if it is a manifest', async () => {
  await fill(store, [config, a, shared, named(first, 'v1')]);
  await writeFile(pathOf(a), 'x');
  await writeFile(pathOf(first), '{');
  const found = new Map([
    [a.descriptor.digest, blob('x').descriptor.digest],
    [first.descriptor.digest, blob('{').descriptor.digest],
  ]);
  const wrong = [...found].map(([digest, now]) => ({
    kind: 'bytes',
    digest,
    found: now,
    path: expect.stringContaining(directory),
  }));
  expect((await store.verify()).wrong).toEqual(wrong.sort((one, other) => (one.digest < other.digest ? -1 : 1)));
});

test('a document that is not a manifest, although its digest is right, is reported with what it is', async () => {
  const strange = blob('{"schemaVersion":2}', mediaTypes.ociManifest);
  await fill(store, [strange]);
  await store.keep(strange.descriptor);
  const { digest } = strange.descriptor;
  const found = 'neither "manifests" nor "layers"';
  expect((await store.verify()).wrong).toEqual([{ kind: 'document', digest, path: pathOf(strange), found }]);
});

test('missing content is reported with what needs it', async () => {
  await fill(store, [config, a, shared, first, named(both, 'v1')]);
  await rm(pathOf(shared));
  const neededBy = first.descriptor.digest;
  const { digest, size } = shared.descriptor;
  expect((await store.verify()).missing).toEqual([
    { digest: second.descriptor.digest, size: second.descriptor.size, neededBy: both.descriptor.digest },
    { digest, size, neededBy },
  ]);
  await rm(pathOf(both));
  const { missing } = await store.verify();
  expect(missing).toEqual([{ digest: both.descriptor.digest, size: both.descriptor.size, neededBy: 'index.json' }]);
});

test('other platforms of an index, and layers that may not be distributed, were not copied: nothing is missing', async () => {
  const foreign = blob('foreign', 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');
  const windows = image(a, foreign);
  const sparse = index(windows, second);
  await fill(store, [config, a, windows, named(sparse, 'v1')]);
  const report = await store.verify();
  expect(report.missing).toEqual([]);
  expect(report.notCopied.map(({ digest }) => digest).sort()).toEqual(digests(second, foreign));
});

test('an absent subject is not missing; a stray file and a partial are counted', async () => {
  await fill(store, [config, referring.dangling]);
  await writeFile(join(directory, 'blobs', 'sha256', 'oci-put-blob123'), 'x');
  await mkdir(join(directory, '.ocifetch'));
  await writeFile(join(directory, '.ocifetch', `sha256-${'a'.repeat(64)}.partial`), 'x');
  const report = await store.verify();
  expect([report.missing, report.partials]).toEqual([[], 1]);
  expect(report.strangers).toEqual([join(directory, 'blobs', 'sha256', 'oci-put-blob123')]);
});

test('a signal ends it', async () => {
  await fill(store, [config]);
  await expect(store.verify({ signal: AbortSignal.abort(new Error('enough')) })).rejects.toEqual(failsWith('ABORTED'));
});

const layer = sampleOf(new TextEncoder().encode('a layer'), mediaTypes.ociLayer);
const sized = (...layers: readonly Descriptor[]): Sample =>
  documentOf(mediaTypes.ociManifest, { config: config.descriptor, layers });
const longer = ({ descriptor }: Sample): Descriptor => ({ ...descriptor, size: descriptor.size + 5 });

const right = sized(layer.descriptor);
const odd = sized(longer(layer), longer(layer));

const indexPath = (): string => join(directory, 'index.json');
async function lengthen(): Promise<void> {
  const index = JSON.parse(await readFile(indexPath(), 'utf8')) as { manifests: Descriptor[] };
  const manifests = index.manifests.map((entry) => ({ ...entry, size: entry.size + 5 }));
  await writeFile(indexPath(), JSON.stringify({ ...index, manifests }));
}

test('a manifest that gives a content another size than it has is wrong, once', async () => {
  await fill(store, [config, layer, right, { ...odd, tag: 'v1' }]);
  const { digest } = odd.descriptor;
  const found = `"${layer.descriptor.digest}" has 7 bytes where ${digest} says 12`;
  expect((await store.verify()).wrong).toEqual([{ kind: 'size', digest, path: pathOf(odd), found }]);
});

test('so is an index', async () => {
  const index = documentOf(mediaTypes.ociIndex, { manifests: [longer(right)] });
  await fill(store, [config, layer, right, { ...index, tag: 'v1' }]);
  const { digest, size } = right.descriptor;
  const found = `"${digest}" has ${size} bytes where ${index.descriptor.digest} says ${size + 5}`;
  const { wrong, missing } = await store.verify();
  expect(wrong).toEqual([{ kind: 'size', digest: index.descriptor.digest, path: pathOf(index), found }]);
  expect(missing).toEqual([]);
});

test('an index.json that gives another size is wrong until that content gets its name again', async () => {
  await fill(store, [config, layer, { ...right, tag: 'v1' }]);
  await store.tag(right.descriptor, 'v2');
  await lengthen();
  const { digest, size } = right.descriptor;
  const found = `"${digest}" has ${size} bytes where index.json says ${size + 5}`;
  expect((await store.verify()).wrong).toEqual([{ kind: 'size', digest: undefined, path: indexPath(), found }]);
  await store.tag(right.descriptor, 'v1');
  expect((await store.verify()).wrong).toEqual([]);
  expect(await store.tags()).toEqual(['v1', 'v2']);
});

test('the size of what is kept without a name is fixed when it is kept again', async () => {
  await fill(store, [config, layer, right]);
  await store.keep(right.descriptor);
  await lengthen();
  expect((await store.verify()).wrong).toHaveLength(1);
  await store.keep(right.descriptor);
  expect((await store.verify()).wrong).toEqual([]);
});

test('the sizes of wrong and of missing content are not compared', async () => {
  await fill(store, [config, layer, { ...odd, tag: 'v1' }]);
  await writeFile(pathOf(layer), 'x');
  const { wrong } = await store.verify();
  expect(wrong).toMatchObject([{ digest: layer.descriptor.digest, path: pathOf(layer) }]);
  await rm(pathOf(layer));
  expect(await store.verify()).toMatchObject({ wrong: [], missing: [{ size: 12 }] });
});

test('what only looks like a descriptor, in a document of an unknown type, is not believed', async () => {
  const report = documentOf('application/vnd.acme.report+json', { about: { ...layer.descriptor, size: 0 } });
  await fill(store, [layer, { ...report, tag: 'report' }]);
  expect(await store.verify()).toMatchObject({ wrong: [], missing: [] });
});

test('a descriptor that cannot be read is reported, and only one with a digest keeps gc from removing anything', async () => {
  const broken = (change: object): Sample =>
    sampleOf(
      new TextEncoder().encode(
        JSON.stringify({ schemaVersion: 2, config: config.descriptor, layers: [{ ...a.descriptor, ...change }] }),
      ),
      mediaTypes.ociManifest,
    );
  const nameless = broken({ digest: 'md5:0' });
  await fill(store, [config, named(nameless, 'v1')]);
  const report = await store.verify();
  expect(report.wrong.map(({ kind, digest, found }) => [kind, digest, found])).toEqual([
    ['document', nameless.descriptor.digest, expect.stringContaining('field "layers[0].digest" is "md5:0"')],
  ]);
  expect((await store.gc()).removed).toEqual([]);
  const sizeless = broken({ size: null });
  await fill(store, [a, named(sizeless, 'v2')]);
  expect((await store.verify()).wrong.map(({ found }) => found)).toHaveLength(2);
  await expect(store.gc()).rejects.toEqual(failsWith('BAD_RESPONSE'));
  await store.untag('v2');
  expect([...(await store.gc()).removed].sort()).toEqual(digests(a, sizeless));
});

test('an entry of index.json that cannot be read is reported, and does not hide the others', async () => {
  await fill(store, [config, a, shared, named(first, 'v1')]);
  const path = join(directory, 'index.json');
  const text = JSON.parse(await readFile(path, 'utf8')) as { manifests: unknown[] };
  const entries = [null, { ...first.descriptor, digest: 'x' }, ...text.manifests];
  await writeFile(path, JSON.stringify({ schemaVersion: null, mediaType: null, manifests: entries }));
  expect(await store.tags()).toEqual(['v1']);
  expect((await store.resolve('v1')).digest).toBe(first.descriptor.digest);
  expect((await store.verify()).wrong).toEqual([
    { kind: 'document', digest: undefined, path, found: 'manifests[0]: it is "null": not an object' },
    { kind: 'document', digest: undefined, path, found: expect.stringContaining('manifests[1]: field "digest"') },
  ]);
  await expect(store.gc()).rejects.toEqual(failsWith('BAD_RESPONSE'));
  await store.tag(first.descriptor, 'v2');
  expect(JSON.parse(await readFile(path, 'utf8')).manifests.slice(0, 2)).toEqual(entries.slice(0, 2));
});
