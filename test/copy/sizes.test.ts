import { expect, test } from 'vitest';
import { copy } from '../../src/copy/copy.ts';
import { mediaTypes } from '../../src/oci/manifest.ts';
import type { Source } from '../../src/source.ts';
import { memoryStore } from '../../src/store/memory.ts';
import { type Sample, sampleOf } from '../contract/source.ts';
import { errorOf, text } from '../support/hosts.ts';
import { type Built, entry, filled, heldBy, image, index, layer } from './support.ts';

const right = layer('one');
const wrong: Sample = { ...right, descriptor: { ...right.descriptor, size: right.descriptor.size + 5 } };
const foreign = sampleOf(right.bytes, 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip');

/** With what is right in the store, whatever the documents say. */
const withRight = ({ root, parts }: Built): Built => ({
  root,
  parts: [right, ...parts.filter((one) => one !== wrong)],
});
const odd = entry(withRight(image('odd', { layers: [layer('two'), wrong] })));
const sound = entry(image('sound', { layers: [right] }));
const bytes = sampleOf(text(JSON.stringify({ os: 'linux', architecture: 'amd64' })), mediaTypes.ociConfig);
const asLayer = { ...bytes, descriptor: { ...bytes.descriptor, mediaType: mediaTypes.ociLayer, size: 3 } };
const ofConfig = image('config', { config: bytes, layers: [asLayer] });

const cases: readonly [title: string, built: Built, platform?: string][] = [
  ['a manifest, the wrong one last', withRight(image('app', { layers: [right, wrong] }))],
  ['a manifest, the wrong one first', withRight(image('app', { layers: [wrong, right] }))],
  ['a layer and one that is left out', withRight(image('app', { layers: [foreign, wrong] }))],
  ['an index', index(sound, { ...sound, root: { ...sound.root, descriptor: { ...sound.root.descriptor, size: 7 } } })],
  ['a config that is looked at first', { root: ofConfig.root, parts: [bytes, ofConfig.root] }, 'linux/amd64'],
];
test.each(cases)(
  'one digest of two sizes in %s is refused, before anything is stored',
  async (_in, built, platform) => {
    const to = memoryStore();
    const error = await errorOf(copy(await filled(built), to, 'latest', { platform: platform ?? 'all' }));
    expect(error.code).toBe('BAD_RESPONSE');
    expect(error.message).toMatch(
      /^Cannot copy "latest": .*"sha256:\w+" has \d+ bytes by one descriptor, and \d+ by another$/,
    );
    expect(await heldBy(to, built.parts)).toEqual([]);
  },
);

test.each([
  ['last', index(sound, odd)],
  ['first', index(odd, sound)],
])('one digest of two sizes in two manifests, the wrong one %s, is never given a name', async (_order, built) => {
  const to = memoryStore();
  const error = await errorOf(copy(await filled(built), to, 'latest', { platform: 'all' }));
  // Layers do not wait for other manifests, so the content itself may be found out first.
  expect(['BAD_RESPONSE', 'UNEXPECTED_END']).toContain(error.code);
  expect((await errorOf(to.resolve('latest'))).code).toBe('NOT_FOUND');
});

test('layers begin as soon as their own manifest is here, whatever becomes of others', async () => {
  const slow = entry(image('slow', { layers: [layer('two')] }));
  const from = await filled(index(sound, slow));
  const to = memoryStore();
  let release = (): void => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  const source: Source = {
    resolve: from.resolve,
    fetch: async (target, options) => {
      if (target.digest === slow.root.descriptor.digest) await released;
      return from.fetch(target, options);
    },
  };
  const copying = copy(source, to, 'latest', { platform: 'all' });
  await expect.poll(() => heldBy(to, [right, sound.root])).toHaveLength(2);
  release();
  expect(await copying).toMatchObject({ present: 0 });
});

test('of an index only what is copied counts', async () => {
  const [amd64, arm64] = [entry(sound, { on: 'linux/amd64' }), entry(odd, { on: 'linux/arm64' })];
  const { descriptor } = await copy(await filled(index(amd64, arm64)), memoryStore(), 'latest', {
    platform: 'linux/amd64',
  });
  expect(descriptor.digest).toBe(sound.root.descriptor.digest);
});
