import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Descriptor } from '../../src/oci/descriptor.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import { type LayoutStore, layoutStore } from '../../src/store/layout.ts';
import { documentOf } from '../contract/lists.ts';
import { type Sample, sampleOf, samples } from '../contract/source.ts';
import { fill } from '../contract/store.ts';

let directory = '';
let store: LayoutStore;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ocifetch-sizes-'));
  store = layoutStore(directory);
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const { config } = samples;
const layer = sampleOf(new TextEncoder().encode('a layer'), mediaTypes.ociLayer);
const image = (...layers: readonly Descriptor[]): Sample =>
  documentOf(mediaTypes.ociManifest, { config: config.descriptor, layers });
const pathOf = ({ descriptor }: Sample): string => join(directory, 'blobs', descriptor.digest.replace(':', '/'));
const longer = ({ descriptor }: Sample): Descriptor => ({ ...descriptor, size: descriptor.size + 5 });

const right = image(layer.descriptor);
const odd = image(longer(layer), longer(layer));

const indexPath = (): string => join(directory, 'index.json');
async function lengthen(): Promise<void> {
  const index = JSON.parse(await readFile(indexPath(), 'utf8')) as { manifests: Descriptor[] };
  const manifests = index.manifests.map((entry) => ({ ...entry, size: entry.size + 5 }));
  await writeFile(indexPath(), JSON.stringify({ ...index, manifests }));
}

test('a manifest that says another size than a content has is wrong, once', async () => {
  await fill(store, [config, layer, right, { ...odd, tag: 'v1' }]);
  const { digest } = odd.descriptor;
  const found = `"${layer.descriptor.digest}" has 7 bytes where ${digest} says 12`;
  expect((await store.verify()).wrong).toEqual([{ digest, path: pathOf(odd), found }]);
});

test('so is an index', async () => {
  const index = documentOf(mediaTypes.ociIndex, { manifests: [longer(right)] });
  await fill(store, [config, layer, right, { ...index, tag: 'v1' }]);
  const { digest, size } = right.descriptor;
  const found = `"${digest}" has ${size} bytes where ${index.descriptor.digest} says ${size + 5}`;
  const { wrong, missing } = await store.verify();
  expect(wrong).toEqual([{ digest: index.descriptor.digest, path: pathOf(index), found }]);
  expect(missing).toEqual([]);
});

test('an index.json that says another size is wrong until what it is of gets its name again', async () => {
  await fill(store, [config, layer, { ...right, tag: 'v1' }]);
  await store.tag(right.descriptor, 'v2');
  await lengthen();
  const { digest, size } = right.descriptor;
  const found = `"${digest}" has ${size} bytes where index.json says ${size + 5}`;
  expect((await store.verify()).wrong).toEqual([{ digest: undefined, path: indexPath(), found }]);
  await store.tag(right.descriptor, 'v1');
  expect((await store.verify()).wrong).toEqual([]);
  expect(await store.tags()).toEqual(['v1', 'v2']);
});

test('what is held without a name is mended when it is held again', async () => {
  await fill(store, [config, layer, right]);
  await store.keep(right.descriptor);
  await lengthen();
  expect((await store.verify()).wrong).toHaveLength(1);
  await store.keep(right.descriptor);
  expect((await store.verify()).wrong).toEqual([]);
});

test('of content that is wrong itself, and of what is not here, no size is told', async () => {
  await fill(store, [config, layer, { ...odd, tag: 'v1' }]);
  await writeFile(pathOf(layer), 'x');
  const { wrong } = await store.verify();
  expect(wrong).toMatchObject([{ digest: layer.descriptor.digest, path: pathOf(layer) }]);
  await rm(pathOf(layer));
  expect(await store.verify()).toMatchObject({ wrong: [], missing: [{ size: 12 }] });
});

test("what merely looks like a descriptor, in a document of a type that is not known, is nobody's word", async () => {
  const report = documentOf('application/vnd.acme.report+json', { about: { ...layer.descriptor, size: 0 } });
  await fill(store, [layer, { ...report, tag: 'report' }]);
  expect(await store.verify()).toMatchObject({ wrong: [], missing: [] });
});
